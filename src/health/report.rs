//! The health of the objects of a file, for programs to read.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::read::text;
use super::{Status, health};
use crate::model::group_of;

/// One object's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthLine {
    /// The API group, empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace, empty for none.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// The word.
    pub health: Status,
    /// Why.
    pub message: String,
}

/// The health of each object, in order; the items of a List are told one by one,
/// and empty documents left out.
pub fn report(documents: &[Value], now: Timestamp) -> Vec<HealthLine> {
    documents
        .iter()
        .filter(|document| !document.is_null())
        .flat_map(|document| items(document).unwrap_or_else(|| vec![document]))
        .map(|object| line(object, now))
        .collect()
}

fn items(document: &Value) -> Option<Vec<&Value>> {
    let items = document.get("items")?.as_array()?;
    text(document, "/kind")
        .ends_with("List")
        .then(|| items.iter().collect())
}

fn line(object: &Value, now: Timestamp) -> HealthLine {
    let health = health(object, now);
    HealthLine {
        group: group_of(text(object, "/apiVersion")).to_owned(),
        kind: text(object, "/kind").to_owned(),
        namespace: text(object, "/metadata/namespace").to_owned(),
        name: text(object, "/metadata/name").to_owned(),
        health: health.status,
        message: health.message,
    }
}
