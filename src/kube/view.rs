//! The live view: what the watches have told so far of the objects that carry an
//! ApplySet's label, and of nothing else in the cluster.
//!
//! Guarantees: what a list holds is newer than all that was here when it began, whatever its
//! numbers, since a server that was restored from a backup counts anew from there; between
//! lists an object is never older than one that was here before (by resourceVersion), nor
//! does one that was deleted come back by the late answer to a write of ours; an answer to
//! what was asked of a server that has gone back meanwhile is not taken in. Absence here is
//! a hint and never proof, since an object that lost the label leaves the view too.

mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

pub(super) use self::state::List;
use self::state::State;
pub use self::state::{Touched, owned};
use super::cluster::Cluster;
use super::definitions;
use super::discovery::Resource;
use super::error::ApiError;
use super::pages::{MOST_LISTED, too_many};
use super::watch::Follow;
use super::watches::{Place, WatchState, Watches};
use crate::model::{GroupKind, Live, Namespace, ObjectId, Owned, Uid};
use crate::runtime::lock::lock;

/// How much memory the objects of one list may take, packed: of ten thousand of ours it is
/// some megabytes.
const MOST_KEPT: usize = 64 << 20;

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
    state: Mutex<State>,
    watches: Mutex<Watches>,
    changed: watch::Sender<u64>,
    /// How often the server has gone back.
    restored: watch::Sender<u64>,
}

