//! Editing YAML so that everything else stays as it was, byte for byte: comments, blank
//! lines, indentation, quotes, line breaks, anchors, document markers. What is written
//! reads back, by Kubernetes' rules ([`crate::render::yaml`]), as exactly the edit and
//! nothing else; an edit for which that can't be had is an error, and the text is as it
//! was. Comments within a value go when that value does.

mod add;
mod change;
mod documents;
mod items;
mod layout;
mod remove;
mod rewrite;
mod scan;
mod style;
#[cfg(test)]
mod tests;
mod ways;
mod write;

use serde_json::{Map, Value};

use self::layout::layouts;
use self::rewrite::Change;
use self::style::Style;
use crate::fields::same;
use crate::render::yaml::{self, Document, YamlError};

pub use self::documents::remove_document;
pub(super) use self::items::{identified, identity, lined_up};

/// One step from a value to one in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To a key of a map.
    Key(String),
    /// To an item of a list, from 0.
    Index(usize),
}

/// Why a file can't be edited so. It is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is no YAML.
    #[error("line {}: {}", .0.at.line, .0.message)]
    Unreadable(YamlError),
    /// It has fewer documents.
    #[error("there is no document {0} in the file")]
    NoDocument(usize),
    /// Nothing stands at the path, or something that is no map or list on the way.
    #[error("there is no {0}")]
    NotThere(String),
    /// The value has an anchor, and others show it by an alias.
    #[error("{path} is shared with others by the anchor on line {line}, and they would change too")]
    Shared {
        /// The path.
        path: String,
        /// The line of the anchor, from 1.
        line: usize,
    },
    /// The value comes from elsewhere by `<<`, where others get it too.
    #[error("{0} comes from elsewhere by `<<`, and can't be taken out here")]
    Merged(String),
    /// No way to write it read back as it should.
    #[error("{0} can't be written there so that it reads back the same")]
    Unfaithful(String),
}

/// Makes a value what it is to be, with as few changes as can be; where the last key
/// isn't there yet, it is added, and so are maps on the way. `document` counts from 0
/// those that say anything, as [`yaml::documents`] gives them.
pub fn set(text: &str, document: usize, path: &[Step], value: &Value) -> Result<String, EditError> {
    let before = read(text)?;
    let mut wanted = whole(&before, document)?.clone();
    put(&mut wanted, path, value.clone()).ok_or_else(|| EditError::NotThere(print(path)))?;
    rewrite(text, document, &wanted)
}

/// Takes out a key, or an item of a list.
pub fn remove(text: &str, document: usize, path: &[Step]) -> Result<String, EditError> {
    let before = read(text)?;
    let mut wanted = whole(&before, document)?.clone();
    take(&mut wanted, path).ok_or_else(|| EditError::NotThere(print(path)))?;
    edit(
        text,
        document,
        &Change::Remove {
            path: path.to_vec(),
        },
        &wanted,
    )
}

/// Puts an item into a list, before the one at `index`, or as the last.
pub fn insert(
    text: &str,
    document: usize,
    path: &[Step],
    index: usize,
    value: &Value,
) -> Result<String, EditError> {
    let before = read(text)?;
    let mut wanted = whole(&before, document)?.clone();
    let list = find_mut(&mut wanted, path).and_then(Value::as_array_mut);
    let list = list.filter(|list| index <= list.len());
    list.ok_or_else(|| EditError::NotThere(print(path)))?
        .insert(index, value.clone());
    let change = Change::Insert {
        path: path.to_vec(),
        index,
        value: value.clone(),
    };
    edit(text, document, &change, &wanted)
}

/// Makes a whole document what it is to be, with as few changes as can be.
pub fn rewrite(text: &str, document: usize, wanted: &Value) -> Result<String, EditError> {
    let mut text = text.to_owned();
    let mut before = read(&text)?;
    loop {
        let now = whole(&before, document)?;
        if same(now, wanted) {
            return Ok(text);
        }
        let change = {
            let (bare, documents) = (without_mark(&text), &before);
            let layouts = layouts(bare).map_err(EditError::Unreadable)?;
            let layout = rewrite::of_document(&layouts, documents, document)?;
            rewrite::next(&layout.root, now, wanted, &mut Vec::new())
        };
        let change = change?.ok_or_else(|| EditError::Unfaithful("the document".to_owned()))?;
        let mut after = now.clone();
        change.apply(&mut after);
        text = edit(&text, document, &change, &after)?;
        before = read(&text)?;
    }
}

