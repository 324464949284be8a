//! What is on a unit's list of what was applied and can't be read now. Only that is unknown
//! of a unit: where nothing of the list is, nothing has to be read.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::pass::{Context, PlanInput};
use crate::kube::{ApiError, WatchState};
use crate::model::{GroupKind, Namespace, ObjectId};

/// The objects of the list that the unit does not declare any more, as far as their place
/// could not be listed, each with why. A kind that the server does not serve any more has no
/// objects.
pub(super) async fn unread(context: &Context, input: &PlanInput) -> BTreeMap<ObjectId, ApiError> {
    let mut missing = BTreeMap::new();
    let mut unread = BTreeMap::new();
    let mut places = BTreeMap::new();
    for id in left(input) {
        let place = (&id.kind, &id.namespace);
        if let Entry::Vacant(entry) = places.entry(place) {
            let namespaces = id.namespace.iter().cloned().collect();
            let error = match unlisted(context, &id.kind, &namespaces) {
                Some(ApiError::NoSuchKind(kind)) => away(context, kind, &mut missing).await,
                other => other,
            };
            entry.insert(error);
        }
        if let Some(Some(error)) = places.get(&place) {
            unread.insert(id.clone(), error.clone());
        }
    }
    unread
}

/// What is on the unit's list and not declared by it.
pub(super) fn left(input: &PlanInput) -> impl Iterator<Item = &ObjectId> {
    let list = input.inventory.applied.iter().map(|(id, _)| id);
    list.filter(|id| !input.desired.objects.contains_key(*id))
}

/// The first kind of the inventory that could not be listed in each namespace of it, where
/// the list of what was applied is lost: then everything has to be read.
pub(super) fn blind(context: &Context, input: &PlanInput) -> Option<(GroupKind, ApiError)> {
    input.inventory.lost?;
    let mut kinds = input.inventory.kinds.iter();
    kinds.find_map(
        |kind| match unlisted(context, kind, &input.inventory.namespaces)? {
            ApiError::NoSuchKind(_) => None,
            error => Some((kind.clone(), error)),
        },
    )
}

/// Why a kind could not be listed in these namespaces.
fn unlisted(
    context: &Context,
    kind: &GroupKind,
    namespaces: &BTreeSet<Namespace>,
) -> Option<ApiError> {
    match context.view.state(kind, namespaces) {
        WatchState::Synced => None,
        WatchState::Starting => Some(ApiError::Unavailable("it is not listed yet".to_owned())),
        WatchState::Failed(error) => Some(error),
    }
}

/// Why it can't be told whether objects of a kind that is missing are there; asked once for
/// each kind.
async fn away(
    context: &Context,
    kind: GroupKind,
    asked: &mut BTreeMap<GroupKind, Option<ApiError>>,
) -> Option<ApiError> {
    if let Some(known) = asked.get(&kind) {
        return known.clone();
    }
    let error = context.cluster.lacks(&kind).await.err();
    asked.insert(kind, error.clone());
    error
}
