//! Which kinds are watched where, and how far each watch is.
//!
//! A kind is watched in the whole cluster. Where that is forbidden, it is watched in each
//! namespace that a unit needs, until it is allowed after all.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tokio::task::AbortHandle;

use super::error::ApiError;
use crate::model::{GroupKind, Namespace};

/// How far the watch of a kind is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchState {
    /// The first list has not ended.
    Starting,
    /// All objects are in the view.
    Synced,
    /// It can't be watched; tried again with backoff.
    Failed(ApiError),
}

/// Where objects of a kind are watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) kind: GroupKind,
    /// `None` for everywhere.
    pub(super) namespace: Option<Namespace>,
}

/// All watches.
#[derive(Default)]
pub(super) struct Watches {
    running: BTreeMap<Place, (String, AbortHandle)>,
    states: BTreeMap<Place, WatchState>,
    /// Versions in which a kind was watched until they were not served any more.
    left: BTreeSet<(GroupKind, String)>,
    recovered: bool,
}

impl Place {
    /// The whole cluster.
    pub(super) fn everywhere(kind: &GroupKind) -> Self {
        Self {
            kind: kind.clone(),
            namespace: None,
        }
    }

    /// One namespace.
    pub(super) fn inside(kind: &GroupKind, namespace: &Namespace) -> Self {
        Self {
            kind: kind.clone(),
            namespace: Some(namespace.clone()),
        }
    }
}

impl Watches {
    /// Whether a place is being watched, in this version if one is asked for.
    pub(super) fn runs(&self, place: &Place, version: Option<&str>) -> bool {
        self.running.get(place).is_some_and(|(running, task)| {
            !task.is_finished() && version.is_none_or(|version| version == running)
        })
    }

    /// Whether a kind is watched in another version than this one.
    pub(super) fn runs_in_another(&self, kind: &GroupKind, version: &str) -> bool {
        let of_kind = self.running.range(Place::everywhere(kind)..);
        let mut of_kind = of_kind.take_while(|(place, _)| place.kind == *kind);
        of_kind.any(|(_, (running, _))| running != version)
    }

    /// A watch has begun. One of the same place ends.
    pub(super) fn began(&mut self, place: Place, version: String, task: AbortHandle) {
        self.left.remove(&(place.kind.clone(), version.clone()));
        if let Some((_, before)) = self.running.insert(place, (version, task)) {
            before.abort();
        }
    }

    /// A watch goes on in another version, as the one before is not served any more.
    pub(super) fn moved(&mut self, place: &Place, before: &str, now: &str) {
        self.left.insert((place.kind.clone(), before.to_owned()));
        self.left.remove(&(place.kind.clone(), now.to_owned()));
        if let Some((version, _)) = self.running.get_mut(place) {
            now.clone_into(version);
        }
    }

    /// Versions that were watched until they were not served any more.
    pub(super) fn left(&self) -> BTreeSet<(GroupKind, String)> {
        self.left.clone()
    }

    /// Takes in how far a watch is; whether that is news.
    pub(super) fn set(&mut self, place: &Place, state: &WatchState) -> bool {
        let before = self.states.insert(place.clone(), state.clone());
        self.recovered |=
            matches!(before, Some(WatchState::Failed(_))) && *state == WatchState::Synced;
        if place.namespace.is_none() && *state == WatchState::Synced {
            self.stop_inside(&place.kind);
        }
        before.as_ref() != Some(state)
    }

    /// What is watched everywhere need not be watched in namespaces.
    fn stop_inside(&mut self, kind: &GroupKind) {
        let inside = |place: &Place| place.kind == *kind && place.namespace.is_some();
        self.states.retain(|place, _| !inside(place));
        self.running.retain(|place, (_, task)| {
            if inside(place) {
                task.abort();
            }
            !inside(place)
        });
    }

