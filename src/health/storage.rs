//! `PersistentVolumeClaim` and `PersistentVolume`.

use serde_json::Value;

use super::Health;
use super::read::text;

pub(super) fn claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => Health::current("bound"),
        "" => Health::in_progress("not bound yet"),
        phase => Health::in_progress(format!("not bound yet, its phase is {phase}")),
    }
}

/// Beyond kstatus, which has no rule for volumes: only what the phase says outright.
pub(super) fn volume(object: &Value) -> Option<Health> {
    match text(object, "/status/phase") {
        "" => None,
        "Pending" => Some(Health::in_progress("pending")),
        "Failed" => Some(Health::failed(match text(object, "/status/message") {
            "" => "its reclaim has failed",
            message => message,
        })),
        phase => Some(Health::current(phase.to_lowercase())),
    }
}
