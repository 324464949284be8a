//! Lists of objects.

use serde_json::{Map, Value};

/// What the items of a typed list (`ConfigMapList`) leave unsaid; of a plain `List`
/// nothing.
pub(super) struct ItemOf {
    api_version: Value,
    kind: String,
}

impl ItemOf {
    /// Fills in what an item leaves unsaid.
    pub(super) fn lend(&self, object: &mut Map<String, Value>) {
        if self.kind.is_empty() {
            return;
        }
        object
            .entry("apiVersion")
            .or_insert_with(|| self.api_version.clone());
        object
            .entry("kind")
            .or_insert_with(|| self.kind.clone().into());
    }
}

/// The items, if this is a list. A list has no name of its own, whatever its kind ends in.
pub(super) fn take_items(object: &mut Map<String, Value>) -> Option<(ItemOf, Vec<Value>)> {
    let kind = object
        .get("kind")?
        .as_str()?
        .strip_suffix("List")?
        .to_owned();
    if object
        .get("metadata")
        .and_then(|it| it.get("name"))
        .is_some()
    {
        return None;
    }
    let api_version = object.get("apiVersion")?.clone();
    match object.get_mut("items")? {
        Value::Array(items) => Some((ItemOf { api_version, kind }, std::mem::take(items))),
        // What Go prints for a list without items.
        Value::Null => Some((ItemOf { api_version, kind }, Vec::new())),
        _ => None,
    }
}
