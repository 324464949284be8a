//! Lining up the items of associative lists.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::scalar::Probe;
use super::set::{Element, FieldSet};
use crate::model::text_of;

/// Key fields that Kubernetes' own lists go by, the likeliest first. Used only for
/// lists that nobody owns items of, where the worst of a wrong guess is a
/// difference that is shown in an odd place.
const USUAL_KEYS: [&[&str]; 10] = [
    &["name"],
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["key"],
    &["mountPath"],
    &["devicePath"],
    &["topologyKey", "whenUnsatisfiable"],
    &["ip"],
    &["uid"],
    &["type"],
];

/// The partners of one desired item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Match {
    /// Its place among the children of the owned set.
    pub(super) owned: Option<usize>,
    /// Its place in the live list.
    pub(super) live: Option<usize>,
}

/// A list lined up.
#[derive(Debug)]
pub(super) struct Pairs {
    /// For each desired item.
    pub(super) matches: Vec<Match>,
    /// What we own and no longer desire: children of the owned set.
    pub(super) left: Vec<Match>,
    /// Whether all of that is sure: no key twice, no default that fits several.
    pub(super) clear: bool,
}

type Key<'a> = Vec<(&'a str, Probe<'a>)>;

/// Lines up desired, owned and live items by these key fields. A desired item may
/// lack a key field that the schema has a default for (`protocol`): it is then the
/// owned item that has the rest of the key and whose field we don't own by name.
pub(super) fn pair(desired: &[Value], live: &[Value], owned: &FieldSet, names: &[&str]) -> Pairs {
    let mut clear = true;
    let owned_at = index(owned.children.iter().map(owned_key), &mut clear);
    let live_at = index(live.iter().map(|item| item_key(item, names)), &mut clear);
    let keys: Vec<Key<'_>> = desired.iter().map(|item| item_key(item, names)).collect();
    index(keys.iter().cloned(), &mut clear);

    let exact = |at: &BTreeMap<Key<'_>, usize>, key: &Key<'_>| at.get(key).copied();
    let mut matches: Vec<Match> = keys
        .iter()
        .map(|key| Match {
            owned: exact(&owned_at, key),
            live: exact(&live_at, key),
        })
        .collect();
    let mut taken: Vec<bool> = vec![false; owned.children.len()];
    for one in &matches {
        one.owned.into_iter().for_each(|at| taken[at] = true);
    }
    for (key, found) in keys.iter().zip(&mut matches) {
        if found.owned.is_none() && key.len() < names.len() {
            found.owned = defaulted(key, &owned_at, owned, &taken, &mut clear);
            found.owned.into_iter().for_each(|at| taken[at] = true);
        }
        if let Some(at) = found.owned {
            found.live = exact(&live_at, &owned_key(&owned.children[at]));
        } else if found.live.is_none() && key.len() < names.len() {
            found.live = only(
                live_at.iter().filter(|(full, _)| within(key, full)),
                &mut clear,
            );
        }
    }
    let left = (0..owned.children.len())
        .filter(|at| !taken[*at])
        .map(|at| Match {
            owned: Some(at),
            live: exact(&live_at, &owned_key(&owned.children[at])),
        })
        .collect();
    Pairs {
        matches,
        left,
        clear,
    }
}

fn index<'a>(keys: impl Iterator<Item = Key<'a>>, clear: &mut bool) -> BTreeMap<Key<'a>, usize> {
    let mut at = BTreeMap::new();
    for (place, key) in keys.enumerate() {
        *clear &= at.insert(key, place).is_none();
    }
    at
}

fn owned_key((element, _): &(Element, FieldSet)) -> Key<'_> {
    match element {
        Element::Key(key) => key
            .iter()
            .map(|(name, value)| (name.as_str(), Probe::of(value)))
            .collect(),
        _ => Key::new(),
    }
}

fn item_key<'a>(item: &'a Value, names: &[&'a str]) -> Key<'a> {
    names
        .iter()
        .filter_map(|name| Some((*name, Probe::of(item.get(*name)?))))
        .collect()
}

fn within(part: &Key<'_>, full: &Key<'_>) -> bool {
    !part.is_empty() && part.iter().all(|field| full.contains(field))
}

/// The owned item that a key with fields left to their defaults means.
fn defaulted(
    key: &Key<'_>,
    owned_at: &BTreeMap<Key<'_>, usize>,
    owned: &FieldSet,
    taken: &[bool],
    clear: &mut bool,
) -> Option<usize> {
    let free = || {
        owned_at
            .iter()
            .filter(|(full, at)| !taken[**at] && within(key, full))
    };
    // A key field that we own by name was written out, so it was no default.
    let by_default = |full: &Key<'_>, at: usize| {
        full.iter()
            .filter(|field| !key.contains(field))
            .all(|(name, _)| owned.children[at].1.field(name).is_none())
    };
    let mut unsure = true;
    only(free().filter(|(full, at)| by_default(full, **at)), clear)
        .or_else(|| only(free(), &mut unsure))
}

fn only<'a, 'b: 'a>(
    mut candidates: impl Iterator<Item = (&'a Key<'b>, &'a usize)>,
    clear: &mut bool,
) -> Option<usize> {
    let first = candidates.next().map(|(_, at)| *at);
    *clear &= candidates.next().is_none();
    first
}

/// How to line up a list of which we own nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape<'a> {
    /// By key fields.
    Keyed(Vec<&'a str>),
    /// Scalars, in any order.
    Scalars,
    /// First with first, second with second.
    Positions,
}

/// The fields that an item of a list usually goes by, each with its value as text.
pub fn usual_key(item: &Value) -> Vec<(String, String)> {
    let Some(fields) = item.as_object() else {
        return Vec::new();
    };
    let mut usual = USUAL_KEYS.iter();
    let usual = usual.find(|names| scalar_at(fields, names[0]));
    let names = usual.into_iter().flat_map(|names| names.iter());
    names
        .filter_map(|name| Some(((*name).to_owned(), text_of(fields.get(*name)?))))
        .collect()
}

/// The likeliest shape of a list, from its items on both sides.
pub(super) fn guess(desired: &[Value], live: &[Value]) -> Shape<'static> {
    let mut all = desired.iter().chain(live);
    if !all.clone().all(Value::is_object) {
        let scalar = |item: &Value| !item.is_object() && !item.is_array();
        return if all.all(scalar) {
            Shape::Scalars
        } else {
            Shape::Positions
        };
    }
    USUAL_KEYS
        .iter()
        .find(|names| keys_both(desired, live, names))
        .map_or(Shape::Positions, |names| Shape::Keyed(names.to_vec()))
}

fn keys_both(desired: &[Value], live: &[Value], names: &[&str]) -> bool {
    let has = |item: &Value| {
        item.as_object()
            .is_some_and(|item| scalar_at(item, names[0]))
    };
    let mut clear = true;
    for list in [desired, live] {
        index(list.iter().map(|item| item_key(item, names)), &mut clear);
    }
    clear && desired.iter().chain(live).all(has)
}

fn scalar_at(item: &Map<String, Value>, name: &str) -> bool {
    item.get(name)
        .is_some_and(|value| Probe::of(value) != Probe::Other)
}
