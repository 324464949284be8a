//! Of an object that nobody declares yet, what people have set: by managedFields,
//! without what controllers wrote, and without what is as if nobody had set it.

use serde_json::{Map, Value};

use super::builtin::{is_builtin, is_default};
use super::managers::{Role, is_client_side, role};
use super::natural::{is_mark, is_natural, last_applied};
use super::owners::Entry;
use super::place::at;
use super::set::{Element, FieldSet};
use crate::model::{Live, PART_OF, group_of};

/// Maps whose keys are somebody's choice.
const FREE: [&str; 5] = ["labels", "annotations", "data", "binaryData", "stringData"];

/// The object as a person would have written it. `None` where nobody but controllers has
/// set anything, or where managedFields don't tell.
pub fn set_by_people(live: &Live) -> Option<Value> {
    let metadata = live.body.get("metadata")?.as_object()?;
    let given = last_applied(Some(metadata));
    let mut kept = None;
    for entry in Entry::all(live) {
        if matches!(role(entry), Role::Controller) {
            continue;
        }
        let Ok(fields) = entry.fields() else { continue };
        let walk = Walk {
            builtin: is_builtin(group_of(entry.text("apiVersion"))),
        };
        let given = given.as_ref().filter(|_| is_client_side(entry));
        let part = walk.value("", "", &live.body, &fields, given, &Value::Null);
        kept = merged(kept, part);
    }
    let Value::Object(mut object) = kept? else {
        return None;
    };
    object.remove("status");
    for field in ["apiVersion", "kind"] {
        object.insert(field.to_owned(), live.body.get(field)?.clone());
    }
    let mut own = match object.remove("metadata") {
        Some(Value::Object(own)) => own,
        _ => Map::new(),
    };
    own.retain(|field, value| tidy_metadata(field, value));
    for field in ["name", "namespace"] {
        if let Some(value) = metadata.get(field) {
            own.insert(field.to_owned(), value.clone());
        }
    }
    object.insert("metadata".to_owned(), Value::Object(own));
    Some(Value::Object(object))
}

/// Leaves of metadata what people write there.
fn tidy_metadata(field: &str, value: &mut Value) -> bool {
    let Value::Object(map) = value else {
        return false;
    };
    map.retain(|name, _| !is_mark(name) && name != PART_OF);
    matches!(field, "labels" | "annotations") && !map.is_empty()
}

/// Maps that say nothing where they are empty; others, such as `emptyDir`, do.
const SILENT: [&str; 2] = ["resources", "securityContext"];

struct Walk {
    builtin: bool,
}

impl Walk {
    /// The part of a value that a set of paths holds.
    fn value(
        &self,
        parent: &str,
        field: &str,
        live: &Value,
        set: &FieldSet,
        given: Option<&Value>,
        around: &Value,
    ) -> Option<Value> {
        if set.is_leaf() {
            return self.meant(parent, field, live, around);
        }
        match live {
            Value::Object(map) => {
                let fields = set.children().filter_map(|(element, set)| {
                    let Element::Field(name) = element else {
                        return None;
                    };
                    let given = Self::given(given, element)?;
                    let value = self.value(field, name, map.get(name)?, set, given, live)?;
                    Some((name.clone(), value))
                });
                let fields: Map<String, Value> = fields.collect();
                (!fields.is_empty()).then_some(Value::Object(fields))
            }
            Value::Array(items) => {
                let items = items.iter().filter_map(|item| {
                    let (element, set) =
                        set.children().find(|(element, _)| is_item(element, item))?;
                    let given = Self::given(given, element)?;
                    Some(self.item(field, item, element, set, given))
                });
                let items: Vec<Value> = items.collect();
                (!items.is_empty()).then_some(Value::Array(items))
            }
            other => self.meant(parent, field, other, around),
        }
    }

