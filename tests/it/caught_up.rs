//! What happened while no agent ran is told by the next one: once, by whom and when. The
//! record goes on without a gap or a repeat, whatever the agent has lost.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::git::git;
use crate::support::stage::{Entry, PATIENCE, Stage};
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}, b: same}}\n"
    )
}

fn patch(stage: &Stage, name: &str, manager: &str, patch: &str) {
    let manager = format!("--field-manager={manager}");
    let words = [
        "patch",
        "configmap",
        name,
        "--type=merge",
        &manager,
        "-p",
        patch,
    ];
    stage.kubectl(&words);
}

/// When a manager wrote to an object, as the API server says, in seconds.
fn moment(stage: &Stage, name: &str, manager: &str) -> String {
    let words = [
        "get",
        "configmap",
        name,
        "-o",
        "json",
        "--show-managed-fields",
    ];
    let object: Value = serde_json::from_str(&stage.kubectl(&words)).unwrap();
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["manager"] == manager);
    let time: jiff::Timestamp = entry.unwrap()["time"].as_str().unwrap().parse().unwrap();
    time.as_second().to_string()
}

fn authored(stage: &Stage, entry: &Entry) -> String {
    let words = ["log", "-1", "--format=%at", &entry.hash];
    git(&stage.repository.remote(), &words).trim().to_owned()
}

fn subjects(stage: &Stage, entries: &[Entry]) -> Vec<String> {
    let prefix = format!("{}: ", stage.environment);
    let place = format!(" {}/", stage.namespace);
    let short = |entry: &Entry| entry.subject.replace(&prefix, "").replace(&place, " ");
    entries.iter().map(short).collect()
}

/// A unit that is synced, and the number of entries so far.
fn synced(name: &str) -> (Stage<'static>, usize) {
    let mut stage = Stage::new(name, AGENT);
    let maps: Vec<(String, String)> = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|name| (format!("shop/{name}.yaml"), config_map(name, "one")))
        .collect();
    let mut files = vec![(
        "agent.yaml".to_owned(),
        stage.configuration(&[("shop", "")]),
    )];
    files.extend(maps);
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let revision = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &revision);
    let count = stage.entries().len();
    (stage, count)
}

