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
pub(super) fn items<'a>(
    object: &'a Map<String, Value>,
    list: Option<&ItemOf>,
) -> Option<(ItemOf, &'a [Value])> {
    let lent = list.filter(|list| !list.kind.is_empty());
    let kind = match object.get("kind") {
        Some(kind) => kind.as_str()?,
        None => &lent?.kind,
    };
    let kind = kind.strip_suffix("List")?.to_owned();
    let named = object.get("metadata").and_then(|it| it.get("name"));
    if named.is_some() {
        return None;
    }
    let api_version = match object.get("apiVersion") {
        Some(version) => version.clone(),
        None => lent?.api_version.clone(),
    };
    match object.get("items")? {
        Value::Array(items) => Some((ItemOf { api_version, kind }, items)),
        // What Go prints for a list without items.
        Value::Null => Some((ItemOf { api_version, kind }, &[])),
        _ => None,
    }
}
