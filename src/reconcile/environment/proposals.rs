//! Drift that is kept under `drift: propose`, for whoever proposes it, and what people say
//! of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tracing::warn;

use super::Environment;
use crate::config::{DriftPolicy, Unit};
use crate::fields::{self, Absence};
use crate::model::{Digest, Json, ObjectId, Origin, UnitName};
use crate::plan::{
    self, Blocked, Cause, FieldChange, Observation, Proposals, Standing, Step, drift_digest,
};
use crate::reconcile::pass::Outcome;
use crate::runtime::clock;

/// How often it is looked whether an object that is left deleted is there again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What others have changed and is kept: of each unit that says `drift: propose` and was
/// looked at since the start, maybe nothing.
pub type Drifts = BTreeMap<UnitName, Arc<UnitDrift>>;

/// The open proposals, by unit: their numbers on the forge.
pub type OpenProposals = BTreeMap<UnitName, u64>;

/// Whether there is somebody to propose what was changed in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposing {
    /// There is.
    OnTheForge,
    /// There is none: what units say of it means no more than `drift: report`.
    Nowhere,
}

/// What others have changed of a unit's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitDrift {
    /// The unit.
    pub unit: Arc<Unit>,
    /// The objects.
    pub objects: Vec<DriftedObject>,
}

/// An object that others have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftedObject {
    /// The object.
    pub id: ObjectId,
    /// By what the drift is known.
    pub digest: Digest,
    /// What was done to it.
    pub deed: Deed,
}

/// What others did to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// They changed fields of it.
    Changed {
        /// What would have to be declared for live to be as declared.
        wanted: Json,
        /// The fields, with both values, and who did it when.
        fields: Vec<FieldChange>,
    },
    /// They deleted it.
    Deleted {
        /// When that was seen: nothing says when it was done, nor by whom.
        seen: Timestamp,
        /// Where it is declared.
        origin: Option<Origin>,
    },
}

impl Environment {
    /// What plans take into account of proposals.
    pub(super) fn proposals(&self) -> Arc<Proposals> {
        let refused = self.refused.borrow().clone();
        Arc::new(Proposals { refused })
    }

    /// People have said something of proposals.
    pub(super) fn wake_proposing(&mut self) {
        self.tell_proposals();
        for unit in self.units.values_mut() {
            unit.dirty |= unit.unit.drift == DriftPolicy::Propose;
        }
    }

    /// Lets what is kept of a unit be proposed, if everything could be looked at: what was
    /// not seen is not gone.
    pub(super) fn offer_drift(&mut self, name: &UnitName, outcome: &Outcome) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let steps = &outcome.planned.plan.steps;
        if unit.retired || unit.unit.drift != DriftPolicy::Propose {
            (unit.kept_until, unit.look_again) = (None, None);
            self.drifts
                .send_if_modified(|all| all.remove(name).is_some());
            self.tell_proposal(name);
            return;
        }
        let kept = |step: &&Step| step.cause == Cause::Drift && step.standing == Standing::Reported;
        let unseen =
            |step: &Step| matches!(step.standing, Standing::Blocked(Blocked::Unobserved(_)));
        if steps.iter().any(unseen) {
            return;
        }
        let keep_for = unit.unit.keep_for;
        let until = steps.iter().filter(kept);
        unit.kept_until = until
            .filter_map(|step| plan::kept_until(step, keep_for))
            .min();
        let gone = steps.iter().filter(kept).any(|step| step.gone.is_some());
        unit.look_again = gone.then(|| clock::now() + LOOK_AGAIN);
        let objects = steps.iter().filter(kept);
        let drift = UnitDrift {
            unit: Arc::clone(&unit.unit),
            objects: objects.filter_map(|step| drifted(outcome, step)).collect(),
        };
        if self.proposing == Proposing::Nowhere {
            if !drift.objects.is_empty() {
                self.say_nowhere(name);
            }
            return;
        }
        self.drifts.send_if_modified(|all| {
            let news = all.get(name).is_none_or(|known| **known != drift);
            if news {
                all.insert(name.clone(), Arc::new(drift));
            }
            news
        });
        self.tell_proposal(name);
    }

    /// Once for each environment.
    fn say_nowhere(&mut self, unit: &UnitName) {
        if !std::mem::replace(&mut self.said_nowhere, true) {
            warn!(
                environment = %self.context.environment, %unit,
                "the unit says `drift: propose`, but there is no forge to open pull requests on, so drift is left and reported as by `drift: report`; see --forge-token-file"
            );
        }
    }
}

fn drifted(outcome: &Outcome, step: &Step) -> Option<DriftedObject> {
    if let Some(gone) = &step.gone {
        return Some(DriftedObject {
            id: step.object.clone(),
            digest: drift_digest(step),
            deed: Deed::Deleted {
                seen: gone.since,
                origin: step.origin.clone(),
            },
        });
    }
    let desired = outcome.planned.desired.objects.get(&step.object)?;
    let Some(Observation::Present(seen)) = outcome.planned.observed.get(&step.object) else {
        return None;
    };
    let wanted: Value = fields::kept(desired, &seen.live(), Absence::Removed);
    Some(DriftedObject {
        id: step.object.clone(),
        digest: drift_digest(step),
        deed: Deed::Changed {
            wanted: Json::from(&wanted),
            fields: step.fields.clone(),
        },
    })
}
