//! The units of a revision: what becomes of each one's state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::warn;

use super::Environment;
use super::revision::{AGAIN, Reading};
use crate::config;
use crate::health::Status;
use crate::kube::InventoryParent;
use crate::model::{ObjectId, Revision, SourceCommit, UnitName};
use crate::plan::{Dependencies, Neighbours, dependencies, foreign};
use crate::reconcile::declared::{Declared, UnitDesired};
use crate::reconcile::dry_run::retired_unit;
use crate::reconcile::standing::Stand;
use crate::reconcile::unit::UnitState;
use crate::record::status::State;
use crate::render::RenderErrors;
use crate::runtime::clock;

/// What a revision brings for all units.
#[derive(Debug, Clone, Copy)]
pub(super) struct News {
    /// Other plans are approved.
    pub(super) approvals: bool,
    /// Units claim other objects, or are others.
    pub(super) neighbours: bool,
}

impl Environment {
    /// Whether the units declare just what they did: what one has to know of the others
    /// is as it was then.
    pub(super) fn stands_as(&self, declared: &Declared, retired: &BTreeSet<UnitName>) -> bool {
        let mut units = declared.units.iter();
        self.units.len() == declared.units.len() + retired.len()
            && retired
                .iter()
                .all(|name| self.units.get(name).is_some_and(|unit| unit.retired))
            && units.all(|(name, declared)| {
                let before = self.units.get(name);
                let before = before.filter(|unit| !unit.retired && unit.unrendered.is_none());
                match (
                    before.and_then(|unit| unit.desired.as_ref()),
                    &declared.desired,
                ) {
                    (Some(before), Ok(now)) => Arc::ptr_eq(before, now) || before.same_ids(now),
                    _ => false,
                }
            })
    }

    /// Whether the unit declares something else than before.
    pub(super) fn enforce(
        &mut self,
        name: &UnitName,
        unit: &Arc<config::Unit>,
        desired: Arc<UnitDesired>,
        source: &SourceCommit,
        news: News,
    ) -> bool {
        let before = self.units.get(name).and_then(|unit| unit.desired.clone());
        let warnings = desired.warnings.iter();
        for warning in warnings.filter(|warning| {
            !before
                .iter()
                .any(|before| before.warnings.iter().any(|it| it == *warning))
        }) {
            warn!(environment = %self.context.environment, unit = %name, "{warning}");
        }
        let recorded = self.journal.status().units.get(name).cloned();
        let same = before.is_some_and(|before| Arc::ptr_eq(&before, &desired));
        let needs = (!same || news.neighbours).then(|| needs(&desired, &self.neighbours));
        let state = self.unit_state(name, unit);
        if let Some((dependencies, foreign)) = needs {
            state.dirty |= *state.dependencies != dependencies;
            state.dependencies = Arc::new(dependencies);
            state.foreign = foreign;
        }
        // What is synced has nothing that others or an approval could change.
        let settled = state.standing.state == State::Synced;
        state.dirty |= !settled && (news.approvals || news.neighbours);
        let first = state.desired.is_none();
        let changed = state.declare(desired, source);
        if first {
            state.remember(recorded.as_deref());
        }
        changed
    }

    /// The last good render stays; gives back the recorded revision where there is none.
    pub(super) fn unrendered(
        &mut self,
        name: &UnitName,
        unit: &Arc<config::Unit>,
        problem: &RenderErrors,
    ) -> Option<Revision> {
        warn!(environment = %self.context.environment, unit = %name, "cannot be rendered, the last good one stays:\n{problem}");
        if problem.retry == crate::runtime::exec::Retry::Later {
            self.again = Some(clock::now() + AGAIN);
        }
        let recorded = self
            .journal
            .status()
            .units
            .get(name)
            .and_then(|unit| unit.revision.clone());
        let state = self.unit_state(name, unit);
        state.unrendered = Some(problem.to_string());
        state.dirty = true;
        if state.desired.is_some() {
            return None;
        }
        if unit.suspend {
            return recorded;
        }
        state.standing = Stand {
            state: State::Failed,
            health: Status::Unknown,
            message: problem.to_string(),
        };
        recorded
    }