/// What people do while the agent is away.
fn meddle(stage: &Stage) {
    patch(stage, "a", "alice", r#"{"data":{"a":"two"}}"#);
    stage.kubectl(&["delete", "configmap", "b"]);
    patch(stage, "c", "carol", r#"{"data":{"a":"two"}}"#);
    patch(stage, "c", "carol", r#"{"data":{"a":"one"}}"#);
    patch(stage, "d", "dave", r#"{"data":{"extra":"x"}}"#);
}

/// Nothing more is told of it, by this agent or by the next.
fn assert_told_once(stage: &mut Stage, count: usize) {
    for round in 0..2 {
        let text = format!("hello {round}");
        let next = stage.commit("Nothing for us", &[("README.md", &text)]);
        stage.until_looked_at(&next);
        let more = &subjects(stage, &stage.entries())[count + round..];
        assert_eq!(more, [format!("at {}, nothing to change", &next[..8])]);
        stage.daemon().restart();
    }
}

#[test]
fn what_was_done_meanwhile_is_told_and_put_back() {
    let (mut stage, before) = synced("away");
    assert!(stage.daemon().terminate(PATIENCE).success());
    meddle(&stage);
    let alice = moment(&stage, "a", "alice");
    stage.daemon().restart();
    stage.until_entry("revert drift on ");
    stage.until("all to be told", |stage| {
        let told = subjects(stage, &stage.entries());
        let there = told.len() == before + 4;
        if there { Ok(()) } else { Err(told.join("\n")) }
    });
    let entries = stage.entries();
    let told: BTreeSet<String> = subjects(&stage, &entries[before..]).into_iter().collect();
    let expected = [
        "alice changed ConfigMap a",
        "somebody deleted ConfigMap b",
        "found fields of dave on ConfigMap d",
        "revert drift on 2 objects of shop",
    ];
    assert_eq!(told, expected.map(str::to_owned).into());
    let entry = &stage.entries_on("alice changed ")[0];
    assert_eq!(entry.author, "alice <alice@field-manager>");
    assert_eq!(authored(&stage, entry), alice);
    assert_eq!(entry.trailer("Event").as_deref(), Some("drift"));
    assert_eq!(stage.get("configmap", "a")["data"]["a"], "one");
    let count = entries.len();
    assert_told_once(&mut stage, count);
}

/// Where desired has moved too, what somebody did does not go under in the sync.
#[test]
fn what_was_done_meanwhile_is_told_although_a_commit_changes_it_as_well() {
    let (mut stage, before) = synced("moved");
    assert!(stage.daemon().terminate(PATIENCE).success());
    meddle(&stage);
    patch(&stage, "e", "erin", r#"{"data":{"b":"other"}}"#);
    let erin = moment(&stage, "e", "erin");
    let files =
        ["a", "b", "c", "e"].map(|name| (format!("shop/{name}.yaml"), config_map(name, "three")));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (&**path, &**text))
        .collect();
    let revision = stage.commit("Change four", &files);
    stage.daemon().restart();
    stage.until_synced("shop", &revision);
    stage.until("all to be told", |stage| {
        let told = subjects(stage, &stage.entries());
        let there = told.len() == before + 5;
        if there { Ok(()) } else { Err(told.join("\n")) }
    });
    let entries = stage.entries();
    let told: BTreeSet<String> = subjects(&stage, &entries[before..]).into_iter().collect();
    let sync = format!("sync shop to {}: 1 created, 3 changed", &revision[..8]);
    let expected = [
        "alice changed ConfigMap a",
        "erin changed ConfigMap e",
        "somebody deleted ConfigMap b",
        "found fields of dave on ConfigMap d",
        &sync,
    ];
    assert_eq!(told, expected.map(str::to_owned).into());
    let entry = &stage.entries_on("erin changed ")[0];
    assert_eq!(authored(&stage, entry), erin);
    let line = r#"data.b: "same" -> "other", set by erin (Update) at 20"#;
    assert!(entry.message.contains(line), "{}", entry.message);
    assert!(!entry.message.contains("data.a"), "{}", entry.message);
    let path = format!("shop/{}/ConfigMap/e.yaml", stage.namespace);
    assert!(entry.paths.contains(&path), "{:?}", entry.paths);
    let count = entries.len();
    assert_told_once(&mut stage, count);
}

/// Drift that is left as it is is no news to the next process.
#[test]
fn what_was_told_before_is_not_told_again() {
    let mut stage = Stage::new("told", AGENT);
    let maps = ["a", "b"].map(|name| (format!("shop/{name}.yaml"), config_map(name, "one")));
    let configuration = stage.configuration(&[("shop", "drift: report")]);
    let mut files = vec![("agent.yaml", configuration.as_str())];
    files.extend(maps.iter().map(|(path, text)| (&**path, &**text)));
    let revision = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &revision);
    patch(&stage, "a", "alice", r#"{"data":{"a":"two"}}"#);
    stage.until_entry("alice changed ");
    stage.kubectl(&["delete", "configmap", "b"]);
    stage.until_entry("somebody deleted ");
    stage.until_state("shop", "Drifted");
    assert!(stage.daemon().terminate(PATIENCE).success());
    let before = stage.entries().len();
    stage.daemon().restart();
    assert_told_once(&mut stage, before);
    // What is changed again is news.
    let count = stage.entries_on("alice changed ").len();
    patch(&stage, "a", "alice", r#"{"data":{"a":"three"}}"#);
    stage.until("it to be told", |stage| {
        let told = stage.entries_on("alice changed ").len();
        if told == count + 1 {
            Ok(())
        } else {
            Err(told.to_string())
        }
    });
}

#[test]
fn with_an_empty_data_directory_the_record_goes_on() {
    let (mut stage, _) = synced("recreated");
    for away in [false, true] {
        let before: Vec<String> = stage
            .entries()
            .into_iter()
            .map(|entry| entry.hash)
            .collect();
        let since = stage.unit("shop")["since"].clone();
        stage.daemon().kill();
        std::fs::remove_dir_all(stage.daemon().home().join("data")).unwrap();
        if away {
            stage.repository.go_away();
            let log = stage.log().len();
            stage.daemon().restart();
            wait_seeing("it to say so", PATIENCE, || {
                let log = stage.log()[log..].to_owned();
                let said = log.contains("no newer commit can be had");
                said.then_some(()).ok_or(log)
            });
            stage.repository.come_back();
        } else {
            stage.daemon().restart();
        }
        let text = config_map("a", &format!("away-{away}"));
        let revision = stage.commit("Change a", &[("shop/a.yaml", &text)]);
        stage.until_synced("shop", &revision);
        let entries = stage.entries();
        let hashes: Vec<String> = entries.iter().map(|entry| entry.hash.clone()).collect();
        assert_eq!(hashes[..before.len()], before[..]);
        let told = subjects(&stage, &entries[before.len()..]);
        assert_eq!(
            told,
            [format!(
                "sync shop to {}: change ConfigMap a",
                &revision[..8]
            )]
        );
        assert_eq!(
            stage.unit("shop")["since"],
            since,
            "it was Synced all the time"
        );
    }
}

/// A commit that changes nothing of a unit is not taken for the one that declared it.
#[test]
fn a_unit_stays_of_the_commit_that_declared_it() {
    let (mut stage, _) = synced("since");
    let declared = stage.unit("shop")["revision"].clone();
    assert!(stage.daemon().terminate(PATIENCE).success());
    let newer = stage.commit("Nothing for us", &[("README.md", "hello")]);
    stage.daemon().restart();
    stage.until_looked_at(&newer);
    patch(&stage, "a", "alice", r#"{"data":{"a":"two"}}"#);
    let reverted = stage.until_entry("revert drift on ");
    assert_eq!(reverted.trailer("Revision").as_deref(), declared.as_str());
    assert_eq!(stage.unit("shop")["revision"], declared);
}
