//! What an API server answers is believed only for the object that was asked for, and only
//! up to a size: whatever it says instead, nothing is deleted and nothing is told of what
//! nobody did.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::control_plane::ControlPlane;
use crate::support::liar::{Liar, Lie};
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// What the pod may take in `deploy/`, with room.
pub const MEMORY: u64 = 200 << 20;

fn config_maps(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        writeln!(
            text,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{number}}}\ndata: {{a: one}}"
        )
        .unwrap();
    }
    text
}

/// A synced environment whose agent talks to the API server through a proxy.
pub fn synced(name: &str, count: usize) -> (Stage<'static>, Liar) {
    synced_as(name, count, &[])
}

/// The same, with more arguments of the daemon.
pub fn synced_as(name: &str, count: usize, more: &[&str]) -> (Stage<'static>, Liar) {
    let cluster = ControlPlane::shared();
    let liar = Liar::before(cluster);
    let mut stage = Stage::new(name, AGENT);
    stage
        .repository
        .write("shop/objects.yaml", &config_maps(count));
    let revision = stage.configure(&[("shop", "")]);
    let invocation = stage.invocation();
    stage.start_as(invocation.args(more).kubeconfig(liar.kubeconfig()));
    stage.until_synced("shop", &revision);
    (stage, liar)
}

/// The same of these files, each unit in a directory of its name.
pub fn synced_at(name: &str, files: &[(&str, String)], units: &[&str]) -> (Stage<'static>, Liar) {
    let liar = Liar::before(ControlPlane::shared());
    let mut stage = Stage::new(name, AGENT);
    for (path, text) in files {
        stage.repository.write(path, text);
    }
    let units: Vec<(&str, &str)> = units.iter().map(|unit| (*unit, "")).collect();
    let revision = stage.configure(&units);
    let invocation = stage.invocation();
    stage.start_as(invocation.kubeconfig(liar.kubeconfig()));
    for (unit, _) in units {
        stage.until_synced(unit, &revision);
    }
    (stage, liar)
}

/// Has somebody change an object.
pub fn change(stage: &Stage, name: &str) {
    let patch = json!({"data": {"a": "two"}}).to_string();
    stage.kubectl(&["patch", "configmap", name, "--type=merge", "-p", &patch]);
}

pub fn until_put_back(stage: &mut Stage, name: &str) {
    stage.until(&format!("{name} to be put back"), |stage| {
        let live = stage.get("configmap", name)["data"]["a"].clone();
        if live == "one" {
            Ok(())
        } else {
            Err(live.to_string())
        }
    });
}

/// Waits until the agent has logged all of these.
pub fn until_logged(stage: &Stage, words: &[&str]) {
    wait_seeing(&format!("{words:?} to be logged"), PATIENCE, || {
        let log = stage.log();
        let all = words.iter().all(|words| log.contains(words));
        if all { Ok(()) } else { Err(log) }
    });
}

#[test]
fn the_answer_to_a_write_is_believed_only_for_its_object() {
    let (mut stage, liar) = synced("other-object", 3);
    let uid = stage.uid("configmap", "c1");
    // Somebody else's, with the unit's own label on it.
    let other = |mut body: Value| {
        body["metadata"]["name"] = json!("victim");
        body["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
        body
    };
    liar.lie(
        |asked| asked.method == "PATCH" && asked.path.ends_with("/c1"),
        Lie::Alter(other),
    );
    change(&stage, "c1");
    until_logged(&stage, &["was asked for ConfigMap", "/victim"]);
    liar.be_true();
    until_put_back(&mut stage, "c1");
    stage.until_state("shop", "Synced");
    assert_eq!(stage.deletes(), Vec::<String>::new());
    assert_eq!(stage.uid("configmap", "c1"), uid);
}

#[test]
fn an_answer_without_an_end_costs_no_memory() {
    let (mut stage, liar) = synced("endless", 3);
    liar.lie(
        |asked| asked.method == "PATCH" && asked.path.ends_with("/c1"),
        Lie::Endless("{\"apiVersion\": \"v1\", \"data\": {\"a\": \"", "aaaaaaaa"),
    );
    change(&stage, "c1");
    stage.until("the bound to be told", |stage| {
        let told = stage.unit("shop").to_string();
        if told.contains("larger than 16 MiB") {
            Ok(())
        } else {
            Err(format!("{told} after {} lies", liar.told()))
        }
    });
    // Others are looked after meanwhile.
    change(&stage, "c2");
    until_put_back(&mut stage, "c2");
    let peak = peak_memory(stage.daemon().id());
    assert!(peak < MEMORY, "{} MiB", peak >> 20);
    liar.be_true();
    stage.until_state("shop", "Synced");
}

/// The most memory that a process had, in bytes.
pub fn peak_memory(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap();
    kib << 10
}