    /// Tells of units of which neither the newest revision nor the recorded one gives
    /// anything to enforce. Where the recorded one does, that is told with what is found.
    pub(super) fn tell_unrendered(&mut self) {
        let without = |unit: &UnitState| {
            unit.unrendered.is_some() && unit.desired.is_none() && !unit.unit.suspend
        };
        let names = self.units.iter().filter(|(_, unit)| without(unit));
        let now = clock::now();
        for (name, _) in names {
            self.unrecorded.entry(name.clone()).or_insert((now, None));
        }
        self.record_due();
    }

    /// Units that could not be rendered at the newest revision get what was recorded.
    pub(super) fn fall_back(&mut self, source: &SourceCommit, reading: Reading) {
        for (name, unit) in reading.declared.units {
            let without = self
                .units
                .get(&name)
                .is_some_and(|unit| unit.desired.is_none());
            if let (true, Ok(desired)) = (without, unit.desired)
                && let Some(state) = self.units.get_mut(&name)
            {
                let problem = state.unrendered.take();
                let (dependencies, foreign) = needs(&desired, &self.neighbours);
                state.dependencies = Arc::new(dependencies);
                state.foreign = foreign;
                state.declare(desired, source);
                state.unrendered = problem;
                let recorded = self.journal.status().units.get(&name);
                state.remember(recorded.map(|unit| &**unit));
            }
        }
        self.tell_unrendered();
    }

    pub(super) fn known_units(&self) -> impl Iterator<Item = UnitName> + use<> {
        let inventories = self.inventories.iter().flat_map(BTreeMap::keys);
        self.units
            .keys()
            .chain(inventories)
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
    }

    /// The unit's state, with these settings. It is looked at again if they are others.
    fn unit_state(&mut self, name: &UnitName, unit: &Arc<config::Unit>) -> &mut UnitState {
        let (inventories, context) = (self.inventories.as_ref().ok(), &self.context);
        let state = self.units.entry(name.clone()).or_insert_with(|| {
            let inventory = inventories.and_then(|all| all.get(name)).cloned();
            let parent = InventoryParent::new(&context.namespace, &context.environment, name);
            let inventory = inventory.unwrap_or_default();
            UnitState::new(Arc::clone(unit), parent.apply_set(), inventory)
        });
        let same = Arc::ptr_eq(&state.unit, unit) || state.unit == *unit;
        state.dirty |= state.retired || !same;
        state.unit = Arc::clone(unit);
        state.retired = false;
        match (unit.suspend, state.standing.state == State::Suspended) {
            (true, false) => state.suspend(),
            (false, true) => state.resume(),
            (true, true) | (false, false) => {}
        }
        state
    }

    /// A unit that left the configuration: what its inventory holds is pruned.
    pub(super) fn retire(&mut self, name: &UnitName, source: &SourceCommit) -> bool {
        let inventory = self.inventories.as_ref().ok().and_then(|all| all.get(name));
        let unit = Arc::new(retired_unit(
            name,
            inventory.is_none_or(|inventory| inventory.prune),
        ));
        let state = self.unit_state(name, &unit);
        state.retired = true;
        state.dirty = true;
        state.declare(Arc::new(UnitDesired::nothing()), source)
    }
}

/// What a unit's objects depend on, and the objects of other units among that.
fn needs(desired: &UnitDesired, neighbours: &Neighbours) -> (Dependencies, BTreeSet<ObjectId>) {
    let dependencies = dependencies(&desired.objects, &neighbours.claims);
    let foreign = foreign(&desired.objects, &dependencies, &neighbours.crds);
    (dependencies, foreign)
}
