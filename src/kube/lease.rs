//! The Lease by which one agent of several serves an environment.
//!
//! As client-go's leader election: clocks of machines are not compared, so a Lease counts
//! as given up once it was not seen to change for its own duration, and every write holds
//! only for the Lease that was seen (its resourceVersion). Who waits watches, and asks for
//! nothing meanwhile.

use std::time::Duration;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use kube::Api;
use kube::core::WatchEvent;
use kube::core::params::WatchParams;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::cluster::Cluster;
use super::error::{ApiError, Retry, from_status};
use crate::model::{EnvironmentName, GroupKind, Live, ObjectId};
use crate::runtime::{clock, random};

/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(1);
/// How long one request to watch lasts, in seconds: less than the client's own silence.
const WATCH: u32 = 120;

/// An environment's Lease, as one agent sees it.
#[derive(Clone)]
pub struct Lease {
    cluster: Cluster,
    id: ObjectId,
    holder: String,
    duration: Duration,
}

/// The time in which the Lease is ours. It is kept up in the background.
pub struct Term {
    lease: Lease,
    lost: CancellationToken,
    /// Ends with the term.
    upkeep: JoinSet<()>,
}

/// The Lease as it was seen to be since then.
struct Seen {
    live: Live,
    since: Instant,
}

impl Lease {
    /// The Lease of an environment, in the namespace of the inventories. `holder` tells
    /// this agent from others, and is the same after a restart. An agent that dies leaves
    /// the environment unserved for `duration`.
    pub fn new(
        cluster: &Cluster,
        namespace: &str,
        environment: &EnvironmentName,
        holder: String,
        duration: Duration,
    ) -> Self {
        let kind = GroupKind::new("coordination.k8s.io", "Lease");
        let name = format!("gitops-agent-{environment}");
        Self {
            // A first sync of thousands of objects must not keep it from being renewed.
            cluster: cluster.urgently(),
            id: ObjectId::new(kind, Some(namespace.to_owned()), name),
            holder,
            duration,
        }
    }

    /// Waits until the Lease is ours. `told` hears who holds it, at each sign of
    /// life that the holder gives.
    ///
    /// # Errors
    /// Where the API server does not let us; whatever passes by itself is waited for.
    pub async fn acquire(&self, mut told: impl FnMut(&str)) -> Result<Term, ApiError> {
        let mut seen: Option<Seen> = None;
        loop {
            match self.attempt(&mut seen, &mut told).await {
                Ok(live) => return Ok(self.begin(live)),
                // Somebody was faster, or it was deleted.
                Err(ApiError::Conflict(_) | ApiError::NotFound(_)) => {}
                Err(error) if error.retry() == Retry::WhenInputsChange => return Err(error),
                Err(error) => debug!(lease = %self.id, %error, "trying again"),
            }
            tokio::time::sleep(AGAIN / 2 + random::up_to(AGAIN / 2)).await;
        }
    }

    async fn attempt(
        &self,
        seen: &mut Option<Seen>,
        told: &mut impl FnMut(&str),
    ) -> Result<Live, ApiError> {
        look(seen, self.read().await?);
        loop {
            let Some(Seen { live, since }) = seen else {
                return Err(ApiError::Withdrawn);
            };
            let Some(expires) = self.expires(live, *since) else {
                return self.take(live).await;
            };
            told(holder(live).unwrap_or_default());
            let from = live.resource_version().to_owned();
            let Ok(changed) = timeout_at(expires, self.changed(&from)).await else {
                return self.take(live).await;
            };
            look(seen, changed?);
        }
    }

    /// Until when somebody else has it; `None` if nobody has.
    fn expires(&self, live: &Live, since: Instant) -> Option<Instant> {
        holder(live).filter(|holder| *holder != self.holder)?;
        let seconds = live.body.pointer("/spec/leaseDurationSeconds");
        let lasts = seconds.and_then(Value::as_u64).map(Duration::from_secs);
        let expires = since + lasts.unwrap_or(self.duration);
        (Instant::now() < expires).then_some(expires)
    }

