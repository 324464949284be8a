//! Desired against live.

use serde_json::{Map, Value};

use super::builtin::{is_builtin, is_default, is_granular};
use super::owners::{Entry, others_below, owner_of};
use super::path::{Step, print};
use super::scalar::{same, spelled_alike, zero};
use super::set::{Element, FieldSet};
use super::verdict::{Difference, Doubt, Kind, Verdict};
use crate::model::{Desired, GroupKind, Live, has_values, holds_secret, is_secret};

/// Compares what an object is to be with what it is. The verdict is never `Clean`
/// where a server-side apply would change a value, nor `Drifted` where it would
/// change nothing at all, ownership included.
pub fn compare(desired: &Desired, live: &Live) -> Verdict {
    let body = desired.body();
    let (owned, mut readable) = ours(desired, live);
    readable &= live.body.get("apiVersion").and_then(Value::as_str) == Some(&desired.api_version);
    let mut walk = Walk {
        live,
        path: Vec::new(),
        found: Vec::new(),
        secret: holds_secret(&desired.id),
        builtin: is_builtin(&desired.id.kind.group),
        kind: &desired.id.kind,
        applied: !owned.is_empty(),
    };
    if !readable {
        walk.unclear("metadata", "managedFields");
    }
    walk.object(&body, &owned);
    verdict(walk.found, readable)
}

fn verdict(found: Vec<Difference>, readable: bool) -> Verdict {
    if found.is_empty() {
        Verdict::Clean
    } else if readable && found.iter().any(|one| one.doubt.is_none()) {
        Verdict::Drifted(found)
    } else {
        Verdict::Maybe(found)
    }
}

/// What we own, and whether it is written in desired's version and can be read.
fn ours(desired: &Desired, live: &Live) -> (FieldSet, bool) {
    let mut owned = FieldSet::default();
    let mut readable = true;
    for entry in Entry::all(live).filter(|entry| entry.is_ours()) {
        readable &= entry.text("apiVersion") == desired.api_version;
        match entry.fields() {
            Ok(fields) => owned.extend(fields),
            Err(_) => readable = false,
        }
    }
    (owned, readable)
}

/// Nothing owned.
pub(super) static NOTHING: FieldSet = FieldSet {
    member: false,
    children: Vec::new(),
};

pub(super) struct Walk<'a> {
    pub(super) live: &'a Live,
    pub(super) path: Vec<Step<'a>>,
    pub(super) found: Vec<Difference>,
    pub(super) secret: bool,
    kind: &'a GroupKind,
    /// Whether Kubernetes itself serves the kind.
    builtin: bool,
    /// Whether we have applied it before.
    applied: bool,
}

impl<'a> Walk<'a> {
    /// An empty list beside fields that we own makes no difference: a built-in type
    /// drops it, and a granular one is never owned.
    pub(super) fn drops_empty(&self) -> bool {
        self.builtin && self.applied
    }

    /// A map that the kind, if it is a built-in one, never owns as a whole.
    fn is_granular(&self) -> bool {
        let names = self.path.iter().map(|step| match step {
            Step::Field(name) => *name,
            _ => "",
        });
        let path: Vec<&str> = names.collect();
        is_granular(self.kind, &path)
    }

    pub(super) fn visit(
        &mut self,
        desired: &'a Value,
        live: Option<&'a Value>,
        owned: Option<&'a FieldSet>,
    ) {
        match owned {
            None => self.unowned(desired, live),
            Some(owned) if owned.is_leaf() => self.leaf(desired, live),
            Some(owned) => self.branch(desired, live, owned),
        }
    }

    /// A path that we own and nothing below it: a scalar, or a map or list that is
    /// owned as a whole.
    pub(super) fn leaf(&mut self, desired: &'a Value, live: Option<&'a Value>) {
        let Some(live) = live else {
            // Owned, so the server took it from us once; not there, so it dropped
            // it, as Go does with what is empty.
            if !zero(desired) {
                self.missing(desired, true);
            }
            return;
        };
        let filled = match desired {
            Value::Object(map) => !map.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => false,
        };
        if same(desired, live) {
            // Owned as `{}` before and granular: then what is in it is others'.
            if filled && (self.is_granular() || others_below(self.live, &self.path)) {
                self.unowned(desired, Some(live));
            }
        } else if empty_map(desired) && live.is_object() {
            // Granular: an apply of nothing adds nothing.
            if !others_below(self.live, &self.path) {
                self.changed(desired, live, true);
            }
        } else {
            self.inside(desired, live);
        }
    }

    /// Inside a value that is owned as a whole.
    fn inside(&mut self, desired: &'a Value, live: &'a Value) {
        match (desired, live) {
            (Value::Object(desired), Value::Object(live)) => {
                for (name, value) in desired {
                    self.within(Step::Field(name), |walk| match live.get(name) {
                        Some(live) => walk.inside(value, live),
                        None if zero(value) => walk.report(Kind::Unclear, Some(Doubt::Zero)),
                        None => walk.missing(value, true),
                    });
                }
                self.added(desired, live);
            }
            (Value::Array(desired), Value::Array(live)) if desired.len() == live.len() => {
                for (at, (desired, live)) in desired.iter().zip(live).enumerate() {
                    self.within(Step::Index(at), |walk| walk.inside(desired, live));
                }
            }
            _ if same(desired, live) => {}
            _ => self.changed(desired, live, true),
        }
    }

