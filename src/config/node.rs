//! A YAML file as a tree in which everything knows its line and column. Reading it
//! before looking at what it means lets one run find every problem: serde's own
//! types stop at the first.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, MergeKeyPolicy, Spanned};

use super::problem::Problem;
use crate::model::{Digest, Tree, TreeError};

/// Something as written, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// What is written.
    pub value: T,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// What stands at a place of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `null`, `~`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// Any number.
    Number(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Fields in the order of the file.
    Map(Vec<(At<String>, Node)>),
}

/// A value and its place.
pub type Node = At<Value>;

impl<T> At<T> {
    fn new(value: T, line: u64, column: u64) -> Self {
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            value,
            line: number(line),
            column: number(column),
        }
    }

    /// Another value at the same place.
    pub fn with<U>(&self, value: U) -> At<U> {
        At {
            value,
            line: self.line,
            column: self.column,
        }
    }

    /// A problem at this place.
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        Problem {
            line: self.line,
            column: self.column,
            ..Problem::in_file(path, message)
        }
    }
}

impl<T> From<Spanned<T>> for At<T> {
    fn from(spanned: Spanned<T>) -> Self {
        let place = spanned.referenced;
        Self::new(spanned.value, place.line(), place.column())
    }
}

impl Value {
    /// What it is, in words.
    pub fn described(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "fields",
        }
    }
}

/// A file as it was read last: most commits leave it as it is.
#[derive(Debug, Default)]
pub struct LastRead(Option<(Digest, Node)>);

impl LastRead {
    /// Reads a file, if it isn't the one that was read last, as [`parse`] does.
    pub(super) fn read(
        &mut self,
        tree: &dyn Tree,
        path: &str,
    ) -> Result<Result<&Node, Problem>, TreeError> {
        let digest = tree.digest(path)?;
        let known = match self.0.take().filter(|(known, _)| *known == digest) {
            Some(known) => known,
            None => match parse(path, &tree.read(path)?) {
                Ok(node) => (digest, node),
                Err(problem) => return Ok(Err(problem)),
            },
        };
        Ok(Ok(&self.0.insert(known).1))
    }
}

/// How deep values may be nested: more than twice what any field needs.
const MOST_NESTED: usize = 24;

/// Reads a file of one YAML document (or none, which is `Null`). A field that stands
/// twice is kept twice, for [`super::decode`] to name both places.
pub fn parse(path: &str, bytes: &[u8]) -> Result<Node, Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Problem::in_file(path, format!("is not UTF-8 text: {error}")))?;
    let options = serde_saphyr::options! {
        strict_booleans: true,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        with_snippet: false,
        // Each level takes stack, and a thread has two megabytes.
        budget: serde_saphyr::budget! { max_depth: MOST_NESTED },
    };
    let parsed: Result<Spanned<Value>, _> = serde_saphyr::from_str_with_options(text, options);
    parsed.map(Node::from).map_err(|error| syntax(path, &error))
}

fn syntax(path: &str, error: &Error) -> Problem {
    let error = error.without_snippet();
    let (line, column) = error
        .location()
        .map_or((0, 0), |at| (at.line(), at.column()));
    let mut cause = error;
    while let Error::AliasError { error, .. } = cause {
        cause = error;
    }
    let message = match cause {
        Error::MultipleDocuments { .. } => "a second YAML document: there can be only one".into(),
        Error::Budget { .. } => "more YAML than is read: anchors that multiply?".into(),
        other => {
            let message = other.to_string();
            let place = format!(" at line {line}, column {column}");
            format!("not valid YAML: {}", message.replace(&place, ""))
        }
    };
    At::<()>::new((), line, column).problem(path, message)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "no number of the format is that large"
    )]
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "no number of the format is that large"
    )]
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = fields.next_entry::<Spanned<String>, Spanned<Value>>()? {
            map.push((key.into(), value.into()));
        }
        Ok(Value::Map(map))
    }
}
