//! An environment in which something changes all the time, and what the agent's memory
//! does meanwhile.

use std::fmt::Write as _;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::stage::Stage;

/// How long and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    pub length: Duration,
    /// From one change to the next: a commit, an edit with kubectl, a commit and so on.
    pub pause: Duration,
    /// From one look at the memory to the next.
    pub look: Duration,
}

/// What the agent had resident, in bytes, look by look.
#[derive(Debug)]
pub struct Soaked {
    pub looks: Vec<(Duration, u64)>,
    /// How many changes there were.
    pub changes: usize,
}

const UNITS: usize = 4;
const OBJECTS: usize = 12;

/// Starts the agent on an environment of some units, changes it for so long, and leaves
/// it as declared. `see` gets each look.
pub fn soak(stage: &mut Stage, soak: Soak, mut see: impl FnMut(Duration, u64)) -> Result<Soaked> {
    let units: Vec<String> = (0..UNITS).map(|unit| format!("unit-{unit}")).collect();
    let settings: Vec<(&str, &str)> = units.iter().map(|unit| (unit.as_str(), "")).collect();
    for unit in 0..UNITS {
        stage.repository.write(&path(unit), &text(unit, 0));
    }
    let revision = stage.configure(&settings);
    stage.start();
    for unit in &units {
        stage.until_synced(unit, &revision);
    }
    let (began, mut soaked) = (
        Instant::now(),
        Soaked {
            looks: Vec::new(),
            changes: 0,
        },
    );
    let (mut next, mut look) = (began, began);
    while began.elapsed() < soak.length {
        if let Some(ended) = stage.daemon().ended() {
            bail!(ended);
        }
        if Instant::now() >= look {
            let (at, resident) = (began.elapsed(), resident(stage.daemon().id()));
            see(at, resident);
            soaked.looks.push((at, resident));
            look += soak.look;
        }
        change(stage, soaked.changes);
        soaked.changes += 1;
        next += soak.pause;
        sleep(next.saturating_duration_since(Instant::now()));
    }
    let revision = stage.commit("The last", &[(&path(0), &text(0, soaked.changes + 2))]);
    stage.until_synced(&units[0], &revision);
    for unit in &units[1..] {
        stage.until_state(unit, "Synced");
    }
    soaked
        .looks
        .push((began.elapsed(), resident(stage.daemon().id())));
    Ok(soaked)
}

impl Soaked {
    /// That it has not grown by more than so many bytes since the first tenth.
    pub fn check(&self, allowance: u64) -> Result<()> {
        let length = self.looks.last().map_or(Duration::ZERO, |(at, _)| *at);
        let (first, later): (Vec<_>, Vec<_>) =
            self.looks.iter().partition(|(at, _)| *at <= length / 10);
        let most = |looks: &[&(Duration, u64)]| looks.iter().map(|(_, bytes)| *bytes).max();
        let (Some(first), Some(later)) = (most(&first), most(&later)) else {
            bail!("too few looks: {self:?}");
        };
        ensure!(
            later <= first + allowance,
            "resident memory grew from {first} bytes, in the first tenth, to {later}: {:?}",
            self.looks
        );
        Ok(())
    }
}

/// Even ones are commits, odd ones edits: each of another object, until it is its turn again.
fn change(stage: &Stage, number: usize) {
    let (unit, object) = (number / 2 % UNITS, number / 2 / UNITS % OBJECTS);
    if number.is_multiple_of(2) {
        stage.commit(
            &format!("Change {number}"),
            &[(&path(unit), &text(unit, number + 2))],
        );
        return;
    }
    let name = name(unit, object);
    let value = format!(r#"{{"data":{{"value":"drifted {number}"}}}}"#);
    match number / 2 % 8 {
        0 => stage.kubectl(&["delete", "configmap", &name]),
        1 => stage.kubectl(&["label", "configmap", &name, "--overwrite", "team=red"]),
        _ => stage.kubectl(&["patch", "configmap", &name, "--type=merge", "-p", &value]),
    };
}

/// Everything of a unit, one object of which is of this round.
fn text(unit: usize, round: usize) -> String {
    let mut text = deployment(unit);
    for object in 0..OBJECTS {
        let name = name(unit, object);
        let value = if round / 2 / UNITS % OBJECTS == object {
            round
        } else {
            0
        };
        write!(
            text,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{team: blue}}}}\ndata: {{value: 'of round {value}'}}\n"
        )
        .expect("text can be written to a String");
    }
    text
}

fn deployment(unit: usize) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web-{unit}}}
spec:
  selector: {{matchLabels: {{app: web-{unit}}}}}
  template:
    metadata: {{labels: {{app: web-{unit}}}}}
    spec:
      containers: [{{name: main, image: 'web:1', resources: {{requests: {{cpu: 1000m}}}}}}]
"
    )
}

fn path(unit: usize) -> String {
    format!("unit-{unit}/all.yaml")
}

fn name(unit: usize, object: usize) -> String {
    format!("settings-{unit}-{object}")
}

/// What the agent has taken for itself: `RssAnon` of proc(5), in bytes. Pages of the
/// program, which come as its code is met, and of files are not counted.
fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
