//! Pods.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Health;
use super::read::{condition, text};

/// How long a Pod may find no node before that counts as a failure.
const SCHEDULE_WINDOW: SignedDuration = SignedDuration::from_secs(15);

pub(super) fn pod(object: &Value, now: Timestamp) -> Health {
    match text(object, "/status/phase") {
        "Succeeded" => Health::current("completed"),
        // A Pod of its own is run once: it has ended, and nothing will change that.
        "Failed" => Health::current(ended(object)),
        "Running" => running(object),
        "Pending" => pending(object, now),
        "" => Health::in_progress("no node has taken it up yet"),
        phase => Health::unknown(format!("the phase `{phase}` is not known")),
    }
}

fn ended(object: &Value) -> String {
    let words = [
        text(object, "/status/reason"),
        text(object, "/status/message"),
    ];
    let said: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    if said.is_empty() {
        "ended without success".to_owned()
    } else {
        format!("ended without success: {}", said.join(": "))
    }
}

fn running(object: &Value) -> Health {
    let ready = condition(object, "Ready");
    if ready.is_some_and(super::read::Condition::is_true) {
        return Health::current("ready");
    }
    let looping: Vec<&str> = waiting(object)
        .filter(|(_, reason)| *reason == "CrashLoopBackOff")
        .map(|(name, _)| name)
        .collect();
    if looping.is_empty() {
        Health::in_progress(
            ready.map_or_else(|| "not ready yet".to_owned(), super::read::Condition::words),
        )
    } else {
        Health::failed(format!("CrashLoopBackOff: {}", looping.join(", ")))
    }
}

fn pending(object: &Value, now: Timestamp) -> Health {
    let unschedulable = condition(object, "PodScheduled")
        .filter(|scheduled| scheduled.is_false() && scheduled.reason() == "Unschedulable");
    let Some(unschedulable) = unschedulable else {
        let held: Vec<String> = waiting(object)
            .map(|(name, reason)| format!("{name}: {reason}"))
            .collect();
        return Health::in_progress(if held.is_empty() {
            "pending".to_owned()
        } else {
            format!("pending, {}", held.join(", "))
        });
    };
    let created: Option<Timestamp> = text(object, "/metadata/creationTimestamp").parse().ok();
    let young = created.is_some_and(|created| now.duration_since(created) < SCHEDULE_WINDOW);
    if young {
        Health::in_progress(unschedulable.words())
    } else {
        Health::failed(unschedulable.words())
    }
}

/// The containers that wait, with what for.
fn waiting(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    object
        .pointer("/status/containerStatuses")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|status| (text(status, "/name"), text(status, "/state/waiting/reason")))
        .filter(|(_, reason)| !reason.is_empty())
}
