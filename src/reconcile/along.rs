//! What went with something else: of a namespace that somebody deletes the objects in it
//! go first, and of a definition its objects. That nobody meant them must be seen while it
//! happens; afterwards they are just not there.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::Observed;
use super::pass::{Context, PlanInput};
use crate::config::DriftPolicy;
use crate::kube::{ApiError, Cluster, Finding, find};
use crate::model::{Desired, GroupKind, ObjectId};
use crate::plan::Observation;
use crate::render::builtin_scope;

/// What is known of objects that are gone.
#[derive(Debug, Default)]
pub struct WentAlong {
    /// Their namespace, or the definition of their kind, is gone or going.
    pub along: BTreeSet<ObjectId>,
    /// Whether it is could not be read.
    pub unknown: BTreeMap<ObjectId, ApiError>,
}

/// Looks which of the objects that are gone went with what they can't be without.
pub async fn went_along(cluster: &Cluster, gone: BTreeSet<ObjectId>) -> WentAlong {
    let mut found = WentAlong::default();
    let mut inside: BTreeMap<ObjectId, BTreeSet<ObjectId>> = BTreeMap::new();
    for id in gone {
        match holders(cluster, &id).await {
            Ok(holders) => {
                for holder in holders {
                    inside.entry(holder).or_default().insert(id.clone());
                }
            }
            Err(ApiError::NoSuchKind(_)) => drop(found.along.insert(id)),
            Err(error) => drop(found.unknown.insert(id, error)),
        }
    }
    let wanted = inside.keys().map(|id| (id.clone(), "v1".to_owned()));
    for (holder, finding) in find(cluster, &wanted.collect()).await {
        let ids = inside.remove(&holder).unwrap_or_default();
        match finding {
            Finding::Present(live) if !live.terminating() => {}
            Finding::Present(_) | Finding::Absent => found.along.extend(ids),
            // Who may not look at namespaces could read what is in them.
            Finding::Unknown(ApiError::Forbidden(_)) => {}
            Finding::Unknown(error) => found
                .unknown
                .extend(ids.into_iter().map(|id| (id, error.clone()))),
        }
    }
    found
}

/// What an object can't be without: its namespace, and the definition of its kind.
async fn holders(cluster: &Cluster, id: &ObjectId) -> Result<Vec<ObjectId>, ApiError> {
    let mut found = Vec::new();
    if let Some(namespace) = &id.namespace {
        let kind = GroupKind::known("", "Namespace");
        found.push(ObjectId::new(kind, None, namespace.clone().into()));
    }
    if builtin_scope(&id.kind).is_none() {
        let resource = cluster.resource(&id.kind, None).await?;
        let name = format!("{}.{}", resource.api.plural, id.kind.group);
        let kind = GroupKind::known("apiextensions.k8s.io", "CustomResourceDefinition");
        let definition = ObjectId::parse(kind, None, &name);
        found.push(definition.map_err(|error| ApiError::Rejected(error.to_string()))?);
    }
    Ok(found)
}

/// Looks so at the absent objects of a unit, where it matters: where what is deleted may be
/// left so. Costs nothing unless something is gone.
pub(super) async fn look(observed: &mut Observed, context: &Context, input: &PlanInput) {
    let gone = gone(observed, input);
    if input.unit.drift != DriftPolicy::Propose || gone.is_empty() {
        return;
    }
    let found = went_along(&context.cluster, gone).await;
    observed.along = found.along;
    for (id, error) in found.unknown {
        let why = format!("whether its namespace is there can't be read: {error}");
        observed.objects.insert(id, Observation::Unknown(why));
        observed.hinder(error);
    }
}

/// The desired objects that were there and are not.
fn gone(observed: &Observed, input: &PlanInput) -> BTreeSet<ObjectId> {
    let drifted = |desired: &&Desired| {
        let applied = input.applied.get(&desired.id);
        applied.is_some_and(|baseline| baseline.digest == desired.digest)
            && observed.objects.get(&desired.id) == Some(&Observation::Absent)
    };
    let gone = input.desired.objects.values().filter(drifted);
    gone.map(|desired| desired.id.clone()).collect()
}