    /// How far the watch of a kind is, as far as these namespaces are concerned.
    pub(super) fn state(&self, kind: &GroupKind, namespaces: &BTreeSet<Namespace>) -> WatchState {
        let everywhere = self.states.get(&Place::everywhere(kind));
        let everywhere = everywhere.cloned().unwrap_or(WatchState::Starting);
        if !self.is_split(kind) {
            return everywhere;
        }
        let mut all = WatchState::Synced;
        for namespace in namespaces {
            match self.states.get(&Place::inside(kind, namespace)) {
                Some(WatchState::Synced) => {}
                Some(WatchState::Failed(error)) => return WatchState::Failed(error.clone()),
                Some(WatchState::Starting) | None => all = WatchState::Starting,
            }
        }
        if namespaces.is_empty() {
            everywhere
        } else {
            all
        }
    }

    /// Whether the server refuses to have a kind watched everywhere.
    pub(super) fn is_forbidden(&self, kind: &GroupKind) -> bool {
        matches!(
            self.states.get(&Place::everywhere(kind)),
            Some(WatchState::Failed(ApiError::Forbidden(_)))
        )
    }

    /// Whether a kind is watched in namespaces instead of everywhere.
    pub(super) fn is_split(&self, kind: &GroupKind) -> bool {
        // Places in namespaces come behind the one that is everywhere.
        let behind = Bound::Excluded(Place::everywhere(kind));
        self.is_forbidden(kind)
            && self
                .states
                .range((behind, Bound::Unbounded))
                .next()
                .is_some_and(|(place, _)| place.kind == *kind)
    }

    /// Whether every watch that was asked for has ended its first list or failed.
    pub(super) fn are_settled(&self) -> bool {
        !self.states.values().any(|it| *it == WatchState::Starting)
    }

    /// How far the watch of one place is.
    pub(super) fn at(&self, place: &Place) -> Option<&WatchState> {
        self.states.get(place)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.running.len()
    }

    /// Something that was missing may be there: all is to be looked at again.
    pub(super) fn recover(&mut self) {
        self.recovered = true;
    }

    /// Whether one that had failed was seen to work since the last call.
    pub(super) fn take_recovered(&mut self) -> bool {
        std::mem::take(&mut self.recovered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Namespace {
        text.parse().expect("a namespace")
    }

    fn names(names: &[&str]) -> BTreeSet<Namespace> {
        names.iter().map(|text| name(text)).collect()
    }

    #[test]
    fn a_kind_that_may_not_be_watched_everywhere_is_as_far_as_its_namespaces() {
        let kind = GroupKind::known("", "ConfigMap");
        let other = GroupKind::known("", "Secret");
        let forbidden = |where_| WatchState::Failed(ApiError::Forbidden(String::from(where_)));
        let mut watches = Watches::default();
        let seen = |watches: &Watches, wanted: &[&str]| watches.state(&kind, &names(wanted));
        assert_eq!(seen(&watches, &["a"]), WatchState::Starting);
        watches.set(&Place::everywhere(&kind), &forbidden("everywhere"));
        watches.set(&Place::inside(&other, &name("a")), &WatchState::Synced);
        assert_eq!(seen(&watches, &["a"]), forbidden("everywhere"));

        watches.set(&Place::inside(&kind, &name("a")), &WatchState::Synced);
        watches.set(&Place::inside(&kind, &name("b")), &forbidden("b"));
        assert_eq!(seen(&watches, &["a"]), WatchState::Synced);
        assert_eq!(seen(&watches, &["a", "c"]), WatchState::Starting);
        assert_eq!(seen(&watches, &["a", "b", "c"]), forbidden("b"));
        assert_eq!(seen(&watches, &[]), forbidden("everywhere"));

        assert!(watches.set(&Place::everywhere(&kind), &WatchState::Synced));
        assert!(watches.take_recovered());
        assert_eq!(seen(&watches, &["a", "b", "c"]), WatchState::Synced);
        assert!(watches.at(&Place::inside(&kind, &name("a"))).is_none());
        assert!(watches.at(&Place::inside(&other, &name("a"))).is_some());
    }
}
