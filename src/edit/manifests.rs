//! An object that stands in a file as it is applied.

use super::changes::carried;
use super::locate::{self, Wanted, pointer};
use super::source::Why;
use super::tree::EditedTree;
use super::yaml::{self, Step, find};
use crate::model::Tree;
use crate::render::Manifest;
use crate::render::yaml::documents;
use serde_json::Value;

/// Edits the file that declares an object so that it declares another state of it.
pub(super) fn edit(
    tree: &EditedTree,
    manifest: &Manifest,
    after: &Value,
) -> Result<EditedTree, Why> {
    let path = &manifest.origin.path;
    let text = read(tree, path)?;
    let found = documents(&text).map_err(|error| Why::Unreadable {
        path: path.clone(),
        message: error.message,
    })?;
    let places = locate::places(&found, &Wanted::manifest(manifest));
    // The same name may stand in several namespaces.
    let line = |place: &&locate::Place| {
        found[place.document].position(&pointer(&place.path)).line == manifest.origin.line
    };
    let place = places.iter().find(line).or(match &places[..] {
        [only] => Some(only),
        _ => None,
    });
    let place = place.ok_or_else(|| Why::NotFound { path: path.clone() })?;
    let edited = write(
        &text,
        place,
        &found[place.document].value,
        &manifest.body,
        after,
    );
    let edited = edited.map_err(|error| Why::Unwritable {
        path: path.clone(),
        message: error.to_string(),
    })?;
    let mut tree = tree.clone();
    tree.write(path, edited);
    Ok(tree)
}

/// Carries a change of an object over to its place in a file.
pub(super) fn write(
    text: &str,
    place: &locate::Place,
    document: &Value,
    before: &Value,
    after: &Value,
) -> Result<String, yaml::EditError> {
    let written = find(document, &place.path).unwrap_or(&Value::Null);
    let wanted = carried(written, before, after);
    yaml::set(text, place.document, &place.path, &wanted)
}

/// A file's text.
pub(super) fn read(tree: &EditedTree, path: &str) -> Result<String, Why> {
    let unreadable = |message: String| Why::Unreadable {
        path: path.to_owned(),
        message,
    };
    let content = tree
        .read(path)
        .map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(content).map_err(|_| unreadable("it is not UTF-8".to_owned()))
}

/// A step by name.
pub(super) fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}
