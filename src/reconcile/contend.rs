//! Two writers of one field: what to do when drift that is put back comes again and
//! again. The object is left alone for longer each time, and it is told when that begins
//! and when it is over, not what happens in between. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Digest, ObjectId};
use crate::plan::{Action, FieldChange, Step};
use crate::record::story::{Contention, Phase};
use crate::runtime::backoff::grown;

/// So much is a fight. A revert of what the same manager had set to the same value the
/// last time too weighs [`SAME`]; one of the same field with another value, which people
/// do as well, weighs [`OTHER`].
const FIGHT: u32 = 18;
const SAME: u32 = 3;
const OTHER: u32 = 1;
/// Reverts that are further apart have nothing to do with each other.
const WINDOW: Duration = Duration::from_mins(10);
/// How long an object is left alone, doubled each time: first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(10));
/// A fight is over when nothing was taken back for so long, and for as long as the
/// object was left alone the last time.
const CALM: Duration = Duration::from_secs(30);

/// The fights over a unit's objects.
#[derive(Debug, Default)]
pub(super) struct Fights {
    fights: BTreeMap<ObjectId, Fight>,
    news: Vec<Contention>,
}

#[derive(Debug)]
struct Fight {
    desired: Digest,
    manager: Option<String>,
    /// What is done to the object where it is not about single fields.
    whole: &'static str,
    /// What was put back the last time: by path, what it had been set to.
    fields: BTreeMap<String, Option<String>>,
    weight: u32,
    /// How often it was put back.
    times: u32,
    /// When it was put back last.
    reverted: Timestamp,
    /// How often that was since it was told.
    told: Option<u32>,
    /// Whether it has been taken back since.
    held: bool,
    place: String,
}

impl Fights {
    /// Drift was put back. Gives how long the object is to be left alone if that is a
    /// fight, and what is said of it.
    pub(super) fn reverted(
        &mut self,
        step: &Step,
        desired: Digest,
        now: Timestamp,
    ) -> Option<(Duration, String)> {
        let mut fight = Fight::of(step, desired, now);
        if let Some(before) = self.fights.remove(&step.object) {
            fight.follows(before, now);
        }
        let begins = fight.told.is_none() && fight.weight >= FIGHT;
        if begins {
            fight.told = Some(0);
            self.news.push(fight.tell(&step.object, Phase::Begun));
        }
        let wait = fight.wait().map(|wait| (wait, fight.message()));
        self.fights.insert(step.object.clone(), fight);
        wait
    }

    /// Whether a difference is part of a fight that was told.
    pub(super) fn covers(&self, step: &Step) -> bool {
        let Some(fight) = self.fights.get(&step.object) else {
            return false;
        };
        let told = |path: &String| fight.fields.contains_key(path);
        fight.told.is_some() && fields(step).keys().all(told)
    }

    /// Takes in what a pass found to differ.
    pub(super) fn see(&mut self, steps: &[Step], now: Timestamp) {
        for (id, fight) in &mut self.fights {
            fight.held = steps.iter().any(|step| step.object == *id);
        }
        let (over, on) = std::mem::take(&mut self.fights)
            .into_iter()
            .partition(|(_, fight)| fight.is_over(now));
        self.fights = on;
        let told = |(id, fight): (ObjectId, Fight)| {
            fight.told.is_some().then(|| fight.tell(&id, Phase::Over))
        };
        let over: BTreeMap<ObjectId, Fight> = over;
        self.news.extend(over.into_iter().filter_map(told));
    }

    /// Keeps the fights over objects that are desired as they were.
    pub(super) fn retain(&mut self, desired: impl Fn(&ObjectId) -> Option<Digest>) {
        self.fights
            .retain(|id, fight| desired(id) == Some(fight.desired));
    }

    /// The objects that are fought over, and what is said of each.
    pub(super) fn told(&self) -> impl Iterator<Item = (&ObjectId, String)> {
        let told = self.fights.iter().filter(|(_, it)| it.told.is_some());
        told.map(|(id, fight)| (id, format!("{id}{}: {}", fight.place, fight.message())))
    }

    /// What has begun or ended since the last call.
    pub(super) fn take_news(&mut self) -> Vec<Contention> {
        std::mem::take(&mut self.news)
    }

    /// When one may be over.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let calm = self.fights.values().filter(|fight| !fight.held);
        calm.filter(|fight| fight.told.is_some())
            .map(|fight| fight.reverted + fight.calm())
            .min()
    }
}

impl Fight {
    fn of(step: &Step, desired: Digest, now: Timestamp) -> Self {
        let actors = step.fields.iter().filter_map(FieldChange::actor);
        Self {
            desired,
            manager: actors.map(|actor| actor.name.clone()).next(),
            whole: match step.action {
                Action::Create => "deleting it",
                _ => "taking it over",
            },
            fields: fields(step),
            weight: SAME,
            times: 1,
            reverted: now,
            told: None,
            held: false,
            place: step
                .origin
                .as_ref()
                .map_or_else(String::new, |origin| format!(" ({origin})")),
        }
    }

    /// Goes on from what was put back before, if it is the same that is fought over.
    fn follows(&mut self, before: Self, now: Timestamp) {
        let apart = now.duration_since(before.reverted).unsigned_abs();
        let common = self.fields.iter().filter_map(|(path, value)| {
            let then = before.fields.get(path)?;
            Some(if then == value { SAME } else { OTHER })
        });
        let more = common.max().filter(|_| self.manager == before.manager);
        let Some(more) = more.filter(|_| before.told.is_some() || apart <= WINDOW) else {
            return;
        };
        self.weight = before.weight.saturating_add(more);
        self.times = before.times.saturating_add(1);
        self.told = before.told.map(|times| times + 1);
        if before.told.is_some() {
            self.fields.extend(before.fields);
        }
    }

    fn wait(&self) -> Option<Duration> {
        let times = self.told?;
        Some(grown(WAIT, times))
    }

    fn calm(&self) -> Duration {
        self.wait().unwrap_or(WINDOW).max(CALM)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        !self.held && now >= self.reverted + self.calm()
    }

    /// The same for as long as it goes on.
    fn message(&self) -> String {
        let who = self.manager.as_deref().unwrap_or("somebody");
        let what = self.paths();
        let what = if what.is_empty() {
            self.whole.to_owned()
        } else {
            format!("changing {}", what.join(", "))
        };
        format!("contended: {who} keeps {what}; stop one of the two writers")
    }

    fn paths(&self) -> Vec<String> {
        let paths = self.fields.keys().filter(|path| !path.is_empty());
        paths.cloned().collect()
    }

    fn tell(&self, object: &ObjectId, phase: Phase) -> Contention {
        Contention {
            object: object.clone(),
            fields: self.paths(),
            manager: self.manager.clone(),
            message: self.message(),
            times: self.times,
            phase,
        }
    }
}

/// What differs and what it is set to; an object that is gone differs as a whole.
fn fields(step: &Step) -> BTreeMap<String, Option<String>> {
    if step.fields.is_empty() {
        return BTreeMap::from([(String::new(), Some(step.action.to_string()))]);
    }
    let fields = step.fields.iter();
    fields
        .map(|field| (field.path.clone(), field.from.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
