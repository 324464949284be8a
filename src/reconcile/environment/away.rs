//! What was done to a unit's objects while no agent ran, or while they could not be read,
//! and desired moved as well. Where desired is as it was, that is plain drift; here the plan
//! calls it a change of desired, and what somebody did would go under in the sync. The
//! recorded tree tells it apart.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::Environment;
use super::outcome::seen;
use super::scene::scene;
use crate::config::FieldPath;
use crate::model::{ObjectId, UnitName, yaml};
use crate::plan::{Action, Blocked, Cause, FieldChange, Observation, Standing, Step, short};
use crate::reconcile::journal::Journal;
use crate::reconcile::pass::Outcome;
use crate::reconcile::unit::Unseen;
use crate::record::story::{self, Changes, Scene, Told};

impl Environment {
    /// Writes down what somebody did to objects before the first pass that could read them,
    /// by whom and when, before what the pass itself did is written down.
    pub(super) fn tell_away(&mut self, name: &UnitName, outcome: &Outcome, now: Timestamp) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let planned = &outcome.planned;
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
        let mut by_actor: BTreeMap<Option<String>, Vec<(&Step, Told)>> = BTreeMap::new();
        let moving = steps.iter().filter(|step| step.cause == Cause::Change);
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
        for steps in by_actor.into_values() {
            let scene = Scene {
                plan: Some(planned.plan.digest),
                state: None,
                ..scene(&self.context.environment, name, &self.units[name], now)
            };
            let mut changes = Changes::new();
            for (step, _) in &steps {
                let live = step.live.as_ref().map(|live| yaml(&live.value()));
                changes.extend(Journal::change(name, &step.object, live));
            }
            let told: Vec<Told> = steps.into_iter().map(|(_, told)| told).collect();
            let entry = story::drifted(&scene, &told, changes);
            let status = self.journal.status().unchanged();
            self.journal.enter(entry, status);
        }
    }
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
