//! A unit waits for health in a state, not in a worker: a newer revision, a timeout, or
//! an event in the cluster ends that wait at once.

use std::fmt::Write as _;

use crate::support::stage::{PATIENCE, Stage};

/// A Deployment that no node takes, if `node` is given.
fn web(image: &str, node: Option<&str>) -> String {
    let selector = node.map_or(String::new(), |node| {
        format!("nodeSelector: {{only: {node}}}, ")
    });
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{{selector}containers: [{{name: web, image: '{image}'}}]}}
"
    )
}

#[test]
fn a_fix_takes_effect_although_the_timeout_is_far_away() {
    let mut stage = Stage::new("fix", env!("CARGO_BIN_EXE_agent"));
    stage
        .repository
        .write("web/web.yaml", &web("web:1", Some("none")));
    stage.repository.write(
        "after/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: after}\n",
    );
    stage.configure(&[("web", "health: {timeout: 1h}"), ("after", "after: [web]")]);
    stage.start();
    let message = stage.until_state("web", "Progressing");
    assert!(
        message.contains("/web: 0 of 1 replicas available"),
        "{message}"
    );
    let waits = stage.until_state("after", "Waiting");
    assert!(waits.contains("the unit web"), "{waits}");
    assert!(stage.get("configmap", "after").is_null());

    let revision = stage.commit("Fix", &[("web/web.yaml", &web("web:2", None))]);
    stage.until_synced("web", &revision);
    stage.until_state("after", "Synced");
    assert!(stage.get("configmap", "after").is_object());
    stage.assert_consistent();
}

#[test]
fn a_newer_revision_of_something_else_is_not_held_up() {
    let mut stage = Stage::new("other", env!("CARGO_BIN_EXE_agent"));
    stage
        .repository
        .write("web/web.yaml", &web("web:1", Some("none")));
    stage.configure(&[("web", "health: {timeout: 1h}")]);
    stage.start();
    stage.until_state("web", "Progressing");

    // An object beside the one that is waited for.
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: beside}\n";
    stage.commit("Beside", &[("web/map.yaml", map)]);
    stage.until("the ConfigMap to be there", |stage| {
        let seen = stage.get("configmap", "beside");
        if seen.is_object() {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
}

#[test]
fn a_timeout_is_a_failure_and_health_that_comes_later_is_told() {
    let mut stage = Stage::new("timeout", env!("CARGO_BIN_EXE_agent"));
    stage
        .repository
        .write("web/web.yaml", &web("web:1", Some(&stage.namespace)));
    stage.configure(&[("web", "health: {timeout: 3s}")]);
    stage.start();
    let message = stage.until_state("web", "Failed");
    assert!(
        message.starts_with("not healthy within 3s: Deployment "),
        "{message}"
    );
    let failed = stage.entries_on("web failed: not healthy within 3s");
    assert_eq!(
        failed.len(),
        1,
        "{:#?}",
        stage.repository.log(&stage.branch())
    );
    assert_eq!(failed[0].trailer("Cause").as_deref(), Some("failed"));
    // One process at a time serves an environment.
    stage.daemon().terminate(PATIENCE);
    let once = stage.invocation().args(["--once"]).run();
    assert_eq!(once.code, Some(1), "{once:?}");
    assert!(
        once.stderr.contains("web is Failed: not healthy within 3s"),
        "{once:?}"
    );
    stage.daemon().restart();

    // The cluster heals, the repository stays.
    let label = format!("only={}", stage.namespace);
    stage
        .cluster
        .kubectl(&["label", "node", "node-0", &label, "--overwrite"]);
    stage.until_state("web", "Synced");
    let healthy = stage.entries_on("web is healthy");
    assert_eq!(
        healthy.len(),
        1,
        "{:#?}",
        stage.repository.log(&stage.branch())
    );
    assert_eq!(healthy[0].trailer("Cause").as_deref(), Some("health"));
    stage.assert_consistent();
}

/// A revision that comes while an older one is still being applied moves desired too:
/// nobody changed live.
#[test]
fn what_it_changes_meanwhile_is_no_drift() {
    const OBJECTS: usize = 300;
    let text = |value: &str| {
        (0..OBJECTS).fold(String::new(), |mut text, number| {
            let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:";
            write!(
                text,
                "---\n{map} {{name: o-{number}}}\ndata: {{a: {value}}}\n"
            )
            .unwrap();
            text
        })
    };
    let other = |value: &str| {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:";
        format!("{map} {{name: other}}\ndata: {{a: {value}}}\n")
    };
    let mut stage = Stage::new("overtaken", env!("CARGO_BIN_EXE_agent"));
    stage.repository.write("shop/many.yaml", &text("one"));
    stage.repository.write("shop/other.yaml", &other("one"));
    let revision = stage.configure(&[("shop", "")]);
    stage.start();
    stage.until_synced("shop", &revision);

    let position = stage.cluster.audit_position();
    stage.commit("Many", &[("shop/many.yaml", &text("two"))]);
    let written = stage.until_writes(&stage.namespace, position, 5);
    let revision = stage.commit("Other", &[("shop/other.yaml", &other("two"))]);
    println!("overtaken after {written} writes");
    stage.until_synced("shop", &revision);
    assert_eq!(stage.get("configmap", "other")["data"]["a"], "two");
    let entries = stage.entries().into_iter();
    let drift: Vec<_> = entries
        .filter(|entry| entry.trailer("Cause").as_deref() == Some("drift"))
        .map(|entry| entry.message)
        .collect();
    assert!(drift.is_empty(), "{drift:#?}");
}
