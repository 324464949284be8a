//! Something moves, desired or live, and the agent follows.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use crate::cluster::{PATIENCE, between, ours};
use crate::direct::Direct;
use crate::objects::{VALUE, edit, object_name, unit_name};
use crate::ours::Ours;
use crate::requests::Requests;
use crate::support::audit::AuditEvent;
use crate::support::git::git;

/// How long a file counts as deleted lately there (`RECENTCY_MIN`), and a second more.
const RECENT: Duration = Duration::from_secs(61);

/// What it took, each time.
pub struct Moves {
    pub times: Vec<Duration>,
    /// CPU time of all together.
    pub cpu: Duration,
    /// Of the last one.
    pub requests: Requests,
    /// What the record grew by, in bytes of the repository's objects, of all together.
    pub bytes: u64,
    /// How many entries there were.
    pub entries: usize,
}

/// Changes one ConfigMap in Git, so many times: from `git push` to live.
pub fn changes(agent: &mut Ours, count: usize) -> Result<Moves> {
    several(agent, count, 0, |agent, unit, number, round| {
        let (work, position) = (
            agent.stage.repository.work(),
            agent.stage.cluster.audit_position(),
        );
        edit(&work, unit, number, &format!("changed {round}"))?;
        git(
            &work,
            &["commit", "--quiet", "--all", "-m", "Change a value"],
        );
        let revision = agent.stage.repository.revision("HEAD");
        let pushed = Timestamp::now();
        agent.stage.repository.push();
        agent.until_recorded("the change", |units| {
            let unit = &units[&unit_name(unit)];
            unit["revision"] == *revision && unit["state"] == "Synced"
        })?;
        let events = agent.stage.cluster.audit_since(position);
        let live = applied(&events, &object_name(unit, number))?;
        Ok((between(pushed, live), Requests::of_ours(&events)))
    })
}

/// Changes one ConfigMap behind the agent's back, so many times: from the answer to that
/// change until the answer to its revert.
pub fn drifts(agent: &mut Ours, count: usize) -> Result<Moves> {
    let direct = Direct::new(&agent.stage.cluster.kubeconfig(), &agent.stage.namespace)?;
    // Others than have been changed, as far as there are.
    let skip = agent.size.units;
    several(agent, count, skip, |agent, unit, number, round| {
        let (name, position) = (
            object_name(unit, number),
            agent.stage.cluster.audit_position(),
        );
        let before = direct.value(&name)?;
        ensure!(before.is_some(), "{name} has no value, which was {VALUE}");
        direct.set(&name, &format!("drifted {round}"))?;
        let told = format!("revert drift on ConfigMap {}/{name}", agent.stage.namespace);
        until_subject(agent, &told)?;
        ensure!(direct.value(&name)? == before, "{name} is not as it was");
        let events = agent.stage.cluster.audit_since(position);
        let theirs = events
            .iter()
            .find(|event| event.object.name == name && event.verb == "patch");
        let changed = theirs
            .context("the change is not in the audit log")?
            .reached;
        Ok((
            between(changed, applied(&events, &name)?),
            Requests::of_ours(&events),
        ))
    })
}

fn several(
    agent: &mut Ours,
    count: usize,
    skip: usize,
    mut once: impl FnMut(&mut Ours, usize, usize, usize) -> Result<(Duration, Requests)>,
) -> Result<Moves> {
    agent.rest()?;
    // Whenever a file is created, ext4 without a journal passes over all that were deleted
    // lately, and the first sync has deleted thousands.
    std::thread::sleep(RECENT);
    let (cpu, bytes, entries) = (agent.usage(), stored(agent)?, entries(agent));
    let (mut times, mut requests) = (Vec::new(), Requests::default());
    let config_maps = agent.size.config_maps().cycle().skip(skip).take(count);
    for (round, (unit, number)) in config_maps.enumerate() {
        let (time, asked) = once(agent, unit, number, round)?;
        times.push(time);
        requests = asked;
    }
    agent.rest()?;
    Ok(Moves {
        times,
        cpu: agent.usage().cpu_since(cpu),
        requests,
        bytes: stored(agent)? - bytes,
        entries: self::entries(agent) - entries,
    })
}

/// When the agent had applied an object.
fn applied(events: &[AuditEvent], name: &str) -> Result<Timestamp> {
    let mut applied = ours(events).filter(|event| event.object.name == name && event.is_write());
    let first = applied.next().context("the object was not applied")?;
    Ok(first.reached)
}

fn until_subject(agent: &Ours, told: &str) -> Result<()> {
    let (began, mut seen) = (Instant::now(), String::new());
    loop {
        let tip = agent.record_tip();
        if tip != seen {
            let remote = agent.stage.repository.remote();
            if git(&remote, &["log", "-2", "--format=%s", &tip]).contains(told) {
                return Ok(());
            }
            seen = tip;
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "no entry `{told}`:\n{}",
            agent.stage.log()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn entries(agent: &Ours) -> usize {
    let listed = git(
        &agent.stage.repository.remote(),
        &["rev-list", "--count", &agent.record_tip()],
    );
    listed.trim().parse().unwrap_or_default()
}

/// What the objects of the bare repository take, in bytes.
fn stored(agent: &Ours) -> Result<u64> {
    let mut total = 0;
    for directory in fs::read_dir(agent.stage.repository.remote().join("objects"))? {
        for object in fs::read_dir(directory?.path())? {
            total += object?.metadata()?.len();
        }
    }
    Ok(total)
}
