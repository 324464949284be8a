//! How much of a unit may be deleted unasked: one commit can't both raise that and delete.

use std::sync::Arc;

use super::pass::Planned;
use super::unit::UnitState;
use crate::plan::{Action, Members};

impl UnitState {
    /// With nothing left to delete, its settings are in force.
    pub(super) fn settle_limit(&mut self, planned: &Planned) {
        let plan = &planned.plan;
        let prunes = plan.steps.iter().any(|step| step.action == Action::Prune);
        let known = matches!(planned.members, Members::Known(_));
        let newest = self.desired.as_ref();
        let newest = newest.is_some_and(|desired| Arc::ptr_eq(desired, &planned.desired));
        if known && newest && !prunes {
            self.limit = self.unit.max_prune;
        }
    }
}
