//! How a unit stands, and at which revision, as the record says it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::MaxPrune;
use crate::model::{EnvironmentName, ObjectId, UnitName};
use crate::plan::Gone;
use crate::reconcile::unit::UnitState;
use crate::record::bounded;
use crate::record::status::{GoneObject, State, UnitStatus};
use crate::record::story::{Fault, Scene};

/// How a unit stands now.
pub(super) fn unit_status(
    unit: &UnitState,
    recorded: Option<&Arc<UnitStatus>>,
    now: Timestamp,
) -> Arc<UnitStatus> {
    let settled = matches!(unit.standing.state, State::Synced | State::Drifted);
    let mut status = UnitStatus {
        state: unit.standing.state,
        health: unit.standing.health.to_string(),
        revision: unit.source.as_ref().map(|source| source.revision.clone()),
        since: now,
        message: bounded(&unit.standing.message),
        objects: unit
            .desired
            .as_ref()
            .map_or(0, |desired| desired.objects.len()),
        desired: unit
            .desired
            .as_ref()
            .map(|desired| desired.digest)
            .filter(|_| settled),
        decisions: Some(unit.unit.decisions()).filter(|_| settled),
        proposal: recorded.and_then(|recorded| recorded.proposal.clone()),
        gone: listed(&unit.deletions.gone),
        max_prune: Some(unit.limit).filter(|limit| *limit != MaxPrune::default()),
    };
    let Some(recorded) = recorded else {
        return Arc::new(status);
    };
    // Whatever it declares meanwhile, it is as it was left.
    if unit.standing.state == State::Suspended && recorded.state == State::Suspended {
        return Arc::clone(recorded);
    }
    if !settled {
        status.desired = recorded.desired;
        status.decisions = recorded.decisions;
    }
    // A revision that changes nothing of the unit is not its revision. But back from one
    // with which it never settled, it is not that one's either.
    let was_settled = matches!(recorded.state, State::Synced | State::Drifted);
    let same = recorded.desired == status.desired && (was_settled || unit.declarations <= 1);
    if same && (settled || status.revision.is_none()) {
        status.revision.clone_from(&recorded.revision);
    }
    if recorded.state == status.state {
        status.since = recorded.since;
    }
    if status == **recorded {
        return Arc::clone(recorded);
    }
    Arc::new(status)
}

/// What somebody deleted, as the status has it.
pub(super) fn listed(gone: &BTreeMap<ObjectId, Gone>) -> Vec<GoneObject> {
    let object = |(id, gone): (&ObjectId, &Gone)| GoneObject {
        object: id.clone(),
        gone: gone.clone(),
    };
    gone.iter().map(object).collect()
}

/// The same with the commit that the unit stands so for: what can't be rendered is told
/// with who made it, and not with the last good commit, which is enforced.
pub(super) fn at_fault<'a>(scene: Scene<'a>, unit: &'a UnitState) -> Scene<'a> {
    match &unit.unrendered {
        Some(unrendered) if unit.standing.state == State::Failed => Scene {
            source: Some(&unrendered.source),
            fault: Fault::OfCommit,
            ..scene
        },
        Some(_) | None => scene,
    }
}

/// What an entry says of where and at which revision it was.
pub(super) fn scene<'a>(
    environment: &'a EnvironmentName,
    name: &'a UnitName,
    unit: &'a UnitState,
    now: Timestamp,
) -> Scene<'a> {
    Scene {
        environment,
        unit: name,
        source: unit.source.as_ref(),
        fault: Fault::OfNobody,
        state: Some(unit.standing.state),
        took: None,
        // Where somebody has to approve, that is what to approve.
        plan: unit.asks.or(unit.plan),
        approved: Vec::new(),
        now,
    }
}
