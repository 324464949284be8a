//! What every unit's inventory says was applied, as it stands in the cluster.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::kube::{Inventory, InventoryParent};
use crate::model::{AppliedList, EnvironmentName, Namespace, UnitName};
use crate::runtime::lock::lock;

/// The list of each unit, by its ApplySet; also while a pass is under way, which has
/// written down there what it is about to apply.
#[derive(Debug, Default)]
pub struct Lists(Mutex<BTreeMap<String, AppliedList>>);

impl Lists {
    /// The list of an ApplySet; an empty one where none is known.
    pub(super) fn of(&self, apply_set: &str) -> AppliedList {
        lock(&self.0).get(apply_set).cloned().unwrap_or_default()
    }

    /// Takes in what an ApplySet's inventory says from now on.
    pub(super) fn put(&self, apply_set: String, list: AppliedList) {
        lock(&self.0).insert(apply_set, list);
    }

    /// Takes in all inventories of an environment.
    pub(super) fn put_all(
        &self,
        (namespace, environment): (&Namespace, &EnvironmentName),
        inventories: &BTreeMap<UnitName, Inventory>,
    ) {
        let lists = inventories.iter().map(|(unit, inventory)| {
            let parent = InventoryParent::new(namespace, environment, unit);
            (parent.apply_set(), inventory.applied.clone())
        });
        *lock(&self.0) = lists.collect();
    }

    /// Forgets an ApplySet whose inventory is gone.
    pub(super) fn forget(&self, apply_set: &str) {
        lock(&self.0).remove(apply_set);
    }
}
