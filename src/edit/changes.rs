//! What differs between two states of an object, and carrying that over to where the
//! object is written.

use serde_json::{Map, Value};

use super::yaml::{Step, find, lined_up};
use crate::fields::same;

/// One field that becomes another.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FieldChange {
    /// Where, in the object as it was: of an item that is new, its list.
    pub(super) path: Vec<Step>,
    /// The new value; `None` where it goes.
    pub(super) to: Option<Value>,
}

/// The fields that differ, each as far down as it goes. A list whose items don't line
/// up is one field.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    walk(before, after, &mut Vec::new(), &mut found);
    found
}

fn walk(before: &Value, after: &Value, path: &mut Vec<Step>, found: &mut Vec<FieldChange>) {
    if same(before, after) {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for key in old
                .keys()
                .chain(new.keys().filter(|key| !old.contains_key(*key)))
            {
                path.push(Step::Key(key.clone()));
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => walk(old, new, path, found),
                    (_, to) => found.push(FieldChange {
                        path: path.clone(),
                        to: to.cloned(),
                    }),
                }
                path.pop();
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                path.push(Step::Index(index));
                walk(old, new, path, found);
                path.pop();
            }
        }
        _ => found.push(FieldChange {
            path: path.clone(),
            to: Some(after.clone()),
        }),
    }
}

/// A value as it is written, with what changed between two readings of it: what was not
/// read (nulls, `status`) stays.
pub(super) fn carried(written: &Value, before: &Value, after: &Value) -> Value {
    match (written, before, after) {
        _ if same(before, after) => written.clone(),
        (Value::Object(written), Value::Object(old), Value::Object(new)) => {
            let mut kept: Map<String, Value> = written
                .iter()
                .filter(|(key, _)| new.contains_key(*key) || !old.contains_key(*key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            for (key, value) in new {
                let value = match (written.get(key), old.get(key)) {
                    (Some(written), Some(old)) => carried(written, old, value),
                    _ => value.clone(),
                };
                kept.insert(key.clone(), value);
            }
            Value::Object(kept)
        }
        (Value::Array(written), Value::Array(old), Value::Array(new))
            if written.len() == old.len() =>
        {
            let pairs = lined_up(old, new);
            let items = pairs.into_iter().filter_map(|(was, is)| {
                let new = &new[is?];
                Some(match was {
                    Some(was) => carried(&written[was], &old[was], new),
                    None => new.clone(),
                })
            });
            Value::Array(items.collect())
        }
        _ => after.clone(),
    }
}

/// The same place in another spelling of the object, in which lists may be shorter or in
/// another order: items are found by what identifies them.
pub(super) fn transferred(path: &[Step], from: &Value, to: &Value) -> Option<Vec<Step>> {
    let (mut from, mut to) = (from, to);
    let mut found = Vec::new();
    for (depth, step) in path.iter().enumerate() {
        let last = depth + 1 == path.len();
        let next = match step {
            Step::Key(key) => {
                from = from.get(key).unwrap_or(&Value::Null);
                Step::Key(key.clone())
            }
            Step::Index(index) => {
                let item = from.get(index)?;
                let items = to.as_array()?;
                let place = items
                    .iter()
                    .position(|other| super::yaml::identified(item, other))?;
                from = item;
                Step::Index(place)
            }
        };
        found.push(next);
        match find(to, &found[depth..]) {
            Some(value) => to = value,
            None if last => {}
            None => return None,
        }
    }
    Some(found)
}
