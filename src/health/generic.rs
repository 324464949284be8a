//! What holds for every kind (kstatus/status/generic.go).

use serde_json::Value;

use super::Health;
use super::cluster::held_namespace;
use super::read::{condition, conditions, number, text, texts};

/// What decides ahead of any rule for a kind: deletion, a generation that its
/// controller has not seen, and the conditions made for this.
pub(super) fn before(object: &Value) -> Option<Health> {
    malformed(object)
        .or_else(|| deletion(object))
        .or_else(|| generation(object))
        .or_else(|| standard(object))
}

fn malformed(object: &Value) -> Option<Health> {
    if text(object, "/apiVersion").is_empty() || text(object, "/kind").is_empty() {
        return Some(Health::unknown(
            "not a Kubernetes object: apiVersion or kind is missing",
        ));
    }
    let conditions = object.pointer("/status/conditions")?;
    let fine = conditions.is_null()
        || conditions
            .as_array()
            .is_some_and(|all| all.iter().all(Value::is_object));
    (!fine).then(|| Health::unknown("status.conditions is not a list of conditions"))
}

fn deletion(object: &Value) -> Option<Health> {
    if text(object, "/metadata/deletionTimestamp").is_empty() {
        return None;
    }
    let mut held: Vec<&str> = texts(object, "/metadata/finalizers").collect();
    let mut said = Vec::new();
    if text(object, "/kind") == "Namespace" && text(object, "/apiVersion") == "v1" {
        let (finalizers, words) = held_namespace(object);
        held.extend(finalizers);
        said = words;
    }
    let mut message = "being deleted".to_owned();
    if !held.is_empty() {
        message = format!("{message}, waits for {}", held.join(", "));
    }
    for words in said {
        message = format!("{message}; {words}");
    }
    Some(Health::new(super::Status::Terminating, message))
}

fn generation(object: &Value) -> Option<Health> {
    let generation = number(object, "/metadata/generation")?;
    let observed = number(object, "/status/observedGeneration")?;
    (generation != observed).then(|| {
        Health::in_progress(format!(
            "its controller has seen generation {observed} of {generation}"
        ))
    })
}

/// `Reconciling` and `Stalled`, whichever comes first.
fn standard(object: &Value) -> Option<Health> {
    conditions(object)
        .filter(|condition| condition.is_true())
        .find_map(|condition| match condition.kind() {
            "Reconciling" => Some(Health::in_progress(condition.words())),
            "Stalled" => Some(Health::failed(condition.words())),
            _ => None,
        })
}

/// The condition `Ready`, for kinds without a rule of their own. That it is not
/// true never means failed: many controllers start with it false.
pub(super) fn ready(object: &Value) -> Option<Health> {
    let ready = condition(object, "Ready")?;
    match ready.status() {
        "True" => Some(Health::current("ready")),
        "False" | "Unknown" => Some(Health::in_progress(ready.words())),
        _ => None,
    }
}
