//! What others have to do with an object of ours: fields that they have added, which
//! server-side apply alone never touches, and fields of ours that a tool which deployed
//! the object before owns as well, so that they would stay when they leave Git.

use serde_json::{Map, Value};

use super::builtin::is_builtin;
use super::managers::{Role, is_client_side, role};
use super::natural::{is_mark, is_natural, last_applied};
use super::owners::Entry;
use super::path::{Step, print};
use super::place::{Place, Token};
use super::set::Element;
use crate::model::{Desired, FIELD_MANAGER, Live, Manager, ObjectId, shows_secret};

/// What others have to do with an object of ours. Mostly nothing: then it holds no
/// allocation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Others {
    /// The fields that they have added, sorted by path.
    pub foreign: Vec<Foreign>,
    /// The tools that own fields of ours as well; an object that we have not applied yet
    /// is adopted from them.
    pub sharing: Vec<Manager>,
}

/// A field outside status that is live, neither declared nor owned by us, and owned by
/// somebody who is no known controller.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Foreign {
    /// Such as `metadata.annotations["example.com/note"]`.
    pub path: String,
    /// Its value; of a Secret `[redacted]`.
    pub value: Value,
    /// Whose it is; of several the one who wrote last.
    pub manager: Manager,
}

/// Looks for what others have to do with an object. A field that desired declares and
/// another has taken is drift instead, and [`compare`](super::compare()) tells it.
pub fn others(desired: &Desired, live: &Live) -> Others {
    let mut found = Others::default();
    let theirs = |entry: &Entry<'_>| matches!(role(*entry), Role::Deployer | Role::Somebody);
    if !Entry::all(live).any(|entry| theirs(&entry)) {
        return found;
    }
    let (ours, body) = (super::owned(live, FIELD_MANAGER), desired.body());
    for entry in Entry::all(live).filter(theirs) {
        let mut walk = Walk::new(desired, live, entry, &[]);
        walk.entry(entry, Place::root(&ours, &body, live));
        if walk.shared && role(entry) == Role::Deployer {
            found.sharing.push(entry.manager());
        }
        found
            .foreign
            .extend(walk.found.into_iter().map(|one| Foreign {
                value: one.value,
                path: one.path,
                manager: entry.manager(),
            }));
    }
    found
        .foreign
        .sort_by(|a, b| (&a.path, &b.manager.time).cmp(&(&b.path, &a.manager.time)));
    found.foreign.dedup_by(|a, b| a.path == b.path);
    found
}

/// A foreign field with its place in the live object.
pub(super) struct Found {
    pub(super) path: String,
    pub(super) tokens: Vec<Token>,
    value: Value,
}

