//! `Namespace` and `PodDisruptionBudget`.

use serde_json::Value;

use super::read::{Condition, conditions, count, text, texts};
use super::{Health, Status};

pub(super) fn namespace(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Terminating" => Health::new(Status::Terminating, "being deleted"),
        _ => Health::current("active"),
    }
}

/// The finalizers of its own that a namespace waits for while it is deleted, and what its
/// controller says of those of its objects. The finalizer `kubernetes` is the wait for the
/// objects itself.
pub(super) fn held_namespace(object: &Value) -> (Vec<&str>, Vec<&str>) {
    let finalizers = texts(object, "/spec/finalizers").filter(|name| *name != "kubernetes");
    let hold = conditions(object).filter(|condition| condition.is_true());
    let words = hold.map(Condition::message).filter(|it| !it.is_empty());
    (finalizers.collect(), words.collect())
}

/// That its controller has seen the newest generation is all that is asked of it.
pub(super) fn disruption_budget(object: &Value) -> Health {
    let allowed = count(object, "disruptionsAllowed");
    Health::current(format!("disruptions allowed: {allowed}"))
}
