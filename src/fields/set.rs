//! `fieldsV1`: a set of paths, as structured-merge-diff serialises it.

use serde_json::{Map, Value};

use super::path::Step;
use super::scalar::{Probe, same};

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Element {
    /// `f:name`: a field of a struct, or a key of a map.
    Field(String),
    /// `k:{…}`: the item of an associative list with these key fields.
    Key(Map<String, Value>),
    /// `v:…`: the item of a set.
    Value(Value),
    /// `i:0`: the item of a list at a position.
    Index(usize),
}

impl Element {
    /// Reads `f:…`, `k:…`, `v:…` or `i:…`.
    pub(super) fn parse(text: &str) -> Result<Self, FieldSetError> {
        let unknown = || FieldSetError::Element(text.to_owned());
        let rest = text.get(2..).unwrap_or_default();
        match text.get(..2) {
            Some("f:") => Ok(Self::Field(rest.to_owned())),
            Some("k:") => serde_json::from_str(rest)
                .map(Self::Key)
                .map_err(|_| unknown()),
            Some("v:") => serde_json::from_str(rest)
                .map(Self::Value)
                .map_err(|_| unknown()),
            Some("i:") => rest.parse().map(Self::Index).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }

    /// The name, of a field.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            _ => None,
        }
    }

    /// As a step of a path that is walked.
    pub(super) fn step(&self) -> Step<'_> {
        match self {
            Self::Field(name) => Step::Field(name),
            Self::Key(key) => Step::Key(key),
            Self::Value(value) => Step::Value(value),
            Self::Index(index) => Step::Index(*index),
        }
    }

    /// The same step, numbers compared by value.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a == b,
            (Self::Key(a), Self::Key(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b)
                        .all(|((ka, va), (kb, vb))| ka == kb && same(va, vb))
            }
            (Self::Value(a), Self::Value(b)) => same(a, b),
            (Self::Index(a), Self::Index(b)) => a == b,
            _ => false,
        }
    }
}

/// Something in managedFields that is no field set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldSetError {
    /// A key that is none of `f:`, `k:`, `v:`, `i:` and `.`.
    #[error("`{0}` in managedFields is not a path element (f:, k:, v:, i:)")]
    Element(String),
    /// A node that is no map.
    #[error("managedFields hold something other than a map of path elements")]
    Shape,
}

/// A set of paths as a tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldSet {
    /// Whether the path that leads here is itself in the set.
    pub(super) member: bool,
    /// Fields first and sorted by name, then the other kinds of elements.
    pub(super) children: Vec<(Element, FieldSet)>,
}

impl FieldSet {
    /// Reads a `fieldsV1` value.
    pub fn parse(fields: &Value) -> Result<Self, FieldSetError> {
        let mut set = Self::node(fields)?;
        set.member = false;
        Ok(set)
    }

    /// `{}` is a member without children; `.` among children says that the node
    /// is a member as well.
    fn node(fields: &Value) -> Result<Self, FieldSetError> {
        let fields = fields.as_object().ok_or(FieldSetError::Shape)?;
        let mut set = Self {
            member: fields.is_empty() || fields.contains_key("."),
            children: Vec::with_capacity(fields.len()),
        };
        // serde_json's map is sorted by `f:name`, so fields come sorted by name,
        // ahead of `i:`, `k:` and `v:`.
        for (element, child) in fields {
            if element != "." {
                set.children
                    .push((Element::parse(element)?, Self::node(child)?));
            }
        }
        Ok(set)
    }

    /// Whether no path is in the set.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Whether nothing below this node is in the set: a scalar, or a map or list
    /// that is owned as a whole.
    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// What is below a field.
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.children
            .binary_search_by(|(element, _)| match element {
                Element::Field(field) => field.as_str().cmp(name),
                _ => std::cmp::Ordering::Greater,
            })
            .ok()
            .map(|at| &self.children[at].1)
    }

    /// What is below an element.
    pub fn child(&self, element: &Element) -> Option<&Self> {
        if let Element::Field(name) = element {
            return self.field(name);
        }
        self.children
            .iter()
            .find(|(child, _)| child.is(element))
            .map(|(_, set)| set)
    }

    /// The children with their elements.
    pub fn children(&self) -> impl Iterator<Item = (&Element, &Self)> {
        self.children.iter().map(|(element, set)| (element, set))
    }

    /// The key fields of the associative list that this node is, sorted; empty
    /// for anything else. Items may leave out an optional key, so all are asked.
    pub(super) fn key_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (element, _) in &self.children {
            let Element::Key(key) = element else {
                return Vec::new();
            };
            for name in key.keys() {
                if let Err(at) = names.binary_search(&name.as_str()) {
                    names.insert(at, name);
                }
            }
        }
        names
    }

    /// Whether this node is a set of scalars.
    pub(super) fn is_value_set(&self) -> bool {
        matches!(self.children.first(), Some((Element::Value(_), _)))
    }

    /// The values of a set of scalars, ready to look up in.
    pub(super) fn has_value(&self, value: &Value) -> bool {
        let probe = Probe::of(value);
        self.children
            .iter()
            .any(|(element, _)| matches!(element, Element::Value(v) if Probe::of(v) == probe))
    }

    /// Adds all paths of another set.
    pub(super) fn extend(&mut self, other: Self) {
        self.member |= other.member;
        for (element, set) in other.children {
            match self.children.iter().position(|(mine, _)| mine.is(&element)) {
                Some(at) => self.children[at].1.extend(set),
                None => self.children.push((element, set)),
            }
        }
        self.children
            .sort_by(|(a, _), (b, _)| rank(a).cmp(&rank(b)));
    }
}

fn rank(element: &Element) -> (bool, &str) {
    match element {
        Element::Field(name) => (false, name),
        _ => (true, ""),
    }
}
