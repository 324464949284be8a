//! How often an environment is deployed to, how fast, how often that fails and for how
//! long, and who changes it by hand: the four keys of DORA, told from the record. Pure.
//!
//! - A *deployment* is a source commit that changed at least one unit, counted when it
//!   first did so.
//! - Its *lead time* goes from when it was committed to when every unit that it changed was
//!   healthy. One that never came so far, or that another overtook, has none.
//! - It *failed* if a unit that it changed failed before it was healthy with it, or within
//!   [`BLAMED`] of that.
//! - *Time to restore* goes from when a unit failed, whyever, to when it was healthy again.
//! - *Drift* is counted by field manager, once for each entry that tells of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::event::Event;
use super::recorded::{Facts, Recorded};
use super::status::State;
use crate::model::{EnvironmentName, Revision, UnitName};

/// How long after it was healthy a failure is still a deployment's.
pub const BLAMED: Duration = Duration::from_hours(1);

/// What is told of an environment over some time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The environment.
    pub environment: EnvironmentName,
    /// From when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How many there were.
    pub deployments: usize,
    /// How many a day.
    pub deployments_per_day: f64,
    /// From commit to healthy, in seconds.
    pub lead_time: Spread,
    /// How many deployments failed.
    pub failed_deployments: usize,
    /// What part of all that is; `None` without any deployment.
    pub change_failure_rate: Option<f64>,
    /// From failed to healthy, in seconds.
    pub time_to_restore: Spread,
    /// How many units failed and are not healthy yet.
    pub not_restored: usize,
    /// Who changed what is live, most often first.
    pub drift: Vec<Drift>,
}

/// Several durations, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// The one in the middle; `None` without any.
    pub median: Option<f64>,
    /// Nine of ten are at most so long.
    pub p90: Option<f64>,
}

/// What one field manager did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drift {
    /// The field manager; `None` where it is not known.
    pub actor: Option<String>,
    /// How many entries tell of it.
    pub count: usize,
    /// When the last was recorded.
    pub last: Timestamp,
}

/// Takes a record's entries in, oldest first.
#[derive(Debug, Default)]
pub struct Reporter {
    deployments: BTreeMap<Revision, Deployment>,
    units: BTreeMap<UnitName, Unit>,
    /// When a unit failed, and when it was healthy again.
    failures: Vec<(Timestamp, Option<Timestamp>)>,
    drift: Vec<(Timestamp, Option<String>)>,
}

#[derive(Debug)]
struct Deployment {
    first: Timestamp,
    committed: Option<Timestamp>,
    /// When each unit was healthy with it.
    units: BTreeMap<UnitName, Option<Timestamp>>,
    failed: bool,
}

#[derive(Debug, Default)]
struct Unit {
    revision: Option<Revision>,
    /// The failure that it is not back from.
    failure: Option<usize>,
}

impl Reporter {
    /// Takes the next entry in.
    pub fn take(&mut self, entry: &Recorded) {
        let Some(facts) = &entry.facts else { return };
        if facts.event == Some(Event::Drift) {
            self.drift.push((entry.time, facts.actor.clone()));
        }
        let Some(unit) = &facts.unit else { return };
        if let (Some(true), Some(revision)) = (facts.event.map(Event::deploys), &facts.revision) {
            self.deployed(entry, facts, unit, revision);
        }
        if facts.event == Some(Event::Left) {
            // What is no more needs no restoring.
            self.restored(unit, entry.time);
            self.units.remove(unit);
            return;
        }
        match facts.state {
            Some(State::Failed) => self.failed(unit, entry.time),
            Some(State::Synced | State::Drifted) => self.healthy(unit, entry.time),
            _ => {}
        }
    }

