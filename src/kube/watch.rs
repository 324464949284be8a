//! Following the objects of one kind that carry an ApplySet's label, everywhere or in
//! one namespace.
//!
//! The first list comes as the beginning of the watch (KEP-3157), in pages where the
//! server can't do that. A watch that was interrupted goes on where it was; only where
//! the server has forgotten that place (410) is the list had anew, and then not by all
//! watches at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::core::DynamicObject;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::cluster::Cluster;
use super::discovery::Resource;
use super::error::{ApiError, Retry};
use super::view::Shared;
use super::watches::{Place, WatchState};
use crate::model::{GroupKind, Live, ObjectId, PART_OF};
use crate::runtime::backoff::grown;
use crate::runtime::lock::lock;
use crate::runtime::random;

/// How long one request to watch lasts: from this to 6 minutes more. Then the next goes
/// on from there.
const WATCH: u32 = 24 * 60;
/// A server that was asked to stream its list and says nothing for so long can't.
const SILENCE: Duration = Duration::from_secs(15);
/// Where many kinds are to be listed again, they take this much time each, and no more
/// than that altogether.
const SPREAD: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Longer than anything lasts.
pub(super) const NEVER: Duration = Duration::from_hours(24 * 365);
/// The wait after a first failure, and the longest one, doubled in between.
pub(super) type Waits = (Duration, Duration);
/// The server is away.
pub(super) const AWAY: Waits = (Duration::from_millis(500), Duration::from_secs(5));
/// A right is missing.
const REFUSED: Waits = (Duration::from_secs(2), Duration::from_secs(30));
/// A right is missing that can be done without.
pub(super) const NEEDLESS: Waits = (Duration::from_secs(30), Duration::from_mins(10));

/// A watch.
pub(super) struct Follow {
    pub(super) cluster: Arc<Cluster>,
    pub(super) shared: Arc<Shared>,
    pub(super) place: Place,
    pub(super) resource: Resource,
    /// How often the list is had anew although nothing seems to be missing.
    pub(super) relist: Option<Duration>,
}

/// How the list of a round is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    Streamed,
    Paged,
}

/// Why a round ended.
enum Ended {
    /// The list is due; had from the store, not from what the server remembers.
    Due,
    /// The server has forgotten where the watch was.
    Expired,
    /// The server does not stream lists.
    Unstreamed,
    /// The server does not serve the kind any more.
    Gone,
}

impl Follow {
    /// Follows the kind until its API disappears.
    pub(super) async fn run(self) {
        let mut failures = Failures::default();
        let mut listing = Listing::Streamed;
        loop {
            if self.cluster.discovery().pages() {
                listing = Listing::Paged;
            }
            match self.round(listing, &mut failures).await {
                Ended::Due => {
                    debug!(kind = %self.place.kind, "listing anew");
                    listing = Listing::Paged;
                }
                Ended::Expired => {
                    let watches = u32::try_from(self.shared.watches()).unwrap_or(u32::MAX);
                    let spread = SPREAD.0.saturating_mul(watches).min(SPREAD.1);
                    tokio::time::sleep(random::up_to(spread)).await;
                    listing = Listing::Streamed;
                }
                Ended::Unstreamed => self.cluster.discovery().set_pages(),
                Ended::Gone => return,
            }
        }
    }

    /// One list, and the watch that follows it.
    async fn round(&self, listing: Listing, failures: &mut Failures) -> Ended {
        let config = match listing {
            Listing::Streamed => config().streaming_lists(),
            Listing::Paged => config(),
        };
        let mut events = watcher(self.api(), config.labels(PART_OF)).boxed();
        let mut listed = BTreeSet::new();
        let mut listing = Some(listing);
        let due = self.due();
        loop {
            let silence = match listing {
                Some(Listing::Streamed) => Instant::now() + SILENCE,
                Some(Listing::Paged) | None => due,
            };
            // Cancel-safe: the stream keeps what it is at.
            let Ok(event) = tokio::time::timeout_at(silence.min(due), events.try_next()).await
            else {
                return if Instant::now() >= due {
                    Ended::Due
                } else {
                    Ended::Unstreamed
                };
            };
            match event {
                Ok(Some(event)) => {
                    // A list that is only begun is no success yet.
                    if !matches!(event, watcher::Event::Init) {
                        *failures = Failures::default();
                    }
                    if matches!(event, watcher::Event::InitDone) {
                        listing = None;
                    }
                    self.take(event, &mut listed);
                }
                Ok(None) => return Ended::Expired,
                Err(error) => {
                    if let Some(ended) = self.failed(cause(error), listing, failures).await {
                        return ended;
                    }
                }
            }
        }
    }

