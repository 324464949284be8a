//! From a document as it is and as it is to be to the changes of its text, one at a
//! time.

use serde_json::Value;

use super::items::lined_up;
use super::layout::{Content, Entry, Layout, Name, Node};
use super::{EditError, Step, print, put, take};
use crate::fields::same;
use crate::render::yaml::Document;

/// A change of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// A value becomes another.
    Replace { path: Vec<Step>, value: Value },
    /// A map gets a key that isn't written in it.
    Add {
        path: Vec<Step>,
        key: String,
        value: Value,
    },
    /// A list gets an item.
    Insert {
        path: Vec<Step>,
        index: usize,
        value: Value,
    },
    /// A key or an item goes.
    Remove { path: Vec<Step> },
}

impl Change {
    pub(super) fn path(&self) -> &[Step] {
        match self {
            Self::Replace { path, .. }
            | Self::Add { path, .. }
            | Self::Insert { path, .. }
            | Self::Remove { path } => path,
        }
    }

    /// Does it to the value.
    pub(super) fn apply(&self, document: &mut Value) {
        match self {
            Self::Replace { path, value } => {
                let _ = put(document, path, value.clone());
            }
            Self::Add { path, key, value } => {
                let path = [&path[..], &[Step::Key(key.clone())]].concat();
                let _ = put(document, &path, value.clone());
            }
            Self::Insert { path, index, value } => {
                if let Some(items) = super::find_mut(document, path).and_then(Value::as_array_mut) {
                    items.insert((*index).min(items.len()), value.clone());
                }
            }
            Self::Remove { path } => drop(take(document, path)),
        }
    }
}

/// The layout of the document with this number among those that say something.
pub(super) fn of_document<'a>(
    layouts: &'a [Layout],
    documents: &[Document],
    index: usize,
) -> Result<&'a Layout, EditError> {
    let document = documents.get(index).ok_or(EditError::NoDocument(index))?;
    let found = layouts.iter().find(|layout| layout.at == document.start());
    found.ok_or(EditError::NoDocument(index))
}

/// The first change on the way from what a node says to what it is to say; `None` where
/// it says that.
pub(super) fn next(
    node: &Node,
    now: &Value,
    wanted: &Value,
    path: &mut Vec<Step>,
) -> Result<Option<Change>, EditError> {
    if same(now, wanted) {
        return Ok(None);
    }
    match (&node.content, now, wanted) {
        (Content::Map(_, entries), Value::Object(_), Value::Object(_)) => {
            in_map(entries, now, wanted, path)
        }
        (Content::Items(_, items), Value::Array(old), Value::Array(new))
            if items.len() == old.len() =>
        {
            for (was, is) in lined_up(old, new) {
                let change = match (was, is) {
                    (Some(was), Some(is)) => {
                        path.push(Step::Index(was));
                        let change = next(&items[was].node, &old[was], &new[is], path)?;
                        path.pop();
                        change
                    }
                    (Some(was), None) => {
                        let path = [&path[..], &[Step::Index(was)]].concat();
                        Some(Change::Remove { path })
                    }
                    (None, Some(is)) => Some(Change::Insert {
                        path: path.clone(),
                        index: is,
                        value: new[is].clone(),
                    }),
                    (None, None) => None,
                };
                if change.is_some() {
                    return Ok(change);
                }
            }
            Ok(None)
        }
        _ => Ok(Some(Change::Replace {
            path: path.clone(),
            value: wanted.clone(),
        })),
    }
}

fn in_map(
    entries: &[Entry],
    now: &Value,
    wanted: &Value,
    path: &mut Vec<Step>,
) -> Result<Option<Change>, EditError> {
    let empty = serde_json::Map::new();
    let (now, wanted) = (
        now.as_object().unwrap_or(&empty),
        wanted.as_object().unwrap_or(&empty),
    );
    for entry in entries {
        let Name::Key(key) = &entry.name else {
            continue;
        };
        let (Some(old), Some(new)) = (now.get(key), wanted.get(key)) else {
            continue;
        };
        path.push(Step::Key(key.clone()));
        let change = next(&entry.value, old, new, path)?;
        path.pop();
        if change.is_some() {
            return Ok(change);
        }
    }
    let written = |key: &String| {
        entries
            .iter()
            .any(|entry| entry.name == Name::Key(key.clone()))
    };
    let missing = wanted
        .iter()
        .find(|(key, value)| !written(key) && now.get(*key).is_none_or(|now| !same(now, value)));
    if let Some((key, value)) = missing {
        return Ok(Some(Change::Add {
            path: path.clone(),
            key: key.clone(),
            value: value.clone(),
        }));
    }
    // At last, so that it is never empty in between.
    let Some(gone) = now.keys().find(|key| !wanted.contains_key(*key)) else {
        return Ok(None);
    };
    path.push(Step::Key(gone.clone()));
    let at = path.clone();
    path.pop();
    if written(gone) {
        Ok(Some(Change::Remove { path: at }))
    } else {
        Err(EditError::Merged(print(&at)))
    }
}
