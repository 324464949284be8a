//! Comparing lists of which we own items.

use serde_json::Value;

use super::compare::{NOTHING, Walk};
use super::list::{self, Match, Pairs};
use super::path::Step;
use super::scalar::{Probe, same};
use super::set::{Element, FieldSet};
use super::verdict::{Doubt, Kind};

impl<'a> Walk<'a> {
    pub(super) fn list(&mut self, desired: &'a [Value], live: &'a [Value], owned: &'a FieldSet) {
        let names = owned.key_names();
        if !names.is_empty() {
            let pairs = list::pair(desired, live, owned, &names);
            self.pairs(&pairs, desired, live, owned, &names);
        } else if owned.is_value_set() {
            self.values(desired, live, owned);
        } else {
            self.report(Kind::Unclear, Some(Doubt::Unaligned));
        }
    }

    fn pairs(
        &mut self,
        pairs: &Pairs,
        desired: &'a [Value],
        live: &'a [Value],
        owned: &'a FieldSet,
        names: &[&'a str],
    ) {
        if !pairs.clear {
            self.report(Kind::Unclear, Some(Doubt::Unaligned));
        }
        if out_of_order(pairs.matches.iter().filter_map(|found| found.live)) {
            self.report(Kind::Reordered, Some(Doubt::Unaligned));
        }
        for (item, found) in desired.iter().zip(&pairs.matches) {
            let owned = found.owned.map(|at| &owned.children[at]);
            let step = match owned {
                Some((Element::Key(key), _)) => Step::Key(key),
                _ => Step::Item(key_fields(item, names)),
            };
            let live = found.live.map(|at| &live[at]);
            self.within(step, |walk| {
                walk.item(item, live, owned.map(|(_, set)| set));
            });
        }
        for Match {
            owned: at,
            live: found,
        } in &pairs.left
        {
            let Some((Element::Key(key), set)) = at.map(|at| &owned.children[at]) else {
                continue;
            };
            let live = found.map(|at| &live[at]);
            self.within(Step::Key(key), |walk| walk.extra(live, set));
        }
    }

    pub(super) fn item(
        &mut self,
        desired: &'a Value,
        live: Option<&'a Value>,
        owned: Option<&'a FieldSet>,
    ) {
        match owned {
            // A leaf here is an item with no field of its own that we own.
            Some(owned) if live.is_some() && !owned.is_leaf() => self.branch(desired, live, owned),
            Some(_) => self.leaf(desired, live),
            None => {
                let before = self.found.len();
                self.unowned(desired, live);
                if self.found.len() == before {
                    self.report(Kind::NotOwned, None);
                }
            }
        }
    }

    fn values(&mut self, desired: &'a [Value], live: &'a [Value], owned: &'a FieldSet) {
        let place = |value: &Value| live.iter().position(|live| same(live, value));
        if twice(live) || twice(desired) {
            self.report(Kind::Unclear, Some(Doubt::Unaligned));
        }
        if out_of_order(desired.iter().filter_map(place)) {
            self.report(Kind::Reordered, Some(Doubt::Unaligned));
        }
        for value in desired {
            let owned = owned.has_value(value);
            self.within(Step::Value(value), |walk| match place(value) {
                Some(_) if owned => {}
                Some(_) => walk.report(Kind::NotOwned, None),
                None => walk.missing(value, owned),
            });
        }
        for (element, _) in owned.children() {
            if let Element::Value(value) = element
                && !desired.iter().any(|desired| same(desired, value))
            {
                let live = place(value).map(|at| &live[at]);
                self.within(Step::Value(value), |walk| walk.extra(live, &NOTHING));
            }
        }
    }
}

pub(super) fn key_fields<'a>(item: &'a Value, names: &[&'a str]) -> Vec<(&'a str, &'a Value)> {
    names
        .iter()
        .filter_map(|name| Some((*name, item.get(*name)?)))
        .collect()
}

fn out_of_order(places: impl Iterator<Item = usize>) -> bool {
    let mut highest = None;
    for place in places {
        if highest.is_some_and(|highest| place < highest) {
            return true;
        }
        highest = Some(place);
    }
    false
}

fn twice(values: &[Value]) -> bool {
    let mut probes: Vec<Probe<'_>> = values.iter().map(Probe::of).collect();
    probes.sort_unstable();
    probes.windows(2).any(|two| two[0] == two[1])
}
