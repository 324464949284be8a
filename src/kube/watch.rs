//! Following the objects of one kind that carry an ApplySet's label.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::core::DynamicObject;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use serde_json::Value;
use tracing::{debug, warn};

use super::cluster::Cluster;
use super::discovery::Resource;
use super::error::{ApiError, Retry};
use super::view::{Shared, WatchState, lock};
use crate::model::{GroupKind, Live, ObjectId, PART_OF};

/// Follows one kind until its API disappears.
pub(super) async fn follow(
    cluster: &Cluster,
    shared: &Shared,
    kind: &GroupKind,
    resource: &Resource,
) {
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
