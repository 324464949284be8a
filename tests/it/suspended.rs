//! A unit that the repository suspends is left alone, and the record tells when that
//! began, by whom, and when it ended: once each, whatever restarts.

use std::fs;

use crate::support::stage::{Entry, PATIENCE, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const GRACE: &str = "Grace Hopper <grace@example.com>";

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
}

fn patch(stage: &Stage<'_>, name: &str, value: &str) {
    let change = format!(r#"{{"data":{{"a":"{value}"}}}}"#);
    stage.kubectl(&[
        "patch",
        "configmap",
        name,
        "--type=merge",
        "--field-manager=mallory",
        "-p",
        &change,
    ]);
}

fn value(stage: &Stage<'_>, name: &str) -> String {
    let seen = stage.get("configmap", name);
    seen["data"]["a"].as_str().unwrap_or_default().to_owned()
}

/// A unit `shop` of two objects, and another one.
fn start(name: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    let first = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("other", ""), ("shop", "")]),
            ),
            ("shop/a.yaml", &config_map("a", "one")),
            ("shop/b.yaml", &config_map("b", "one")),
            ("other/c.yaml", &config_map("c", "one")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &first);
    stage.until_synced("other", &first);
    stage
}

fn suspend(stage: &Stage<'_>) -> String {
    let text = stage.configuration(&[("other", ""), ("shop", "suspend: true")]);
    let files = [("agent.yaml", text.as_str())];
    let repository = &stage.repository;
    repository.commit_as(GRACE, "Freeze for the audit", &files)
}

fn resume(stage: &Stage<'_>) -> String {
    let text = stage.configuration(&[("other", ""), ("shop", "")]);
    stage.commit("Thaw", &[("agent.yaml", &text)])
}

/// What is told of `shop` after the first entries.
fn subjects(stage: &Stage<'_>, after: usize) -> Vec<String> {
    let prefix = format!("{}: ", stage.environment);
    let place = format!(" {}/", stage.namespace);
    let told = stage.entries().into_iter().skip(after);
    let told = told.filter(|entry| entry.trailer("Unit").as_deref() == Some("shop"));
    told.map(|entry| entry.subject.replace(&prefix, "").replace(&place, " "))
        .collect()
}

fn trailers(entry: &Entry) -> Vec<(String, String)> {
    let mut trailers = entry.trailers();
    trailers.retain(|(key, _)| key != "Environment");
    trailers
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    expected.iter().map(own).collect()
}

#[test]
fn what_was_done_while_a_unit_was_suspended_is_told_after_its_end() {
    let mut stage = start("suspended");
    let before = stage.entries().len();
    let frozen = suspend(&stage);
    let entry = stage.until_entry("shop is suspended");
    let said = format!("suspended by Grace Hopper in {}", &frozen[..8]);
    assert!(
        entry.subject.ends_with(&format!(": shop is {said}")),
        "{entry:?}"
    );
    assert_eq!(entry.author, GRACE);
    assert!(entry.message.contains("Freeze for the audit"), "{entry:?}");
    let expected = [
        ("Unit", "shop"),
        ("Event", "suspended"),
        ("Cause", "revision"),
        ("State", "Suspended"),
        ("Revision", frozen.as_str()),
    ];
    assert_eq!(trailers(&entry), pairs(&expected));
    let shown = stage.agent(&["status"]).run();
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains(&said), "{shown:?}");

    // It is left alone, whatever is done here or there, and that is no news.
    patch(&stage, "a", "by hand");
    patch(&stage, "b", "by hand");
    let moved = stage.commit(
        "Move on",
        &[
            ("shop/b.yaml", &config_map("b", "two")),
            ("other/c.yaml", &config_map("c", "two")),
        ],
    );
    stage.until_synced("other", &moved);
    assert_eq!(value(&stage, "a"), "by hand");
    assert_eq!(value(&stage, "b"), "by hand");
    assert_eq!(subjects(&stage, before).len(), 1);

    let thawed = resume(&stage);
    stage.until_synced("shop", &moved);
    let told = subjects(&stage, before + 1);
    let short = &moved[..8];
    let expected = [
        "resume shop".to_owned(),
        "mallory changed ConfigMap b".to_owned(),
        "mallory changed ConfigMap a".to_owned(),
        "revert drift on ConfigMap a".to_owned(),
        format!("sync shop to {short}: change ConfigMap b"),
    ];
    assert_eq!(told, expected);
    let entry = &stage.entries_on("resume shop")[0];
    let expected = [
        ("Unit", "shop"),
        ("Event", "resumed"),
        ("Cause", "revision"),
        ("State", "Progressing"),
        ("Revision", thawed.as_str()),
    ];
    assert_eq!(trailers(entry), pairs(&expected));
    assert_eq!(value(&stage, "a"), "one");
    assert_eq!(value(&stage, "b"), "two");
    // Each entry changes what it tells of.
    let path = |name: &str| format!("shop/{}/ConfigMap/{name}.yaml", stage.namespace);
    let of = |subject: &str| stage.entries_on(subject).pop().unwrap().paths;
    assert!(of("revert drift on ").contains(&path("a")));
    assert!(!of("sync shop to ").contains(&path("a")));
    assert!(of("sync shop to ").contains(&path("b")));
    let shown = stage.agent(&["history", "shop"]).run();
    for words in ["resume shop", &format!("shop is {said}")] {
        assert!(shown.stdout.contains(words), "{words}: {shown:?}");
    }
}