    async fn read(&self) -> Result<Live, ApiError> {
        if let Some(live) = self.cluster.get(&self.id, None).await? {
            return Ok(live);
        }
        let body = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.id.name, "namespace": self.id.namespace},
        });
        self.cluster.create_or_get(&self.id, &body).await
    }

    /// The Lease after its next change.
    async fn changed(&self, from: &str) -> Result<Live, ApiError> {
        let namespace = self.id.namespace.as_deref().unwrap_or_default();
        let api: Api<LeaseObject> = Api::namespaced(self.cluster.client(), namespace);
        let only = format!("metadata.name={}", self.id.name);
        let params = WatchParams::default().fields(&only).timeout(WATCH);
        loop {
            let mut events = Box::pin(api.watch(&params, from).await?);
            if let Some(live) = next(&mut events).await? {
                return Ok(live);
            }
        }
    }

    /// Makes it ours, if it still is as it was seen.
    async fn take(&self, live: &Live) -> Result<Live, ApiError> {
        let now = micro(clock::now());
        let mut spec = json!({
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.duration.as_secs().max(1),
            "renewTime": now,
        });
        if holder(live) != Some(&self.holder) {
            let before = live.body.pointer("/spec/leaseTransitions");
            let before = before.and_then(Value::as_u64).unwrap_or(0);
            spec["acquireTime"] = json!(now);
            spec["leaseTransitions"] = json!(before + 1);
        }
        self.write(live, spec).await
    }

    async fn write(&self, live: &Live, spec: Value) -> Result<Live, ApiError> {
        let seen = json!({"resourceVersion": live.resource_version()});
        let patch = json!({"metadata": seen, "spec": spec});
        self.cluster.merge(&self.id, &patch).await
    }

    fn begin(&self, live: Live) -> Term {
        let lost = CancellationToken::new();
        let mut upkeep = JoinSet::new();
        upkeep.spawn(self.clone().keep_up(live, lost.clone()));
        Term {
            lease: self.clone(),
            lost,
            upkeep,
        }
    }

    /// Renews it after two thirds of its duration; gives it up where that did not work
    /// after five sixths, before others may take it.
    async fn keep_up(self, mut live: Live, lost: CancellationToken) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep_until(renewed + self.duration * 2 / 3).await;
            let deadline = renewed + self.duration * 5 / 6;
            let began = Instant::now();
            match timeout_at(deadline, self.renew(&live)).await {
                Ok(Ok(now)) => (live, renewed) = (now, began),
                Ok(Err(error)) => {
                    warn!(lease = %self.id, %error, "the lease is lost");
                    return lost.cancel();
                }
                Err(_) => {
                    warn!(lease = %self.id, "the lease could not be renewed in time, and is given up");
                    return lost.cancel();
                }
            }
        }
    }

    /// Tries until it is renewed.
    ///
    /// # Errors
    /// When it is not ours any more.
    async fn renew(&self, live: &Live) -> Result<Live, ApiError> {
        let mut live = live.clone();
        loop {
            match self.take(&live).await {
                Ok(live) => return Ok(live),
                Err(ApiError::Conflict(_) | ApiError::NotFound(_)) => {
                    if let Ok(now) = self.read().await {
                        let other = holder(&now).filter(|holder| *holder != self.holder);
                        if let Some(other) = other {
                            return Err(ApiError::Rejected(format!("{other} holds it")));
                        }
                        live = now;
                    }
                }
                Err(error) => debug!(lease = %self.id, %error, "not renewed yet"),
            }
            tokio::time::sleep(AGAIN / 2 + random::up_to(AGAIN / 2)).await;
        }
    }
}

impl Term {
    /// Cancelled once the Lease is not ours any more.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Lets others have it at once.
    pub async fn release(mut self) {
        self.upkeep.shutdown().await;
        if self.lost.is_cancelled() {
            return;
        }
        let lease = &self.lease;
        let given = async {
            match lease.cluster.get(&lease.id, None).await? {
                Some(live) if holder(&live) == Some(&lease.holder) => {
                    let none = json!({"holderIdentity": null, "renewTime": null});
                    lease.write(&live, none).await.map(drop)
                }
                _ => Ok(()),
            }
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        if let Ok(Err(error)) = timeout_at(deadline, given).await {
            warn!(lease = %lease.id, %error, "the lease could not be let go; others wait until it has expired");
        }
    }
}

/// A Lease that has changed is a sign of life.
fn look(seen: &mut Option<Seen>, live: Live) {
    let same = |seen: &Seen| seen.live.resource_version() == live.resource_version();
    if !seen.as_ref().is_some_and(same) {
        let since = Instant::now();
        *seen = Some(Seen { live, since });
    }
}

async fn next(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<LeaseObject>>> + Unpin),
) -> Result<Option<Live>, ApiError> {
    while let Some(event) = events.next().await {
        match event? {
            WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                let value = serde_json::to_value(lease).unwrap_or_default();
                return Ok(Some(Live::new(value)));
            }
            WatchEvent::Deleted(lease) => {
                let name = lease.metadata.name.unwrap_or_default();
                return Err(ApiError::NotFound(format!("the lease {name} is deleted")));
            }
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => return Err(from_status(&status)),
        }
    }
    Ok(None)
}

fn holder(live: &Live) -> Option<&str> {
    let holder = live.body.pointer("/spec/holderIdentity")?.as_str()?;
    (!holder.is_empty()).then_some(holder)
}

/// A `MicroTime` of the Kubernetes API.
fn micro(at: Timestamp) -> String {
    format!("{at:.6}")
}
