//! Who owns what: the entries of `metadata.managedFields`.

use serde_json::{Map, Value};

use super::path::Step;
use super::scalar::same;
use super::set::{FieldSet, FieldSetError};
use crate::model::{FIELD_MANAGER, Live, Manager};

/// One manager's entry in managedFields.
#[derive(Debug, Clone, PartialEq)]
pub struct Owner {
    /// Name, operation, time.
    pub manager: Manager,
    /// The version that the paths are written in.
    pub api_version: String,
    /// The subresource written through, empty for the object itself.
    pub subresource: String,
    /// The paths.
    pub fields: FieldSet,
}

/// All owners. An entry that can't be read is left out: its paths then belong to
/// nobody that we know.
pub fn owners(live: &Live) -> Vec<Owner> {
    Entry::all(live)
        .filter_map(|entry| {
            Some(Owner {
                manager: entry.manager(),
                api_version: entry.text("apiVersion").to_owned(),
                subresource: entry.text("subresource").to_owned(),
                fields: entry.fields().ok()?,
            })
        })
        .collect()
}

/// The paths that a manager owns by server-side apply; empty where it owns none.
pub fn owned(live: &Live, manager: &str) -> FieldSet {
    let mut set = FieldSet::default();
    for entry in Entry::all(live).filter(|entry| entry.applied_by(manager)) {
        if let Ok(fields) = entry.fields() {
            set.extend(fields);
        }
    }
    set
}

/// Whether our own apply has put this label on the object. A label that anybody else set
/// to another value, or copied from elsewhere with all else, is not.
pub fn labelled_by_us(live: &Live, label: &str) -> bool {
    let field = format!("f:{label}");
    let labels = |entry: Entry<'_>| {
        let metadata = entry.raw()?.get("f:metadata")?;
        Some(metadata.get("f:labels")?.get(&field).is_some())
    };
    Entry::all(live).any(|entry| entry.is_ours() && labels(entry) == Some(true))
}

/// An entry of managedFields, unread.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a>(&'a Value);

impl<'a> Entry<'a> {
    pub(super) fn all(live: &'a Live) -> impl Iterator<Item = Self> + use<'a> {
        live.body
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(Entry)
    }

    pub(super) fn text(self, field: &str) -> &'a str {
        self.0
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(super) fn applied_by(self, manager: &str) -> bool {
        self.text("manager") == manager
            && self.text("operation") == "Apply"
            && self.text("subresource").is_empty()
    }

    pub(super) fn is_ours(self) -> bool {
        self.applied_by(FIELD_MANAGER)
    }

    pub(super) fn fields(self) -> Result<FieldSet, FieldSetError> {
        FieldSet::parse(self.0.get("fieldsV1").ok_or(FieldSetError::Shape)?)
    }

    /// The paths as they stand there.
    pub(super) fn raw(self) -> Option<&'a Map<String, Value>> {
        self.0.get("fieldsV1")?.as_object()
    }

    /// The whole entry.
    pub(super) fn value(self) -> &'a Value {
        self.0
    }

    /// The same entry with other paths.
    pub(super) fn with_fields(self, fields: Value) -> Value {
        let mut entry = self.0.clone();
        entry["fieldsV1"] = fields;
        entry
    }

    pub(super) fn manager(self) -> Manager {
        Manager {
            name: self.text("manager").to_owned(),
            operation: self.text("operation").to_owned(),
            time: self.text("time").to_owned(),
        }
    }

    /// Whether the entry holds a path, something below it, or a whole that covers it.
    pub(super) fn owns(self, path: &[Step<'_>]) -> bool {
        self.node(path).is_some()
    }

    /// The raw node at a path, or the leaf above it that covers it. Read without
    /// parsing the whole entry: this is asked about single paths.
    fn node(self, path: &[Step<'_>]) -> Option<&'a Map<String, Value>> {
        let mut node = self.0.get("fieldsV1")?.as_object()?;
        for (depth, step) in path.iter().enumerate() {
            if depth > 0 && node.is_empty() {
                return Some(node);
            }
            node = child(node, step)?.as_object()?;
        }
        Some(node)
    }
}

fn child<'a>(node: &'a Map<String, Value>, step: &Step<'_>) -> Option<&'a Value> {
    match step {
        Step::Field(name) => node.get(&format!("f:{name}")),
        Step::Key(key) => keyed(node, |name, value| {
            key.get(name).is_some_and(|own| same(own, value))
        }),
        Step::Item(key) => keyed(node, |name, value| {
            key.iter()
                .find(|(own, _)| *own == name)
                .is_none_or(|(_, own)| same(own, value))
        }),
        Step::Value(value) => node.get(&format!("v:{value}")),
        Step::Index(index) => node.get(&format!("i:{index}")),
    }
}

/// The item whose every key field passes.
fn keyed(node: &Map<String, Value>, passes: impl Fn(&str, &Value) -> bool) -> Option<&Value> {
    node.iter()
        .find(|(element, _)| {
            parse_key(element)
                .is_some_and(|key| key.iter().all(|(name, value)| passes(name, value)))
        })
        .map(|(_, child)| child)
}

fn parse_key(element: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(element.strip_prefix("k:")?).ok()
}

/// Who owns a path now, other than we; of several the one who wrote last.
pub(super) fn owner_of(live: &Live, path: &[Step<'_>]) -> Option<Manager> {
    others(live)
        .filter(|entry| entry.owns(path))
        .map(Entry::manager)
        .max_by(|a, b| a.time.cmp(&b.time))
}

/// Whether somebody else owns single paths below this one: then it is no atomic
/// map or list.
pub(super) fn others_below(live: &Live, path: &[Step<'_>]) -> bool {
    others(live).any(|entry| {
        entry
            .node(path)
            .is_some_and(|node| node.keys().any(|element| element != "."))
    })
}

/// The key fields by which others own items of the list at a path; empty where
/// nobody does.
pub(super) fn key_names(live: &Live, path: &[Step<'_>]) -> Vec<String> {
    others(live)
        .filter_map(|entry| entry.node(path))
        .flat_map(Map::keys)
        .find_map(|element| parse_key(element))
        .map(|key| key.keys().cloned().collect())
        .unwrap_or_default()
}

fn others(live: &Live) -> impl Iterator<Item = Entry<'_>> {
    Entry::all(live).filter(|entry| !entry.is_ours())
}