    /// What the manager was given there; `None` where it says what it was given and that
    /// is not among it.
    #[expect(clippy::option_option, reason = "nothing is known, or this is")]
    fn given<'a>(given: Option<&'a Value>, element: &Element) -> Option<Option<&'a Value>> {
        match given {
            None => Some(None),
            Some(given) => at(given, element).map(|(value, _)| Some(value)),
        }
    }

    /// An item is told by its key, whatever that is.
    fn item(
        &self,
        field: &str,
        item: &Value,
        element: &Element,
        set: &FieldSet,
        given: Option<&Value>,
    ) -> Value {
        let Element::Key(key) = element else {
            return item.clone();
        };
        let kept = self.value(field, field, item, set, given, &Value::Null);
        let mut kept = match kept {
            Some(Value::Object(kept)) => kept,
            _ => Map::new(),
        };
        for (name, value) in key {
            if !self.natural(field, name, value, item) {
                kept.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        Value::Object(kept)
    }

    /// A value that is owned as a whole, without what stands for nothing in it.
    fn meant(&self, parent: &str, field: &str, live: &Value, around: &Value) -> Option<Value> {
        if self.natural(parent, field, live, around) {
            return None;
        }
        let free = FREE.contains(&field);
        Some(match live {
            Value::Object(map) if !free => {
                let inner = map.iter().filter_map(|(name, value)| {
                    Some((name.clone(), self.meant(field, name, value, live)?))
                });
                Value::Object(inner.collect())
            }
            Value::Array(items) => {
                // An item is never left out.
                let inner = |item: &Value| match item {
                    Value::Object(_) => self.meant("", field, item, &Value::Null),
                    _ => None,
                };
                let items = items.iter();
                items
                    .map(|item| inner(item).unwrap_or_else(|| item.clone()))
                    .collect()
            }
            other => other.clone(),
        })
    }

    fn natural(&self, parent: &str, field: &str, value: &Value, around: &Value) -> bool {
        // What a cluster chose for the object, nobody did.
        let assigned = matches!(
            field,
            "clusterIP"
                | "clusterIPs"
                | "ipFamilies"
                | "healthCheckNodePort"
                | "nodePort"
                | "volumeName"
        ) && matches!(parent, "spec" | "ports");
        self.builtin
            && !FREE.contains(&parent)
            && (assigned
                || is_default(parent, field, value)
                || value.as_object().is_some_and(Map::is_empty) && SILENT.contains(&field)
                || !value.is_object() && is_natural(parent, field, value, around))
    }
}

fn is_item(element: &Element, item: &Value) -> bool {
    at(&Value::from(vec![item.clone()]), element).is_some()
}

/// Two parts of one object.
fn merged(one: Option<Value>, other: Option<Value>) -> Option<Value> {
    match (one, other) {
        (Some(Value::Object(mut one)), Some(Value::Object(other))) => {
            for (name, value) in other {
                let before = one.remove(&name);
                one.extend(merged(before, Some(value)).map(|value| (name, value)));
            }
            Some(Value::Object(one))
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            Some(Value::Array(merged_items(one, other)))
        }
        (one, other) => one.or(other),
    }
}

fn merged_items(mut one: Vec<Value>, other: Vec<Value>) -> Vec<Value> {
    for item in other {
        match one.iter().position(|mine| is_same(mine, &item)) {
            Some(place) => {
                let mine = one[place].take();
                one[place] = merged(Some(mine), Some(item)).unwrap_or_default();
            }
            None => one.push(item),
        }
    }
    one
}

/// What items are told by, in the lists of built-in kinds.
const KEYS: [&str; 7] = [
    "name",
    "containerPort",
    "port",
    "mountPath",
    "ip",
    "key",
    "uid",
];

/// Whether two parts are of one item: one of them may lack a key that its manager does not
/// own, but none is another.
fn is_same(one: &Value, other: &Value) -> bool {
    let protocol = |item: &Value| item.get("protocol").filter(|it| *it != "TCP").cloned();
    let mut both = KEYS
        .iter()
        .filter_map(|key| Some((one.get(key)?, other.get(key)?)))
        .peekable();
    one == other
        || both.peek().is_some()
            && both.all(|(one, other)| one == other)
            && protocol(one) == protocol(other)
}
