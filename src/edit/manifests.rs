//! An object that stands in a file as it is applied.

use super::changes::carried;
use super::locate::{self, Wanted, pointer};
use super::source::Why;
use super::tree::EditedTree;
use super::yaml::{self, Step};
use crate::model::Tree;
use crate::render::Manifest;
use crate::render::yaml::{Document, documents};
use serde_json::Value;

/// Edits the file that declares an object so that it declares another state of it.
pub(super) fn edit(
    tree: &EditedTree,
    manifest: &Manifest,
    after: &Value,
) -> Result<EditedTree, Why> {
    let path = &manifest.origin.path;
    let Found {
        text,
        documents,
        place,
    } = find(tree, manifest)?;
    let document = &documents[place.document].value;
    let edited = write(&text, &place, document, &manifest.body(), after);
    let mut tree = tree.clone();
    tree.write(path, edited.map_err(|error| unwritable(path, &error))?);
    Ok(tree)
}

/// Takes an object out of the file that declares it; the file goes with the last one.
pub(super) fn remove(tree: &EditedTree, manifest: &Manifest) -> Result<EditedTree, Why> {
    let path = &manifest.origin.path;
    let found = find(tree, manifest)?;
    let rest = without(&found.text, &found.documents, &found.place);
    let mut tree = tree.clone();
    match rest.map_err(|error| unwritable(path, &error))? {
        Some(rest) => tree.write(path, rest),
        None => tree.remove(path),
    }
    Ok(tree)
}

/// A file's text without an object; `None` where nothing else stands in it. A list of
/// objects goes with its last item.
pub(super) fn without(
    text: &str,
    documents: &[Document],
    place: &locate::Place,
) -> Result<Option<String>, yaml::EditError> {
    let document = &documents[place.document].value;
    let mut path = &place.path[..];
    while let [list @ .., _] = path {
        let items = yaml::find(document, list).and_then(Value::as_array);
        if items.is_some_and(|items| items.len() > 1) {
            return yaml::remove(text, place.document, path).map(Some);
        }
        path = list.split_last().map_or(&[], |(_, above)| above);
    }
    yaml::remove_document(text, place.document)
}

/// Where an object stands.
struct Found {
    text: String,
    documents: Vec<Document>,
    place: locate::Place,
}

fn find(tree: &EditedTree, manifest: &Manifest) -> Result<Found, Why> {
    let path = &manifest.origin.path;
    let text = read(tree, path)?;
    let documents = documents(&text).map_err(|error| Why::Unreadable {
        path: path.clone(),
        message: error.message,
    })?;
    let mut places = locate::places(&documents, &Wanted::manifest(manifest));
    // The same name may stand in several namespaces.
    let line = |place: &locate::Place| {
        documents[place.document]
            .position(&pointer(&place.path))
            .line
            == manifest.origin.line
    };
    let at = places.iter().position(line);
    let at = at.or((places.len() == 1).then_some(0));
    let at = at.ok_or_else(|| Why::NotFound { path: path.clone() })?;
    Ok(Found {
        place: places.swap_remove(at),
        text,
        documents,
    })
}

fn unwritable(path: &str, error: &yaml::EditError) -> Why {
    Why::Unwritable {
        path: path.to_owned(),
        message: error.to_string(),
    }
}

/// Carries a change of an object over to its place in a file.
pub(super) fn write(
    text: &str,
    place: &locate::Place,
    document: &Value,
    before: &Value,
    after: &Value,
) -> Result<String, yaml::EditError> {
    let written = yaml::find(document, &place.path).unwrap_or(&Value::Null);
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
