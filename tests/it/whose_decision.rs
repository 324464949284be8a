//! What a commit had to wait for is told as the commit's that let it happen, and what left the
//! repository and stays in the cluster is told as let go.

use crate::support::stage::{Entry, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const PIA: &str = "Pia <pia@example.com>";
const OTTO: &str = "Otto <otto@example.com>";

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n")
}

fn settings(stage: &Stage<'_>, settings: &str) -> String {
    stage.configuration(&[("shop", settings)])
}

fn decide(stage: &Stage<'_>, words: &str) -> String {
    let text = settings(stage, words);
    let files = [("agent.yaml", text.as_str())];
    stage.repository.commit_as(OTTO, "Decide", &files)
}

/// Of objects in this namespace, without saying so each time.
fn subject(stage: &Stage<'_>, entry: &Entry) -> String {
    let subject = entry
        .subject
        .replace(&format!("{}: ", stage.environment), "");
    subject.replace(&format!("{}/", stage.namespace), "")
}

fn why(stage: &Stage<'_>, name: &str) -> String {
    let object = format!("ConfigMap/{}/{name}", stage.namespace);
    let words = ["why", &object, "--environment", &stage.environment];
    let said = stage.agent(&words).run();
    assert_eq!(said.code, Some(0), "{said:?}");
    said.stdout
}

/// A unit that does not prune, and of which Pia has taken an object away.
fn kept(name: &str) -> (Stage<'static>, String) {
    let mut stage = Stage::new(name, AGENT);
    let text = settings(&stage, "prune: false, maxPrune: {count: 9}");
    let files = [
        ("agent.yaml", text.as_str()),
        ("shop/a.yaml", &config_map("a")),
        ("shop/keep.yaml", &config_map("keep")),
    ];
    let first = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &first);
    stage.repository.remove("shop/keep.yaml");
    let files: [(&str, &str); 0] = [];
    let taken = stage.repository.commit_as(PIA, "Take it away", &files);
    (stage, taken)
}

#[test]
fn what_is_not_pruned_is_let_go_and_later_pruned_by_who_says_so() {
    let (mut stage, taken) = kept("decided");
    let entry = stage.until_entry(&format!("sync shop to {}: detach", &taken[..8]));
    let expected = format!("sync shop to {}: detach ConfigMap keep", &taken[..8]);
    assert_eq!(subject(&stage, &entry), expected);
    assert_eq!(entry.author, PIA);
    let uid = stage.uid("configmap", "keep");
    let said = why(&stage, "keep");
    assert!(said.contains("let go"), "{said}");
    assert!(!said.contains("deleted"), "{said}");
    assert!(said.contains("owned by gitops-agent"), "{said}");

    let decided = decide(&stage, "prune: true, maxPrune: {count: 9}");
    stage.until_gone("configmap", "keep");
    let entry = stage.until_entry(&format!("sync shop to {}: prune", &decided[..8]));
    let expected = format!("sync shop to {}: prune ConfigMap keep", &decided[..8]);
    assert_eq!(subject(&stage, &entry), expected, "{uid}");
    assert_eq!(entry.author, OTTO);
    let entries = stage.entries();
    let about = entries.iter().filter(|it| it.subject.contains("/keep"));
    assert_eq!(about.count(), 2, "{entries:#?}");
}

#[test]
fn also_where_it_was_said_while_no_agent_ran() {
    let (mut stage, taken) = kept("decided-away");
    stage.until_entry(&format!("sync shop to {}: detach", &taken[..8]));
    stage.daemon().kill();
    let decided = decide(&stage, "prune: true, maxPrune: {count: 9}");
    stage.daemon().restart();
    stage.until_gone("configmap", "keep");
    let entry = stage.until_entry(&format!("sync shop to {}: prune", &decided[..8]));
    let expected = format!("sync shop to {}: prune ConfigMap keep", &decided[..8]);
    assert_eq!(subject(&stage, &entry), expected);
    assert_eq!(entry.author, OTTO);
}

#[test]
fn what_is_taken_over_is_told_as_whose_setting_it_is() {
    let mut stage = Stage::new("decided-take", AGENT);
    let theirs = config_map("a").replace("a: b", "a: theirs");
    stage.kubectl_apply(&theirs, "helm");
    let text = settings(&stage, "conflicts: fail");
    let files = [
        ("agent.yaml", text.as_str()),
        ("shop/a.yaml", &config_map("a")),
        ("shop/b.yaml", &config_map("b")),
    ];
    stage.repository.commit_as(PIA, "Start", &files);
    stage.start();
    stage.until_state("shop", "Blocked");
    let decided = decide(&stage, "conflicts: take");
    stage.until_synced("shop", &decided);
    let entry = stage.until_entry(&format!("sync shop to {}", &decided[..8]));
    assert_eq!(entry.author, OTTO, "{entry:?}");
}

#[test]
fn a_unit_that_leaves_without_pruning_lets_go() {
    let (mut stage, taken) = kept("decided-left");
    stage.until_entry(&format!("sync shop to {}: detach", &taken[..8]));
    let text = stage.configuration(&[]).replace("units:\n", "units: []\n");
    stage.commit("Take the unit away", &[("agent.yaml", &text)]);
    let entry = stage.until_entry("shop left the environment");
    let uid = stage.uid("configmap", "a");
    assert!(!uid.is_empty(), "it stays");
    assert!(!entry.message.contains("prune"), "{}", entry.message);
    assert!(
        entry.message.contains("detach ConfigMap"),
        "{}",
        entry.message
    );
}