#[test]
fn a_hold_is_told_once_whatever_restarts_and_also_if_nobody_saw_it() {
    let mut stage = start("held");
    let before = stage.entries().len();
    // While the agent is away.
    assert!(stage.daemon().terminate(PATIENCE).success());
    suspend(&stage);
    patch(&stage, "a", "by hand");
    stage.daemon().restart();
    stage.until_state("shop", "Suspended");
    let since = stage.unit("shop");
    // With and without what it remembers.
    for round in ["two", "three"] {
        stage.daemon().kill();
        if round == "three" {
            fs::remove_dir_all(stage.daemon().home().join("data")).unwrap();
        }
        stage.daemon().restart();
        let next = stage.commit("Elsewhere", &[("other/c.yaml", &config_map("c", round))]);
        stage.until_synced("other", &next);
    }
    assert_eq!(stage.unit("shop"), since);
    assert_eq!(subjects(&stage, before).len(), 1);

    assert!(stage.daemon().terminate(PATIENCE).success());
    resume(&stage);
    stage.daemon().restart();
    stage.until_state("shop", "Synced");
    let told = subjects(&stage, before + 1);
    let expected = [
        "resume shop",
        "mallory changed ConfigMap a",
        "revert drift on ConfigMap a",
    ];
    assert_eq!(told, expected);
    assert_eq!(stage.unit("shop")["revision"], since["revision"]);
    stage.daemon().restart();
    let last = stage.commit("Nothing for us", &[("README.md", "hello")]);
    stage.until_looked_at(&last);
    assert_eq!(subjects(&stage, before + 1), expected);
}

#[test]
fn a_unit_that_is_suspended_on_its_way_or_from_the_start_is_left_so() {
    let mut stage = Stage::new("held-waiting", AGENT);
    let waiting = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      nodeSelector: {nowhere: at-all}\n      containers: [{name: main, image: web}]\n";
    let idle = ("idle", "suspend: true");
    let configuration = stage.configuration(&[idle, ("shop", "")]);
    let first = stage.commit(
        "Start",
        &[
            ("agent.yaml", &configuration),
            ("shop/web.yaml", waiting),
            ("idle/a.yaml", &config_map("a", "one")),
        ],
    );
    stage.start();
    stage.until_state("idle", "Suspended");
    stage.until_entry("idle is suspended by Ada Lovelace");
    assert!(stage.unit("idle")["revision"].is_null());
    stage.until_entry("sync shop to ");
    let configuration = stage.configuration(&[idle, ("shop", "suspend: true")]);
    stage.commit("Wait with that", &[("agent.yaml", &configuration)]);
    stage.until_state("shop", "Suspended");
    assert_eq!(stage.unit("shop")["revision"], *first);

    // One that goes is told to go, not to go on.
    let configuration = stage.configuration(&[idle]);
    stage.commit("Away with it", &[("agent.yaml", &configuration)]);
    stage.until_entry("shop left the environment");
    assert!(stage.get("deployment", "web").is_null());
    assert!(stage.entries_on("resume shop").is_empty());
}
