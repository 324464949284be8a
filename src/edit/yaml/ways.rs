//! The ways to write a change, and what may not be changed since others share it.

use serde_json::{Map, Value};

use super::change::{File, Place};
use super::layout::{Content, Flow, Layout, Name, Node};
use super::rewrite::Change;
use super::style::Quotes;
use super::{EditError, Step, find, print};

/// How a change may be written.
pub(super) fn ways(
    file: &File<'_>,
    layout: &Layout,
    change: &Change,
    document: &Value,
) -> Result<Vec<String>, EditError> {
    let path = change.path();
    unshared(file, layout, path, change)?;
    let Some((node, place)) = locate(&layout.root, path) else {
        return local(file, layout, change, document);
    };
    Ok(match (change, &node.content) {
        (Change::Replace { value, .. }, _) => file.replace(node, place, value),
        (Change::Add { key, value, .. }, Content::Map(flow, entries)) => {
            let in_block = !matches!(place, Place::Brackets { .. });
            if entries.is_empty() && in_block && !json(file) && !remarks(file, node) {
                let whole = Map::from_iter([(key.clone(), value.clone())]);
                file.replace(node, place, &Value::Object(whole))
            } else {
                file.add_entry(node, entries, *flow, key, value)
            }
        }
        (Change::Insert { value, index, .. }, Content::Items(flow, items)) => {
            let in_block = !matches!(place, Place::Brackets { .. });
            if items.is_empty() && in_block && !json(file) && !remarks(file, node) {
                file.replace(node, place, &Value::from(vec![value.clone()]))
            } else {
                file.add_item(node, items, *flow, *index, value)
            }
        }
        (Change::Remove { .. }, _) => removal(file, &layout.root, path),
        _ => return local(file, layout, change, document),
    })
}

/// Whether a comment stands in empty brackets.
fn remarks(file: &File<'_>, node: &Node) -> bool {
    file.text[node.start..node.end].contains('#')
}

fn json(file: &File<'_>) -> bool {
    file.style.quotes == Quotes::Json
}

fn removal(file: &File<'_>, root: &Node, path: &[Step]) -> Vec<String> {
    let Some((last, parents)) = path.split_last() else {
        return Vec::new();
    };
    let parent = locate(root, parents).map(|(node, _)| node);
    match (parent.map(|node| (node, &node.content)), last) {
        (Some((node, Content::Map(flow, entries))), Step::Key(key)) => {
            let wanted = Name::Key(key.clone());
            let index = entries.iter().position(|entry| entry.name == wanted);
            index.map_or_else(Vec::new, |index| {
                file.remove_entry(node, entries, *flow, index)
            })
        }
        (Some((node, Content::Items(flow, items))), Step::Index(index)) if *index < items.len() => {
            file.remove_item(node, items, *flow, *index)
        }
        _ => Vec::new(),
    }
}

/// What is shown here by an alias or `<<` is written out here, with the change, so that
/// it stays as it is elsewhere.
fn local(
    file: &File<'_>,
    layout: &Layout,
    change: &Change,
    document: &Value,
) -> Result<Vec<String>, EditError> {
    let mut after = document.clone();
    change.apply(&mut after);
    let path = change.path();
    let reached = (0..=path.len())
        .rev()
        .find(|length| locate(&layout.root, &path[..*length]).is_some());
    let reached = reached.unwrap_or_default();
    let Some((node, place)) = locate(&layout.root, &path[..reached]) else {
        return Ok(Vec::new());
    };
    match (&node.content, path.get(reached)) {
        (Content::Map(flow, entries), Some(Step::Key(key))) => {
            let below = find(&after, &path[..=reached]);
            let below = below.ok_or_else(|| EditError::Merged(print(path)))?;
            Ok(file.add_entry(node, entries, *flow, key, below))
        }
        (Content::Alias | Content::Empty, _) => {
            let whole = find(&after, &path[..reached]);
            Ok(whole.map_or_else(Vec::new, |whole| file.replace(node, place, whole)))
        }
        _ => Ok(Vec::new()),
    }
}

/// The node at a path, as far as it is written out, and where it stands.
fn locate<'a>(root: &'a Node, path: &[Step]) -> Option<(&'a Node, Place<'a>)> {
    let mut at = (root, Place::Root);
    for step in path {
        let brackets = matches!(at.1, Place::Brackets { .. });
        at = match (&at.0.content, step) {
            (Content::Map(flow, entries), Step::Key(key)) => {
                let entry = entries
                    .iter()
                    .find(|entry| entry.name == Name::Key(key.clone()))?;
                let inside = brackets || *flow != Flow::Block;
                (
                    &entry.value,
                    if inside {
                        Place::Brackets { colon: entry.colon }
                    } else {
                        Place::Value(entry)
                    },
                )
            }
            (Content::Items(flow, items), Step::Index(index)) => {
                let item = items.get(*index)?;
                let inside = brackets || *flow != Flow::Block;
                (
                    &item.node,
                    if inside {
                        Place::Brackets { colon: true }
                    } else {
                        Place::Item(item)
                    },
                )
            }
            _ => return None,
        };
    }
    Some(at)
}

/// Refuses what would change other places: a value with an anchor that is shown by an
/// alias elsewhere.
fn unshared(
    file: &File<'_>,
    layout: &Layout,
    path: &[Step],
    change: &Change,
) -> Result<(), EditError> {
    let shared = |node: &Node, from: (usize, usize)| {
        let anchor = node.anchor?;
        let outside = |at: usize| at < from.0 || at >= from.1;
        let used = layout
            .aliases
            .iter()
            .any(|(id, at)| *id == anchor && outside(*at));
        used.then_some(node.properties)
    };
    let error = |at: usize| EditError::Shared {
        path: print(path),
        line: file.text[..at].matches('\n').count() + 1,
    };
    // A value on the way: all that it holds is shown elsewhere.
    for length in 0..=path.len() {
        if let Some((node, _)) = locate(&layout.root, &path[..length])
            && let Some(at) = shared(node, (0, 0))
        {
            return Err(error(at));
        }
    }
    // A value in what goes: it would be missed.
    if matches!(change, Change::Replace { .. } | Change::Remove { .. })
        && let Some((node, _)) = locate(&layout.root, path)
    {
        let mut found = None;
        let range = (node.properties, node.end);
        node.each(&mut |inner| found = found.or_else(|| shared(inner, range)));
        if let Some(at) = found {
            return Err(error(at));
        }
    }
    Ok(())
}
