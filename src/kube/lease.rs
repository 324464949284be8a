//! The Lease by which one agent of several serves an environment.
//!
//! As client-go's leader election: clocks of machines are not compared, so a Lease counts
//! as given up once it was not seen to change for its own duration, and every write holds
//! only for the Lease that was seen (its resourceVersion). Who waits watches, and asks for
//! nothing meanwhile.

mod term;

use std::time::Duration;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use kube::Api;
use kube::core::WatchEvent;
use kube::core::params::WatchParams;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

pub use self::term::Term;
use super::barred::barred;
use super::cluster::Cluster;
use super::error::{ApiError, Retry, from_status};
use super::fence::Fence;
use crate::model::{EnvironmentName, GroupKind, Live, Name, Namespace, ObjectId};
use crate::runtime::{clock, random};

/// What the names of Leases begin with.
pub(super) const PREFIX: &str = "gitops-agent-";
pub(super) const KIND: GroupKind = GroupKind::known("coordination.k8s.io", "Lease");
/// How long to wait where the cluster's admission refuses it: every environment asks so.
const BARRED: Duration = Duration::from_secs(5);
/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a Lease is believed that was not seen to change, whatever it says of itself:
/// whoever may write it could have an environment go unserved for as long as it likes.
pub const LONGEST_LEASE: Duration = Duration::from_mins(1);
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

