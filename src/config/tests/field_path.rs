use serde_json::json;

use crate::config::FieldPath;

fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_path_covers_itself_and_what_lies_below() {
    for (pattern, covered) in [
        ("spec.replicas", "spec.replicas"),
        ("spec.template", "spec.template.spec.containers[name=a].env"),
        (
            r#"metadata.annotations["a.b/c"]"#,
            r#"metadata.annotations["a.b/c"]"#,
        ),
        (
            r#"metadata.annotations["a.b/*"]"#,
            r#"metadata.annotations["a.b/c"]"#,
        ),
        (
            r#"metadata.annotations["note"]"#,
            "metadata.annotations.note",
        ),
        ("metadata.annotations[*]", "metadata.annotations.note"),
        ("spec.*.spec", "spec.template.spec.dnsPolicy"),
        ("spec.containers[*].env", "spec.containers[name=a].env"),
        (
            "spec.containers[name=istio-*]",
            "spec.containers[name=istio-proxy].image",
        ),
        (
            "ports[containerPort=80]",
            "ports[containerPort=80,protocol=TCP].name",
        ),
        (r#"finalizers["x/y"]"#, r#"finalizers["x/y"]"#),
        ("args[0]", "args[0]"),
        (
            r#"mounts[mountPath="/a]b,c"].name"#,
            r#"mounts[mountPath="/a]b,c"].name"#,
        ),
    ] {
        assert!(path(pattern).covers(covered), "{pattern} covers {covered}");
    }
    for (pattern, other) in [
        ("spec.replicas", "spec"),
        ("spec.replicas", "spec.replicasMore"),
        ("spec.containers[name=a]", "spec.containers[name=b].image"),
        (
            "ports[containerPort=80,protocol=UDP]",
            "ports[containerPort=80,protocol=TCP]",
        ),
        (r#"metadata.annotations["a.b/*"]"#, "metadata.annotations.a"),
        ("args[0]", "args[1]"),
    ] {
        assert!(!path(pattern).covers(other), "{pattern} covers {other}");
    }
}

#[test]
fn what_is_no_path_is_refused_with_the_way_to_write_it() {
    let cases = [
        ("", "a path is empty"),
        (
            "/spec/replicas",
            "`/spec/replicas` is a JSON pointer; write it with dots, as `agent diff` prints it: `spec.replicas`",
        ),
        (
            ".spec.replicas",
            "a path begins with a field; leave out the first dot: `spec.replicas`",
        ),
        (
            "metadata.annotations.a.b/c",
            "expected `.` or `[` after `metadata.annotations.a.b`, found `/`; a name with other than letters, digits, `-` and `_` goes into brackets and quotes: `metadata.annotations[\"example.com/name\"]`",
        ),
        ("spec.", "expected a field's name after `spec.`"),
        (
            "spec..x",
            "expected a field's name after `spec.`, found `.`",
        ),
        ("spec[", "`[` has no `]`"),
        ("spec[name=a", "`[a` has no `]`"),
        (r#"spec["a]"#, "`\"a]` is not a text in quotes"),
        (
            r#"spec["a"b]"#,
            "expected `]` after `spec[\"a\"`, found `b`; ",
        ),
        (
            "containers[web]",
            "`[web]` names nothing; write `[\"web\"]`, or `[name=web]` for the item of a list",
        ),
    ];
    for (text, expected) in cases {
        let error = FieldPath::parse(text).unwrap_err();
        let said = match error.hint {
            Some(hint) => format!("{}; {hint}", error.why),
            None => error.why,
        };
        assert!(said.starts_with(expected), "{text:?}: {said}");
    }
}

#[test]
fn a_path_finds_the_one_value_that_it_names() {
    let object = json!({"spec": {
        "replicas": 2,
        "containers": [{"name": "a", "image": "a:1"}, {"name": "b"}],
        "args": ["x", "y"], "ports": [80]}});
    for (text, found) in [
        ("spec.replicas", Some(json!(2))),
        ("spec.containers[name=a].image", Some(json!("a:1"))),
        ("spec.containers[name=b].image", None),
        (r#"spec.args["y"]"#, Some(json!("y"))),
        ("spec.args[1]", Some(json!("y"))),
        ("spec.ports[80]", Some(json!(80))),
        ("spec.containers[*].image", None),
        ("spec.repl*", None),
    ] {
        assert_eq!(path(text).resolve(&object), found.as_ref(), "{text}");
    }
}

#[test]
fn an_item_by_its_place_is_the_one_that_is_printed_by_its_key() {
    let object = json!({"spec": {
        "containers": [
            {"name": "a"},
            {"name": "b", "ports": [{"containerPort": 80}, {"containerPort": 90}]}],
        "ports": [{"name": "web", "port": 80, "targetPort": 8080}],
        "twice": [{"name": "a"}, {"name": "a"}],
        "args": ["x"]}});
    let keyed = |text: &str| path(text).by_key(&object, crate::fields::usual_key);
    for (text, printed) in [
        ("spec.containers[1].image", "spec.containers[name=b].image"),
        (
            "spec.containers[1].ports[1]",
            "spec.containers[name=b].ports[containerPort=90,protocol=TCP].name",
        ),
        (
            "spec.ports[0].targetPort",
            "spec.ports[port=80,protocol=TCP].targetPort",
        ),
        ("spec.args[0]", "spec.args[0]"),
        ("spec.containers[name=a]", "spec.containers[name=a]"),
    ] {
        assert!(keyed(text).covers(printed), "{text} covers {printed}");
    }
    assert!(!keyed("spec.containers[0].image").covers("spec.containers[name=b].image"));
    assert!(!keyed("spec.twice[1]").covers("spec.twice[name=a]"));
    assert!(!keyed("spec.ports[0]").covers("spec.ports[port=90,protocol=TCP]"));
    let live = json!({"spec": {"containers": [{"name": "sidecar"}, {"name": "a", "image": "i"}]}});
    let found = keyed("spec.containers[0].image").resolve(&live).cloned();
    assert_eq!(found, Some(json!("i")), "it is the same one live");
    assert!(!keyed("spec.containers[7]").covers("spec.containers[name=a]"));
}
