//! An environment's agent keeps its inventories in one namespace: with another one nothing is
//! done until somebody says that it takes the first one's place.

use crate::believed::until_logged;
use crate::support::ports::{free_address, readyz};
use crate::support::stage::{PATIENCE, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: one}}\n")
}

/// A stage whose environment is synced, and whose agent has ended.
fn synced(name: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    let text = stage.configuration(&[("shop", ""), ("web", "drift: report,")]);
    let files = [
        ("agent.yaml", text.as_str()),
        ("shop/a.yaml", &object("a")),
        ("shop/b.yaml", &object("b")),
        ("web/c.yaml", &object("c")),
    ];
    let revision = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("web", &revision);
    stage.daemon().terminate(PATIENCE);
    stage
}

fn has_namespace(stage: &Stage, name: &str) -> bool {
    stage.cluster.get(&["namespace", name]).is_some()
}

#[test]
fn another_namespace_is_refused_with_both_names_and_nothing_is_made() {
    let stage = synced("astray");
    let before = stage.entries().len();
    let (right, wrong) = (
        stage.inventories.clone(),
        format!("{}-mistyped", stage.inventories),
    );
    let there = |stage: &Stage| stage.invocation().env("AGENT_NAMESPACE", &wrong);
    let says = |text: &str| {
        for part in [
            format!("in the namespace {right}, as the record says"),
            format!("--namespace names {wrong}"),
            format!("Give --namespace {right}"),
            format!("--from-namespace {right}"),
        ] {
            assert!(text.contains(&part), "{part}: {text}");
        }
    };
    let ran = there(&stage).args(["--once"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    says(&ran.stderr);

    // Where nothing is left of the first one's disk too, and as a daemon.
    let address = free_address();
    let mut daemon = there(&stage).args(["--admin-addr", &address]).start();
    daemon.wait("the page to say it", PATIENCE, || {
        let page = readyz(&address)?;
        if page.contains(" 503 ") && page.contains("as the record says") {
            Ok(())
        } else {
            Err(page)
        }
    });
    daemon.terminate(PATIENCE);
    assert!(!has_namespace(&stage, &wrong));
    assert_eq!(stage.entries().len(), before);

    // Who looks on finds it by the record, unless told otherwise.
    stage.repository.git(&["fetch", "--quiet", "origin"]);
    let diff = || stage.agent(&["diff", "--environment", &stage.environment]);
    let ran = diff().env("AGENT_NAMESPACE", &wrong).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    says(&ran.stdout);
    let ran = diff().through(&["env", "-u", "AGENT_NAMESPACE"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let status = ["status", "-v", "--environment", &stage.environment];
    let ran = stage.agent(&status).env("AGENT_NAMESPACE", &wrong).run();
    says(&ran.stderr);
}

#[test]
fn a_misspelt_environment_leaves_no_lease() {
    let mut stage = Stage::new("misspelt", AGENT);
    let name = stage.environment.clone();
    let right = stage.configuration(&[("shop", "")]);
    let text = right.replace(&format!("  {name}:\n"), "  other:\n");
    stage.commit(
        "Start",
        &[("agent.yaml", &text), ("shop/a.yaml", &object("a"))],
    );
    let leases = |stage: &Stage| {
        let all = ["-n", &stage.inventories, "leases"];
        let found = stage.cluster.get(&all).unwrap_or_default();
        found["items"].as_array().map_or(0, Vec::len)
    };
    let ran = stage.invocation().args(["--once"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("has no environment"), "{ran:?}");
    assert_eq!(leases(&stage), 0);

    stage.start();
    until_logged(&stage, &["has no environment"]);
    assert_eq!(leases(&stage), 0);
    // It may be about to be added.
    let revision = stage.commit("Add it", &[("agent.yaml", &right)]);
    stage.until_synced("shop", &revision);
    assert_eq!(leases(&stage), 1);
}

#[test]
fn a_new_namespace_takes_over_what_is_declared_and_deletes_nothing() {
    let mut stage = synced("moving");
    let (old, new) = (
        stage.inventories.clone(),
        format!("{}-new", stage.inventories),
    );
    let uids = ["a", "b", "c"].map(|name| stage.uid("configmap", name));
    stage.start();
    stage.until("the environment to be served again", |stage| {
        let holder = stage.holder().filter(|holder| !holder.is_empty());
        holder.map(drop).ok_or_else(|| "by nobody".to_owned())
    });
    let moved = |stage: &Stage| {
        stage
            .invocation()
            .env("AGENT_NAMESPACE", &new)
            .args(["--from-namespace", &old])
    };
    // The first one is still there.
    let ran = moved(&stage).args(["--once"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let told = format!("is still served by {}", stage.environment);
    assert!(ran.stderr.contains(&told), "{ran:?}");
    assert!(!has_namespace(&stage, &new));
    stage.daemon().terminate(PATIENCE);

    // What leaves in between is nobody's any more: it stays.
    stage.remove(&["shop/b.yaml"]);
    let ran = moved(&stage).args(["--once"]).run();
    let told = format!("the namespace {new} is not there, and is made");
    assert!(ran.stderr.contains(&told), "{ran:?}");
    let told = format!("the inventories in the namespace {old} is taken over");
    assert!(ran.stderr.contains(&told), "{ran:?}");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    assert_eq!(
        ["a", "b", "c"].map(|name| stage.uid("configmap", name)),
        uids
    );

    // From now on it is this one's, and the old one is the wrong one.
    let ran = stage.invocation().args(["--once"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    stage.inventories = new;
    let diff = stage.diff(&[]);
    assert_eq!(diff.code, Some(0), "{diff:?}");
    stage.start();
    let text = stage.configuration(&[("shop", ""), ("web", "")]);
    stage.commit(
        "Back",
        &[("agent.yaml", &text), ("web/d.yaml", &object("d"))],
    );
    stage.until_state("web", "Synced");
    stage.remove(&["web/c.yaml"]);
    stage.until_gone("configmap", "c");
    assert_eq!(stage.deletes(), ["c"]);
}