/// Which history of the server something was asked for in: it begins anew when the server is
/// restored from a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Era(u64);

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
        namespaces: &BTreeSet<Namespace>,
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

    async fn started(&self, kind: &GroupKind, namespaces: &BTreeSet<Namespace>) {
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
        match self.served(&place.kind, version).await {
            Ok(resource) if place.namespace.is_some() && !resource.namespaced => {}
            Ok(resource) => {
                let version = Some(&*resource.api.version);
                if !lock(&self.shared.watches).runs(&place, version) {
                    self.start(place, resource);
                }
            }
            Err(error) => {
                if matches!(error, ApiError::NoSuchKind(_)) {
                    self.await_kinds();
                }
                self.shared.set(&place, &WatchState::Failed(error));
            }
        }
    }

    /// The kind in the version that is wanted, or in the server's own where it does not have
    /// that: what else is declared of the kind is to be seen all the same.
    async fn served(&self, kind: &GroupKind, version: Option<&str>) -> Result<Resource, ApiError> {
        match self.cluster.resource(kind, version).await {
            Err(ApiError::NoSuchVersion(_)) => {
                self.await_kinds();
                self.cluster.resource(kind, None).await
            }
            resource => resource,
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
    pub fn state(&self, kind: &GroupKind, namespaces: &BTreeSet<Namespace>) -> WatchState {
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

    /// Whether it has objects of a kind in another version than this one.
    pub fn has_in_another(&self, kind: &GroupKind, version: &str) -> bool {
        lock(&self.shared.watches).runs_in_another(kind, version)
    }

    /// The versions in which a kind was watched until they were not served any more.
    pub fn left(&self) -> BTreeSet<(GroupKind, String)> {
        lock(&self.shared.watches).left()
    }

    /// The objects that carry an ApplySet's label because we have applied it.
    pub fn owned(&self, apply_set: &str) -> BTreeMap<ObjectId, Owned> {
        let state = lock(&self.shared.state);
        let all = state.labelled(apply_set);
        all.filter_map(|(id, owned)| Some((id.clone(), owned?.clone())))
            .collect()
    }

    /// Those that carry it by whatever other way: they are somebody else's.
    pub fn strangers(&self, apply_set: &str) -> BTreeSet<ObjectId> {
        let state = lock(&self.shared.state);
        let strangers = state.labelled(apply_set);
        let strangers = strangers.filter(|(_, owned)| owned.is_none());
        strangers.map(|(id, _)| id.clone()).collect()
    }

    /// Every id under which one of these objects is known. Some kinds are served by two
    /// groups, and the same object by both.
    pub fn called(&self, uids: &BTreeSet<Uid>) -> Vec<(ObjectId, Uid)> {
        let state = lock(&self.shared.state);
        let all = state.objects.iter();
        let called = all.filter_map(|(id, entry)| {
            let uid = uids.get(&entry.owned.as_ref()?.uid)?;
            Some((id.clone(), uid.clone()))
        });
        called.collect()
    }

    /// Whether an object that the view does not have left it by an event or by our own
    /// delete, and not for want of it in a list.
    pub fn was_told_gone(&self, id: &ObjectId) -> bool {
        lock(&self.shared.state).told.contains(id)
    }

    /// The present history of the server, for [`put`](Self::put) and
    /// [`remove`](Self::remove).
    pub fn era(&self) -> Era {
        Era(*self.shared.restored.borrow())
    }

    /// The objects of some kinds that depend on others, each by the uid of one that owns it.
    pub fn dependents(&self, wanted: impl Fn(&GroupKind) -> bool) -> BTreeMap<String, ObjectId> {
        let ids: Vec<ObjectId> = {
            let state = lock(&self.shared.state);
            let ids = state.objects.keys().filter(|id| wanted(&id.kind));
            ids.cloned().collect()
        };
        let mut dependents = BTreeMap::new();
        for id in ids {
            let live = self.get(&id);
            let owners = live.iter().flat_map(Live::owners);
            dependents.extend(owners.map(|uid| (uid.to_owned(), id.clone())));
        }
        dependents
    }

    /// Takes in the server's answer to a write of ours that was asked for in an era, so that
    /// the view is never behind what we did.
    pub fn put(&self, live: &Live, asked: Era) {
        if let Some(id) = live.id()
            && asked == self.era()
        {
            lock(&self.shared.state).put_answer(&id, live);
        }
    }

    /// Takes in that an object is gone, as the server told us in answer to what was asked
    /// for in an era.
    pub fn remove(&self, id: &ObjectId, asked: Era) {
        if asked == self.era() {
            lock(&self.shared.state).leave_told(id);
        }
    }

    /// The objects that were touched by others since the last call.
    pub fn take_touched(&self) -> Touched {
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

    /// A list begins.
    pub(super) fn begin(&self) -> List {
        lock(&self.state).begin()
    }

    /// Takes in an object of a list.
    ///
    /// # Errors
    /// When the list is larger than what is taken in.
    pub(super) fn listed(
        &self,
        list: &mut List,
        id: ObjectId,
        live: &Live,
    ) -> Result<(), ApiError> {
        self.touch(&id, |state| state.put_listed(list, &id, live));
        list.ids.insert(id);
        if list.ids.len() > MOST_LISTED {
            return Err(too_many());
        }
        if list.size > MOST_KEPT {
            let most = MOST_KEPT >> 20;
            let why = format!("its objects take more than {most} MiB of memory, packed");
            return Err(ApiError::TooLarge(why));
        }
        Ok(())
    }

    /// Takes in that an object went while the list was under way.
    pub(super) fn unlisted(&self, list: &mut List, id: &ObjectId, live: &Live) {
        list.ids.remove(id);
        self.deleted(id, live);
    }

    /// The list has ended: what was here before and is not in it is gone.
    pub(super) fn end(&self, place: &Place, list: &List) {
        let gone = lock(&self.state).retain(place, list);
        for id in gone {
            self.touch(&id, |_| true);
        }
    }

    /// The watch of a place goes on in another version: what is here of it is as the one
    /// before had it.
    pub(super) fn moved(&self, place: &Place, before: &str, now: &str) {
        lock(&self.watches).moved(place, before, now);
        lock(&self.state).outdate(&place.kind);
    }

    /// Takes in that a watch told an object to be there.
    pub(super) fn changed(&self, id: &ObjectId, live: &Live) {
        self.touch(id, |state| state.put(id, live));
    }

    /// Takes in that a watch told an object to be gone.
    pub(super) fn deleted(&self, id: &ObjectId, live: &Live) {
        let version = live.resource_version().parse().unwrap_or(u64::MAX);
        self.touch(id, |state| state.delete(id, version));
    }

    /// The server has gone back: nothing that was heard before says what is now.
    pub(super) fn go_back(&self) {
        lock(&self.state).go_back();
        self.restored.send_modify(|count| *count += 1);
    }

    /// Told when the server has gone back.
    pub(super) fn restored(&self) -> watch::Receiver<u64> {
        self.restored.subscribe()
    }

    fn touch(&self, id: &ObjectId, change: impl FnOnce(&mut State) -> bool) {
        let mut state = lock(&self.state);
        let before = state.apply_set(id);
        if !change(&mut state) {
            return;
        }
        let after = state.apply_set(id);
        let touched = state.touched.entry(id.clone()).or_default();
        touched.extend(before.into_iter().chain(after));
        drop(state);
        self.changed.send_modify(|count| *count += 1);
    }
}
