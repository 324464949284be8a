//! What a commit adds makes no room for what it deletes: how much there is was counted
//! before, also by a process that begins in between.

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

fn write(stage: &Stage, unit: &str, prefix: &str, count: usize) {
    for number in 0..count {
        let name = format!("{prefix}-{number}");
        let path = format!("{unit}/{name}.yaml");
        stage.repository.write(&path, &object(&name));
    }
}

/// Units of so many objects, all synced.
fn started(name: &str, units: &[(&str, usize)]) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    for (unit, count) in units {
        write(&stage, unit, unit, *count);
    }
    let named: Vec<(&str, &str)> = units.iter().map(|(unit, _)| (*unit, "")).collect();
    let text = stage.configuration(&named);
    let revision = stage.commit("Start", &[("agent.yaml", &text)]);
    stage.start();
    for (unit, _) in units {
        stage.until_synced(unit, &revision);
    }
    stage
}

fn live(stage: &Stage, prefix: &str) -> usize {
    let listed = stage.kubectl(&["get", "configmap", "-o", "name"]);
    let prefix = format!("/{prefix}-");
    listed.lines().filter(|name| name.contains(&prefix)).count()
}

fn remove(stage: &Stage, unit: &str, count: usize) {
    for number in 0..count {
        let path = format!("{unit}/{unit}-{number}.yaml");
        stage.repository.remove(&path);
    }
}

/// The commit in the working tree adds this many and deletes nothing, for the daemon, for
/// one that takes its place, and for `agent diff`.
fn asks(stage: &mut Stage, asking: &str, added: usize, what: &str) {
    let revision = stage.commit("Much for little", &[]);
    let asked = |stage: &mut Stage| {
        stage.until("it to ask with all that is added", |stage| {
            let seen = stage.unit(asking);
            let message = seen["message"].as_str().unwrap_or_default();
            let asks = seen["state"] == "Blocked" && message.contains(what);
            match live(stage, "added") {
                there if asks && there == added => Ok(()),
                there => Err(format!("{there} added, {seen}")),
            }
        });
    };
    asked(stage);
    stage.repository.git(&["fetch", "--quiet", "origin"]);
    let ran = stage.diff(&[]);
    assert!(ran.stdout.contains(what), "{ran:?}");
    stage.daemon().kill();
    stage.daemon().restart();
    let next = stage.commit("Nothing", &[]);
    stage.until_looked_at(&next);
    assert_ne!(next, revision);
    asked(stage);
    assert_eq!(stage.deletes(), [] as [&str; 0]);
}

#[test]
fn in_the_unit_itself() {
    let mut stage = started("addedown", &[("a", 20), ("z", 2)]);
    remove(&stage, "a", 19);
    write(&stage, "a", "added", 90);
    let what = "19 of the environment's 22 objects would be deleted";
    asks(&mut stage, "a", 90, what);
    assert_eq!(live(&stage, "a"), 20);

    // Once nothing leaves any more, all that is there counts.
    write(&stage, "a", "a", 20);
    let revision = stage.commit("Bring them back", &[]);
    stage.until_synced("a", &revision);
    remove(&stage, "a", 19);
    let revision = stage.commit("Take as many of more", &[]);
    stage.until_synced("a", &revision);
    assert_eq!(live(&stage, "a"), 1);
}

#[test]
fn in_another_unit() {
    let mut stage = started("addedother", &[("a", 8), ("b", 8), ("z", 2)]);
    remove(&stage, "a", 6);
    remove(&stage, "b", 6);
    write(&stage, "z", "added", 60);
    let what = "12 of the environment's 18 objects would be deleted";
    asks(&mut stage, "b", 60, what);
    assert_eq!(live(&stage, "a") + live(&stage, "b"), 16);
}

#[test]
fn of_a_unit_with_a_limit_of_its_own() {
    let mut stage = Stage::new("addedlimit", AGENT);
    write(&stage, "a", "a", 20);
    let text = stage.configuration(&[("a", "maxPrune: {count: 12, percent: 60}")]);
    let revision = stage.commit("Start", &[("agent.yaml", &text)]);
    stage.start();
    stage.until_synced("a", &revision);
    remove(&stage, "a", 19);
    write(&stage, "a", "added", 40);
    let what = "19 of the unit's 20 objects would be deleted at once";
    asks(&mut stage, "a", 40, what);
    assert_eq!(live(&stage, "a"), 20);
}
