//! The file that declares the object.

use super::Search;
use crate::edit::changes::transferred;
use crate::edit::locate::{Wanted, places};
use crate::edit::manifests::read;
use crate::edit::tree::EditedTree;
use crate::edit::yaml::{self, Step, find};
use crate::render::yaml::documents;
use serde_json::Value;

/// The object in a resource of any layer, the one that is called most alike first.
pub(super) fn resources(search: &Search<'_>, found: &mut Vec<EditedTree>) {
    let manifest = search.manifest;
    for (path, name) in names(search) {
        let Ok(text) = read(search.tree, &path) else {
            continue;
        };
        let Ok(all) = documents(&text) else { continue };
        let wanted = Wanted {
            group: &manifest.kind.group,
            kind: &manifest.kind.kind,
            names: vec![&name],
            namespace: None,
        };
        for place in places(&all, &wanted) {
            let object = find(&all[place.document].value, &place.path);
            let Some(object) = object else { continue };
            let Some(below) = transferred(&search.change.path, &manifest.body, object) else {
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
}

/// The files with an object of that kind whose name the object's may be made of, with
/// that name; the longest first.
pub(super) fn names(search: &Search<'_>) -> Vec<(String, String)> {
    let files = search.layers.iter().flat_map(|layer| &layer.resources);
    let mut found = Vec::new();
    for path in files {
        let Ok(text) = read(search.tree, path) else {
            continue;
        };
        for document in documents(&text).unwrap_or_default() {
            let name = document
                .value
                .pointer("/metadata/name")
                .and_then(Value::as_str);
            let kind = document.value.get("kind").and_then(Value::as_str);
            if let Some(name) = name
                && kind == Some(&search.manifest.kind.kind)
                && search.manifest.name.contains(name)
            {
                found.push((path.clone(), name.to_owned()));
            }
        }
    }
    found.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
    found
}
