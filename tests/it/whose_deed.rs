//! What somebody did in the cluster is told as somebody's, and left or put back as the unit
//! says, whatever it was that they did; and who it was is said only where that can be known.

use serde_json::{Value, json};

use crate::support::control_plane::ControlPlane;
use crate::support::liar::{Asked, Liar, Lie};
use crate::support::stage::{Entry, PATIENCE, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{tier: front}}}}\ndata: {{a: {value}, b: same}}\n"
    )
}

fn account(note: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: robot, annotations: {{example.com/note: {note}}}}}\n"
    )
}

fn stage(name: &str, more: &str) -> (Stage<'static>, String) {
    let stage = Stage::new(name, AGENT);
    let configuration = stage.configuration(&[("shop", more)]);
    let files = [
        ("agent.yaml", configuration.as_str()),
        ("shop/one.yaml", &config_map("one", "one")),
        ("shop/two.yaml", &config_map("two", "one")),
        ("shop/robot.yaml", &account("one")),
    ];
    let revision = stage.commit("Start", &files);
    (stage, revision)
}

fn patch(stage: &Stage, kind: &str, name: &str, manager: &str, patch: &Value) {
    let (manager, patch) = (format!("--field-manager={manager}"), patch.to_string());
    stage.kubectl(&["patch", kind, name, "--type=merge", &manager, "-p", &patch]);
}

/// The subjects of what was told since so many entries.
fn told(stage: &Stage, since: usize) -> Vec<String> {
    let prefix = format!("{}: ", stage.environment);
    let entries = stage.entries();
    let told = entries[since..].iter().map(|entry: &Entry| {
        let subject = entry.subject.replace(&prefix, "");
        subject.replace(&format!(" {}/", stage.namespace), " ")
    });
    told.collect()
}

fn until_told(stage: &mut Stage, since: usize, expected: &[&str]) {
    stage.until(&format!("{expected:?} to be told"), |stage| {
        let told = told(stage, since);
        let all = expected.iter().all(|one| told.iter().any(|it| it == one));
        if all { Ok(()) } else { Err(told.join("\n")) }
    });
}

#[test]
fn an_object_made_anew_is_left_where_drift_is_reported() {
    let (mut stage, revision) = stage("anew", "drift: report");
    stage.start();
    stage.until_synced("shop", &revision);
    let since = stage.entries().len();
    let other = config_map("one", "two");
    stage.kubectl(&["delete", "configmap", "one"]);
    until_told(&mut stage, since, &["somebody deleted ConfigMap one"]);
    let create = [
        "-n",
        &stage.namespace,
        "create",
        "--field-manager=alice",
        "-f",
        "-",
    ];
    stage.cluster.kubectl_with(&create, &other).unwrap();
    let uid = stage.uid("configmap", "one");
    // What is made without the label is not watched: a pass has to look.
    patch(
        &stage,
        "configmap",
        "two",
        "bob",
        &json!({"data": {"a": "two"}}),
    );
    until_told(
        &mut stage,
        since,
        &["alice changed ConfigMap one", "bob changed ConfigMap two"],
    );
    stage.until_state("shop", "Drifted");
    let entry = stage.entries_on("alice changed ConfigMap").pop().unwrap();
    let words = r#"data.a: "one" -> "two", set by alice (Update) at 20"#;
    assert!(entry.message.contains(words), "{}", entry.message);
    assert_eq!(entry.trailer("Cause").as_deref(), Some("drift"));
    let live = stage.get("configmap", "one");
    assert_eq!(
        (&live["data"]["a"], stage.uid("configmap", "one")),
        (&json!("two"), uid)
    );
    let all = told(&stage, since);
    assert!(!all.iter().any(|it| it.starts_with("sync")), "{all:#?}");
    assert!(stage.writes().iter().all(|event| event.verb != "create"));
    let shown = stage.diff(&[]);
    assert!(shown.stdout.contains("+  a: one"), "{shown:?}");

    // A commit is a decision: what it changes is applied, and it is the unit's again.
    let revision = stage.commit("Three", &[("shop/one.yaml", &config_map("one", "three"))]);
    stage.until("the commit to be applied", |stage| {
        let live = stage.get("configmap", "one")["data"]["a"].clone();
        if live == "three" {
            Ok(())
        } else {
            Err(format!("{live} at {revision}"))
        }
    });
}

#[test]
fn who_removed_something_is_not_guessed() {
    let (mut stage, revision) = stage("removed", "");
    stage.start();
    stage.until_synced("shop", &revision);
    // Alice writes something else, which is told as hers.
    let note = json!({"metadata": {"annotations": {"example.com/alice": "was here"}}});
    patch(&stage, "configmap", "one", "alice", &note);
    stage.until_entry("found fields of alice on ConfigMap");
    let since = stage.entries().len();
    let bare = json!({"metadata": {"labels": {"tier": null}}});
    patch(&stage, "configmap", "one", "bob", &bare);
    until_told(&mut stage, since, &["revert drift on ConfigMap one"]);
    let entries = stage.entries();
    let [found, reverted] = &entries[since..] else {
        panic!("{:#?}", told(&stage, since));
    };
    assert!(
        found.subject.contains("somebody changed ConfigMap"),
        "{}",
        found.subject
    );
    assert!(
        found
            .message
            .contains("metadata.labels.tier: \"front\" -> (none)"),
        "{}",
        found.message
    );
    for entry in [found, reverted] {
        assert!(!entry.message.contains("alice"), "{}", entry.message);
        assert_eq!(entry.trailer("Actor"), None);
    }
}

/// While one kind can't be read, the others are gone on with: what somebody did to either
/// goes under in no sync.
#[test]
fn what_was_done_while_a_kind_could_not_be_read_is_told() {
    let (mut stage, revision) = stage("unread", "");
    let liar = Liar::before(ControlPlane::shared());
    let invocation = stage.invocation();
    stage.start_as(invocation.kubeconfig(liar.kubeconfig()));
    stage.until_synced("shop", &revision);
    assert!(stage.daemon().terminate(PATIENCE).success());
    let since = stage.entries().len();
    patch(
        &stage,
        "configmap",
        "one",
        "alice",
        &json!({"data": {"a": "two"}}),
    );
    let note = json!({"metadata": {"annotations": {"example.com/note": "two"}}});
    patch(&stage, "serviceaccount", "robot", "bob", &note);
    let bare = json!({"data": {"b": null}});
    patch(&stage, "configmap", "two", "carol", &bare);
    let files = [
        ("shop/one.yaml", &*config_map("one", "three")),
        ("shop/two.yaml", &config_map("two", "three")),
        ("shop/robot.yaml", &account("three")),
    ];
    let third = stage.commit("Three", &files);
    let config_maps = |asked: &Asked| {
        let all = asked.is_watch_of("configmaps") || asked.is_list_of("configmaps");
        all && asked.query.contains("part-of")
    };
    liar.lie(
        config_maps,
        Lie::status(503, "ServiceUnavailable", "not now"),
    );
    stage.daemon().restart();
    let mut expected = vec!["bob changed ServiceAccount robot"];
    until_told(&mut stage, since, &expected);
    // What can't be read stays in the record, whatever is written meanwhile.
    stage.until_entry(&format!("sync shop to {}", &third[..8]));
    liar.be_true();
    expected.push("alice changed ConfigMap one");
    expected.push("somebody changed ConfigMap two");
    until_told(&mut stage, since, &expected);
    stage.until_state("shop", "Synced");
    assert_eq!(stage.get("configmap", "one")["data"]["a"], "three");
    assert_eq!(stage.get("configmap", "two")["data"]["b"], "same");
}
