//! The time in which a Lease is ours.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Lease;
use crate::kube::fence::Fence;

/// The time in which the Lease is ours. It is kept up in the background.
pub struct Term {
    pub(super) lease: Lease,
    pub(super) lost: CancellationToken,
    pub(super) fence: Fence,
    pub(super) barred: watch::Receiver<Option<String>>,
    /// Ends with the term.
    pub(super) upkeep: JoinSet<()>,
}

impl Term {
    /// What keeps the Lease from being renewed, where the cluster's admission does.
    pub fn barred(&self) -> watch::Receiver<Option<String>> {
        self.barred.clone()
    }

    /// Over once the Lease can't be believed to be ours.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Cancelled once the Lease is not ours any more.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Lets others have it at once, unless that takes too long.
    pub async fn release(mut self, patience: Duration) {
        self.upkeep.shutdown().await;
        if self.lost.is_cancelled() {
            return;
        }
        let lease = &self.lease;
        let why = match timeout(patience, lease.give()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {}", humantime::format_duration(patience)),
        };
        warn!(lease = %lease.id, why, "the lease could not be let go; others wait until it has expired");
    }
}
