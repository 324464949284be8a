//! Notes on source commits: when each was deployed to an environment, and how that went.
//! They are made from the record's entries alone, oldest first, and the same entries make
//! the same notes. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;

use super::event::Event;
use super::recorded::{Facts, Recorded};
use super::status::State;
use crate::model::{Revision, UnitName};

/// How many units a note names.
const NAMED: usize = 50;

/// How much is kept in mind: units of source commits, each of which counts for one at
/// least. A commit that comes back after so many others gets a note that begins anew.
const MOST: usize = 1_000;

/// What the entries so far make of each source commit.
#[derive(Debug)]
pub struct Notes {
    branch: String,
    revisions: BTreeMap<Revision, Note>,
    /// The same, the one that came first in front.
    order: Vec<Revision>,
    /// How many have ever got a note.
    count: usize,
    /// The revision that a unit is on its way to.
    under_way: BTreeMap<UnitName, Revision>,
}

#[derive(Debug, Default)]
struct Note {
    units: BTreeMap<UnitName, Deployed>,
    /// When and by which entry it was found to change nothing.
    nothing: Option<(Timestamp, Revision)>,
    /// The units that it suspends or lets go on: when and by which entry.
    suspensions: BTreeMap<UnitName, (Event, Timestamp, Revision)>,
}

/// A revision as one unit came to it.
#[derive(Debug)]
struct Deployed {
    at: Timestamp,
    how: How,
    entry: Revision,
}

#[derive(Debug)]
enum How {
    UnderWay,
    Healthy(Option<f64>),
    Drifted(Option<f64>),
    Failed(Option<f64>),
    Blocked,
    Suspended,
    Superseded(Revision),
    Left,
}

impl Notes {
    /// Before any entry of the record on a branch.
    pub fn new(branch: &str) -> Self {
        Self {
            branch: branch.to_owned(),
            revisions: BTreeMap::new(),
            order: Vec::new(),
            count: 0,
            under_way: BTreeMap::new(),
        }
    }

    /// How many commits have a note.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes the next entry in. Gives the commits whose notes it changes, and their text.
    pub fn take(&mut self, entry: &Recorded) -> BTreeMap<Revision, String> {
        let changed = entry
            .facts
            .as_ref()
            .map(|facts| self.changed(entry, facts))
            .unwrap_or_default();
        let text = |revision: Revision| {
            let text = self.text(&revision);
            (revision, text)
        };
        changed.into_iter().map(text).collect()
    }

    fn changed(&mut self, entry: &Recorded, facts: &Facts) -> Vec<Revision> {
        let (Some(event), Some(revision)) = (facts.event, &facts.revision) else {
            return Vec::new();
        };
        let Some(unit) = &facts.unit else {
            return self.nothing(entry, event, revision);
        };
        if event.deploys() || event == Event::Left {
            return self.deployed(entry, facts, event, unit, revision);
        }
        if matches!(event, Event::Suspended | Event::Resumed) {
            return self.suspended(entry, event, unit, revision);
        }
        if self.under_way.get(unit) != Some(revision) {
            return Vec::new();
        }
        let how = facts.state.map(|state| how(state, facts.took));
        let deployed = self.revisions.get_mut(revision);
        let deployed = deployed.and_then(|note| note.units.get_mut(unit));
        let (Some(deployed), Some(how)) = (deployed, how) else {
            return Vec::new();
        };
        let before = line(&self.branch, unit, deployed);
        deployed.how = how;
        if deployed.how.is_settled() {
            self.under_way.remove(unit);
        }
        if before == line(&self.branch, unit, deployed) {
            Vec::new()
        } else {
            vec![revision.clone()]
        }
    }

    fn nothing(&mut self, entry: &Recorded, event: Event, revision: &Revision) -> Vec<Revision> {
        if event != Event::Nothing {
            return Vec::new();
        }
        let note = self.note(revision);
        note.nothing = Some((entry.time, entry.entry.clone()));
        vec![revision.clone()]
    }

    /// A commit suspends a unit, or lets it go on. What the unit was on its way to waits.
    fn suspended(
        &mut self,
        entry: &Recorded,
        event: Event,
        unit: &UnitName,
        revision: &Revision,
    ) -> Vec<Revision> {
        let note = self.note(revision);
        let told = (event, entry.time, entry.entry.clone());
        note.suspensions.insert(unit.clone(), told);
        let mut changed = vec![revision.clone()];
        let way = self.under_way.get(unit).cloned();
        let note = way.as_ref().and_then(|way| self.revisions.get_mut(way));
        if let Some(deployed) = note.and_then(|note| note.units.get_mut(unit)) {
            deployed.how = match event {
                Event::Suspended => How::Suspended,
                _ => How::UnderWay,
            };
            changed.extend(way.filter(|way| way != revision));
        }
        changed
    }