/// A walk over what one manager owns.
pub(super) struct Walk<'a> {
    /// What is foreign.
    pub(super) found: Vec<Found>,
    /// Whether it owns fields of ours, or fields that we declare.
    pub(super) shared: bool,
    path: Vec<Element>,
    tokens: Vec<Token>,
    /// What it was given, where it says so.
    given: Option<Value>,
    object: &'a ObjectId,
    secret: bool,
    /// Of a deployer, fields of ours and those that nobody would miss are to be its no
    /// more.
    role: Role,
    /// Foreign fields that are to go, by path, and their ownership with them.
    removed: &'a [String],
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        desired: &'a Desired,
        live: &Live,
        entry: Entry<'_>,
        removed: &'a [String],
    ) -> Self {
        let metadata = live.body.get("metadata").and_then(Value::as_object);
        let given = is_client_side(entry).then(|| last_applied(metadata));
        Self {
            found: Vec::new(),
            shared: false,
            path: Vec::new(),
            tokens: Vec::new(),
            given: given.flatten(),
            object: &desired.id,
            secret: shows_secret(&desired.id, &live.body),
            role: role(entry),
            removed,
        }
    }

    /// What the manager keeps of its entry; `None` where nothing is left.
    pub(super) fn entry(&mut self, entry: Entry<'_>, root: Place<'_>) -> Option<Value> {
        let fields = entry.raw()?;
        let given = self.given.take();
        let root = Place {
            given: given.as_ref(),
            ..root
        };
        let left = self.children(fields, root, given.is_some());
        (!left.is_empty()).then_some(Value::Object(left))
    }

    /// The children of a node that stay the manager's. `.` stays with any of them, except
    /// that of an item of ours, which is ours alone: it goes when it leaves Git, and what
    /// others have in it goes along.
    fn children(
        &mut self,
        node: &Map<String, Value>,
        place: Place<'_>,
        given: bool,
    ) -> Map<String, Value> {
        let mut left = Map::new();
        for (name, child) in node.iter().filter(|(name, _)| *name != ".") {
            if let Some(kept) = self.child(name, child, place, given) {
                left.insert(name.clone(), kept);
            }
        }
        let item = matches!(self.path.last(), Some(Element::Key(_)));
        let taken = item && place.claimed() && self.role == Role::Deployer;
        if !left.is_empty()
            && !taken
            && let Some(member) = node.get(".")
        {
            left.insert(".".to_owned(), member.clone());
        }
        left
    }

    fn child(&mut self, name: &str, node: &Value, parent: Place<'_>, given: bool) -> Option<Value> {
        let (Ok(element), Some(fields)) = (Element::parse(name), node.as_object()) else {
            return Some(node.clone());
        };
        if self.path.is_empty() && element == Element::Field("status".to_owned()) {
            return Some(node.clone());
        }
        let (place, token) = parent.child(&element);
        let Some((live, token)) = place.live.zip(token) else {
            // The server forgets it with the next write.
            return Some(node.clone());
        };
        self.path.push(element);
        self.tokens.push(token);
        let kept = self.visit(node, fields, place, live, given);
        self.path.pop();
        self.tokens.pop();
        kept
    }

    fn visit(
        &mut self,
        node: &Value,
        fields: &Map<String, Value>,
        place: Place<'_>,
        live: &Value,
        given: bool,
    ) -> Option<Value> {
        let leaf = fields.keys().all(|name| name == ".");
        if place.wholly_ours() || (leaf && place.claimed()) {
            self.shared = true;
            return self.taken(node);
        }
        let whole = leaf || (fields.contains_key(".") && !place.claimed() && !self.open());
        if !whole {
            let left = self.children(fields, place, given);
            return (!left.is_empty()).then_some(Value::Object(left));
        }
        if self.reserved() {
            return Some(node.clone());
        }
        if self.natural(live, place.around) || (given && place.given.is_none()) {
            return self.taken(node);
        }
        let path = self.print();
        let goes = self.removed.contains(&path);
        self.found.push(Found {
            value: self.shown(live),
            tokens: self.tokens.clone(),
            path,
        });
        (!goes).then(|| node.clone())
    }

    /// What is left to the manager of what is ours, or nobody's.
    fn taken(&self, node: &Value) -> Option<Value> {
        (self.role != Role::Deployer).then(|| node.clone())
    }

    /// Whether the field, with all that stands in it, is as if nobody had set it.
    fn natural(&self, live: &Value, around: Option<&Value>) -> bool {
        let names: Vec<&str> = self.path.iter().filter_map(Element::name).collect();
        let (field, parent) = match names[..] {
            [.., parent, field] => (field, parent),
            [field] => (field, ""),
            [] => return false,
        };
        // A key of somebody's choosing is no field of a type.
        let free = matches!(
            parent,
            "labels" | "annotations" | "data" | "binaryData" | "stringData"
        );
        let item = !matches!(self.path.last(), Some(Element::Field(_)));
        is_builtin(&self.object.kind.group)
            && !free
            && !item
            && all_natural(parent, field, live, around.unwrap_or(&Value::Null))
    }

    /// What controllers rely on, whoever put it there.
    fn reserved(&self) -> bool {
        let names: Vec<&str> = self.path.iter().filter_map(Element::name).collect();
        match names[..] {
            ["metadata", "finalizers" | "ownerReferences", ..] => true,
            // An update can't change them: a namespace has a subresource for that.
            ["spec", "finalizers", ..] => self.object.kind.is("", "Namespace"),
            [.., "metadata", "labels" | "annotations", name] => is_mark(name),
            _ => false,
        }
    }

    /// Maps whose entries stand for themselves: each is shown on its own, whoever made
    /// the map.
    fn open(&self) -> bool {
        let names: Vec<&str> = self.path.iter().filter_map(Element::name).collect();
        matches!(
            names[..],
            [.., "metadata", "labels" | "annotations"] | ["data" | "binaryData" | "metadata"]
        )
    }

    fn print(&self) -> String {
        let steps: Vec<Step<'_>> = self.path.iter().map(Element::step).collect();
        print(&steps)
    }

    /// Of a Secret only labels are shown: tools keep copies of the whole in annotations.
    fn shown(&self, value: &Value) -> Value {
        let label = matches!(&self.path[..], [_, labels, _] if labels.name() == Some("labels"));
        if self.secret && !label {
            Value::from("[redacted]")
        } else {
            value.clone()
        }
    }
}

fn all_natural(parent: &str, field: &str, value: &Value, around: &Value) -> bool {
    match value {
        Value::Object(map) if !map.is_empty() => map
            .iter()
            .all(|(name, inner)| all_natural(field, name, inner, value)),
        _ => is_natural(parent, field, value, around),
    }
}