    /// What live has, and desired has not, inside a value that is owned as a whole.
    fn added(&mut self, desired: &Map<String, Value>, live: &'a Map<String, Value>) {
        let field = |step: &Step<'a>| match step {
            Step::Field(name) => Some(*name),
            _ => None,
        };
        let parent = self.path.iter().rev().find_map(field).unwrap_or_default();
        for (name, value) in live.iter().filter(|(name, _)| !desired.contains_key(*name)) {
            if !(self.builtin && is_default(parent, name, value)) {
                self.within(Step::Field(name), |walk| {
                    walk.report(Kind::Unclear, Some(Doubt::Defaulted));
                });
            }
        }
    }

    /// A map or list of which we own parts.
    pub(super) fn branch(
        &mut self,
        desired: &'a Value,
        live: Option<&'a Value>,
        owned: &'a FieldSet,
    ) {
        let Some(live) = live else {
            return self.missing(desired, true);
        };
        match (desired, live) {
            (Value::Object(desired), Value::Object(live)) => {
                if desired.is_empty() && !owned.member {
                    self.report(Kind::NotOwned, Some(Doubt::Zero));
                }
                for (name, value) in desired {
                    let (live, owned) = (live.get(name), owned.field(name));
                    self.within(Step::Field(name), |walk| walk.visit(value, live, owned));
                }
                self.extras(desired, Some(live), owned);
            }
            (Value::Array(desired), Value::Array(live)) => self.list(desired, live, owned),
            _ => self.changed(desired, live, true),
        }
    }

    /// What we own of a map and no longer desire.
    pub(super) fn extras(
        &mut self,
        desired: &Map<String, Value>,
        live: Option<&'a Map<String, Value>>,
        owned: &'a FieldSet,
    ) {
        for (element, set) in owned.children() {
            if let Element::Field(name) = element
                && !desired.contains_key(name)
            {
                let live = live.and_then(|live| live.get(name));
                self.within(Step::Field(name), |walk| walk.extra(live, set));
            }
        }
    }

    /// One difference for the whole, as an apply removes it as a whole, unless
    /// somebody else owns a part of it.
    pub(super) fn extra(&mut self, live: Option<&'a Value>, owned: &'a FieldSet) {
        let shared = !owned.is_leaf() && others_below(self.live, &self.path);
        match live {
            Some(Value::Object(map)) if shared => {
                let none = Map::new();
                self.extras(&none, Some(map), owned);
            }
            Some(Value::Array(items)) if shared => self.list(&[], items, owned),
            _ => {
                let live = live.map(|live| self.shown(live));
                self.report(Kind::Extra { live }, None);
            }
        }
    }

    pub(super) fn changed(&mut self, desired: &Value, live: &Value, owned: bool) {
        let doubt = if spelled_alike(desired, live) {
            Some(Doubt::Spelling)
        } else if zero(desired) {
            Some(Doubt::Zero)
        } else if owned {
            Some(Doubt::Rewritten)
        } else if desired.is_object() || desired.is_array() {
            Some(Doubt::Guessed)
        } else {
            None
        };
        let kind = Kind::Changed {
            live: self.shown(live),
            desired: self.shown(desired),
        };
        self.report(kind, doubt);
    }

    pub(super) fn missing(&mut self, desired: &Value, owned: bool) {
        let doubt = if zero(desired) {
            Some(Doubt::Zero)
        } else {
            owned.then_some(Doubt::Rewritten)
        };
        let desired = self.shown(desired);
        self.report(Kind::Missing { desired }, doubt);
    }

    /// A value as it may be shown.
    pub(super) fn shown(&self, value: &Value) -> Value {
        let secret = self.secret || is_secret(&self.live.body);
        let valued = matches!(self.path.first(), Some(Step::Field(field)) if has_values(field));
        let copied = self.path.iter().any(|step| {
            matches!(
                step,
                Step::Field("kubectl.kubernetes.io/last-applied-configuration")
            )
        });
        if secret && (valued || copied) {
            Value::from("[redacted]")
        } else {
            value.clone()
        }
    }

    fn unclear(&mut self, outer: &'a str, inner: &'a str) {
        self.within(Step::Field(outer), |walk| {
            walk.within(Step::Field(inner), |walk| {
                walk.report(Kind::Unclear, Some(Doubt::Unaligned));
            });
        });
    }

    pub(super) fn report(&mut self, kind: Kind, doubt: Option<Doubt>) {
        self.found.push(Difference {
            path: print(&self.path),
            kind,
            doubt,
            owner: owner_of(self.live, &self.path),
        });
    }

    pub(super) fn within(&mut self, step: Step<'a>, visit: impl FnOnce(&mut Self)) {
        self.path.push(step);
        visit(self);
        self.path.pop();
    }
}

fn empty_map(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}
