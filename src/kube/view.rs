//! The live view: what the watches have told so far of the objects that carry an
//! ApplySet's label, and of nothing else in the cluster.
//!
//! Guarantees: an object is never older than one that was here before (by
//! resourceVersion), nor does one that was deleted come back by the late answer to a write
//! of ours; absence here is a hint and never proof, since an object that
//! lost the label leaves the view too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::definitions;
use super::discovery::Resource;
use super::error::ApiError;
use super::packed::Packed;
use super::watch::Follow;
use super::watches::{Place, WatchState, Watches};
use crate::model::{GroupKind, Live, ObjectId, PART_OF};
use crate::runtime::lock::lock;

/// How many deletions are kept in mind: more than there are writes under way.
const DELETIONS: usize = 256;

/// The live objects of the kinds in use. The watches end when it is dropped.
pub struct LiveView {
    cluster: Arc<Cluster>,
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
    relist: Option<Duration>,
    /// Whether it is watched for kinds that are missing.
    awaits_kinds: AtomicBool,
}

#[derive(Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    watches: Mutex<Watches>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<ObjectId, Entry>,
    touched: BTreeSet<ObjectId>,
    members: BTreeMap<String, BTreeSet<ObjectId>>,
    /// What objects of a kind are packed against: one of them.
    dictionaries: BTreeMap<GroupKind, Arc<[u8]>>,
    /// The last objects that a watch told to be deleted, and at which resourceVersion.
    deleted: VecDeque<(ObjectId, u64)>,
}

/// An object: parsed it would take a hundred times the memory.
pub(super) struct Entry {
    pub(super) resource_version: u64,
    part_of: String,
    packed: Packed,
}

impl LiveView {
    /// An empty view that watches nothing yet. Each kind is listed anew once in so long,
    /// should an event ever have been lost; never for `None`.
    pub fn new(cluster: Arc<Cluster>, relist: Option<Duration>) -> Self {
        Self {
            cluster,
            shared: Arc::default(),
            tasks: Mutex::default(),
            relist,
            awaits_kinds: AtomicBool::new(false),
        }
    }

    /// Starts the watches that are missing, and waits until each has listed its objects
    /// or is known not to be able to. `kinds` maps each kind to the version to watch it
    /// in (`None`: the server's preferred one). Where a kind may not be watched in the
    /// whole cluster, it is in these namespaces.
    pub async fn listed(
        &self,
        kinds: &BTreeMap<GroupKind, Option<String>>,
        namespaces: &BTreeSet<String>,
    ) {
        for (kind, version) in kinds {
            self.ensure(Place::everywhere(kind), version.as_deref())
                .await;
        }
        let none = BTreeSet::new();
        for (kind, version) in kinds {
            self.started(kind, &none).await;
            if !lock(&self.shared.watches).is_forbidden(kind) {
                continue;
            }
            for namespace in namespaces {
                let place = Place::inside(kind, namespace);
                self.ensure(place, version.as_deref()).await;
            }
        }
        for kind in kinds.keys() {
            self.started(kind, namespaces).await;
        }
    }

