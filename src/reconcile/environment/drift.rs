//! Drift in the record, as a pass found it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::scene::{listed, scene};
use super::{Environment, foreign};
use crate::model::{Digest, UnitName, yaml};
use crate::plan::{Action, Blocked, Cause, FieldChange, Standing, Step};
use crate::reconcile::journal::Journal;
use crate::reconcile::pass::Planned;
use crate::record::status::UnitStatus;
use crate::record::story::{self, Changes, Scene, Told};

impl Environment {
    /// Writes down what others have done, as a pass found it.
    pub(super) fn tell_found(&mut self, name: &UnitName, planned: &Planned, now: Timestamp) {
        self.tell_away(name, planned, now);
        self.tell_drift(name, planned, now);
    }

    /// Drift is written down as found before it is put back.
    fn tell_drift(&mut self, name: &UnitName, planned: &Planned, now: Timestamp) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let plan = &planned.plan;
        unit.drift_told
            .retain(|id, _| plan.steps.iter().any(|step| step.object == *id));
        let drifted = plan.steps.iter().filter(|step| {
            step.cause == Cause::Drift
                && !unit.fights.covers(step)
                && matches!(
                    step.standing,
                    Standing::Ready | Standing::Reported | Standing::Blocked(Blocked::Refused(_))
                )
        });
        let recorded = self.journal.foreign(name);
        let news: Vec<&Step> = drifted
            .filter(|step| !foreign::is_told(&recorded, step))
            .filter(|step| {
                let seen = seen(step);
                unit.drift_told.insert(step.object.clone(), seen) != Some(seen)
            })
            .collect();
        // A restart must not take what is gone for gone anew.
        let gone = plan.steps.iter();
        let gone = gone.filter_map(|step| Some((step.object.clone(), step.gone.clone()?)));
        let gone = gone.collect();
        self.context
            .metrics
            .drift
            .get_or_create(&self.labels(name))
            .inc_by(news.len() as u64);
        for steps in by_actor(&news) {
            let told: Vec<Told> = steps.iter().map(|step| Told::from(*step)).collect();
            let scene = Scene {
                plan: Some(plan.digest),
                // The pass that finds drift says only afterwards how the unit stands.
                state: None,
                ..scene(&self.context.environment, name, &self.units[name], now)
            };
            let mut changes = Changes::new();
            let mut others = self.journal.foreign(name);
            for step in &steps {
                foreign::add_removed(&mut others, step);
                // What is cleared is as it is recorded, at our fields.
                if step.action != Action::Clear {
                    let live = step.live.as_ref().map(|live| yaml(&live.value()));
                    changes.extend(Journal::change(name, &step.object, live));
                }
            }
            changes.extend(self.journal.foreign_change(name, &others));
            let entry = story::drifted(&scene, &told, changes);
            let mut status = self.journal.status().unchanged();
            if let Some(unit) = self.journal.status().units.get(name) {
                let unit = UnitStatus {
                    gone: listed(&gone),
                    ..UnitStatus::clone(unit)
                };
                status.units.insert(name.clone(), Some(unit.into()));
            }
            self.journal.enter(entry, status);
        }
    }
}

/// Of what drift made of an object.
pub(super) fn seen(step: &Step) -> Digest {
    Digest::of_bytes(format!("{:?}{:?}", step.before, step.fields).as_bytes())
}

/// Steps of one actor go into one entry.
fn by_actor<'a>(steps: &[&'a Step]) -> Vec<Vec<&'a Step>> {
    let mut groups: BTreeMap<Option<&str>, Vec<&Step>> = BTreeMap::new();
    for step in steps {
        let owner = step.fields.iter().find_map(FieldChange::actor);
        groups
            .entry(owner.map(|owner| owner.name.as_str()))
            .or_default()
            .push(step);
    }
    groups.into_values().collect()
}