    /// Takes a failure in, and waits before the next attempt, unless the round is over.
    async fn failed(
        &self,
        error: ApiError,
        listing: Option<Listing>,
        failures: &mut Failures,
    ) -> Option<Ended> {
        let (kind, place) = (&self.place.kind, &self.place);
        match &error {
            ApiError::NotFound(_) => {
                debug!(%kind, "the kind is gone from the API server");
                self.drop_all_but(&BTreeSet::new());
                self.cluster.forget_kinds().await;
                let gone = WatchState::Failed(ApiError::NoSuchKind(kind.clone()));
                self.shared.set(place, &gone);
                return Some(Ended::Gone);
            }
            // The feature gate WatchList is off.
            ApiError::Invalid { .. } if listing == Some(Listing::Streamed) => {
                return Some(Ended::Unstreamed);
            }
            ApiError::Expired(_) => return Some(Ended::Expired),
            _ => {}
        }
        let wanting = matches!(error, ApiError::Forbidden(_)) && place.namespace.is_none();
        if failures.last.as_ref() != Some(&error) && !(wanting && self.shared.is_split(kind)) {
            let namespace = place.namespace.as_deref().unwrap_or("all namespaces");
            warn!(%kind, namespace, %error, "watch failed, trying again");
        }
        // What was listed before stays: a failed read is never absence.
        if !self.shared.is_synced(place) {
            self.shared.set(place, &WatchState::Failed(error.clone()));
        }
        let waits = match error.retry() {
            Retry::After(_) => AWAY,
            Retry::WhenInputsChange if wanting && self.resource.namespaced => NEEDLESS,
            Retry::WhenInputsChange => REFUSED,
        };
        tokio::time::sleep(failures.wait(&error, waits)).await;
        None
    }

    fn api(&self) -> Api<DynamicObject> {
        let client = self.cluster.client();
        match &self.place.namespace {
            None => Api::all_with(client, &self.resource.api),
            Some(namespace) => Api::namespaced_with(client, namespace, &self.resource.api),
        }
    }

    /// When the list is to be had anew: not for all kinds at once.
    fn due(&self) -> Instant {
        let after = self
            .relist
            .map_or(NEVER, |relist| relist / 4 * 3 + random::up_to(relist / 2));
        Instant::now() + after
    }

    fn drop_all_but(&self, listed: &BTreeSet<ObjectId>) {
        let gone = lock(&self.shared.state).retain(&self.place, listed);
        for id in gone {
            self.shared.touch(|_| Some(id));
        }
    }

    fn take(&self, event: watcher::Event<DynamicObject>, listed: &mut BTreeSet<ObjectId>) {
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(object) => {
                let (id, live) = reduce(object, &self.resource);
                listed.insert(id.clone());
                self.shared
                    .touch(|state| state.put(&id, &live).then_some(id));
            }
            watcher::Event::InitDone => {
                self.drop_all_but(listed);
                listed.clear();
                self.shared.set(&self.place, &WatchState::Synced);
            }
            watcher::Event::Apply(object) => {
                let (id, live) = reduce(object, &self.resource);
                self.definitions(&id);
                self.shared
                    .touch(|state| state.put(&id, &live).then_some(id));
            }
            watcher::Event::Delete(object) => {
                let version = object.resource_version();
                let version = version.and_then(|version| version.parse().ok());
                let (id, _) = reduce(object, &self.resource);
                self.shared.touch(|state| {
                    let news = state.delete(&id, version.unwrap_or(u64::MAX));
                    news.then_some(id)
                });
            }
        }
    }

    /// A CRD may bring a kind that was missing.
    fn definitions(&self, id: &ObjectId) {
        if id
            .kind
            .is("apiextensions.k8s.io", "CustomResourceDefinition")
        {
            self.cluster.discovery().expect();
        }
    }
}

/// A watch that lasts long, and ends at another time than others.
pub(super) fn config() -> watcher::Config {
    let more = random::up_to(Duration::from_mins(6)).as_secs();
    watcher::Config::default().timeout(WATCH + u32::try_from(more).unwrap_or(0))
}

/// Failures of a watch in a row. kube's own backoff begins anew with each attempt to
/// list, so that it never grows where listing is what fails.
#[derive(Default)]
pub(super) struct Failures {
    count: u32,
    last: Option<ApiError>,
}

impl Failures {
    /// Counts one, and says how long to wait: not as long as all others that failed at
    /// the same time, and no less than the server asks for.
    pub(super) fn wait(&mut self, error: &ApiError, waits: Waits) -> Duration {
        let wait = grown(waits, self.count);
        self.count += 1;
        self.last = Some(error.clone());
        let asked = match error.retry() {
            Retry::After(after) => after.unwrap_or_default(),
            Retry::WhenInputsChange => Duration::ZERO,
        };
        (wait / 2).max(asked) + random::up_to(wait / 2)
    }
}

/// Items of a list carry no type, and an object read through another version of its
/// group is the same object.
fn reduce(mut object: DynamicObject, resource: &Resource) -> (ObjectId, Live) {
    object.types.get_or_insert_with(|| kube::core::TypeMeta {
        api_version: resource.api.api_version.clone(),
        kind: resource.api.kind.clone(),
    });
    let id = ObjectId::new(
        GroupKind::new(resource.api.group.clone(), resource.api.kind.clone()),
        object.namespace(),
        object.name_any(),
    );
    (
        id,
        Live::new(serde_json::to_value(object).unwrap_or(Value::Null)),
    )
}

pub(super) fn cause(error: watcher::Error) -> ApiError {
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
