//! A live object reduced to the fields that matter to us.

use serde_json::{Map, Value};

use super::list::{self, Shape};
use super::scalar::{same, spelled_alike};
use super::set::{Element, FieldSet};
use crate::model::{Desired, Live, holds_secret};

/// The live object at the paths of a set, with apiVersion, kind, name and
/// namespace: what the record keeps. List items stay in live order.
pub fn project(live: &Live, set: &FieldSet) -> Value {
    let reduced = reduce(&live.body, set).unwrap_or_default();
    identified(reduced, &live.body)
}

/// The live object at the paths that are owned or desired, so that a textual diff
/// with desired shows our differences and no defaults. What Git has as `stringData`
/// of a Secret is shown as that.
pub fn project_desired_paths(live: &Live, desired: &Desired, owned: &FieldSet) -> Value {
    let body = desired.body();
    let both = both(Some(&body), &live.body, Some(owned)).unwrap_or_default();
    let mut shown = identified(both, &live.body);
    if holds_secret(&desired.id)
        && let Some(strings) = body.get("stringData")
        && let Some(decoded) = decoded_strings(strings, &live.body)
    {
        shown["stringData"] = decoded;
    }
    shown
}

/// A projection with its list items in desired's order and its values in desired's
/// spelling, for a diff that is about neither.
pub fn aligned(desired: &Desired, projection: &Value) -> Value {
    align(&desired.body(), projection)
}

fn identified(mut reduced: Value, live: &Value) -> Value {
    if !reduced.is_object() {
        reduced = Value::Object(Map::new());
    }
    for field in ["apiVersion", "kind"] {
        if let Some(value) = live.get(field) {
            reduced[field] = value.clone();
        }
    }
    for field in ["name", "namespace"] {
        if let Some(value) = live
            .get("metadata")
            .and_then(|metadata| metadata.get(field))
        {
            reduced["metadata"][field] = value.clone();
        }
    }
    reduced
}

fn reduce(live: &Value, set: &FieldSet) -> Option<Value> {
    if set.is_leaf() {
        return set.member.then(|| live.clone());
    }
    match live {
        Value::Object(map) => Some(Value::Object(reduce_map(map, set))),
        Value::Array(items) => Some(Value::Array(reduce_list(items, set))),
        // The schema has changed under the set.
        other => Some(other.clone()),
    }
}

fn reduce_map(map: &Map<String, Value>, set: &FieldSet) -> Map<String, Value> {
    set.children()
        .filter_map(|(element, set)| match element {
            Element::Field(name) => Some((name.clone(), reduce(map.get(name)?, set)?)),
            _ => None,
        })
        .collect()
}

fn reduce_list(items: &[Value], set: &FieldSet) -> Vec<Value> {
    let names = set.key_names();
    if names.is_empty() {
        let kept = items.iter().filter(|item| set.has_value(item));
        return kept.cloned().collect();
    }
    let mut kept: Vec<(usize, Value)> = list::pair(&[], items, set, &names)
        .left
        .iter()
        .filter_map(|found| {
            let (element, set) = &set.children[found.owned?];
            let at = found.live?;
            Some((at, reduce_item(&items[at], element, set)))
        })
        .collect();
    kept.sort_by_key(|(at, _)| *at);
    kept.into_iter().map(|(_, item)| item).collect()
}

/// An item of which we own no field still shows its key.
fn reduce_item(item: &Value, element: &Element, set: &FieldSet) -> Value {
    match (reduce(item, set), element) {
        (Some(Value::Object(map)), _) if !map.is_empty() => Value::Object(map),
        (_, Element::Key(key)) => Value::Object(key.clone()),
        (reduced, _) => reduced.unwrap_or_default(),
    }
}

