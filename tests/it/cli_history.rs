//! `agent history` tells the record: what happened, when, by whom, from which commit.

use serde_json::Value;

use crate::support::git::{Repository, git};
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn it_tells_what_happened_to_everything_a_unit_and_an_object() {
    let mut stage = Stage::new("history", AGENT);
    let namespace = stage.namespace.clone();
    let first = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", ""), ("base", "")]),
            ),
            ("shop/a.yaml", &config_map("a", "one")),
            ("shop/b.yaml", &config_map("b", "one")),
            ("base/c.yaml", &config_map("c", "one")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &first);
    stage.until_synced("base", &first);
    let author = "Grace Hopper <grace@example.com>";
    let second = stage.repository.commit_as(
        author,
        "Change a",
        &[("shop/a.yaml", &config_map("a", "two"))],
    );
    stage.until_synced("shop", &second);
    let patch = r#"{"data":{"a":"three"}}"#;
    let words = ["patch", "configmap", "a", "--type=merge", "-p", patch];
    stage.kubectl(&[&words[..], &["--field-manager=mallory"]].concat());
    stage.until_entry("revert drift on ");

    let table = told(&stage, &[]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("TIME "), "{table}");
    assert_eq!(lines.len(), 6, "{table}");
    let short = &second[..8];
    for (line, parts) in [
        (1, [short, "gitops-agent", "revert drift on ConfigMap"]),
        (2, [short, "mallory", "mallory changed ConfigMap"]),
        (3, [short, "Grace Hopper", "sync shop to"]),
    ] {
        for part in parts {
            assert!(lines[line].contains(part), "{part}: {table}");
        }
    }
    assert_eq!(told(&stage, &["shop"]).lines().count(), 5);
    assert_eq!(told(&stage, &["base"]).lines().count(), 2);

    // Of an object, the fields as well.
    let table = told(&stage, &[&format!("ConfigMap/{namespace}/a")]);
    let subject = format!("mallory changed ConfigMap {namespace}/a");
    assert!(table.contains(&subject), "{table}");
    assert!(
        table.contains(r#"  data.a: "two" -> "three", set by mallory (Update) at 20"#),
        "{table}"
    );
    assert!(!table.contains("sync base"), "{table}");
    let other = told(&stage, &[&format!("configmap/{namespace}/b")]);
    assert_eq!(other.matches("sync shop").count(), 1, "{other}");
    assert!(!other.contains("mallory"), "{other}");

    let all = json(&stage, &[]);
    let entries = all.as_array().unwrap();
    assert_eq!(entries.len(), 5);
    let recorded = stage.entries();
    let hashes: Vec<&str> = recorded.iter().rev().map(|entry| &*entry.hash).collect();
    let entry = |index: usize, field: &str| entries[index][field].as_str().unwrap();
    let told_hashes: Vec<&str> = (0..5).map(|index| entry(index, "entry")).collect();
    assert_eq!(told_hashes, hashes);
    assert_eq!(entry(0, "event"), "revert");
    assert_eq!(entry(0, "state"), "Synced");
    assert_eq!((entry(1, "event"), entry(1, "actor")), ("drift", "mallory"));
    assert_eq!(entries[1]["state"], Value::Null);
    assert_eq!(
        (entry(2, "event"), entry(2, "revision")),
        ("sync", &*second)
    );
    assert_eq!(entries[2]["author"]["name"], "Grace Hopper");
    assert_eq!(entries[2]["objects"][0]["fields"][0]["path"], "data.a");
    let committed = stage
        .repository
        .git(&["log", "-1", "--format=%ct", &second]);
    let said: jiff::Timestamp = entry(2, "committed").parse().unwrap();
    assert_eq!(said.as_second().to_string(), committed.trim());

    // Bounds, and what is not there.
    assert_eq!(
        json(&stage, &["--since", "1h"]).as_array().unwrap().len(),
        5
    );
    assert_eq!(
        json(&stage, &["--since", "2999-01-01"]),
        serde_json::json!([])
    );
    assert_eq!(json(&stage, &["--limit", "2"]).as_array().unwrap().len(), 2);
    let table = told(&stage, &["-n", "2"]);
    assert!(table.contains("there are older entries"), "{table}");
    for (word, why) in [
        ("shpo", "tells of no unit shpo"),
        (
            "Deployment/shop/nothing",
            "tells of no Deployment shop/nothing",
        ),
        ("a/b/c/d", "names no object"),
    ] {
        let ran = stage.agent(&["history", word]).run();
        assert_eq!(ran.code, Some(2), "{word}");
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    }
}

/// A record that somebody has worked on by hand is shown all the same.
#[test]
fn what_the_agent_did_not_write_is_shown_as_such() {
    let repository = Repository::with(&[("README.md", "hello")]);
    let work = repository.work();
    let commit = |message: &str, files: &[(&str, &str)]| {
        for (path, text) in files {
            repository.write(path, text);
        }
        git(&work, &["add", "--all"]);
        git(
            &work,
            &["commit", "--quiet", "--allow-empty", "-m", message],
        );
    };
    git(&work, &["checkout", "--quiet", "-b", "live/staging"]);
    let trailers = "Environment: staging\nUnit: web\nEvent: sync\nCause: revision";
    let path = "web/shop/Deployment.apps/web.yaml";
    let message = format!("staging: sync web\n\n{trailers}");
    commit(&message, &[(path, "spec:\n  replicas: 3\n")]);
    commit("Tidy up\u{1b}[31m", &[(path, "spec:\n  replicas: 5\n")]);
    commit(
        "staging: of the future\n\nEnvironment: staging\nEvent: moon\nCause: phase",
        &[],
    );
    git(&work, &["push", "--quiet", "origin", "live/staging"]);
    let history = |words: &[&str]| {
        let agent = crate::support::agent::Agent::new(AGENT).directory(repository.work());
        let ran = agent.args([&["history"], words].concat()).run();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    };
    let table = history(&[]);
    assert!(table.contains("of the future"), "{table}");
    assert!(table.contains("? Tidy up"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table:?}");
    let table = history(&["Deployment/shop/web"]);
    for line in ["  -  replicas: 3", "  +  replicas: 5"] {
        assert!(table.contains(line), "{table}");
    }
    let all: Value = serde_json::from_str(&history(&["-o", "json"])).unwrap();
    let by_agent: Vec<&Value> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["byAgent"])
        .collect();
    assert_eq!(by_agent, [true, false, true, false]);
    assert_eq!(
        (&all[0]["event"], &all[0]["cause"]),
        (&Value::Null, &"phase".into())
    );
}

#[test]
fn without_a_record_it_says_what_to_do() {
    let repository = Repository::with(&[("README.md", "hello")]);
    let agent = crate::support::agent::Agent::new(AGENT).directory(repository.work());
    let agent = agent.args(["history"]);
    let ran = agent.run();
    let none = "holds no record of any environment";
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains(none), "{}", ran.stderr);
    assert!(!ran.stderr.contains("git fetch"), "{}", ran.stderr);
    repository.go_away();
    let ran = agent.run();
    assert_eq!(ran.code, Some(2));
    for part in [
        none,
        "origin could not be asked",
        "`git fetch origin '+refs",
    ] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}

fn told(stage: &Stage, words: &[&str]) -> String {
    let ran = stage.agent(&[&["history"], words].concat()).run();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout
}

fn json(stage: &Stage, words: &[&str]) -> Value {
    let words = [words, &["-o", "json"]].concat();
    serde_json::from_str(&told(stage, &words)).unwrap()
}
