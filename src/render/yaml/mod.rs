//! YAML as Kubernetes reads it: sigs.k8s.io/yaml, which is go-yaml v2 with YAML 1.1
//! booleans and octals, merge keys, then a way through JSON. No Rust library reads it
//! so; this reads the events of a YAML 1.2 parser and resolves them by those rules.
//! `testdata/yaml/table.json` holds kubectl's own answers, and where we differ.

mod documents;
mod map;
mod reader;
mod scalar;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use documents::{Documents, documents};
pub(crate) use scalar::{plain_key, plain_text};

/// One document of a file that says anything at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// What is allowed but probably not meant.
    pub warnings: Vec<YamlWarning>,
    mark: Mark,
}

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// Something in a file that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlWarning {
    /// Where.
    pub at: Position,
    /// What, and what to do.
    pub text: String,
    /// How it is written, where that is taken for something else.
    pub written: Option<String>,
}

/// Why a file can't be read as YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// Where.
    pub at: Position,
    /// What is wrong there.
    pub message: String,
}

/// The most nodes that one document may come to, aliases expanded: several times the
/// largest CRD and the longest list, and some thirty megabytes while it is read.
pub(crate) const MAX_NODES: usize = 300_000;

/// The most bytes of text that anchors and aliases of one file may copy.
pub(crate) const MAX_COPIED: usize = 4 * 1024 * 1024;

/// The deepest nesting. `serde_json` reads 128 levels, and all that is applied comes
/// back as JSON.
pub(crate) const MAX_DEPTH: usize = 120;

/// The most documents in one file.
pub(crate) const MAX_DOCUMENTS: usize = 100_000;

/// Where each node was written, in the order in which the value holds its children.
#[derive(Debug, Clone, PartialEq)]
struct Mark {
    at: Position,
    children: Vec<Mark>,
}

impl Document {
    /// Where its content begins.
    pub fn start(&self) -> Position {
        self.mark.at
    }

    /// How the last key of a JSON pointer is written, where it is read as another.
    pub fn spelled(&self, pointer: &str) -> Option<&str> {
        let key = pointer.rsplit('/').next()?;
        let at = self.position(pointer);
        let warning = self.warnings.iter().find(|warning| warning.at == at)?;
        let written = warning.written.as_deref()?;
        (plain_key(written).as_deref() == Some(key)).then_some(written)
    }

    /// Where a JSON pointer's target was written; where it doesn't exist, the nearest
    /// that encloses it.
    pub fn position(&self, pointer: &str) -> Position {
        let (mut value, mut mark) = (&self.value, &self.mark);
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let found = match value {
                Value::Object(map) => map
                    .iter()
                    .position(|(key, _)| *key == token)
                    .and_then(|index| Some((index, map.get(&token)?))),
                Value::Array(items) => token
                    .parse()
                    .ok()
                    .and_then(|index: usize| Some((index, items.get(index)?))),
                _ => None,
            };
            let Some((child, next)) =
                found.and_then(|(index, child)| Some((child, mark.children.get(index)?)))
            else {
                break;
            };
            (value, mark) = (child, next);
        }
        mark.at
    }
}
