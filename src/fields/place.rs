//! One path in several things at once: in our set, in desired, in live, in what another
//! tool was given.

use serde_json::Value;

use super::scalar::same;
use super::set::{Element, FieldSet};
use crate::model::Live;

/// The same path in several things.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// In what we own.
    pub(super) ours: Option<&'a FieldSet>,
    /// In what we declare.
    pub(super) desired: Option<&'a Value>,
    /// In what is live.
    pub(super) live: Option<&'a Value>,
    /// What `live` stands in.
    pub(super) around: Option<&'a Value>,
    /// In what another tool was given.
    pub(super) given: Option<&'a Value>,
}

/// One step of a JSON pointer. Later positions sort after earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Token {
    Name(String),
    At(usize),
}

impl<'a> Place<'a> {
    pub(super) fn root(ours: &'a FieldSet, desired: &'a Value, live: &'a Live) -> Self {
        Self {
            ours: Some(ours),
            desired: Some(desired),
            live: Some(&live.body),
            around: None,
            given: None,
        }
    }

    /// One step down, and how live is to be stepped down into.
    pub(super) fn child(self, element: &Element) -> (Self, Option<Token>) {
        let down = |value: Option<&'a Value>| value.and_then(|value| at(value, element));
        let live = down(self.live);
        let child = Self {
            ours: self.ours.and_then(|ours| ours.child(element)),
            desired: down(self.desired).map(|(value, _)| value),
            live: live.as_ref().map(|(value, _)| *value),
            around: self.live,
            given: down(self.given).map(|(value, _)| value),
        };
        (child, live.map(|(_, token)| token))
    }

    /// Whether we own it as a whole, whatever stands in it. Of a map that we have
    /// declared empty, others own what they put into it.
    pub(super) fn wholly_ours(&self) -> bool {
        let empty = |desired: &Value| desired.as_object().is_some_and(serde_json::Map::is_empty);
        self.ours.is_some_and(FieldSet::is_leaf) && !self.desired.is_some_and(empty)
    }

    /// Whether it is ours, or is to be.
    pub(super) fn claimed(&self) -> bool {
        self.ours.is_some() || self.desired.is_some()
    }
}

/// The value at an element; a key field that an item leaves out is its default.
pub(super) fn at<'a>(value: &'a Value, element: &Element) -> Option<(&'a Value, Token)> {
    let place = |is: &dyn Fn(&Value) -> bool| {
        let items = value.as_array()?;
        let at = items.iter().position(is)?;
        Some((&items[at], Token::At(at)))
    };
    match element {
        Element::Field(name) => Some((value.get(name)?, Token::Name(name.clone()))),
        Element::Index(index) => Some((value.get(index)?, Token::At(*index))),
        Element::Value(wanted) => place(&|item| same(item, wanted)),
        Element::Key(key) => place(&|item| {
            key.iter().any(|(name, _)| item.get(name).is_some())
                && key
                    .iter()
                    .all(|(name, own)| item.get(name).is_none_or(|item| same(item, own)))
        }),
    }
}

/// A JSON pointer (RFC 6901).
pub(super) fn pointer(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        text.push('/');
        match token {
            Token::Name(name) => text.push_str(&name.replace('~', "~0").replace('/', "~1")),
            Token::At(at) => text.push_str(&at.to_string()),
        }
    }
    text
}
