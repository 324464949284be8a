//! Patches of a kustomization, in files of their own or written in place.

use serde_json::Value;

use super::Search;
use super::layer::Layer;
use crate::edit::changes::transferred;
use crate::edit::locate::pointer;
use crate::edit::manifests::{key, read};
use crate::edit::tree::EditedTree;
use crate::edit::yaml::{self, EditError, Step, find};
use crate::render::yaml::{Document, documents};

/// A patch that sets the field.
pub(super) fn patches(search: &Search<'_>, layer: &Layer, found: &mut Vec<EditedTree>) {
    for field in ["patches", "patchesStrategicMerge", "patchesJson6902"] {
        for (index, entry) in layer.items(field).enumerate() {
            let at = [key(field), Step::Index(index)];
            let text = |name: &str| entry.get(name).and_then(Value::as_str);
            // The oldest form is a list of files, or of patches.
            let plain = entry.as_str();
            if let Some(file) = text("path").or(plain.filter(|text| !text.contains('\n'))) {
                in_file(search, layer, file, found);
            } else if let Some(inline) = text("patch") {
                let at = [&at[..], &[key("patch")]].concat();
                in_place(search, layer, &at, inline, found);
            } else if let Some(inline) = plain {
                in_place(search, layer, &at, inline, found);
            }
        }
    }
}

fn in_file(search: &Search<'_>, layer: &Layer, file: &str, found: &mut Vec<EditedTree>) {
    let Some(path) = layer.path(file) else { return };
    let Ok(text) = read(search.tree, &path) else {
        return;
    };
    for edited in edits(search, &text) {
        search.offer(&path, Some(edited), found);
    }
}

fn in_place(
    search: &Search<'_>,
    layer: &Layer,
    at: &[Step],
    inline: &str,
    found: &mut Vec<EditedTree>,
) {
    for edited in edits(search, inline) {
        let whole = yaml::set(&layer.text, 0, at, &Value::from(edited));
        search.offer(&layer.file, whole.ok(), found);
    }
}

/// The edits of a patch's text that may make the change.
fn edits(search: &Search<'_>, text: &str) -> Vec<String> {
    let Ok(all) = documents(text) else {
        return Vec::new();
    };
    let edits = all.iter().enumerate().flat_map(|(index, document)| {
        if document.value.is_array() {
            operations(search, text, index, document)
        } else {
            merge(search, text, index, document).into_iter().collect()
        }
    });
    edits.collect()
}

/// A patch that looks like the object.
fn merge(search: &Search<'_>, text: &str, index: usize, document: &Document) -> Option<String> {
    let kind = document.value.get("kind").and_then(Value::as_str);
    if kind.is_some_and(|kind| search.manifest.kind.kind != kind) {
        return None;
    }
    let path = transferred(
        &search.change.path,
        &search.manifest.body(),
        &document.value,
    )?;
    find(&document.value, &path)?;
    let edited = match &search.change.to {
        Some(to) => yaml::set(text, index, &path, to),
        None => yaml::remove(text, index, &path),
    };
    edited.ok()
}

/// A list of operations (RFC 6902).
fn operations(search: &Search<'_>, text: &str, index: usize, document: &Document) -> Vec<String> {
    let wanted = pointer(&search.change.path);
    let operations = document.value.as_array().into_iter().flatten().enumerate();
    let edits = operations.filter_map(|(place, operation)| {
        let path = operation.get("path").and_then(Value::as_str)?;
        let below = wanted.strip_prefix(path)?;
        operation.get("value")?;
        let mut at = vec![Step::Index(place), key("value")];
        at.extend(steps(below, search, path)?);
        edit(search, text, index, &at, below.is_empty()).ok()
    });
    edits.collect()
}

fn edit(
    search: &Search<'_>,
    text: &str,
    index: usize,
    at: &[Step],
    whole: bool,
) -> Result<String, EditError> {
    match &search.change.to {
        Some(to) => yaml::set(text, index, at, to),
        // Without its value the operation has no meaning.
        None if whole => yaml::remove(text, index, &at[..1]),
        None => yaml::remove(text, index, at),
    }
}

/// The steps that are left of the change's path below an operation's.
fn steps(below: &str, search: &Search<'_>, path: &str) -> Option<Vec<Step>> {
    if !below.is_empty() && !below.starts_with('/') {
        return None;
    }
    let depth = path.split('/').count().saturating_sub(1);
    Some(search.change.path.get(depth..)?.to_vec())
}
