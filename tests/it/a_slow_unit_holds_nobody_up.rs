//! A kustomization that takes long, or never ends, holds no other unit up: neither by its
//! time nor by the room that it takes, and not again for each commit.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::believed::{change, synced_at};
use crate::support::leash;
use crate::support::liar::{Asked, Lie};
use crate::support::stage::Stage;

/// Less than a program may take, and more than the others wait.
const SOON: Duration = Duration::from_secs(40);

fn object(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
}

/// A kustomization whose run takes so many seconds.
fn kustomization(seconds: u32) -> String {
    format!("resources: [object.yaml] # takes {seconds}\n")
}

/// A program that prints the one object of a kustomization after the time that it says.
fn slow_kustomize(directory: &Path) -> std::path::PathBuf {
    let program = directory.join("kustomize");
    let script =
        "#!/bin/sh\nread -r line < kustomization.yaml\nsleep \"${line##* }\"\ncat object.yaml\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn until_value(stage: &mut Stage<'_>, name: &str, value: &str) {
    stage.until(&format!("{name} to be {value}"), |stage| {
        let seen = stage.get("configmap", name);
        if seen["data"]["a"] == value {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
}

#[test]
fn a_hanging_kustomization_holds_no_other_unit_up_and_is_tried_ever_more_seldom() {
    let mut stage = Stage::new("hanging", env!("CARGO_BIN_EXE_agent"));
    let scratch = leash::scratch("kustomize");
    for unit in ["a", "b", "c"] {
        let (dir, text) = (format!("{unit}/kustomization.yaml"), kustomization(0));
        stage.repository.write(&dir, &text);
        let path = format!("{unit}/object.yaml");
        stage.repository.write(&path, &object(unit, "one"));
    }
    let start = stage.configure(&[("a", ""), ("b", ""), ("c", "")]);
    // There is room for one program at a time.
    let agent = stage.invocation().env("AGENT_MEMORY", "256Mi");
    stage.start_as(agent.with_program(&slow_kustomize(scratch.path())));
    for unit in ["a", "b", "c"] {
        stage.until_synced(unit, &start);
    }

    let hung = Instant::now();
    let (hangs, two) = (kustomization(1_000), object("c", "two"));
    stage.commit(
        "Hang",
        &[("a/kustomization.yaml", &hangs), ("c/object.yaml", &two)],
    );
    until_value(&mut stage, "c", "two");
    assert!(hung.elapsed() < SOON, "{:?}", hung.elapsed());
    let message = stage.until_state("a", "Progressing");
    assert!(message.contains("still being rendered"), "{message}");
    let begun = Instant::now();
    stage.commit("Go on", &[("b/object.yaml", &object("b", "two"))]);
    until_value(&mut stage, "b", "two");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());

    stage.until("most of a minute to be over", |_| {
        let over = hung.elapsed() > Duration::from_secs(45);
        if over { Ok(()) } else { Err(String::new()) }
    });
    let message = stage.until_state("a", "Failed");
    assert!(message.contains("it is tried again at "), "{message}");
    let begun = Instant::now();
    stage.commit("On", &[("b/object.yaml", &object("b", "three"))]);
    until_value(&mut stage, "b", "three");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());

    let files = [
        ("a/kustomization.yaml", kustomization(0)),
        ("a/object.yaml", object("a", "two")),
    ];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let mended = stage.commit("Mend", &files);
    stage.until_synced("a", &mended);
    stage.assert_consistent();
}

#[test]
fn a_slow_kustomization_is_taken_in_when_it_is_there() {
    let mut stage = Stage::new("slow", env!("CARGO_BIN_EXE_agent"));
    let scratch = leash::scratch("kustomize");
    let (slow, other) = (object("slow", "one"), object("other", "one"));
    stage
        .repository
        .write("slow/kustomization.yaml", &kustomization(25));
    stage.repository.write("slow/object.yaml", &slow);
    stage.repository.write("other/object.yaml", &other);
    let start = stage.configure(&[("slow", ""), ("other", "")]);
    stage.start_as(
        stage
            .invocation()
            .with_program(&slow_kustomize(scratch.path())),
    );
    until_value(&mut stage, "other", "one");
    assert!(stage.get("configmap", "slow").is_null());
    stage.until_synced("slow", &start);
    let told = stage.entries_on("slow failed");
    assert!(told.is_empty(), "{told:#?}");
}

/// The API server takes its time to delete the inventory of a unit that left, and the unit
/// comes back before it has.
#[test]
fn a_unit_that_leaves_holds_no_other_unit_up_and_may_come_back() {
    let files = [
        ("shop/a.yaml", object("a", "one")),
        ("parting/b.yaml", object("b", "one")),
    ];
    let (mut stage, liar) = synced_at("parting", &files, &["shop", "parting"]);
    let place = format!("/namespaces/{}/configmaps/", stage.inventories);
    let deletes = move |asked: &Asked| asked.method == "DELETE" && asked.path.contains(&place);
    liar.lie_times(1, deletes, Lie::Late(Duration::from_secs(20)));
    let told = liar.told();
    stage.configure(&[("shop", "")]);
    stage.until("its inventory to be about to go", |_| {
        let seen = liar.told() - told;
        (seen == 1).then_some(()).ok_or_else(|| seen.to_string())
    });
    change(&stage, "a");
    stage.until_entry("revert drift on ConfigMap");
    let back = stage.configure(&[("shop", ""), ("parting", "")]);
    assert_eq!(stage.entries_on("parting left").len(), 0);

    stage.until_entry(&format!("sync parting to {}", &back[..8]));
    assert_eq!(stage.entries_on("parting left").len(), 0);
    change(&stage, "b");
    until_value(&mut stage, "b", "one");
    stage.configure(&[("shop", "")]);
    stage.until_entry("parting left");
    stage.until_gone("configmap", "b");
}