    async fn started(&self, kind: &GroupKind, namespaces: &BTreeSet<String>) {
        let mut changes = self.changes();
        while self.state(kind, namespaces) == WatchState::Starting {
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    async fn ensure(&self, place: Place, version: Option<&str>) {
        if lock(&self.shared.watches).runs(&place, version) {
            return;
        }
        match self.cluster.resource(&place.kind, version).await {
            Ok(resource) if place.namespace.is_some() && !resource.namespaced => {}
            Ok(resource) => self.start(place, resource),
            Err(error) => {
                if matches!(error, ApiError::NoSuchKind(_)) {
                    self.await_kinds();
                }
                self.shared.set(&place, &WatchState::Failed(error));
            }
        }
    }

    fn await_kinds(&self) {
        if !self.awaits_kinds.swap(true, Ordering::Relaxed) {
            let (cluster, shared) = (Arc::clone(&self.cluster), Arc::clone(&self.shared));
            lock(&self.tasks).spawn(definitions::follow(cluster, shared));
        }
    }

    fn start(&self, place: Place, resource: Resource) {
        self.shared.set(&place, &WatchState::Starting);
        let version = resource.api.version.clone();
        let follow = Follow {
            cluster: Arc::clone(&self.cluster),
            shared: Arc::clone(&self.shared),
            place: place.clone(),
            resource,
            relist: self.relist,
        };
        let mut tasks = lock(&self.tasks);
        let task = tasks.spawn(follow.run());
        while tasks.try_join_next().is_some() {}
        drop(tasks);
        lock(&self.shared.watches).began(place, version, task);
    }

    /// How far the watch of a kind is, as far as these namespaces are concerned.
    pub fn state(&self, kind: &GroupKind, namespaces: &BTreeSet<String>) -> WatchState {
        lock(&self.shared.watches).state(kind, namespaces)
    }

    /// Whether every watch that was asked for has ended its first list or failed.
    pub fn settled(&self) -> bool {
        lock(&self.shared.watches).are_settled()
    }

    /// The object, if the view has it.
    pub fn get(&self, id: &ObjectId) -> Option<Live> {
        let json = lock(&self.shared.state)
            .objects
            .get(id)
            .map(|entry| entry.packed.json())?;
        serde_json::from_slice(&json).ok().map(Live::new)
    }

    /// The resourceVersion of the object, if the view has it.
    pub fn version(&self, id: &ObjectId) -> Option<u64> {
        let state = lock(&self.shared.state);
        state.objects.get(id).map(|entry| entry.resource_version)
    }

    /// The ids of the objects that carry an ApplySet's label.
    pub fn members(&self, apply_set: &str) -> BTreeSet<ObjectId> {
        lock(&self.shared.state)
            .members
            .get(apply_set)
            .cloned()
            .unwrap_or_default()
    }

    /// Takes in the server's answer to a write of ours, so that the view is never
    /// behind what we did.
    pub fn put(&self, live: &Live) {
        if let Some(id) = live.id() {
            lock(&self.shared.state).put_answer(&id, live);
        }
    }

    /// Takes in that an object is gone, as the server told us.
    pub fn remove(&self, id: &ObjectId) {
        lock(&self.shared.state).remove(id);
    }

    /// The objects that were touched by others since the last call.
    pub fn take_touched(&self) -> BTreeSet<ObjectId> {
        std::mem::take(&mut lock(&self.shared.state).touched)
    }

    /// Whether a watch that had failed was seen to work since the last call.
    pub fn take_recovered(&self) -> bool {
        lock(&self.shared.watches).take_recovered()
    }

    /// Counts up whenever an object was touched or a watch changed its state.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }
}

impl Shared {
    pub(super) fn set(&self, place: &Place, state: &WatchState) {
        if lock(&self.watches).set(place, state) {
            self.changed.send_modify(|count| *count += 1);
        }
    }

    /// Something that was missing may be there.
    pub(super) fn recover(&self) {
        lock(&self.watches).recover();
        self.changed.send_modify(|count| *count += 1);
    }

    /// Whether all objects of a place are in the view.
    pub(super) fn is_synced(&self, place: &Place) -> bool {
        lock(&self.watches).at(place) == Some(&WatchState::Synced)
    }

    /// Whether a kind is watched in namespaces instead of everywhere.
    pub(super) fn is_split(&self, kind: &GroupKind) -> bool {
        lock(&self.watches).is_split(kind)
    }

    /// How many watches there are.
    pub(super) fn watches(&self) -> usize {
        lock(&self.watches).count()
    }

    pub(super) fn touch(&self, change: impl FnOnce(&mut State) -> Option<ObjectId>) {
        let mut state = lock(&self.state);
        if let Some(id) = change(&mut state) {
            state.touched.insert(id);
            drop(state);
            self.changed.send_modify(|count| *count += 1);
        }
    }
}

impl State {
    /// Takes in the answer to a write, unless the watch has told the object's end before
    /// the answer got here: nothing would ever tell it again.
    fn put_answer(&mut self, id: &ObjectId, live: &Live) {
        let version = live.resource_version().parse().unwrap_or(0);
        let outlived = |(gone, at): &(ObjectId, u64)| gone == id && *at >= version;
        let is_over = live.terminating() || self.deleted.iter().any(outlived);
        if self.objects.contains_key(id) || !is_over {
            self.put(id, live);
        }
    }

    /// Takes in that a watch told an object to be deleted. Returns whether this was news.
    pub(super) fn delete(&mut self, id: &ObjectId, version: u64) -> bool {
        let known = self.objects.get(id);
        if known.is_some_and(|entry| entry.resource_version > version) {
            return false;
        }
        if self.deleted.len() == DELETIONS {
            self.deleted.pop_front();
        }
        self.deleted.push_back((id.clone(), version));
        self.remove(id)
    }

    /// Returns whether this was news.
    pub(super) fn put(&mut self, id: &ObjectId, live: &Live) -> bool {
        let resource_version = live.resource_version().parse().unwrap_or(0);
        if self
            .objects
            .get(id)
            .is_some_and(|entry| entry.resource_version >= resource_version)
        {
            return false;
        }
        let Some(part_of) = live.label(PART_OF).map(str::to_owned) else {
            self.remove(id);
            return true;
        };
        let packed = self.pack(&id.kind, live);
        self.members
            .entry(part_of.clone())
            .or_default()
            .insert(id.clone());
        let entry = Entry {
            resource_version,
            part_of: part_of.clone(),
            packed,
        };
        if let Some(before) = self.objects.insert(id.clone(), entry)
            && before.part_of != part_of
        {
            self.leave(id, &before.part_of);
        }
        true
    }

    /// An object that is far larger than what its kind is packed against (that one may
    /// have been seen before it had a status) is what the next are packed against.
    fn pack(&mut self, kind: &GroupKind, live: &Live) -> Packed {
        let json = live.body.to_string().into_bytes();
        let fits = self
            .dictionaries
            .get(kind)
            .filter(|dictionary| json.len() < dictionary.len() * 3 / 2);
        if let Some(dictionary) = fits {
            return Packed::new(&json, dictionary);
        }
        let dictionary: Arc<[u8]> = json.into();
        let packed = Packed::new(&dictionary, &dictionary);
        self.dictionaries.insert(kind.clone(), dictionary);
        packed
    }

    pub(super) fn remove(&mut self, id: &ObjectId) -> bool {
        let Some(entry) = self.objects.remove(id) else {
            return false;
        };
        self.leave(id, &entry.part_of);
        true
    }

    fn leave(&mut self, id: &ObjectId, part_of: &str) {
        if let Some(members) = self.members.get_mut(part_of) {
            members.remove(id);
        }
    }

    /// Drops the objects of a place that a complete list did not hold.
    pub(super) fn retain(&mut self, place: &Place, listed: &BTreeSet<ObjectId>) -> Vec<ObjectId> {
        let gone: Vec<ObjectId> = self
            .objects
            .keys()
            .filter(|id| id.kind == place.kind && !listed.contains(*id))
            .filter(|id| place.namespace.is_none() || id.namespace == place.namespace)
            .cloned()
            .collect();
        for id in &gone {
            self.remove(id);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_late_answer_does_not_bring_back_what_is_deleted() {
        let live = |version: u64, more: serde_json::Value| {
            let mut live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                "name": "a", "namespace": "n", "resourceVersion": version.to_string(),
                "labels": {PART_OF: "set"}}});
            let metadata = live["metadata"].as_object_mut().into_iter();
            metadata.for_each(|it| it.extend(more.as_object().cloned().unwrap_or_default()));
            Live::new(live)
        };
        let ending = || json!({"deletionTimestamp": "2026-11-21T10:02:11Z"});
        let id = ObjectId::new(
            GroupKind::new("", "ConfigMap"),
            Some("n".to_owned()),
            "a".to_owned(),
        );
        let mut state = State::default();
        state.put_answer(&id, &live(5, json!({})));
        state.put_answer(&id, &live(6, ending()));
        assert_eq!(
            state.objects.get(&id).map(|it| it.resource_version),
            Some(6)
        );
        assert!(state.delete(&id, 8));
        for answer in [live(7, ending()), live(7, json!({})), live(9, ending())] {
            state.put_answer(&id, &answer);
            assert!(!state.objects.contains_key(&id), "{answer:?}");
        }
        // Made again.
        state.put_answer(&id, &live(10, json!({})));
        assert!(state.objects.contains_key(&id));
        assert!(!state.delete(&id, 8));
    }
}
