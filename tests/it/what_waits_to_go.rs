//! What is to be deleted and waits is in the record as long as it is there, under one
//! approval; and what comes back, or moves, is no creation.

use std::time::Duration;

use crate::believed::synced_at;
use crate::support::liar::{Asked, Lie};
use crate::support::stage::{Entry, Stage, asked_for};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: one}}\n")
}

fn found(entries: &[Entry]) -> Vec<&str> {
    let subjects = entries.iter().map(|entry| entry.subject.as_str());
    subjects
        .filter(|subject| subject.contains(": found "))
        .collect()
}

/// A unit with a namespace that is taken out of it beside another change.
fn waiting(name: &str) -> (Stage<'static>, String) {
    let mut stage = Stage::new(name, AGENT);
    let inner = format!("{}-inner", stage.namespace);
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {inner}}}\n");
    stage.repository.write("shop/namespace.yaml", &namespace);
    stage.repository.write("web/page.yaml", &config_map("page"));
    let revision = stage.configure(&[("shop", ""), ("web", "")]);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("web", &revision);
    stage.repository.remove("shop/namespace.yaml");
    stage.commit("Take it out", &[("shop/other.yaml", &config_map("other"))]);
    stage.until_state("shop", "Blocked");
    (stage, namespace)
}

#[test]
fn it_is_recorded_and_asked_about_under_one_digest() {
    let (mut stage, _) = waiting("waits-to-go");
    let file = format!("shop/_cluster/Namespace/{}-inner.yaml", stage.namespace);
    assert!(
        stage.recorded(&file).is_some(),
        "{:?}",
        stage.recorded_files()
    );
    stage.repository.git(&["fetch", "--quiet", "origin"]);
    let ran = stage
        .agent(&["diff", "--recorded", "--environment", &stage.environment])
        .run();
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("prune Namespace"), "{ran:?}");

    // That of each plan on the way, in the log and in the diff.
    let message = stage.until_state("shop", "Blocked");
    let asked = asked_for(&message).expect("it asks");
    let log = stage.log();
    let digests = log.match_indices("`Approve-Plan: ");
    assert_eq!(
        digests.clone().count(),
        log.matches("Approve-Plan: ").count()
    );
    for (at, _) in digests {
        assert_eq!(asked_for(&log[at..]).as_ref(), Some(&asked), "{log}");
    }
    let text = format!("Approve\n\nApprove-Plan: {asked}");
    stage.commit(&text, &[("README.md", "approved")]);
    stage.until_entry("sync shop to");
    stage.until("it to be gone from the record", |stage| {
        let there = stage.recorded(&file);
        there.map_or(Ok(()), Err)
    });
}

#[test]
fn what_comes_back_or_moves_is_not_told_as_made() {
    let (mut stage, namespace) = waiting("comes-back");
    stage.daemon().terminate(Duration::from_secs(20));
    stage.repository.remove("web/page.yaml");
    let back = stage.commit(
        "Have it back, and move another",
        &[
            ("shop/namespace.yaml", &namespace),
            ("shop/page.yaml", &config_map("page")),
            ("web/next.yaml", &config_map("next")),
        ],
    );
    let uid = stage.uid("configmap", "page");
    stage.start();
    stage.until_synced("shop", &back);
    stage.until_synced("web", &back);
    assert_eq!(stage.uid("configmap", "page"), uid);
    let entries = stage.entries();
    assert_eq!(found(&entries), [""; 0], "{entries:#?}");
    let pruned = entries
        .iter()
        .filter(|entry| entry.message.contains("prune ConfigMap"));
    assert_eq!(pruned.count(), 0, "{entries:#?}");
}

/// What an agent counted as deleted and did not come to is not counted twice by the next one.
#[test]
fn a_deletion_that_was_killed_goes_on_unasked() {
    let names = |from: usize, to: usize| -> String {
        let maps = (from..to).map(|n| format!("---\n{}", config_map(&format!("c{n}"))));
        maps.collect()
    };
    let all = [("shop/all.yaml", names(0, 101))];
    let (mut stage, liar) = synced_at("killed", &all, &["shop"]);
    let stays = format!("/namespaces/{}/configmaps/c9", stage.namespace);
    // From c90 on, none is deleted.
    let deletes = move |asked: &Asked| asked.method == "DELETE" && asked.path.contains(&stays);
    liar.lie(deletes, Lie::Silence);
    let told = liar.told();
    let revision = stage.commit("Less", &[("shop/all.yaml", &names(0, 81))]);
    stage.until("it to be at work", |stage| {
        let seen = (liar.told() > told, stage.get("configmap", "c85").is_null());
        (seen == (true, true))
            .then_some(())
            .ok_or_else(|| format!("{seen:?}"))
    });
    stage.daemon().kill();
    liar.be_true();
    stage.daemon().restart();
    stage.until_synced("shop", &revision);
    assert!(stage.get("configmap", "c95").is_null());
}