fn both(desired: Option<&Value>, live: &Value, owned: Option<&FieldSet>) -> Option<Value> {
    let Some(desired) = desired else {
        return reduce(live, owned?);
    };
    let whole = owned.is_some_and(|owned| owned.is_leaf() && owned.member);
    match (desired, live) {
        // `{}` of a map that others fill in: nothing of it is ours.
        (Value::Object(desired), Value::Object(_)) if whole && desired.is_empty() => {
            Some(Value::Object(Map::new()))
        }
        // Somebody has filled what is owned as a whole, and owns it.
        (Value::Object(desired), Value::Object(_)) if desired.is_empty() && owned.is_none() => {
            Some(live.clone())
        }
        (Value::Object(desired), Value::Object(live)) if !whole => {
            Some(Value::Object(both_maps(desired, live, owned)))
        }
        (Value::Array(desired), Value::Array(live)) if !whole => {
            Some(Value::Array(both_lists(desired, live, owned)))
        }
        _ => Some(live.clone()),
    }
}

fn both_maps(
    desired: &Map<String, Value>,
    live: &Map<String, Value>,
    owned: Option<&FieldSet>,
) -> Map<String, Value> {
    live.iter()
        .filter_map(|(name, value)| {
            let owned = owned.and_then(|owned| owned.field(name));
            Some((name.clone(), both(desired.get(name), value, owned)?))
        })
        .collect()
}

fn both_lists(desired: &[Value], live: &[Value], owned: Option<&FieldSet>) -> Vec<Value> {
    let nothing = FieldSet::default();
    let set = owned.unwrap_or(&nothing);
    if set.is_value_set() {
        let ours = |item: &&Value| set.has_value(item) || desired.iter().any(|d| same(d, item));
        return live.iter().filter(ours).cloned().collect();
    }
    let owned_names = set.key_names();
    let names = match list::guess(desired, live) {
        _ if !owned_names.is_empty() => owned_names,
        Shape::Keyed(names) => names,
        Shape::Scalars | Shape::Positions => return live.to_vec(),
    };
    let pairs = list::pair(desired, live, set, &names);
    let wanted = desired.iter().map(Some).zip(&pairs.matches);
    let left = std::iter::repeat(None).zip(&pairs.left);
    let mut kept: Vec<(usize, Value)> = wanted
        .chain(left)
        .filter_map(|(desired, found)| {
            let at = found.live?;
            let owned = found.owned.map(|at| &set.children[at].1);
            Some((at, both(desired, &live[at], owned)?))
        })
        .collect();
    kept.sort_by_key(|(at, _)| *at);
    kept.into_iter().map(|(_, item)| item).collect()
}

/// `data` of a Secret read back at the keys of `stringData`; what is no text stays
/// encoded.
fn decoded_strings(strings: &Value, live: &Value) -> Option<Value> {
    use base64::Engine as _;
    let data = live.get("data")?;
    let decode = |name: &String| {
        let encoded = data.get(name)?.as_str()?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded);
        let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        Some((
            name.clone(),
            Value::from(text.unwrap_or_else(|| encoded.to_owned())),
        ))
    };
    let decoded: Map<String, Value> = strings.as_object()?.keys().filter_map(decode).collect();
    Some(Value::Object(decoded))
}

fn align(desired: &Value, live: &Value) -> Value {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => live
            .iter()
            .map(|(name, value)| {
                let aligned = desired
                    .get(name)
                    .map_or_else(|| value.clone(), |desired| align(desired, value));
                (name.clone(), aligned)
            })
            .collect(),
        (Value::Array(desired), Value::Array(live)) => Value::Array(align_list(desired, live)),
        // Another spelling of the same value would only distract.
        (desired, live) if spelled_alike(desired, live) => desired.clone(),
        (_, live) => live.clone(),
    }
}

fn align_list(desired: &[Value], live: &[Value]) -> Vec<Value> {
    let partners: Vec<Option<usize>> = match list::guess(desired, live) {
        Shape::Keyed(names) => list::pair(desired, live, &FieldSet::default(), &names)
            .matches
            .iter()
            .map(|found| found.live)
            .collect(),
        Shape::Positions if desired.len() == live.len() => (0..live.len()).map(Some).collect(),
        Shape::Scalars | Shape::Positions => return live.to_vec(),
    };
    let paired = desired
        .iter()
        .zip(&partners)
        .filter_map(|(desired, at)| Some(align(desired, &live[(*at)?])));
    let rest = live
        .iter()
        .enumerate()
        .filter(|(at, _)| !partners.contains(&Some(*at)))
        .map(|(_, item)| item.clone());
    paired.chain(rest).collect()
}
