//! The control plane is restored from an older backup: its resourceVersions go back, and what
//! is done there is seen as before, by the agent that ran all along.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::control_plane::{ControlPlane, Options};
use crate::support::files::copy;
use crate::support::parts::Part;
use crate::support::stage::Stage;

/// What the agent may take to see what is done on the restored server. Generous: many tests
/// share two cores.
const SEEN: Duration = Duration::from_secs(20);

#[test]
fn what_is_done_on_a_restored_server_is_seen_at_once() {
    let options = Options {
        nodes: 0,
        ..Options::default()
    };
    let cluster = ControlPlane::start(&options).unwrap();
    let mut stage = Stage::on(&cluster, "restored", env!("CARGO_BIN_EXE_agent"));
    let mut text = String::new();
    for number in 0..5 {
        writeln!(
            text,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{number}}}\ndata: {{a: one}}"
        )
        .unwrap();
    }
    stage.repository.write("shop/objects.yaml", &text);
    let revision = stage.configure(&[("shop", "")]);
    stage.start();
    stage.until_synced("shop", &revision);
    put_back(&mut stage, "c0");

    down(&cluster);
    copy(&cluster.file("etcd"), &cluster.file("backup")).unwrap();
    up(&cluster);
    put_back(&mut stage, "c1");

    // What the backup doesn't know: other states of what is declared, and much besides, so
    // that its numbers are far behind.
    for number in 0..5 {
        put_back(&mut stage, &format!("c{number}"));
    }
    let mut much = String::new();
    for number in 0..500 {
        writeln!(
            much,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: more-{number}}}"
        )
        .unwrap();
    }
    stage.kubectl_apply(&much, "somebody");
    put_back(&mut stage, "c2");
    let before = entries(&stage);

    down(&cluster);
    fs::remove_dir_all(cluster.file("etcd")).unwrap();
    copy(&cluster.file("backup"), &cluster.file("etcd")).unwrap();
    up(&cluster);
    let slowest = (0..5).map(|number| put_back(&mut stage, &format!("c{number}")));
    let slowest = slowest.max().unwrap_or_default();
    println!("the slowest was put back after {slowest:?}");
    assert!(slowest < SEEN, "{slowest:?}");
    // And what somebody deletes there.
    let began = Instant::now();
    stage.kubectl(&["delete", "configmap", "c3"]);
    stage.until("c3 to be there again", |stage| {
        let there = stage.get("configmap", "c3").is_object();
        if there {
            Ok(())
        } else {
            Err("it is not".to_owned())
        }
    });
    assert!(began.elapsed() < SEEN, "{:?}", began.elapsed());
    assert!(stage.log().contains("has gone back"), "{}", stage.log());

    // Each deed is told once, and nothing that nobody did.
    stage.until("the record to tell of it", |stage| {
        let (changed, deleted) = entries(stage);
        if (changed, deleted) == (before.0 + 5, before.1 + 1) {
            Ok(())
        } else {
            Err(format!(
                "{changed} changed, {deleted} deleted; {before:?} before"
            ))
        }
    });
    stage.until_state("shop", "Synced");
    assert_eq!(stage.deletes(), Vec::<String>::new());
}

/// How many entries tell of a change and of a deletion.
fn entries(stage: &Stage) -> (usize, usize) {
    let count = |subject| stage.entries_on(subject).len();
    (
        count("kubectl-patch changed ConfigMap"),
        count("somebody deleted ConfigMap"),
    )
}

/// Changes an object, and gives how long it took until it was as declared again.
fn put_back(stage: &mut Stage, name: &str) -> Duration {
    let before = entries(stage).0;
    let patch = json!({"data": {"a": "two"}}).to_string();
    stage.kubectl(&["patch", "configmap", name, "--type=merge", "-p", &patch]);
    let began = Instant::now();
    stage.until(&format!("{name} to be put back"), |stage| {
        let live = stage.get("configmap", name)["data"]["a"].clone();
        if live == "one" {
            Ok(())
        } else {
            Err(live.to_string())
        }
    });
    let took = began.elapsed();
    // So that the next is not told together with it.
    stage.until("it to be told", |stage| {
        let told = entries(stage).0;
        if told > before {
            Ok(())
        } else {
            Err(format!("{told} entries"))
        }
    });
    took
}

fn down(cluster: &ControlPlane) {
    cluster.kill(Part::ApiServer);
    cluster.kill(Part::Etcd);
}

fn up(cluster: &ControlPlane) {
    cluster.start_part(Part::Etcd);
    cluster.start_part(Part::ApiServer);
}
