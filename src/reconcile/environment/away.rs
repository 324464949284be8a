//! What was done to a unit's objects while no agent ran, or while they could not be read,
//! and desired moved as well. Where desired is as it was, that is plain drift; here the plan
//! calls it a change of desired, and what somebody did would go under in the sync. The
//! recorded tree tells it apart.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::Environment;
use super::drift::seen;
use super::scene::scene;
use crate::config::FieldPath;
use crate::model::{Applied, ObjectId, UnitName, yaml};
use crate::plan::{
    Action, Blocked, Cause, FieldChange, Members, Observation, Standing, Step, short,
};
use crate::reconcile::journal::Journal;
use crate::reconcile::pass::Planned;
use crate::reconcile::unit::Unseen;
use crate::record::story::{self, By, Changes, Scene, Told};
use crate::record::{Entry, path};

impl Environment {
    /// Writes down what somebody did to objects before the first pass that could read them,
    /// by whom and when, before what the pass itself did is written down.
    pub(super) fn tell_away(&mut self, name: &UnitName, planned: &Planned, now: Timestamp) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let steps = &planned.plan.steps;
        let unread = steps.iter().filter(|step| is_unread(step));
        let unread: BTreeSet<ObjectId> = unread.map(|step| step.object.clone()).collect();
        let unseen = std::mem::replace(&mut unit.unseen, Unseen::These(unread.clone()));
        let seen_again = |step: &&Step| unseen.has(&step.object) && !unread.contains(&step.object);
        // Drift that is left as it is was told by the process before.
        let drift = steps.iter().filter(|step| is_drift(step));
        for step in drift.filter(seen_again) {
            let live = step.live.as_ref().map(|live| yaml(&live.value()));
            if self.journal.holds(name, &step.object, live.as_deref()) {
                unit.drift_told.insert(step.object.clone(), seen(step));
            }
        }
        let first = unseen == Unseen::All && !unit.told;
        let made: Vec<(&Step, Told)> = if first {
            let begun = unit.begun.is_some();
            let steps = steps.iter().filter(seen_again);
            let maybe = steps.filter(|step| may_be_made(step, begun));
            let made = maybe.filter_map(|step| {
                let recorded = self.journal.recorded(name, &step.object);
                // What another unit had is moved, and not made.
                if recorded.is_none() && self.journal.has_elsewhere(name, &step.object) {
                    return None;
                }
                Some((step, made(step, recorded.as_ref(), begun)?))
            });
            made.collect()
        } else {
            Vec::new()
        };
        let (pruned, deleted) = self.vanished(name, planned, first);
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        // What an agent did is nobody's drift.
        let again = steps.iter().filter(|step| pruned.contains(&step.object));
        let again = again.chain(made.iter().map(|(step, _)| *step));
        for step in again.filter(|step| is_drift(step)) {
            unit.drift_told.insert(step.object.clone(), seen(step));
        }
        let done: BTreeSet<&ObjectId> = made.iter().map(|(step, _)| &step.object).collect();
        let mut by_actor: BTreeMap<Option<String>, Vec<(&Step, Told)>> = BTreeMap::new();
        let moving = steps.iter().filter(|step| step.cause == Cause::Change);
        let by_agent = |id: &ObjectId| done.contains(id) || pruned.contains(id);
        let moving = moving.filter(|step| !by_agent(&step.object));
        for step in moving.filter(seen_again) {
            let told = self
                .journal
                .recorded(name, &step.object)
                .and_then(|recorded| moved(step, &recorded, planned.observed.get(&step.object)));
            if let Some(told) = told {
                let actor = told.fields.iter().find_map(FieldChange::actor);
                let actor = actor.map(|manager| manager.name.clone());
                by_actor.entry(actor).or_default().push((step, told));
            }
        }
        let (mut told, mut changes) = as_live(name, made);
        let (also_told, also_gone) = as_gone(name, Action::Prune, &pruned);
        told.extend(also_told);
        changes.extend(also_gone);
        self.enter_found(
            name,
            now,
            (told, changes),
            |scene, told, changes| match scene.source {
                Some(_) => story::found_synced(scene, By::Author, told, None, changes),
                None => story::found(scene, told, changes),
            },
        );
        // Somebody has undone what was told before: it is theirs.
        if first {
            let regained = self.regained(name, steps.iter().filter(seen_again));
            self.enter_found(name, now, as_live(name, regained), story::found);
        }
        let deleted = as_gone(name, Action::Create, &deleted);
        self.enter_found(name, now, deleted, story::gone);
        for steps in by_actor.into_values() {
            let scene = Scene {
                plan: Some(planned.plan.digest),
                state: None,
                ..scene(&self.context.environment, name, &self.units[name], now)
            };
            let (told, changes) = as_live(name, steps);
            let entry = story::drifted(&scene, &told, changes);
            let status = self.journal.status().unchanged();
            self.journal.enter(entry, status);
        }
    }

    /// Writes down what was found to have been done before this process, if anything was, at
    /// the commit that an agent before it had begun to apply.
    fn enter_found(
        &mut self,
        name: &UnitName,
        now: Timestamp,
        (told, changes): (Vec<Told>, Changes),
        entry: impl FnOnce(&Scene<'_>, &[Told], Changes) -> Entry,
    ) {
        if told.is_empty() {
            return;
        }
        let unit = &self.units[name];
        let scene = Scene {
            source: unit.begun.as_ref(),
            state: None,
            ..scene(&self.context.environment, name, unit, now)
        };
        let entry = entry(&scene, &told, changes);
        let status = self.journal.status().unchanged();
        self.journal.enter(entry, status);
    }

    /// Of these steps those on objects that are as declared again, by somebody else, and
    /// recorded otherwise.
    fn regained<'a>(
        &self,
        name: &UnitName,
        steps: impl Iterator<Item = &'a Step>,
    ) -> Vec<(&'a Step, Told)> {
        let owned = steps.filter(|step| step.cause == Cause::Ownership);
        let otherwise = owned.filter(|step| {
            let live = step.live.as_ref().map(|live| yaml(&live.value()));
            let file = path::of_object(name, &step.object);
            self.journal.has(&file) && !self.journal.holds(name, &step.object, live.as_deref())
        });
        otherwise.map(|step| (step, Told::from(step))).collect()
    }

    /// Recorded objects that are gone at the first look: those that an agent has deleted, and
    /// that are declared again, and those that are declared no more, and that none is known to
    /// have deleted. What an agent has deleted for good is told with the revision.
    fn vanished(
        &self,
        name: &UnitName,
        planned: &Planned,
        first: bool,
    ) -> (BTreeSet<ObjectId>, BTreeSet<ObjectId>) {
        let none = (BTreeSet::new(), BTreeSet::new());
        let known = matches!(planned.members, Members::Known(_));
        let (Some(unit), true, true) = (self.units.get(name), first, known) else {
            return none;
        };
        let (context, inventory) = (&self.context, &unit.inventory);
        let recorded = self.journal.objects(name).into_iter();
        // By now the pass may have made or deleted it.
        let doomed = planned.plan.steps.iter().map(|step| &step.object);
        let doomed: BTreeSet<&ObjectId> = doomed.collect();
        let left = |id: &ObjectId| {
            let unread = planned.carriers.unread.contains_key(id);
            !unread && !doomed.contains(id) && context.view.version(id).is_none()
        };
        let gone = recorded.filter(|id| {
            let observed = planned.observed.get(id);
            observed.map_or_else(|| left(id), |it| matches!(it, Observation::Absent))
        });
        let (mut pruned, mut deleted) = none;
        for id in gone {
            let by_agent = match inventory.applied.get(&id) {
                Some(Applied::Is(uid)) => context.spent.is_doomed(&uid.to_string()),
                // It was deleted to be made again, or is about to be made.
                Some(Applied::Intended) => true,
                // What an agent has seen to be gone for good is off its list.
                None => inventory.lost.is_none() && !inventory.applied.is_empty(),
            };
            let declared = planned.desired.objects.contains_key(&id);
            let elsewhere = self.neighbours.claims.contains_key(&id);
            match (by_agent, declared) {
                (true, true) => drop(pruned.insert(id)),
                (false, false) if !elsewhere && unit.begun.is_none() => drop(deleted.insert(id)),
                (true, false) | (false, _) => {}
            }
        }
        (pruned, deleted)
    }
}

