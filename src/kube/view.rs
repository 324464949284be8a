//! The live view: what the watches have told so far of the objects that carry an
//! ApplySet's label, and of nothing else in the cluster.
//!
//! Guarantees: an object is never older than one that was here before (by
//! resourceVersion); absence here is a hint and never proof, since an object that
//! lost the label leaves the view too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::cluster::Cluster;
use super::discovery::Resource;
use super::error::ApiError;
use super::packed::Packed;
use super::watch::follow;
use crate::model::{GroupKind, Live, ObjectId, PART_OF};

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

/// The live objects of the kinds in use. The watches end when it is dropped.
pub struct LiveView {
    cluster: Arc<Cluster>,
    shared: Arc<Shared>,
    watches: Mutex<Watches>,
}

#[derive(Default)]
struct Watches {
    tasks: JoinSet<()>,
    running: BTreeMap<GroupKind, (String, AbortHandle)>,
}

#[derive(Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<ObjectId, Entry>,
    pub(super) kinds: BTreeMap<GroupKind, WatchState>,
    touched: BTreeSet<ObjectId>,
    recovered: bool,
    members: BTreeMap<String, BTreeSet<ObjectId>>,
    /// What objects of a kind are packed against: one of them.
    dictionaries: BTreeMap<GroupKind, Arc<[u8]>>,
}

/// An object: parsed it would take a hundred times the memory.
pub(super) struct Entry {
    pub(super) resource_version: u64,
    part_of: Option<String>,
    packed: Packed,
}

impl LiveView {
    /// An empty view that watches nothing yet.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self {
            cluster,
            shared: Arc::default(),
            watches: Mutex::default(),
        }
    }

    /// Starts the watches that are missing. `kinds` maps each kind to the version to
    /// watch it in (`None`: the server's preferred one).
    pub async fn ensure(&self, kinds: &BTreeMap<GroupKind, Option<String>>) {
        for (kind, version) in kinds {
            if self.watched(kind, version.as_deref()) {
                continue;
            }
            match self.cluster.resource(kind, version.as_deref()).await {
                Ok(resource) => self.start(kind, resource),
                Err(error) => self.shared.set(kind, &WatchState::Failed(error)),
            }
        }
    }

    fn watched(&self, kind: &GroupKind, version: Option<&str>) -> bool {
        let all = lock(&self.watches);
        let Some((running, task)) = all.running.get(kind) else {
            return false;
        };
        !task.is_finished() && version.is_none_or(|version| version == running)
    }

    fn start(&self, kind: &GroupKind, resource: Resource) {
        self.shared.set(kind, &WatchState::Starting);
        let version = resource.api.version.clone();
        let (cluster, shared, watched) = (
            Arc::clone(&self.cluster),
            Arc::clone(&self.shared),
            kind.clone(),
        );
        let mut running = lock(&self.watches);
        let task = running
            .tasks
            .spawn(async move { follow(&cluster, &shared, &watched, &resource).await });
        if let Some((_, before)) = running.running.insert(kind.clone(), (version, task)) {
            before.abort();
        }
        while running.tasks.try_join_next().is_some() {}
    }

    /// How far the watch of a kind is.
    pub fn state(&self, kind: &GroupKind) -> WatchState {
        lock(&self.shared.state)
            .kinds
            .get(kind)
            .cloned()
            .unwrap_or(WatchState::Starting)
    }

    /// Whether every watch that was asked for has ended its first list or failed.
    pub fn settled(&self) -> bool {
        !lock(&self.shared.state)
            .kinds
            .values()
            .any(|state| *state == WatchState::Starting)
    }

    /// Waits until these kinds are listed, or known not to be.
    pub async fn listed<'a>(&self, kinds: impl IntoIterator<Item = &'a GroupKind>) {
        let mut changes = self.changes();
        for kind in kinds {
            while self.state(kind) == WatchState::Starting {
                // The sender lives as long as `self`.
                let _ = changes.changed().await;
            }
        }
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
            lock(&self.shared.state).put(&id, live);
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
        std::mem::take(&mut lock(&self.shared.state).recovered)
    }

    /// Counts up whenever an object was touched or a watch changed its state.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }
}

impl Shared {
    pub(super) fn set(&self, kind: &GroupKind, state: &WatchState) {
        let mut locked = lock(&self.state);
        let before = locked.kinds.insert(kind.clone(), state.clone());
        locked.recovered |=
            matches!(before, Some(WatchState::Failed(_))) && *state == WatchState::Synced;
        drop(locked);
        if before.as_ref() != Some(state) {
            self.changed.send_modify(|count| *count += 1);
        }
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
            part_of: Some(part_of),
            packed,
        };
        let part_of = entry.part_of.clone();
        if let Some(before) = self.objects.insert(id.clone(), entry)
            && before.part_of != part_of
        {
            self.leave(id, before.part_of.as_deref());
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
        self.leave(id, entry.part_of.as_deref());
        true
    }

    fn leave(&mut self, id: &ObjectId, part_of: Option<&str>) {
        if let Some(members) = part_of.and_then(|part_of| self.members.get_mut(part_of)) {
            members.remove(id);
        }
    }

    /// Drops the objects of a kind that a complete list did not hold.
    pub(super) fn retain(
        &mut self,
        kind: &GroupKind,
        listed: &BTreeSet<ObjectId>,
    ) -> Vec<ObjectId> {
        let gone: Vec<ObjectId> = self
            .objects
            .keys()
            .filter(|id| id.kind == *kind && !listed.contains(*id))
            .cloned()
            .collect();
        for id in &gone {
            self.remove(id);
        }
        gone
    }
}

/// A panic while holding one of these locks leaves plain data behind, usable as it is.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
