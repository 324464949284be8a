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
use super::error::ApiError;
use super::view::Shared;
use super::watch::{AWAY, Failures, NEEDLESS, NEVER, cause, config};

/// A definition is told before what it defines is served: how long discovery may lag, the
/// first time that it is looked at again, doubled each time, and the last.
const LAG: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(16));

/// Has everybody look again whenever a CRD changes.
pub(super) async fn follow(cluster: Arc<Cluster>, shared: Arc<Shared>) {
    let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(cluster.client());
    let mut events = watcher(api, config()).boxed();
    let mut failures = Failures::default();
    let mut lag = None;
    loop {
        let wait = lag.unwrap_or(NEVER);
        // Cancel-safe: the stream keeps what it is at.
        let Ok(event) = tokio::time::timeout(wait, events.try_next()).await else {
            lag = Some(wait * 2).filter(|wait| *wait <= LAG.1);
            cluster.discovery().expect();
            shared.recover();
            continue;
        };
        match event {
            Ok(Some(watcher::Event::Init)) => {}
            Ok(Some(watcher::Event::InitApply(_))) => failures = Failures::default(),
            Ok(Some(_)) => {
                failures = Failures::default();
                if cluster.discovery().take_missed() {
                    lag = Some(LAG.0);
                }
                cluster.discovery().expect();
                shared.recover();
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
