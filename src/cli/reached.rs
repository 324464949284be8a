//! What has to be had of the cluster before an environment can be served: tried for until it
//! is had.

use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
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

/// The way to a cluster that may not be usable yet.
pub struct Reaching {
    /// The end of the process.
    pub stop: Stop,
    /// Whether it is given up after a few tries.
    pub once: bool,
    /// Why it can't be used yet, for whoever asks whether the process is ready.
    pub why: watch::Sender<Option<String>>,
}

impl Reaching {
    /// What the cluster answers, as soon as it can be used; `None` where the process is to end
    /// before that.
    ///
    /// # Errors
    /// Where waiting does not help.
    pub async fn had<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<Option<T>, ApiError> {
        let mut failures = 0;
        loop {
            let asked = tokio::select! {
                // What is being made is found by the next process.
                () = self.stop.asked() => return Ok(None),
                asked = ask() => asked,
            };
            let error = match asked {
                Ok(answer) => {
                    self.why.send_replace(None);
                    return Ok(Some(answer));
                }
                Err(error) => error,
            };
            // Who waits for one round is there to give other credentials.
            let enough = matches!(error, ApiError::Unauthorized(_)) || failures >= ONCE_TRIES;
            let passes = matches!(error.retry(), kube::Retry::After(_));
            if !passes || self.once && enough {
                return Err(error);
            }
            let why = Some(error.to_string());
            if self.why.send_replace(why.clone()) != why {
                error!(%error, "the cluster cannot be used yet, trying again");
            }
            let wait = grown(AGAIN, failures);
            failures += 1;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.asked() => return Ok(None),
            }
        }
    }
}

impl Start<'_> {
    /// The key is kept in the cluster, and tried for until it is had.
    pub(super) async fn digest_key(&self) -> anyhow::Result<Option<DigestKey>> {
        let ask = || kube::digest_key(&self.cluster, &self.namespace);
        let key = self.reaching.had(ask).await;
        key.context("the key for digests of Secrets cannot be had")
    }

    /// Which cluster it is, asked until that is told.
    pub(super) async fn cluster_uid(&self) -> anyhow::Result<Option<Option<String>>> {
        let uid = self.reaching.had(|| kube::cluster_uid(&self.cluster)).await;
        let uid = uid.context("it cannot be told which cluster it is")?;
        if uid == Some(None) {
            warn!(
                "the namespace kube-system may not be read, so another cluster would not be noticed; grant get on it"
            );
        }
        Ok(uid)
    }
}