    fn deployed(
        &mut self,
        entry: &Recorded,
        facts: &Facts,
        event: Event,
        unit: &UnitName,
        revision: &Revision,
    ) -> Vec<Revision> {
        let how = match (event, facts.state) {
            (Event::Left, _) => How::Left,
            (_, Some(state)) => how(state, facts.took),
            (_, None) => How::UnderWay,
        };
        let before = self.under_way.remove(unit);
        if !how.is_settled() {
            self.under_way.insert(unit.clone(), revision.clone());
        }
        let note = self.note(revision);
        match note.units.get_mut(unit) {
            // It goes on with what it began.
            Some(deployed) if before.as_ref() == Some(revision) => deployed.how = how,
            _ => {
                let deployed = Deployed {
                    at: entry.time,
                    how,
                    entry: entry.entry.clone(),
                };
                note.units.insert(unit.clone(), deployed);
            }
        }
        let mut changed = vec![revision.clone()];
        let before = before.filter(|before| before != revision);
        changed.extend(before.filter(|before| self.superseded(before, unit, revision)));
        changed
    }

    /// The note of a revision, which may be new. Then the oldest ones that no unit is on
    /// its way to are let go of.
    fn note(&mut self, revision: &Revision) -> &mut Note {
        if !self.revisions.contains_key(revision) {
            self.count += 1;
            self.order.push(revision.clone());
            self.forget(revision);
        }
        self.revisions.entry(revision.clone()).or_default()
    }

    fn forget(&mut self, but: &Revision) {
        let weight = |note: &Note| note.units.len().max(1);
        let mut weigh: usize = self.revisions.values().map(weight).sum();
        if weigh < MOST {
            return;
        }
        let awaited: BTreeSet<&Revision> = self.under_way.values().collect();
        let revisions = &mut self.revisions;
        self.order.retain(|revision| {
            let kept = weigh < MOST || revision == but || awaited.contains(revision);
            if !kept && let Some(note) = revisions.remove(revision) {
                weigh -= weight(&note);
            }
            kept
        });
    }

    /// A unit that was on its way to one revision goes to another.
    fn superseded(&mut self, before: &Revision, unit: &UnitName, by: &Revision) -> bool {
        let note = self.revisions.get_mut(before);
        let Some(deployed) = note.and_then(|note| note.units.get_mut(unit)) else {
            return false;
        };
        if !matches!(deployed.how, How::UnderWay | How::Suspended) {
            return false;
        }
        deployed.how = How::Superseded(by.clone());
        true
    }

    /// The note on a commit.
    fn text(&self, revision: &Revision) -> String {
        let mut text = String::new();
        let Some(note) = self.revisions.get(revision) else {
            return text;
        };
        if let (Some((at, entry)), true) = (&note.nothing, note.units.is_empty()) {
            let (name, entry) = (&self.branch, entry.short());
            let _ = writeln!(text, "seen {at}: nothing to change ({name} {entry})");
        }
        for (unit, deployed) in note.units.iter().take(NAMED) {
            text.push_str(&line(&self.branch, unit, deployed));
        }
        for (unit, (event, at, entry)) in note.suspensions.iter().take(NAMED) {
            let what = match event {
                Event::Suspended => "suspended",
                _ => "resumed",
            };
            let (name, entry) = (&self.branch, entry.short());
            let _ = writeln!(text, "{unit}: {what} {at} ({name} {entry})");
        }
        let named = |count: usize| count.saturating_sub(NAMED);
        let more = named(note.units.len()) + named(note.suspensions.len());
        if more > 0 {
            let _ = writeln!(text, "and {more} more units");
        }
        text
    }
}

impl How {
    /// Whether nothing more is to be told of it.
    fn is_settled(&self) -> bool {
        !matches!(
            self,
            Self::UnderWay | Self::Failed(_) | Self::Blocked | Self::Suspended
        )
    }
}

fn how(state: State, took: Option<f64>) -> How {
    match state {
        State::Synced => How::Healthy(took),
        State::Suspended => How::Suspended,
        State::Drifted => How::Drifted(took),
        State::Failed => How::Failed(took),
        State::Blocked => How::Blocked,
        State::Progressing | State::Waiting => How::UnderWay,
    }
}

/// `web: deployed 2026-11-21T10:02:11Z, healthy after 12.3s (live/staging 1a2b3c4d)`
fn line(branch: &str, unit: &UnitName, deployed: &Deployed) -> String {
    let Deployed { at, how, entry } = deployed;
    let after = |took: &Option<f64>| match took {
        Some(took) => format!(" after {}", span(*took)),
        None => String::new(),
    };
    let how = match how {
        How::UnderWay => "on its way".to_owned(),
        How::Healthy(took) => format!("healthy{}", after(took)),
        How::Drifted(took) => format!("healthy{}, with drift left", after(took)),
        How::Failed(took) => format!("failed{}", after(took)),
        How::Blocked => "blocked".to_owned(),
        How::Suspended => "suspended on its way".to_owned(),
        How::Superseded(by) => format!("superseded by {}", by.short()),
        How::Left => "left the environment".to_owned(),
    };
    let entry = entry.short();
    format!("{unit}: deployed {at}, {how} ({branch} {entry})\n")
}

/// `12.3s`, `4m 12s`, `2h 5m`
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a span is positive, and one beyond u64 is shown as that"
)]
pub fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        ..60 => format!("{seconds:.1}s"),
        60..3_600 => format!("{}m {}s", whole / 60, whole % 60),
        3_600..172_800 => format!("{}h {}m", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{}d {}h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests;
