//! What has to be had of the cluster before an environment can be served: tried for until it
//! is had.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tracing::{error, warn};

use super::serve::Start;
use crate::kube::{self, ApiError};
use crate::model::DigestKey;
use crate::runtime::backoff::grown;
use crate::runtime::shutdown::Stop;

/// How often what runs once tries a cluster again that cannot be used: for a quarter of a minute.
const ONCE_TRIES: u32 = 5;

/// How long to wait for a cluster that cannot be used yet.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

impl Start<'_> {
    /// The key is kept in the cluster, and tried for until it is had.
    pub(super) async fn digest_key(&self, stop: &Stop) -> anyhow::Result<DigestKey> {
        let key = self.had(stop, || kube::digest_key(&self.cluster, &self.namespace));
        key.await
            .context("the key for digests of Secrets cannot be had")
    }

    /// Which cluster it is, asked until that is told.
    pub(super) async fn cluster_uid(&self, stop: &Stop) -> anyhow::Result<Option<String>> {
        let uid = self.had(stop, || kube::cluster_uid(&self.cluster)).await;
        let uid = uid.context("it cannot be told which cluster it is")?;
        if uid.is_none() {
            warn!(
                "the namespace kube-system may not be read, so another cluster would not be noticed; grant get on it"
            );
        }
        Ok(uid)
    }

    /// What the cluster answers, as soon as it can be used.
    async fn had<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        stop: &Stop,
        ask: impl Fn() -> F,
    ) -> anyhow::Result<T> {
        let stopped = "stopped before the cluster could be reached";
        let (mut failures, mut told) = (0, String::new());
        loop {
            let asked = tokio::select! {
                // What is being made is found by the next process.
                () = stop.asked() => bail!(stopped),
                asked = ask() => asked,
            };
            match asked {
                Ok(answer) => return Ok(answer),
                // Who waits for one round is there to give others.
                Err(error @ ApiError::Unauthorized(_)) if self.args.once => {
                    return Err(error.into());
                }
                Err(error) if matches!(error.retry(), kube::Retry::After(_)) => {
                    if self.args.once && failures >= ONCE_TRIES {
                        return Err(error.into());
                    }
                    if told != error.to_string() {
                        told = error.to_string();
                        error!(%error, "the cluster cannot be used yet, trying again");
                    }
                    let wait = grown(AGAIN, failures);
                    failures += 1;
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = stop.asked() => bail!(stopped),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
