//! What the plans of an environment are made from, where no daemon keeps it at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::retired_unit;
use crate::config::{self, MaxPrune};
use crate::kube::{ApiError, Inventory, InventoryParent};
use crate::model::{Digest, EnvironmentName, GroupKind, Namespace, Revision, UnitName};
use crate::plan::{Granted, Neighbours, dependencies};
use crate::reconcile::budget::Roster;
use crate::reconcile::declared::{Declared, UnitDesired};
use crate::reconcile::pass::PlanInput;
use crate::record::status::Last;

/// What is known of an environment before its units are planned.
pub(super) struct Survey<'a> {
    pub(super) place: (&'a Namespace, &'a EnvironmentName),
    pub(super) revision: Option<Revision>,
    pub(super) roster: Arc<Roster>,
    pub(super) neighbours: Arc<Neighbours>,
    pub(super) defined: Arc<BTreeSet<GroupKind>>,
    pub(super) inventories: &'a Result<BTreeMap<UnitName, Inventory>, ApiError>,
    pub(super) recorded: &'a Last,
    pub(super) approved: &'a Arc<BTreeSet<Digest>>,
    pub(super) adopted: &'a Arc<BTreeSet<EnvironmentName>>,
}

impl Survey<'_> {
    /// What the plan of a declared unit is made from.
    pub(super) fn declared(
        &self,
        unit: &Arc<config::Unit>,
        desired: &Arc<UnitDesired>,
    ) -> PlanInput {
        let neighbours = Arc::clone(&self.neighbours);
        let limit = in_force(self.recorded, unit);
        self.input(unit.held_to(limit), Arc::clone(desired), neighbours)
    }

    /// What the plan of one that left is made from.
    pub(super) fn retired(&self, name: &UnitName) -> PlanInput {
        let neighbours = Arc::new(Neighbours {
            retired: true,
            ..Neighbours::clone(&self.neighbours)
        });
        let unit = retired_unit(name, self.inventory(name).prune);
        let nothing = Arc::new(UnitDesired::nothing());
        self.input(Arc::new(unit), nothing, neighbours)
    }

    /// What a unit's inventory says; where it is lost, the record tells in which kinds to
    /// look.
    fn inventory(&self, unit: &UnitName) -> Inventory {
        let known = self.inventories.as_ref().ok().and_then(|all| all.get(unit));
        let recorded = || {
            let units = self.recorded.units.as_ref()?;
            Some(Inventory::by_record(units.get(unit)?, true))
        };
        known.cloned().or_else(recorded).unwrap_or_default()
    }

    fn input(
        &self,
        unit: Arc<config::Unit>,
        desired: Arc<UnitDesired>,
        neighbours: Arc<Neighbours>,
    ) -> PlanInput {
        let (namespace, environment) = self.place;
        let recorded = self.recorded.desired.get(&unit.name).copied();
        PlanInput {
            apply_set: InventoryParent::new(namespace, environment, &unit.name).apply_set(),
            inventory: self.inventory(&unit.name),
            inventory_problem: self.inventories.as_ref().err().map(ToString::to_string),
            dependencies: Arc::new(dependencies(&desired.objects, &neighbours.claims)),
            applied: Arc::new(desired.baselines(recorded)),
            unit,
            desired,
            revision: self.revision.clone(),
            neighbours,
            definitions: Arc::clone(&self.defined),
            refusals: BTreeMap::new(),
            approved: Arc::clone(self.approved),
            adopted: Arc::clone(self.adopted),
            granted: Granted::new(),
            roster: Arc::clone(&self.roster),
            proposals: Arc::default(),
            deletions: Arc::default(),
            waits: None,
            source: None,
        }
    }
}

/// The units that inventories tell of and nobody declares: those that left, and those that
/// the record, if it is at hand, has never had.
pub(super) fn retired(
    all: &Result<BTreeMap<UnitName, Inventory>, ApiError>,
    declared: &Declared,
    recorded: &Last,
) -> (BTreeSet<UnitName>, BTreeSet<UnitName>) {
    let known = |name: &UnitName| {
        let inventory = all.as_ref().ok().and_then(|all| all.get(name));
        let vouched = inventory.is_some_and(|inventory| inventory.lost.is_none());
        let recorded = recorded.units.as_ref();
        vouched || recorded.is_none_or(|all| all.contains_key(name))
    };
    let names = all.iter().flat_map(BTreeMap::keys);
    // One whose inventory is lost is known of by the record alone.
    let names = names.chain(recorded.units.iter().flat_map(BTreeMap::keys));
    let left = names.filter(|name| !declared.units.contains_key(*name));
    left.cloned().partition(known)
}

/// How much of a unit may be deleted unasked; as it is declared where the record is not at
/// hand.
pub(super) fn in_force(recorded: &Last, unit: &config::Unit) -> MaxPrune {
    recorded.limit(&unit.name).unwrap_or(unit.max_prune)
}
