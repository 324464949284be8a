//! What an object would have to declare for live to be as declared: desired, with
//! exactly what differs in the cluster, and nothing of defaults, controllers or fields
//! that desired says nothing of.

use serde_json::{Map, Value};

use super::builtin::{STRIPPED, is_builtin, is_default};
use super::list::{self, Shape};
use super::natural::is_natural;
use super::owners::Entry;
use super::scalar::{same, spelled_alike, zero};
use super::set::FieldSet;
use crate::model::{Desired, Live};

/// Desired with the values that its fields have in the cluster. A field that is gone
/// there is left out, an item too; what is spelled otherwise but means the same stays as
/// it is declared. Lists stay in desired's order.
pub fn kept(desired: &Desired, live: &Live) -> Value {
    let body = desired.body();
    // Whoever owns a field tells how the schema takes it: as a whole, or by parts.
    let mut owned = FieldSet::default();
    for fields in Entry::all(live).filter_map(|entry| entry.fields().ok()) {
        owned.extend(fields);
    }
    let walk = Walk {
        builtin: is_builtin(&desired.id.kind.group),
    };
    let (Some(fields), Some(found)) = (body.as_object(), live.body.as_object()) else {
        return body;
    };
    let kept = fields.iter().filter_map(|(name, value)| {
        let live = found.get(name);
        let value = match name.as_str() {
            "apiVersion" | "kind" | "status" => Some(value.clone()),
            "metadata" => Some(walk.metadata(value, live, owned.field(name))),
            _ => walk.value(value, live, owned.field(name), name),
        };
        Some((name.clone(), value?))
    });
    kept.collect()
}

struct Walk {
    /// Whether Kubernetes itself serves the kind.
    builtin: bool,
}

impl Walk {
    fn metadata(&self, desired: &Value, live: Option<&Value>, owned: Option<&FieldSet>) -> Value {
        let (Some(desired), Some(live)) = (desired.as_object(), live.and_then(Value::as_object))
        else {
            return desired.clone();
        };
        let kept = desired.iter().filter_map(|(name, value)| {
            let server = STRIPPED.contains(&name.as_str());
            let value = if server || matches!(name.as_str(), "uid" | "resourceVersion") {
                Some(value.clone())
            } else {
                let owned = owned.and_then(|owned| owned.field(name));
                self.value(value, live.get(name), owned, name)
            };
            Some((name.clone(), value?))
        });
        kept.collect()
    }

    fn value(
        &self,
        desired: &Value,
        live: Option<&Value>,
        owned: Option<&FieldSet>,
        field: &str,
    ) -> Option<Value> {
        let Some(live) = live else {
            // The server drops what stands for nothing.
            return zero(desired).then(|| desired.clone());
        };
        let whole = owned.is_some_and(|owned| owned.member && owned.is_leaf());
        Some(match (desired, live) {
            (Value::Object(desired), Value::Object(live)) => {
                let whole = whole && !desired.is_empty();
                self.map(desired, live, owned, whole, field)
            }
            (Value::Array(desired), Value::Array(live)) => {
                Value::Array(self.list(desired, live, owned, whole, field))
            }
            (desired, live) if same(desired, live) || spelled_alike(desired, live) => {
                desired.clone()
            }
            (_, live) => self.meant(live, field),
        })
    }

    fn map(
        &self,
        desired: &Map<String, Value>,
        live: &Map<String, Value>,
        owned: Option<&FieldSet>,
        whole: bool,
        field: &str,
    ) -> Value {
        let declared = desired.iter().filter_map(|(name, value)| {
            let owned = owned.and_then(|owned| owned.field(name));
            let live = live.get(name);
            let value = match (live, whole) {
                (Some(live), true) => Some(self.inside(value, live, name)),
                _ => self.value(value, live, owned, name),
            };
            Some((name.clone(), value?))
        });
        let mut kept: Map<String, Value> = declared.collect();
        if whole {
            let all = Value::Object(live.clone());
            let added = live.iter().filter(|(name, value)| {
                !desired.contains_key(*name) && !self.is_nothing(field, name, value, &all)
            });
            kept.extend(added.map(|(name, value)| (name.clone(), self.meant(value, name))));
        }
        Value::Object(kept)
    }

    fn list(
        &self,
        desired: &[Value],
        live: &[Value],
        owned: Option<&FieldSet>,
        whole: bool,
        field: &str,
    ) -> Vec<Value> {
        let nothing = FieldSet::default();
        let set = owned.unwrap_or(&nothing);
        if whole {
            return self.whole_list(desired, live, field);
        }
        if set.is_value_set() {
            let there = desired
                .iter()
                .filter(|item| live.iter().any(|it| same(it, item)));
            return there.cloned().collect();
        }
        let owned_names = set.key_names();
        let names = match list::guess(desired, live) {
            _ if !owned_names.is_empty() => owned_names,
            Shape::Keyed(names) => names,
            Shape::Scalars | Shape::Positions => return self.whole_list(desired, live, field),
        };
        let pairs = list::pair(desired, live, set, &names);
        let items = desired.iter().zip(&pairs.matches);
        let kept = items.filter_map(|(item, found)| {
            let owned = found.owned.map(|at| &set.children[at].1);
            self.value(item, Some(&live[found.live?]), owned, field)
        });
        kept.collect()
    }

    /// A list that nobody owns parts of.
    fn whole_list(&self, desired: &[Value], live: &[Value], field: &str) -> Vec<Value> {
        if desired.len() != live.len() {
            let alike = |item: &Value| {
                let mut declared = desired.iter();
                declared.find(|declared| same(&self.inside(declared, item, field), declared))
            };
            let items = live.iter();
            return items
                .map(|item| {
                    alike(item)
                        .cloned()
                        .unwrap_or_else(|| self.meant(item, field))
                })
                .collect();
        }
        let pairs = desired.iter().zip(live);
        pairs
            .map(|(desired, live)| self.inside(desired, live, field))
            .collect()
    }

    /// A part of what is owned as a whole.
    fn inside(&self, desired: &Value, live: &Value, field: &str) -> Value {
        match (desired, live) {
            (Value::Object(desired), Value::Object(live)) => {
                self.map(desired, live, None, true, field)
            }
            (Value::Array(desired), Value::Array(live)) => {
                Value::Array(self.whole_list(desired, live, field))
            }
            (desired, live) if same(desired, live) || spelled_alike(desired, live) => {
                desired.clone()
            }
            (_, live) => self.meant(live, field),
        }
    }

    /// What is live, without what the server has added to it.
    fn meant(&self, live: &Value, field: &str) -> Value {
        match live {
            Value::Object(map) => {
                let meant = map
                    .iter()
                    .filter(|(name, value)| !self.is_nothing(field, name, value, live));
                let meant = meant.map(|(name, value)| (name.clone(), self.meant(value, name)));
                meant.collect()
            }
            Value::Array(items) => items.iter().map(|item| self.meant(item, field)).collect(),
            other => other.clone(),
        }
    }

    fn is_nothing(&self, parent: &str, field: &str, value: &Value, around: &Value) -> bool {
        let collection = value.is_object() || value.is_array();
        self.builtin
            && !collection
            && (is_default(parent, field, value) || is_natural(parent, field, value, around))
    }
}
