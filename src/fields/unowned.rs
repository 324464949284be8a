//! Comparing what we own nothing of: what was never applied by us, or was taken.

use serde_json::{Map, Value};

use super::compare::{NOTHING, Walk};
use super::items::key_fields;
use super::list::{self, Shape};
use super::owners::key_names;
use super::path::Step;
use super::scalar::same;
use super::verdict::{Doubt, Kind};

impl<'a> Walk<'a> {
    /// A path of which we own nothing.
    pub(super) fn unowned(&mut self, desired: &'a Value, live: Option<&'a Value>) {
        let empty_list = desired.as_array().is_some_and(Vec::is_empty);
        let Some(live) = live else {
            if !(empty_list && self.drops_empty()) {
                self.missing(desired, false);
            }
            return;
        };
        match (desired, live) {
            (Value::Object(desired), Value::Object(live)) if !desired.is_empty() => {
                for (name, value) in desired {
                    let live = live.get(name);
                    self.within(Step::Field(name), |walk| walk.unowned(value, live));
                }
            }
            (Value::Array(desired), Value::Array(live)) if !desired.is_empty() => {
                self.unowned_list(desired, live);
            }
            // Neither an empty list nor an empty map says who is to own it.
            (Value::Array(_) | Value::Object(_), _) if same(desired, live) => {
                if !(empty_list && self.drops_empty()) {
                    self.report(Kind::NotOwned, Some(Doubt::Zero));
                }
            }
            _ if same(desired, live) => self.report(Kind::NotOwned, None),
            _ => self.changed(desired, live, false),
        }
    }

    fn unowned_list(&mut self, desired: &'a [Value], live: &'a [Value]) {
        if desired.len() == live.len() && desired.iter().zip(live).all(|(a, b)| same(a, b)) {
            return self.report(Kind::NotOwned, None);
        }
        let names = own_names(desired, &key_names(self.live, &self.path));
        if !names.is_empty() {
            return self.keyed_items(desired, live, &names);
        }
        self.report(Kind::Unclear, Some(Doubt::Guessed));
        match list::guess(desired, live) {
            Shape::Keyed(names) => self.keyed_items(desired, live, &names),
            Shape::Positions if desired.len() == live.len() => {
                for (at, (desired, live)) in desired.iter().zip(live).enumerate() {
                    self.within(Step::Index(at), |walk| walk.unowned(desired, Some(live)));
                }
            }
            Shape::Positions | Shape::Scalars => {
                let kind = Kind::Changed {
                    live: self.shown(&Value::from(live)),
                    desired: self.shown(&Value::from(desired)),
                };
                self.report(kind, Some(Doubt::Guessed));
            }
        }
    }

    pub(super) fn keyed_items(
        &mut self,
        desired: &'a [Value],
        live: &'a [Value],
        names: &[&'a str],
    ) {
        let pairs = list::pair(desired, live, &NOTHING, names);
        if !pairs.clear {
            self.report(Kind::Unclear, Some(Doubt::Guessed));
        }
        for (item, found) in desired.iter().zip(&pairs.matches) {
            let live = found.live.map(|at| &live[at]);
            self.within(Step::Item(key_fields(item, names)), |walk| {
                walk.item(item, live, None);
            });
        }
    }
}

/// Those of the names that items have, borrowed from the items.
fn own_names<'a>(items: &'a [Value], names: &[String]) -> Vec<&'a str> {
    let mut found: Vec<&str> = items
        .iter()
        .filter_map(Value::as_object)
        .flat_map(Map::keys)
        .map(String::as_str)
        .filter(|name| names.iter().any(|own| own == name))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
