//! What adds kinds to the API: `CustomResourceDefinition` and `APIService`.

use serde_json::Value;

use super::Health;
use super::read::{condition, conditions};

pub(super) fn definition(object: &Value) -> Health {
    for condition in conditions(object) {
        match condition.kind() {
            "NamesAccepted" if condition.is_false() => return Health::failed(condition.words()),
            "Established" if condition.is_true() => return Health::current("established"),
            "Established" if condition.is_false() && condition.reason() != "Installing" => {
                return Health::failed(condition.words());
            }
            _ => {}
        }
    }
    Health::in_progress("not established yet")
}

/// Beyond kstatus, which has no rule for it: objects of the group can't be applied
/// before it is available.
pub(super) fn service(object: &Value) -> Health {
    match condition(object, "Available") {
        Some(available) if available.is_true() => Health::current("available"),
        Some(available) => Health::in_progress(available.words()),
        None => Health::in_progress("not available yet"),
    }
}
