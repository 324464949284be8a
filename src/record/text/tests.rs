#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use serde_json::json;

use super::*;

#[test]
fn an_object_reads_top_down() {
    let object = json!({
        "spec": {"replicas": 3, "template": {"args": ["--a", "on"]}},
        "metadata": {"name": "web", "labels": {"b": "true", "a": "1_000"}},
        "kind": "Deployment",
        "data": {"script": "one\ntwo\n"},
        "apiVersion": "apps/v1",
    });
    insta::assert_snapshot!(yaml(&object), @r#"
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      labels:
        a: "1_000"
        b: "true"
      name: web
    data:
      script: |
        one
        two
    spec:
      replicas: 3
      template:
        args:
        - --a
        - "on"
    "#);
}

#[test]
fn what_is_written_reads_back_the_same() {
    let long = "word ".repeat(60);
    for text in [
        "",
        " ",
        "on",
        "y",
        "0644",
        "1e3",
        "~",
        "null",
        "<<",
        "- a",
        "a: b",
        "#",
        "\ttab",
        "end ",
        "multi\nline",
        "multi\nline\n",
        "multi\n\n\n",
        "\nstart",
        "  indent\nmore",
        "tab\n\tin",
        "cr\r\nlf",
        "\u{0}",
        "\u{85}",
        "emoji 🎉",
        &long,
        "2024-01-01",
        "12:30",
        "=",
        "!tag",
        "%x",
        "trailing \nblank",
        "---\nmarker",
        "word\n---\nword",
    ] {
        let object = json!({"data": {"key": text}, "list": [text]});
        let written = yaml(&object);
        let ours: Value = serde_saphyr::from_str(&written).unwrap();
        assert_eq!(ours, object, "{written}");
        let theirs: Value = serde_yaml::from_str(&written).unwrap();
        assert_eq!(theirs, object, "{written}");
    }
}

#[test]
fn the_page_names_the_environment() {
    let page = readme(&"production".parse().unwrap(), "live/production");
    assert!(page.starts_with("# What happened in `production`\n"));
    assert!(page.contains("git log -p live/production --"));
}
