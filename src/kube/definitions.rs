//! Waiting for kinds that the server does not serve: once one was missing, the CRDs of
//! the cluster are watched, by their metadata alone, since nothing else says when it
//! appears. Without the right to do that, it is found when it is asked for again.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use tracing::debug;

use super::cluster::Cluster;
use super::error::{ApiError, from_status};
use super::failures::{AWAY, Failures, NEEDLESS};
use super::view::Shared;
use super::watch::NEVER;
use crate::runtime::random;

/// A definition is told before what it defines is served: how long discovery may lag, the
/// first time that it is looked at again, doubled each time, and the last.
const LAG: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(16));

/// How long one request to watch lasts, in seconds: from this to 6 minutes more.
const WATCH: u32 = 24 * 60;

type Definition = PartialObjectMeta<CustomResourceDefinition>;

/// Has everybody look again whenever a CRD changes by which a kind that is missing may come.
pub(super) async fn follow(cluster: Arc<Cluster>, shared: Arc<Shared>) {
    let api: Api<Definition> = Api::all(cluster.client());
    let mut events = watcher(api, config()).boxed();
    let mut failures = Failures::default();
    let mut lag = None;
    loop {
        let wait = lag.as_ref().map_or(NEVER, |(_, wait)| *wait);
        // Cancel-safe: the stream keeps what it is at.
        let Ok(event) = tokio::time::timeout(wait, events.try_next()).await else {
            lag =
                lag.and_then(|(group, wait): (String, Duration)| later(&cluster, group, wait * 2));
            cluster.discovery().expect();
            shared.recover();
            continue;
        };
        match event {
            // Told before each attempt to list.
            Ok(Some(watcher::Event::Init)) => {}
            Ok(Some(event)) => {
                failures = Failures::default();
                if let Some(group) = group(&event).filter(|it| cluster.discovery().lacks(it)) {
                    lag = later(&cluster, group.to_owned(), LAG.0);
                    cluster.discovery().expect();
                    shared.recover();
                }
            }
            Ok(None) => return,
            Err(error) => {
                let error = cause(error);
                debug!(%error, "the definitions of kinds cannot be watched");
                let waits = match error {
                    ApiError::Forbidden(_) => NEEDLESS,
                    _ => AWAY,
                };
                tokio::time::sleep(failures.wait(&error, waits)).await;
            }
        }
    }
}

/// When it is looked again, as long as a kind of the group is missing.
fn later(cluster: &Cluster, group: String, wait: Duration) -> Option<(String, Duration)> {
    let goes_on = wait <= LAG.1 && cluster.discovery().lacks(&group);
    goes_on.then_some((group, wait))
}

/// The group whose definition an event is of: a CRD's name is `<plural>.<group>`.
fn group(event: &watcher::Event<Definition>) -> Option<&str> {
    match event {
        watcher::Event::Apply(definition) | watcher::Event::InitApply(definition) => {
            let (_, group) = definition.metadata.name.as_deref()?.split_once('.')?;
            Some(group)
        }
        // What goes brings no kind.
        watcher::Event::Delete(_) | watcher::Event::Init | watcher::Event::InitDone => None,
    }
}

/// A watch that lasts long, and ends at another time than others.
fn config() -> watcher::Config {
    let more = random::up_to(Duration::from_mins(6)).as_secs();
    watcher::Config::default().timeout(WATCH + u32::try_from(more).unwrap_or(0))
}

fn cause(error: watcher::Error) -> ApiError {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error.into(),
        watcher::Error::WatchError(status) => from_status(&status),
        watcher::Error::NoResourceVersion => {
            ApiError::Rejected("the kind cannot be watched".to_owned())
        }
    }
}
