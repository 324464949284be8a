//! What differs from the record without a deed of this agent's to tell of: mostly what one
//! before it did, and ended before it wrote that down.

use std::collections::{BTreeMap, BTreeSet};

use git2::Oid;

use crate::model::{ObjectId, UnitName};
use crate::plan::Action;
use crate::reconcile::journal::Journal;
use crate::reconcile::pass::Planned;
use crate::reconcile::unit::UnitState;
use crate::record::path;
use crate::record::status::UnitStatus;
use crate::record::story::{Changes, Told};

/// What the last pass over a unit saw of its objects.
pub(super) struct Sight {
    /// The ids of their recorded forms.
    pub(super) files: BTreeMap<ObjectId, Oid>,
    /// Those that are not as they are declared.
    pub(super) open: BTreeSet<ObjectId>,
    /// Those that are to be deleted, and are there still.
    pub(super) leaving: BTreeSet<ObjectId>,
    /// Those that are there still although they are not declared, and stay.
    pub(super) kept: BTreeSet<ObjectId>,
}

impl Sight {
    /// What this plan was made from.
    pub(super) fn of(planned: &Planned) -> Self {
        let prunes = planned.plan.steps.iter();
        let prunes = prunes.filter(|step| step.action == Action::Prune);
        let leaving: BTreeSet<ObjectId> = prunes.map(|step| step.object.clone()).collect();
        let declared = &planned.desired.objects;
        let kept = planned.carriers.kept();
        let kept = kept.filter(|id| !declared.contains_key(*id) && !leaving.contains(*id));
        let steps = planned.plan.steps.iter().map(|step| &step.object);
        let overruled = planned.plan.overruled.iter().map(|one| &one.object);
        Self {
            files: planned.recorded.clone(),
            open: steps.chain(overruled).cloned().collect(),
            kept: kept.cloned().collect(),
            leaving,
        }
    }
}

/// Objects that are as declared, recorded otherwise, and neither `known` to be so nor among
/// what is `told`. What is recorded no more is gone, unless it is `kept`.
pub(super) fn untold(
    journal: &Journal,
    differing: &Changes,
    known: impl Fn(&ObjectId) -> bool,
    kept: impl Fn(&ObjectId) -> bool,
    told: &[&[Told]],
) -> Vec<Told> {
    let told = told.iter().flat_map(|told| told.iter());
    let told: BTreeSet<&ObjectId> = told.map(|one| &one.object).collect();
    let objects = differing.iter().filter_map(|(path, content)| {
        let (unit, object) = path::to_object(path)?;
        if known(&object) || told.contains(&object) {
            return None;
        }
        let action = match content {
            None if kept(&object) => Action::Detach,
            None => Action::Prune,
            Some(_) if journal.has(path) => Action::Change,
            Some(_) if journal.has_elsewhere(&unit, &object) => Action::Adopt,
            Some(_) => Action::Create,
        };
        Some(Told {
            object,
            action,
            fields: Vec::new(),
        })
    });
    objects.collect()
}

/// Whether an agent before this one has put back drift that it had told, and ended before it
/// told that as well. Where a revision has moved as well, it is that one's unless the object is
/// just what it was before the drift.
pub(super) fn is_put_back(
    journal: &Journal,
    unit: &UnitName,
    one: &Told,
    differing: &Changes,
    deployed: bool,
) -> bool {
    let path = path::of_object(unit, &one.object);
    let now = differing.get(&path).filter(|_| deployed);
    journal.was_drift(&path, now)
}

/// Whether it is by a revision that they are so: the unit was recorded as it declared
/// something else, or not at all. What is as declared at fields that are the agent's own, an
/// agent has made so.
pub(super) fn are_deployed(unit: &UnitState, before: Option<&UnitStatus>) -> bool {
    let declared = unit.desired.as_ref().map(|desired| desired.digest);
    !unit.told && before.is_none_or(|before| before.desired != declared)
}
