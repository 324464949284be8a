//! `Namespace` and `PodDisruptionBudget`.

use serde_json::Value;

use super::read::{count, text};
use super::{Health, Status};

pub(super) fn namespace(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Terminating" => Health::new(Status::Terminating, "being deleted"),
        _ => Health::current("active"),
    }
}

/// That its controller has seen the newest generation is all that is asked of it.
pub(super) fn disruption_budget(object: &Value) -> Health {
    let allowed = count(object, "disruptionsAllowed");
    Health::current(format!("disruptions allowed: {allowed}"))
}
