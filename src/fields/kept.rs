//! What an object would have to declare for live to be as declared: desired, with
//! exactly what differs in the cluster, and nothing of defaults, controllers or fields
//! that desired says nothing of.

use serde_json::{Map, Value};

use super::builtin::{STRIPPED, is_builtin, is_default};
use super::list::{self, Shape};
use super::natural::is_natural;
use super::owners::Entry;
use super::scalar::{same, spelled_alike, zero};
use super::set::{Element, FieldSet};
use crate::model::{Desired, FIELD_MANAGER, Live};

/// What is to be thought of a declared field that isn't live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// Somebody took it away: what is declared was applied.
    Removed,
    /// Nothing: it may have been declared since the last apply.
    Unexplained,
}

/// Desired with the values that others have given its fields in the cluster. A field that
/// they took away is left out, an item too; what is spelled otherwise but means the same
/// stays as it is declared, and so does what we own: there desired has moved, or the
/// server rewrites what we send. Lists stay in desired's order.
pub fn kept(desired: &Desired, live: &Live, absence: Absence) -> Value {
    let body = desired.body();
    let ours = super::owned(live, FIELD_MANAGER);
    // Whoever owns a field tells how the schema takes it: as a whole, or by parts.
    let mut owned = FieldSet::default();
    for fields in Entry::all(live).filter_map(|entry| entry.fields().ok()) {
        owned.extend(fields);
    }
    let walk = Walk {
        builtin: is_builtin(&desired.id.kind.group),
        absence,
    };
    let (Some(fields), Some(found)) = (body.as_object(), live.body.as_object()) else {
        return body;
    };
    let owned = Owned {
        by_anybody: Some(&owned),
        by_us: Some(&ours),
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
    absence: Absence,
}

/// Who owns what at a path.
#[derive(Clone, Copy)]
struct Owned<'a> {
    by_anybody: Option<&'a FieldSet>,
    by_us: Option<&'a FieldSet>,
}

const NOBODYS: Owned<'static> = Owned {
    by_anybody: None,
    by_us: None,
};

impl Owned<'_> {
    fn child(self, element: &Element) -> Self {
        Self {
            by_anybody: self.by_anybody.and_then(|set| set.child(element)),
            by_us: self.by_us.and_then(|set| set.child(element)),
        }
    }

    fn field(self, name: &str) -> Self {
        Self {
            by_anybody: self.by_anybody.and_then(|set| set.field(name)),
            by_us: self.by_us.and_then(|set| set.field(name)),
        }
    }

    /// Whether it is owned, and nothing below it.
    fn whole(set: Option<&FieldSet>) -> bool {
        set.is_some_and(|set| set.member && set.is_leaf())
    }
}

impl Walk {
    fn metadata(&self, desired: &Value, live: Option<&Value>, owned: Owned<'_>) -> Value {
        let (Some(desired), Some(live)) = (desired.as_object(), live.and_then(Value::as_object))
        else {
            return desired.clone();
        };
        let kept = desired.iter().filter_map(|(name, value)| {
            let server = STRIPPED.contains(&name.as_str());
            let value = if server || matches!(name.as_str(), "uid" | "resourceVersion") {
                Some(value.clone())
            } else {
                self.value(value, live.get(name), owned.field(name), name)
            };
            Some((name.clone(), value?))
        });
        kept.collect()
    }

    fn value(
        &self,
        desired: &Value,
        live: Option<&Value>,
        owned: Owned<'_>,
        field: &str,
    ) -> Option<Value> {
        let Some(live) = live else {
            // The server drops what stands for nothing.
            let stays = zero(desired) || self.absence == Absence::Unexplained;
            return stays.then(|| desired.clone());
        };
        let whole = Owned::whole(owned.by_anybody);
        let container = desired.is_object() || desired.is_array();
        if Owned::whole(owned.by_us) && !(container && empty(desired)) {
            return Some(desired.clone());
        }
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
        owned: Owned<'_>,
        whole: bool,
        field: &str,
    ) -> Value {
        let declared = desired.iter().filter_map(|(name, value)| {
            let (live, owned) = (live.get(name), owned.field(name));
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
        owned: Owned<'_>,
        whole: bool,
        field: &str,
    ) -> Vec<Value> {
        let nothing = FieldSet::default();
        let set = owned.by_anybody.unwrap_or(&nothing);
        if whole {
            return self.whole_list(desired, live, field);
        }
        if set.is_value_set() {
            let there = desired.iter().filter(|item| {
                live.iter().any(|it| same(it, item)) || self.absence == Absence::Unexplained
            });
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
            let owned = match found.owned {
                Some(at) => owned.child(&set.children[at].0),
                None => NOBODYS,
            };
            let Some(place) = found.live else {
                return (self.absence == Absence::Unexplained).then(|| item.clone());
            };
            self.value(item, Some(&live[place]), owned, field)
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
                self.map(desired, live, NOBODYS, true, field)
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

fn empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
