//! The files that may declare the object.

use super::Search;
use super::layer::Layer;
use crate::edit::changes::transferred;
use crate::edit::locate::{Place, Wanted, places};
use crate::edit::manifests::read;
use crate::edit::tree::EditedTree;
use crate::edit::yaml::{self, Step, find};
use crate::render::Manifest;
use crate::render::yaml::{Document, documents};
use serde_json::Value;

/// The object in a resource of any layer, the one that is called most alike first.
pub(super) fn resources(search: &Search<'_>, found: &mut Vec<EditedTree>) {
    let manifest = search.manifest;
    for one in declarations(search.tree, search.layers, manifest) {
        let Declaration {
            path,
            text,
            documents,
            place,
        } = one;
        let object = find(&documents[place.document].value, &place.path);
        let Some(object) = object else { continue };
        let Some(below) = transferred(&search.change.path, &manifest.body(), object) else {
            continue;
        };
        let at: Vec<Step> = [&place.path[..], &below].concat();
        let edited = match &search.change.to {
            Some(to) => yaml::set(&text, place.document, &at, to),
            None => yaml::remove(&text, place.document, &at),
        };
        search.offer(&path, edited.ok(), found);
    }
}

/// A place that may declare an object.
pub(super) struct Declaration {
    /// The file, and what it says.
    pub(super) path: String,
    pub(super) text: String,
    pub(super) documents: Vec<Document>,
    /// Where in it.
    pub(super) place: Place,
}

/// The places that may declare an object, the one that is called most alike first.
pub(super) fn declarations(
    tree: &EditedTree,
    layers: &[Layer],
    manifest: &Manifest,
) -> Vec<Declaration> {
    let mut found = Vec::new();
    for (path, name) in names(tree, layers, manifest) {
        let Ok(text) = read(tree, &path) else {
            continue;
        };
        let Ok(documents) = documents(&text) else {
            continue;
        };
        let wanted = Wanted {
            group: &manifest.kind.group,
            kind: &manifest.kind.kind,
            names: vec![&name],
            namespace: None,
        };
        for place in places(&documents, &wanted) {
            found.push(Declaration {
                path: path.clone(),
                text: text.clone(),
                documents: documents.clone(),
                place,
            });
        }
    }
    found
}

/// The files with an object of that kind whose name the object's may be made of, with
/// that name; the longest first.
pub(super) fn names(
    tree: &EditedTree,
    layers: &[Layer],
    manifest: &Manifest,
) -> Vec<(String, String)> {
    let files = layers.iter().flat_map(|layer| &layer.resources);
    let mut found = Vec::new();
    for path in files {
        let Ok(text) = read(tree, path) else {
            continue;
        };
        for document in documents(&text).unwrap_or_default() {
            let name = document
                .value
                .pointer("/metadata/name")
                .and_then(Value::as_str);
            let kind = document.value.get("kind").and_then(Value::as_str);
            if let Some(name) = name
                && kind == Some(manifest.kind.kind.as_str())
                && manifest.name.contains(name)
            {
                found.push((path.clone(), name.to_owned()));
            }
        }
    }
    found.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
    found
}
