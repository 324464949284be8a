//! Where a unit's objects are looked for: in which kinds and namespaces.

use std::collections::{BTreeMap, BTreeSet};

use super::pass::PlanInput;
use super::unread;
use crate::kube::{LiveView, WatchState};
use crate::model::{GroupKind, Namespace};

/// The kinds to watch, each in the version that most objects of the environment are declared
/// in: managedFields hold paths by version.
pub(super) fn kinds(input: &PlanInput) -> BTreeMap<GroupKind, Option<String>> {
    let inventory = input.inventory.kinds.iter();
    let left = unread::left(input).map(|id| &id.kind);
    let kinds = inventory.chain(left).chain(input.desired.kinds.keys());
    let version = |kind| input.neighbours.versions.get(kind).cloned();
    kinds.map(|kind| (kind.clone(), version(kind))).collect()
}

/// Whether a view has every kind that the unit needs to be planned.
pub(super) fn watches(view: &LiveView, input: &PlanInput) -> bool {
    let namespaces = namespaces(input);
    let mut kinds = kinds(input).into_keys();
    kinds.all(|kind| view.state(&kind, &namespaces) == WatchState::Synced)
}

/// The namespaces that its objects are or were in.
pub(super) fn namespaces(input: &PlanInput) -> BTreeSet<Namespace> {
    let mut namespaces = input.inventory.namespaces.clone();
    for id in input.desired.objects.keys().chain(unread::left(input)) {
        if let Some(namespace) = &id.namespace
            && !namespaces.contains(namespace)
        {
            namespaces.insert(namespace.clone());
        }
    }
    namespaces
}
