//! A map while it is being read: duplicate keys, and `<<`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value};

use super::reader::{Node, error};
use super::{Mark, Position, YamlError};

/// The entries of a map so far.
#[derive(Default)]
pub(super) struct Members(BTreeMap<String, Member>);

struct Member {
    value: Value,
    mark: Mark,
    /// Whether it came by `<<`, and so may be written again.
    merged: bool,
}

impl Members {
    /// An entry as written; a second one of the same name is an error.
    pub(super) fn set(&mut self, name: String, at: Position, node: Node) -> Result<(), YamlError> {
        let member = Member {
            value: node.value,
            // People look for a field by its key.
            mark: Mark {
                at,
                children: node.mark.children,
            },
            merged: false,
        };
        match self.0.entry(name) {
            Entry::Occupied(entry) if !entry.get().merged => {
                let first = entry.get().mark.at.line;
                let name = entry.key();
                error(at, format!("`{name}` is already set on line {first}"))
            }
            Entry::Occupied(mut entry) => {
                entry.insert(member);
                Ok(())
            }
            Entry::Vacant(entry) => {
                entry.insert(member);
                Ok(())
            }
        }
    }

    /// Merges in a map, or a list of maps of which the earlier ones win. As in go-yaml
    /// v2, what is merged overrides what was set above; returns the keys for which it
    /// did.
    pub(super) fn merge(&mut self, node: Node, at: Position) -> Result<Vec<String>, YamlError> {
        let mut overridden = Vec::new();
        for (map, marks) in sources(node, at)? {
            for ((name, value), mark) in map.into_iter().zip(marks) {
                let member = Member {
                    value,
                    mark,
                    merged: true,
                };
                if let Some(old) = self.0.insert(name.clone(), member)
                    && !old.merged
                {
                    overridden.push(name);
                }
            }
        }
        Ok(overridden)
    }

    /// The map, and the mark of each of its values in the map's order.
    pub(super) fn finish(self) -> (Map<String, Value>, Vec<Mark>) {
        let members = self.0.into_iter();
        members
            .map(|(key, member)| ((key, member.value), member.mark))
            .unzip()
    }
}

/// A map and the marks of its values.
type Source = (Map<String, Value>, Vec<Mark>);

/// The maps that `<<` merges, those that win last.
fn sources(node: Node, at: Position) -> Result<Vec<Source>, YamlError> {
    match node.value {
        Value::Object(map) => Ok(vec![(map, node.mark.children)]),
        Value::Array(items) => {
            let items = items.into_iter().zip(node.mark.children).rev();
            items
                .map(|(item, mark)| match item {
                    Value::Object(map) => Ok((map, mark.children)),
                    _ => error(at, "`<<` merges maps only"),
                })
                .collect()
        }
        _ => error(at, "`<<` merges a map or a list of maps"),
    }
}
