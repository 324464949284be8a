//! Somebody who sets a field back whenever the agent has reverted it: the agent lets go
//! for longer each time, tells it once, and tells when it is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::control_plane::ControlPlane;
use crate::support::stage::{Entry, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: one}}\n")
}

/// Sets the field whenever it is not as it wants, until told to stop.
fn fight(cluster: &ControlPlane, namespace: &str, stop: &AtomicBool) {
    let object = ["-n", namespace, "configmap", "fought"];
    let patch = r#"{"data":{"a":"theirs"}}"#;
    let patch = [
        &["patch"],
        &object[..],
        &["--field-manager=fighter", "-p", patch],
    ]
    .concat();
    while !stop.load(Ordering::Relaxed) {
        let live = cluster.get(&object).unwrap_or_default();
        if live["data"]["a"] != "theirs" {
            cluster.kubectl(&patch);
        }
    }
}

fn value(stage: &Stage, name: &str) -> String {
    let live = stage.get("configmap", name);
    live["data"]["a"].as_str().unwrap_or_default().to_owned()
}

fn attempts(stage: &Stage) -> usize {
    let writes = stage.writes().into_iter();
    writes.filter(|event| event.object.name == "fought").count()
}

fn about_the_fight(stage: &Stage) -> Vec<Entry> {
    let mut entries = stage.entries();
    entries.retain(|entry| entry.message.contains("/fought"));
    entries
}

#[test]
fn who_takes_back_a_field_again_and_again_is_let_go_and_told_once() {
    let mut stage = Stage::new("contended", AGENT);
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", ""), ("calm", "after: [shop]")]),
            ),
            ("shop/fought.yaml", &config_map("fought")),
            ("shop/other.yaml", &config_map("other")),
            ("calm/calm.yaml", &config_map("calm")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("calm", &revision);

    let stop = AtomicBool::new(false);
    let since = stage.entries().len();
    let (cluster, namespace) = (stage.cluster, stage.namespace.clone());
    thread::scope(|scope| {
        // A failed assertion must not leave it fighting.
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| fight(cluster, &namespace, &stop));
        goes_on(&mut stage);
    });
    is_over(&mut stage);
    // How the unit stands is told with that, and with nothing else.
    let told = stage.entries().split_off(since);
    let of = |event: &str| {
        let those = told.iter();
        those
            .filter(|it| it.trailer("Event").as_deref() == Some(event))
            .count()
    };
    assert_eq!(
        [
            "contended",
            "calm",
            "drifted",
            "blocked",
            "waits",
            "healthy"
        ]
        .map(of),
        [1, 1, 0, 0, 0, 0],
        "{told:#?}"
    );
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn goes_on(stage: &mut Stage) {
    let object = format!("ConfigMap {}/fought", stage.namespace);
    let begun = stage.until_entry(&format!("{object} is contended"));
    assert!(
        begun.subject.contains("fighter keeps changing data.a"),
        "{}",
        begun.subject
    );
    assert_eq!(begun.trailer("Cause").as_deref(), Some("contended"));
    assert_eq!(begun.trailer("Actor").as_deref(), Some("fighter"));
    let message = stage.until_state("shop", "Drifted");
    let told = format!("{object} (shop/fought.yaml:1): contended: fighter keeps changing data.a");
    assert!(message.starts_with(&told), "{message}");
    let shown = stage.agent(&["status"]).run();
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(shown.stdout.contains("contended: fighter"), "{shown:?}");

    // It goes on, ever more slowly, and nothing more is told of it.
    let (before, told) = (attempts(stage), about_the_fight(stage).len());
    assert!(before <= 9, "{before} attempts");
    assert!(told <= 14, "{told} entries");
    stage.until("two more attempts", |stage| {
        let now = attempts(stage);
        if now >= before + 2 {
            Ok(())
        } else {
            Err(now.to_string())
        }
    });
    // What comes after the unit goes on.
    let text = config_map("late");
    let revision = stage.commit("One more", &[("calm/late.yaml", &text)]);
    stage.until_synced("calm", &revision);
    // Others are reverted at once, and told.
    for name in ["other", "calm"] {
        let patch = r#"{"data":{"a":"two"}}"#;
        stage.kubectl(&["patch", "configmap", name, "-p", patch]);
        stage.until_entry(&format!(
            "revert drift on ConfigMap {}/{name}",
            stage.namespace
        ));
        assert_eq!(value(stage, name), "one");
    }
    let now = about_the_fight(stage).len();
    assert_eq!(now, told, "{:#?}", stage.repository.log(&stage.branch()));
}

fn is_over(stage: &mut Stage) {
    let object = format!("ConfigMap {}/fought", stage.namespace);
    stage.until("the object to be put back", |stage| {
        let seen = value(stage, "fought");
        if seen == "one" { Ok(()) } else { Err(seen) }
    });
    let over = stage.until_entry(&format!("{object} is no longer contended"));
    assert_eq!(over.trailer("Cause").as_deref(), Some("contended"));
    let said = "fighter has stopped changing data.a, which was put back ";
    assert!(over.message.contains(said), "{}", over.message);
    stage.until_state("shop", "Synced");
    let begun = stage.entries_on(&format!("{object} is contended"));
    assert_eq!(begun.len(), 1);
    assert_eq!(about_the_fight(stage).last().unwrap().hash, over.hash);
    assert!(attempts(stage) <= 14, "{} attempts", attempts(stage));
    stage.assert_consistent();
}
