//! The live view: what the watches have told so far of the objects that carry an
//! ApplySet's label, and of nothing else in the cluster.
//!
//! Guarantees: an object is never older than one that was here before (by
//! resourceVersion); absence here is a hint and never proof, since an object that
//! lost the label leaves the view too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::core::DynamicObject;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, warn};

use super::cluster::Cluster;
use super::discovery::Resource;
use super::error::{ApiError, Retry};
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
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<ObjectId, Entry>,
    kinds: BTreeMap<GroupKind, WatchState>,
    touched: BTreeSet<ObjectId>,
    recovered: bool,
    members: BTreeMap<String, BTreeSet<ObjectId>>,
}

/// An object as compact JSON: a parsed one takes ten times the memory.
struct Entry {
    resource_version: u64,
    part_of: Option<String>,
    json: Box<[u8]>,
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
            .spawn(async move { watch(&cluster, &shared, &watched, &resource).await });
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
            .map(|entry| entry.json.clone())?;
        serde_json::from_slice(&json).ok().map(Live::new)
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
    fn set(&self, kind: &GroupKind, state: &WatchState) {
        let mut locked = lock(&self.state);
        let before = locked.kinds.insert(kind.clone(), state.clone());
        locked.recovered |=
            matches!(before, Some(WatchState::Failed(_))) && *state == WatchState::Synced;
        drop(locked);
        if before.as_ref() != Some(state) {
            self.changed.send_modify(|count| *count += 1);
        }
    }

    fn touch(&self, change: impl FnOnce(&mut State) -> Option<ObjectId>) {
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
    fn put(&mut self, id: &ObjectId, live: &Live) -> bool {
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
        let json = live.body.to_string().into_bytes().into_boxed_slice();
        self.members
            .entry(part_of.clone())
            .or_default()
            .insert(id.clone());
        let entry = Entry {
            resource_version,
            part_of: Some(part_of),
            json,
        };
        let part_of = entry.part_of.clone();
        if let Some(before) = self.objects.insert(id.clone(), entry)
            && before.part_of != part_of
        {
            self.leave(id, before.part_of.as_deref());
        }
        true
    }

    fn remove(&mut self, id: &ObjectId) -> bool {
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
    fn retain(&mut self, kind: &GroupKind, listed: &BTreeSet<ObjectId>) -> Vec<ObjectId> {
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

/// Follows one kind until its API disappears.
async fn watch(cluster: &Cluster, shared: &Shared, kind: &GroupKind, resource: &Resource) {
    let api: Api<DynamicObject> = Api::all_with(cluster.client(), &resource.api);
    let config = watcher::Config::default().labels(PART_OF);
    let mut events = watcher(api, config).boxed();
    let mut listed = BTreeSet::new();
    let mut failures = Failures::default();
    loop {
        match events.try_next().await {
            Ok(Some(event)) => {
                // A list that is only begun is no success yet.
                if !matches!(event, watcher::Event::Init) {
                    failures = Failures::default();
                }
                take(shared, kind, resource, event, &mut listed);
            }
            Ok(None) => return,
            Err(error) => {
                let error = cause(error);
                if matches!(error, ApiError::NotFound(_)) {
                    debug!(%kind, "the kind is gone from the API server");
                    lock(&shared.state).retain(kind, &BTreeSet::new());
                    cluster.forget_kinds().await;
                    shared.set(
                        kind,
                        &WatchState::Failed(ApiError::NoSuchKind(kind.clone())),
                    );
                    return;
                }
                if failures.last.as_ref() != Some(&error) {
                    warn!(%kind, %error, "watch failed, trying again");
                }
                let wait = failures.wait(&error);
                // What was listed before stays: a failed read is never absence.
                if lock(&shared.state).kinds.get(kind) != Some(&WatchState::Synced) {
                    shared.set(kind, &WatchState::Failed(error));
                }
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// Failures of a watch in a row. kube's own backoff begins anew with each attempt to
/// list, so that it never grows where listing is what fails.
#[derive(Default)]
struct Failures {
    count: u32,
    last: Option<ApiError>,
}

impl Failures {
    /// Counts one, and says how long to wait.
    fn wait(&mut self, error: &ApiError) -> Duration {
        let longest = match error.retry() {
            Retry::After(_) => Duration::from_secs(5),
            Retry::WhenInputsChange => Duration::from_secs(30),
        };
        let wait = Duration::from_millis(500).saturating_mul(1 << self.count.min(10));
        self.count += 1;
        self.last = Some(error.clone());
        wait.min(longest)
    }
}

fn take(
    shared: &Shared,
    kind: &GroupKind,
    resource: &Resource,
    event: watcher::Event<DynamicObject>,
    listed: &mut BTreeSet<ObjectId>,
) {
    match event {
        watcher::Event::Init => listed.clear(),
        watcher::Event::InitApply(object) => {
            let (id, live) = reduce(object, resource);
            listed.insert(id.clone());
            shared.touch(|state| state.put(&id, &live).then_some(id));
        }
        watcher::Event::InitDone => {
            for gone in lock(&shared.state).retain(kind, listed) {
                shared.touch(|_| Some(gone));
            }
            listed.clear();
            shared.set(kind, &WatchState::Synced);
        }
        watcher::Event::Apply(object) => {
            let (id, live) = reduce(object, resource);
            shared.touch(|state| state.put(&id, &live).then_some(id));
        }
        watcher::Event::Delete(object) => {
            let version: u64 = object
                .resource_version()
                .and_then(|version| version.parse().ok())
                .unwrap_or(u64::MAX);
            let (id, _) = reduce(object, resource);
            shared.touch(|state| {
                let newer = state
                    .objects
                    .get(&id)
                    .is_some_and(|entry| entry.resource_version > version);
                (!newer && state.remove(&id)).then_some(id)
            });
        }
    }
}

/// Items of a list carry no type, and an object read through another version of its
/// group is the same object.
fn reduce(mut object: DynamicObject, resource: &Resource) -> (ObjectId, Live) {
    object.types.get_or_insert_with(|| kube::core::TypeMeta {
        api_version: resource.api.api_version.clone(),
        kind: resource.api.kind.clone(),
    });
    let id = ObjectId {
        kind: GroupKind::new(resource.api.group.clone(), resource.api.kind.clone()),
        namespace: object.namespace(),
        name: object.name_any(),
    };
    (
        id,
        Live::new(serde_json::to_value(object).unwrap_or(Value::Null)),
    )
}

fn cause(error: watcher::Error) -> ApiError {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error.into(),
        watcher::Error::WatchError(status) => super::error::from_status(&status),
        watcher::Error::NoResourceVersion => {
            ApiError::Rejected("the kind cannot be watched".to_owned())
        }
    }
}

/// A panic while holding one of these locks leaves plain data behind, usable as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
