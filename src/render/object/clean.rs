//! What stands in a manifest and is not meant to be applied.

use serde_json::{Map, Value};

/// Fields of `metadata` that only a server sets. What `kubectl get -o yaml` printed
/// has them, and a server that gets them applied refuses the object.
const SERVERS: [&str; 7] = [
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Drops `status` and what only a server sets.
pub(super) fn drop_what_servers_set(object: &mut Map<String, Value>) {
    object.remove("status");
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.retain(|field, _| !SERVERS.contains(&field.as_str()));
    }
}

/// Whether something is declared in `status`, where it is in vain. What generators leave
/// there says nothing.
pub(super) fn declares_status(object: &Map<String, Value>) -> bool {
    object.get("status").is_some_and(says_something)
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(fields) => fields.values().any(says_something),
    }
}

/// To kubectl, null says that a field is not set, and so it does for the typed objects
/// of Kubernetes; applied as it stands, it would be a field that we own and that is
/// never there. In a list it stays: the items behind it would move.
pub(super) fn drop_nulls(object: &mut Map<String, Value>) {
    object.retain(|_, value| !value.is_null());
    object.values_mut().for_each(drop_nulls_in);
}

fn drop_nulls_in(value: &mut Value) {
    match value {
        Value::Object(map) => drop_nulls(map),
        Value::Array(items) => items.iter_mut().for_each(drop_nulls_in),
        _ => {}
    }
}
