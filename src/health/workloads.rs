//! `Deployment`, `StatefulSet`, `DaemonSet`, `ReplicaSet`, `Job`, `CronJob`.

use serde_json::Value;

use super::Health;
use super::read::{condition, conditions, count, number, text};

/// As the Deployment controller reads "no deadline".
const NO_DEADLINE: i64 = i32::MAX as i64;

pub(super) fn deployment(object: &Value) -> Health {
    let progressing = condition(object, "Progressing");
    if let Some(exceeded) = progressing.filter(|c| c.reason() == "ProgressDeadlineExceeded") {
        return Health::failed(exceeded.words());
    }
    let wanted = replicas(object);
    let [there, updated, ready, available] = [
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
    ]
    .map(|field| count(object, field));
    if let Some(waiting) = fewer(there, wanted, "created")
        .or_else(|| fewer(updated, wanted, "updated"))
        .or_else(|| more(there, wanted))
        .or_else(|| fewer(available, updated, "available"))
        .or_else(|| fewer(ready, wanted, "ready"))
    {
        return because(waiting, object);
    }
    // Without a deadline the controller never says that it is through.
    let deadline = number(object, "/spec/progressDeadlineSeconds").unwrap_or(NO_DEADLINE);
    let through =
        progressing.is_some_and(|c| c.is_true() && c.reason() == "NewReplicaSetAvailable");
    if deadline != NO_DEADLINE && !through {
        return because(
            Health::in_progress("the new ReplicaSet is not available"),
            object,
        );
    }
    match condition(object, "Available") {
        Some(available) if available.is_true() => all_ready(wanted),
        Some(available) => Health::in_progress(available.words()),
        None => Health::in_progress("the controller has not said Available yet"),
    }
}

/// Why Pods can't be made, where the controller says so (a quota, say).
fn because(waiting: Health, object: &Value) -> Health {
    match condition(object, "ReplicaFailure").filter(|failure| failure.is_true()) {
        Some(failure) => Health {
            message: format!("{}; {}", waiting.message, failure.words()),
            ..waiting
        },
        None => waiting,
    }
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::current("its Pods are updated when somebody deletes them (OnDelete)");
    }
    let wanted = replicas(object);
    let [there, ready, current, updated] = [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
    ]
    .map(|field| count(object, field));
    if let Some(waiting) = fewer(there, wanted, "created")
        .or_else(|| fewer(ready, wanted, "ready"))
        .or_else(|| more(there, wanted))
    {
        return waiting;
    }
    if let Some(partition) = number(object, "/spec/updateStrategy/rollingUpdate/partition") {
        return fewer(updated, wanted - partition, "updated").unwrap_or_else(|| {
            Health::current(format!(
                "{updated} of {wanted} replicas updated, as the partition says"
            ))
        });
    }
    if let Some(waiting) = fewer(current, wanted, "at the current revision") {
        return waiting;
    }
    let [at, to] = ["currentRevision", "updateRevision"]
        .map(|field| object.get("status").and_then(|status| status.get(field)));
    if at != to {
        return Health::in_progress("the new revision is not the current one yet");
    }
    all_ready(wanted)
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if number(object, "/metadata/generation").is_none()
        || number(object, "/status/observedGeneration").is_none()
    {
        return Health::in_progress("its controller has not seen it yet");
    }
    let Some(wanted) = number(object, "/status/desiredNumberScheduled") else {
        return Health::in_progress("its controller has not counted the nodes yet");
    };
    [
        ("currentNumberScheduled", "scheduled"),
        ("updatedNumberScheduled", "updated"),
        ("numberAvailable", "available"),
        ("numberReady", "ready"),
    ]
    .into_iter()
    .find_map(|(field, word)| {
        let there = count(object, field);
        (there < wanted).then(|| Health::in_progress(format!("{there} of {wanted} Pods {word}")))
    })
    .unwrap_or_else(|| Health::current(format!("{wanted} of {wanted} Pods ready")))
}

pub(super) fn replica_set(object: &Value) -> Health {
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|c| c.is_true()) {
        return Health::in_progress(failure.words());
    }
    let wanted = replicas(object);
    fewer(count(object, "fullyLabeledReplicas"), wanted, "created")
        .or_else(|| fewer(count(object, "availableReplicas"), wanted, "available"))
        .or_else(|| fewer(count(object, "readyReplicas"), wanted, "ready"))
        .or_else(|| more(count(object, "replicas"), wanted))
        .unwrap_or_else(|| all_ready(wanted))
}

/// As kstatus has it, a Job is current as soon as it runs: how long it runs is its
/// own business.
pub(super) fn job(object: &Value) -> Health {
    let [succeeded, active, failed] =
        ["succeeded", "active", "failed"].map(|field| count(object, field));
    let wanted = number(object, "/spec/completions")
        .or_else(|| number(object, "/spec/parallelism"))
        .unwrap_or(1);
    for condition in conditions(object).filter(|condition| condition.is_true()) {
        match condition.kind() {
            "Complete" => {
                return Health::current(format!("completed, {succeeded} of {wanted} Pods"));
            }
            "Failed" => return Health::failed(condition.words()),
            "Suspended" => return Health::current("suspended"),
            _ => {}
        }
    }
    if text(object, "/status/startTime").is_empty() {
        return Health::in_progress("not started yet");
    }
    Health::current(format!(
        "running: {active} active, {succeeded} of {wanted} succeeded, {failed} failed"
    ))
}

pub(super) fn cron_job(object: &Value) -> Health {
    let suspended = object.pointer("/spec/suspend") == Some(&Value::Bool(true));
    Health::current(if suspended { "suspended" } else { "scheduled" })
}

/// The controllers take 1 where the spec says nothing.
fn replicas(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

fn fewer(there: i64, wanted: i64, word: &str) -> Option<Health> {
    (there < wanted).then(|| Health::in_progress(format!("{there} of {wanted} replicas {word}")))
}

fn more(there: i64, wanted: i64) -> Option<Health> {
    (there > wanted).then(|| {
        let extra = there - wanted;
        let word = if extra == 1 { "replica" } else { "replicas" };
        Health::in_progress(format!("{extra} old {word} to go"))
    })
}

fn all_ready(wanted: i64) -> Health {
    Health::current(format!("{wanted} of {wanted} replicas ready"))
}