    /// What came of it from an instant to another.
    pub fn report(
        &self,
        environment: &EnvironmentName,
        since: Timestamp,
        until: Timestamp,
    ) -> Report {
        let within = |time: Timestamp| time >= since && time <= until;
        let all = self.deployments.values();
        let deployments: Vec<&Deployment> = all.filter(|it| within(it.first)).collect();
        let failed = deployments.iter().filter(|it| it.failed).count();
        let failures = self.failures.iter().filter(|(failed, _)| within(*failed));
        let restored = failures
            .clone()
            .filter_map(|(failed, restored)| Some(seconds(*failed, (*restored)?)));
        let days = (seconds(since, until) / 86_400.0).max(f64::MIN_POSITIVE);
        Report {
            environment: environment.clone(),
            since,
            until,
            deployments: deployments.len(),
            deployments_per_day: count(deployments.len()) / days,
            lead_time: spread(deployments.iter().filter_map(|it| it.lead_time())),
            failed_deployments: failed,
            change_failure_rate: (!deployments.is_empty())
                .then(|| count(failed) / count(deployments.len())),
            time_to_restore: spread(restored),
            not_restored: failures.filter(|(_, restored)| restored.is_none()).count(),
            drift: self.drifted(within),
        }
    }

    fn drifted(&self, within: impl Fn(Timestamp) -> bool) -> Vec<Drift> {
        let mut actors: BTreeMap<&Option<String>, (usize, Timestamp)> = BTreeMap::new();
        for (time, actor) in self.drift.iter().filter(|(time, _)| within(*time)) {
            let (count, last) = actors.entry(actor).or_insert((0, *time));
            *count += 1;
            *last = *time;
        }
        let mut drift: Vec<Drift> = actors
            .into_iter()
            .map(|(actor, (count, last))| Drift {
                actor: actor.clone(),
                count,
                last,
            })
            .collect();
        drift.sort_by_key(|drift| std::cmp::Reverse(drift.count));
        drift
    }

    fn deployed(&mut self, entry: &Recorded, facts: &Facts, unit: &UnitName, revision: &Revision) {
        let deployment = self
            .deployments
            .entry(revision.clone())
            .or_insert_with(|| Deployment {
                first: entry.time,
                committed: facts.committed,
                units: BTreeMap::new(),
                failed: false,
            });
        deployment.units.entry(unit.clone()).or_default();
        let unit = self.units.entry(unit.clone()).or_default();
        unit.revision = Some(revision.clone());
    }

    fn failed(&mut self, name: &UnitName, now: Timestamp) {
        let unit = self.units.entry(name.clone()).or_default();
        if unit.failure.is_none() {
            unit.failure = Some(self.failures.len());
            self.failures.push((now, None));
        }
        let revision = unit.revision.as_ref();
        let deployment = revision.and_then(|revision| self.deployments.get_mut(revision));
        let Some(deployment) = deployment else { return };
        let healthy = deployment.units.get(name).copied().flatten();
        deployment.failed |=
            healthy.is_none_or(|healthy| seconds(healthy, now) <= BLAMED.as_secs_f64());
    }

    fn healthy(&mut self, name: &UnitName, now: Timestamp) {
        self.restored(name, now);
        let revision = self.units.get(name).and_then(|unit| unit.revision.as_ref());
        let deployment = revision.and_then(|revision| self.deployments.get_mut(revision));
        if let Some(healthy) = deployment.and_then(|it| it.units.get_mut(name)) {
            healthy.get_or_insert(now);
        }
    }

    fn restored(&mut self, name: &UnitName, now: Timestamp) {
        let unit = self.units.get_mut(name);
        if let Some(failure) = unit.and_then(|unit| unit.failure.take()) {
            self.failures[failure].1 = Some(now);
        }
    }
}

impl Deployment {
    fn lead_time(&self) -> Option<f64> {
        let healthy = self.units.values().copied();
        let last = healthy
            .collect::<Option<Vec<Timestamp>>>()?
            .into_iter()
            .max()?;
        Some(seconds(self.committed?, last).max(0.0))
    }
}

fn spread(durations: impl Iterator<Item = f64>) -> Spread {
    let mut all: Vec<f64> = durations.collect();
    all.sort_by(f64::total_cmp);
    // The smallest that so many of a hundred are no longer than.
    let rank = |percent: usize| (all.len() * percent).div_ceil(100).checked_sub(1);
    Spread {
        count: all.len(),
        median: rank(50).map(|at| all[at]),
        p90: rank(90).map(|at| all[at]),
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests;