/// Why a Lease is not ours yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    /// This other one holds it.
    Holder(&'a str),
    /// The API server can't be used: in words.
    Away(&'a str),
    /// The cluster's admission refuses it: in words.
    Barred(&'a str),
}

/// The Lease as it was seen to be since then.
struct Seen {
    live: Live,
    since: Instant,
}

impl Lease {
    /// The Lease of an environment, in the namespace of the inventories. `holder` tells
    /// this process from all others: a Lease that it holds is ours already. An agent that
    /// dies leaves the environment unserved for `duration`.
    pub fn new(
        cluster: &Cluster,
        namespace: &Namespace,
        environment: &EnvironmentName,
        holder: String,
        duration: Duration,
    ) -> Self {
        Self {
            // Neither a first sync of thousands of objects nor a server that asks others to
            // wait must keep it from being renewed.
            cluster: cluster.unheld(),
            id: id(namespace, environment),
            holder,
            duration,
        }
    }

    /// Waits until the Lease is ours. `told` hears why it is not: who holds it, at each sign
    /// of life that the holder gives, or what keeps it from being had, each time that it does.
    ///
    /// # Errors
    /// Where the API server does not let us; whatever passes by itself is waited for.
    pub async fn acquire(&self, mut told: impl FnMut(Heard<'_>)) -> Result<Term, ApiError> {
        let mut seen: Option<Seen> = None;
        loop {
            match self.attempt(&mut seen, &mut told).await {
                Ok(live) => return Ok(self.begin(live)),
                // Somebody was faster, or it was deleted.
                Err(ApiError::Conflict(_) | ApiError::NotFound { .. }) => {}
                Err(error) => match barred(&self.cluster, &self.id, &error).await {
                    Some(why) => {
                        told(Heard::Barred(&why));
                        tokio::time::sleep(BARRED).await;
                    }
                    None if error.retry() == Retry::WhenInputsChange => return Err(error),
                    None => told(Heard::Away(&error.to_string())),
                },
            }
            tokio::time::sleep(AGAIN / 2 + random::up_to(AGAIN / 2)).await;
        }
    }

    async fn attempt(
        &self,
        seen: &mut Option<Seen>,
        told: &mut impl FnMut(Heard<'_>),
    ) -> Result<Live, ApiError> {
        look(seen, self.read().await?);
        loop {
            let Some(Seen { live, since }) = seen else {
                return Err(ApiError::Withdrawn);
            };
            let Some(expires) = self.expires(live, *since) else {
                return self.take(live).await;
            };
            told(Heard::Holder(holder(live).unwrap_or_default()));
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
        let expires = since + lasts(live).unwrap_or(self.duration);
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

    /// Makes it nobody's. A renewal of ours that was cut off may still come in between.
    async fn give(&self) -> Result<(), ApiError> {
        loop {
            let Some(live) = self.cluster.get(&self.id, None).await? else {
                return Ok(());
            };
            if holder(&live) != Some(&self.holder) {
                return Ok(());
            }
            let none = json!({"holderIdentity": null, "renewTime": null});
            match self.write(&live, none).await {
                Err(ApiError::Conflict(_)) => {}
                other => return other.map(drop),
            }
        }
    }

    fn begin(&self, live: Live) -> Term {
        let lost = CancellationToken::new();
        let mut upkeep = JoinSet::new();
        let (sender, barred) = watch::channel(None);
        let fence = Fence::until(Instant::now() + self.believed());
        let (lease, ours) = (self.clone(), (lost.clone(), fence.clone()));
        upkeep.spawn(lease.keep_up(live, ours, sender));
        Term {
            lease: self.clone(),
            lost,
            fence,
            barred,
            upkeep,
        }
    }

    /// For how long it is believed to be ours: shorter than others wait.
    fn believed(&self) -> Duration {
        self.duration * 5 / 6
    }

    /// Renews it after two thirds of its duration; gives it up where that did not work
    /// in time, before others may take it.
    async fn keep_up(
        self,
        mut live: Live,
        (lost, fence): (CancellationToken, Fence),
        barred: watch::Sender<Option<String>>,
    ) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep_until(renewed + self.duration * 2 / 3).await;
            let deadline = renewed + self.believed();
            let began = Instant::now();
            match timeout_at(deadline, self.renew(&live, &barred)).await {
                Ok(Ok(now)) => {
                    (live, renewed) = (now, began);
                    fence.put_off(renewed + self.believed());
                }
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
    async fn renew(
        &self,
        live: &Live,
        told: &watch::Sender<Option<String>>,
    ) -> Result<Live, ApiError> {
        let mut live = live.clone();
        loop {
            match self.take(&live).await {
                Ok(live) => {
                    told.send_if_modified(|why| why.take().is_some());
                    return Ok(live);
                }
                Err(ApiError::Conflict(_) | ApiError::NotFound { .. }) => {
                    if let Ok(now) = self.read().await {
                        let other = holder(&now).filter(|holder| *holder != self.holder);
                        if let Some(other) = other {
                            return Err(ApiError::Rejected(format!("{other} holds it")));
                        }
                        live = now;
                    }
                }
                Err(error) => {
                    if let Some(why) = barred(&self.cluster, &self.id, &error).await {
                        self.tell(told, why);
                        tokio::time::sleep(BARRED).await;
                    } else {
                        debug!(lease = %self.id, %error, "not renewed yet");
                    }
                }
            }
            tokio::time::sleep(AGAIN / 2 + random::up_to(AGAIN / 2)).await;
        }
    }

    fn tell(&self, told: &watch::Sender<Option<String>>, why: String) {
        told.send_if_modified(|before| {
            let news = before.as_ref() != Some(&why);
            if news {
                error!(lease = %self.id, "{why}");
                *before = Some(why);
            }
            news
        });
    }
}

/// Which object is the Lease of an environment.
pub fn id(namespace: &Namespace, environment: &EnvironmentName) -> ObjectId {
    let name = format!("{PREFIX}{environment}");
    let name: Name = name.parse().expect("a label ends it, so it is a name");
    ObjectId::new(KIND, Some(namespace.clone()), name)
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
                return Err(ApiError::Conflict(format!("the lease {name} is deleted")));
            }
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => return Err(from_status(&status)),
        }
    }
    Ok(None)
}

/// For how long it is believed.
fn lasts(live: &Live) -> Option<Duration> {
    let seconds = live.body.pointer("/spec/leaseDurationSeconds")?.as_u64()?;
    Some(Duration::from_secs(seconds).min(LONGEST_LEASE))
}

fn holder(live: &Live) -> Option<&str> {
    let holder = live.body.pointer("/spec/holderIdentity")?.as_str()?;
    (!holder.is_empty()).then_some(holder)
}

/// A `MicroTime` of the Kubernetes API.
fn micro(at: Timestamp) -> String {
    format!("{at:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_not_believed_for_as_long_as_it_says() {
        let lease = |seconds: Value| Live::new(json!({"spec": {"leaseDurationSeconds": seconds}}));
        assert_eq!(lasts(&lease(json!(15))), Some(Duration::from_secs(15)));
        for lie in [json!(3600), json!(u64::MAX)] {
            assert_eq!(lasts(&lease(lie)), Some(LONGEST_LEASE));
        }
        assert_eq!(lasts(&lease(json!(-1))), None);
    }
}