/// Adds a document at the end of a file.
pub fn append(text: &str, value: &Value) -> Result<String, EditError> {
    let before = read(text)?;
    let style = Style::of(
        text,
        &layouts(without_mark(text)).map_err(EditError::Unreadable)?,
    );
    let newline = style.newline;
    let style = Style {
        quotes: match style.quotes {
            style::Quotes::Json => style::Quotes::Double,
            other => other,
        },
        ..style
    };
    let lines = if write::is_inline(value) {
        write::inline(value, style)
    } else {
        write::block(value, 0, style)
    };
    let mut new = text.to_owned();
    if !new.is_empty() && !new.ends_with('\n') {
        new.push_str(newline);
    }
    let marked = new
        .trim_end()
        .rsplit('\n')
        .next()
        .is_some_and(|line| line.trim_end() == "---");
    if !marked && !before.is_empty() {
        new.push_str("---");
        new.push_str(newline);
    }
    new.push_str(&lines);
    new.push_str(newline);
    let mut wanted: Vec<&Value> = before.iter().map(|it| &it.value).collect();
    wanted.push(value);
    if reads_as(&new, &wanted) {
        Ok(new)
    } else {
        Err(EditError::Unfaithful("the new document".to_owned()))
    }
}

/// A value as text of its own, in the way of kubectl and kustomize.
pub fn text(value: &Value) -> String {
    let style = Style::of("", &[]);
    let mut text = if write::is_inline(value) {
        write::inline(value, style)
    } else {
        write::block(value, 0, style)
    };
    text.push('\n');
    text
}

/// Does one change, and looks whether that is what came of it.
fn edit(text: &str, document: usize, change: &Change, after: &Value) -> Result<String, EditError> {
    let before = read(text)?;
    let mut wanted: Vec<&Value> = before.iter().map(|it| &it.value).collect();
    wanted[document] = after;
    let (bare, mark) = (
        without_mark(text),
        &text[..text.len() - without_mark(text).len()],
    );
    let layouts = layouts(bare).map_err(EditError::Unreadable)?;
    let layout = rewrite::of_document(&layouts, &before, document)?;
    let file = change::File {
        text: bare,
        style: Style::of(bare, &layouts),
    };
    let offered = ways::ways(&file, layout, change, whole(&before, document)?)?;
    let mut offered = offered.into_iter().map(|way| [mark, &way].concat());
    offered
        .find(|way| reads_as(way, &wanted))
        .ok_or_else(|| EditError::Unfaithful(print(change.path())))
}

fn reads_as(text: &str, wanted: &[&Value]) -> bool {
    yaml::documents(text).is_ok_and(|documents| {
        documents.len() == wanted.len()
            && documents
                .iter()
                .zip(wanted)
                .all(|(is, wanted)| same(&is.value, wanted))
    })
}

fn read(text: &str) -> Result<Vec<Document>, EditError> {
    yaml::documents(text).map_err(EditError::Unreadable)
}

fn whole(documents: &[Document], index: usize) -> Result<&Value, EditError> {
    let document = documents.get(index);
    Ok(&document.ok_or(EditError::NoDocument(index))?.value)
}

/// Without a byte order mark.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What stands at a path.
pub(super) fn find<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}

fn find_mut<'a>(value: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })
}

/// Sets a value, maps on the way made where there is nothing; `None` where something else is.
pub(super) fn put(value: &mut Value, path: &[Step], new: Value) -> Option<()> {
    let Some((step, rest)) = path.split_first() else {
        *value = new;
        return Some(());
    };
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    match step {
        Step::Key(key) => {
            let entry = value.as_object_mut()?.entry(key.clone());
            put(entry.or_insert(Value::Null), rest, new)
        }
        Step::Index(index) => put(value.get_mut(index)?, rest, new),
    }
}

/// Takes out what stands at a path.
pub(super) fn take(value: &mut Value, path: &[Step]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    let parent = find_mut(value, parents)?;
    match last {
        Step::Key(key) => parent.as_object_mut()?.remove(key),
        Step::Index(index) => {
            let items = parent.as_array_mut()?;
            (*index < items.len()).then(|| items.remove(*index))
        }
    }
}

/// `spec.containers[0].image`
pub(super) fn print(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Index(index) => text.extend(["[", &index.to_string(), "]"]),
        }
    }
    if text.is_empty() {
        "the document".to_owned()
    } else {
        text
    }
}
