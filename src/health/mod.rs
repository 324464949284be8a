//! Whether one live object is as it is meant to be, in kstatus words. For built-in
//! kinds the rules are those of kstatus (sigs.k8s.io/cli-utils/pkg/kstatus), so that
//! an object that kubectl's and Flux's users know as current is current here; for
//! everything else the standard conditions speak. Pure: the object and the time.

mod api;
mod cluster;
mod generic;
mod network;
mod pod;
mod read;
mod report;
mod storage;
#[cfg(test)]
mod tests;
mod workloads;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::group_of;

pub use report::{HealthLine, report};

/// The words of kstatus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// The object is as its spec says.
    Current,
    /// Its controller is still at it.
    InProgress,
    /// Its controller has given up, or can't get further without a change.
    Failed,
    /// It is being deleted.
    Terminating,
    /// It is not in the cluster.
    NotFound,
    /// It can't be told.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Current => "Current",
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
            Self::NotFound => "NotFound",
            Self::Unknown => "Unknown",
        })
    }
}

/// How an object is, and why: what it waits for, what its controller says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The word.
    pub status: Status,
    /// A short sentence without full stop; controllers' own words as they are.
    pub message: String,
}

impl Health {
    /// Of an object that is not in the cluster.
    pub fn not_found() -> Self {
        Self::new(Status::NotFound, "not in the cluster")
    }

    fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    fn current(message: impl Into<String>) -> Self {
        Self::new(Status::Current, message)
    }

    fn in_progress(message: impl Into<String>) -> Self {
        Self::new(Status::InProgress, message)
    }

    fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }

    fn unknown(message: impl Into<String>) -> Self {
        Self::new(Status::Unknown, message)
    }
}

/// The health of a whole live object, its status included, at an instant (a Pod may
/// stay unscheduled for a while before that counts).
pub fn health(object: &Value, now: Timestamp) -> Health {
    if let Some(health) = generic::before(object) {
        return health;
    }
    if let Some(health) = by_kind(object, now) {
        return health;
    }
    generic::ready(object).unwrap_or_else(|| Health::current("no condition says otherwise"))
}

/// By the rule for the object's kind, if there is one.
fn by_kind(object: &Value, now: Timestamp) -> Option<Health> {
    let group = group_of(read::text(object, "/apiVersion"));
    let health = match (group, read::text(object, "/kind")) {
        ("apps" | "extensions", "Deployment") => workloads::deployment(object),
        ("apps", "StatefulSet") => workloads::stateful_set(object),
        ("apps" | "extensions", "DaemonSet") => workloads::daemon_set(object),
        ("apps" | "extensions", "ReplicaSet") => workloads::replica_set(object),
        ("batch", "Job") => workloads::job(object),
        ("batch", "CronJob") => workloads::cron_job(object),
        ("", "Pod") => pod::pod(object, now),
        ("", "PersistentVolumeClaim") => storage::claim(object),
        ("", "PersistentVolume") => storage::volume(object)?,
        ("", "Service") => network::service(object),
        ("", "ConfigMap" | "Secret") => Health::current("nothing to wait for"),
        ("", "Namespace") => cluster::namespace(object),
        ("policy", "PodDisruptionBudget") => cluster::disruption_budget(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => api::definition(object),
        ("apiregistration.k8s.io", "APIService") => api::service(object),
        _ => return None,
    };
    Some(health)
}