/// What is told of objects that are gone, and the change of their files.
fn as_gone(unit: &UnitName, action: Action, gone: &BTreeSet<ObjectId>) -> (Vec<Told>, Changes) {
    let told = gone.iter().map(|id| Told {
        object: id.clone(),
        action,
        fields: Vec::new(),
    });
    let changes = gone.iter().flat_map(|id| Journal::change(unit, id, None));
    (told.collect(), changes.collect())
}

/// What is told, and the files of these objects as they were found.
fn as_live(unit: &UnitName, steps: Vec<(&Step, Told)>) -> (Vec<Told>, Changes) {
    let mut changes = Changes::new();
    for (step, _) in &steps {
        let live = step.live.as_ref().map(|live| yaml(&live.value()));
        changes.extend(Journal::change(unit, &step.object, live));
    }
    (steps.into_iter().map(|(_, told)| told).collect(), changes)
}

/// Whether this may be what an agent made that had `begun` a revision before it was killed:
/// it is to be something else by now, and nobody else is said to have to do with that. Where
/// no agent is known to have begun anything, what a change of desired meets that nobody told
/// is told as it was found.
fn may_be_made(step: &Step, begun: bool) -> bool {
    let moves = matches!(step.action, Action::Change | Action::Replace);
    moves
        && (step.cause == Cause::Change || begun)
        && step.fields.iter().all(|field| field.actor().is_none())
}

