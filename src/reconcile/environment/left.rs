//! What is left as it is on purpose, in the record: when that begins, and when it ends. It
//! is told once, whatever restarts, since `<unit>/status.yaml` says it too.

use jiff::Timestamp;

use super::scene::{scene, unit_status};
use super::{Deed, Environment, UnitDrift};
use crate::config::DriftPolicy;
use crate::model::UnitName;
use crate::plan::Action;
use crate::reconcile::unit::UnitState;
use crate::record::status::{Proposal, State, UnitStatus};
use crate::record::story::{self, Kept, Release, Scene, Told};
use crate::runtime::clock;

impl Environment {
    /// Tells which units the enforced revision suspends and which no longer, before
    /// anything else is told of them.
    pub(super) fn tell_suspended(&mut self) {
        let now = clock::now();
        // Of one that leaves the environment, that is told.
        let news = |(name, unit): &(&UnitName, &UnitState)| {
            !unit.retired && unit.unit.suspend != self.told_suspended(name)
        };
        let units = self.units.iter().filter(news);
        let names: Vec<UnitName> = units.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.tell_suspension(&name, now);
        }
    }

    fn told_suspended(&self, name: &UnitName) -> bool {
        let recorded = self.journal.status().units.get(name);
        recorded.is_some_and(|unit| unit.state == State::Suspended)
    }

    fn tell_suspension(&mut self, name: &UnitName, now: Timestamp) {
        let was = self.told_suspended(name);
        let recorded = self.journal.status().units.get(name);
        let Some(unit) = self.units.get(name) else {
            return;
        };
        let state = if was {
            State::Progressing
        } else {
            State::Suspended
        };
        let scene = Scene {
            source: self.target.enforced(),
            state: Some(state),
            plan: None,
            ..scene(&self.context.environment, name, unit, now)
        };
        let (entry, message) = if was {
            (story::resumed(&scene), String::new())
        } else {
            story::suspended(&scene)
        };
        // It is as it was left, and so are the revision and what it declares.
        let before = match recorded {
            Some(recorded) => UnitStatus::clone(recorded),
            None => UnitStatus {
                revision: None,
                ..UnitStatus::clone(&unit_status(unit, None, now))
            },
        };
        let status = UnitStatus {
            state,
            health: unit.standing.health.to_string(),
            since: now,
            message,
            ..before
        };
        let status = self.with(name, Some(status.into()));
        self.journal.enter(entry, status);
    }

    /// Tells of all units what proposals keep.
    pub(super) fn tell_proposals(&mut self) {
        let names: Vec<UnitName> = self.units.keys().cloned().collect();
        for name in names {
            self.tell_proposal(&name);
        }
    }

    /// Tells that what was changed of a unit is kept while a proposal is open, or that it no
    /// longer is.
    pub(super) fn tell_proposal(&mut self, name: &UnitName) {
        let now = clock::now();
        let units = &self.journal.status().units;
        let (Some(unit), Some(recorded)) = (self.units.get(name), units.get(name)) else {
            return;
        };
        let scene = Scene {
            state: None,
            plan: None,
            ..scene(&self.context.environment, name, unit, now)
        };
        let known = recorded.proposal.as_ref();
        let release = known.and_then(|known| Some((known, self.release(unit, known, now)?)));
        let (entry, proposal) = if let Some((known, why)) = release {
            (story::released(&scene, known, why), None)
        } else if let Some(kept) = self.kept(unit)
            && known.map(|known| known.pull_request) != Some(kept.proposal.pull_request)
        {
            (story::kept(&scene, &kept), Some(kept.proposal))
        } else {
            return;
        };
        let status = UnitStatus {
            proposal,
            ..UnitStatus::clone(recorded)
        };
        let status = self.with(name, Some(status.into()));
        self.journal.enter(entry, status);
    }

    /// Why a proposal keeps nothing any more; `None` where it does, or where that is not
    /// known, as before the first pass.
    fn release(&self, unit: &UnitState, proposal: &Proposal, now: Timestamp) -> Option<Release> {
        let drifts = self.drifts.borrow();
        let Some(drift) = drifts.get(&unit.unit.name) else {
            let proposes = unit.unit.drift == DriftPolicy::Propose && !unit.retired;
            return (!proposes).then_some(Release::Policy);
        };
        match proposal.until {
            _ if self.is_undecided(drift) => None,
            _ if !drift.objects.is_empty() => Some(Release::Closed),
            Some(until) if until <= now => Some(Release::Over),
            _ => Some(Release::Moot),
        }
    }

    /// What an open proposal keeps of a unit.
    fn kept(&self, unit: &UnitState) -> Option<Kept> {
        let name = &unit.unit.name;
        let drifts = self.drifts.borrow();
        let drift = drifts.get(name).filter(|drift| self.is_undecided(drift))?;
        let told = drift.objects.iter().map(|object| {
            let (action, fields) = match &object.deed {
                Deed::Changed { fields, .. } => (Action::Change, fields.clone()),
                Deed::Deleted { .. } => (Action::Create, Vec::new()),
            };
            Told {
                object: object.id.clone(),
                action,
                fields,
            }
        });
        Some(Kept {
            proposal: Proposal {
                pull_request: *self.proposed.borrow().get(name)?,
                until: unit.kept_until,
            },
            told: told.collect(),
        })
    }

    /// Whether people have still to decide about some of it.
    fn is_undecided(&self, drift: &UnitDrift) -> bool {
        let refused = self.refused.borrow();
        let mut objects = drift.objects.iter();
        objects.any(|object| !refused.contains(&object.digest))
    }
}