/// What that agent made of an object; `None` where it is as `recorded`.
fn made(step: &Step, recorded: Option<&Value>, begun: bool) -> Option<Told> {
    let live = step.live.as_ref()?.value();
    let Some(recorded) = recorded else {
        return begun.then(|| Told {
            object: step.object.clone(),
            action: Action::Create,
            fields: Vec::new(),
        });
    };
    if *recorded == live {
        return None;
    }
    let fields = step.fields.iter().filter_map(|field| {
        let path = FieldPath::parse(&field.path).ok()?;
        let (before, now) = (path.resolve(recorded), path.resolve(&live)?);
        (before != Some(now)).then(|| FieldChange {
            from: before.map(short),
            to: Some(short(now)),
            ..field.clone()
        })
    });
    let fields: Vec<FieldChange> = fields.collect();
    (begun || !fields.is_empty()).then(|| Told {
        object: step.object.clone(),
        action: Action::Change,
        fields,
    })
}

fn is_unread(step: &Step) -> bool {
    matches!(step.standing, Standing::Blocked(Blocked::Unobserved(_)))
}

fn is_drift(step: &Step) -> bool {
    step.cause == Cause::Drift && step.action != Action::Clear
}

/// What somebody made of an object that was `recorded`; `None` where nobody did anything
/// to what was ours, or it was us.
fn moved(step: &Step, recorded: &Value, observed: Option<&Observation>) -> Option<Told> {
    let told = |action, fields| Told {
        object: step.object.clone(),
        action,
        fields,
    };
    match (step.action, observed) {
        (Action::Create, _) => Some(told(Action::Create, Vec::new())),
        (Action::Change | Action::Adopt | Action::Replace, Some(Observation::Present(_))) => {
            let live = step.live.as_ref()?.value();
            let fields: Vec<FieldChange> = step
                .fields
                .iter()
                .filter_map(|field| {
                    let path = FieldPath::parse(&field.path).ok()?;
                    let before = path.resolve(recorded)?;
                    let now = path.resolve(&live);
                    let moved = FieldChange {
                        to: Some(short(before)),
                        ..field.clone()
                    };
                    let theirs = now.is_none() || moved.actor().is_some();
                    (now != Some(before) && theirs).then_some(moved)
                })
                .collect();
            (!fields.is_empty()).then(|| told(Action::Change, fields))
        }
        _ => None,
    }
}
