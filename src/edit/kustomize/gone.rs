//! Edits after which a kustomization makes an object no more: taken out where it is
//! declared or generated, else deleted by a patch of the overlay.

use serde_json::{Value, json};

use super::layer::Layer;
use super::resources::{Declaration, declarations};
use super::set::{named, names_to_patch, target, with_patch};
use crate::edit::manifests::without;
use crate::edit::tree::EditedTree;
use crate::edit::yaml;
use crate::model::{EntryKind, Tree};
use crate::render::Manifest;

/// The edits that may do it, the one that a person would try first at first. `own` tells
/// whether a file may be edited: what others read as well would be gone there too.
pub(in crate::edit) fn removals(
    tree: &EditedTree,
    layers: &[Layer],
    manifest: &Manifest,
    own: &dyn Fn(&str) -> bool,
) -> Vec<EditedTree> {
    let mut found = Vec::new();
    for declaration in declarations(tree, layers, manifest) {
        found.extend(resource(tree, layers, &declaration, own));
    }
    for layer in layers.iter().filter(|layer| own(&layer.file)) {
        generators(tree, layer, manifest, &mut found);
    }
    let overlay = layers.first().filter(|layer| own(&layer.file));
    let Some(overlay) = overlay else { return found };
    for name in names_to_patch(tree, layers, manifest) {
        let text = yaml::text(&deletion(manifest, &name));
        let bare = json!({ "patch": text });
        let aimed = json!({ "patch": text, "target": target(manifest, &name) });
        let edited = [bare, aimed].map(|entry| with_patch(tree, overlay, entry));
        found.extend(edited.into_iter().flatten());
    }
    found
}

/// The patch as it looks to a person.
pub(in crate::edit) fn delete_patch(manifest: &Manifest) -> Value {
    deletion(manifest, &manifest.name)
}

fn deletion(manifest: &Manifest, name: &str) -> Value {
    named(manifest, name, Some(json!({ "$patch": "delete" })))
}

/// The object out of its file; where nothing is left of that, it goes, and so do the
/// entries that name it.
fn resource(
    tree: &EditedTree,
    layers: &[Layer],
    declaration: &Declaration,
    own: &dyn Fn(&str) -> bool,
) -> Option<EditedTree> {
    let Declaration {
        path,
        text,
        documents,
        place,
    } = declaration;
    if !own(path) {
        return None;
    }
    let mut edited = tree.clone();
    if let Some(rest) = without(text, documents, place).ok()? {
        edited.write(path, rest);
        return Some(edited);
    }
    let (real, _) = tree.resolve(path).ok()??;
    edited.remove(path);
    for layer in layers {
        let names_it = |entry: &Value| {
            let file = entry.as_str().and_then(|name| layer.path(name));
            let found = file.and_then(|file| tree.resolve(&file).ok()?);
            found.is_some_and(|found| found == (real.clone(), EntryKind::File))
        };
        let Some(index) = layer.items("resources").position(names_it) else {
            continue;
        };
        if !own(&layer.file) {
            return None;
        }
        edited.write(&layer.file, layer.without("resources", index)?);
    }
    Some(edited)
}

fn generators(tree: &EditedTree, layer: &Layer, manifest: &Manifest, found: &mut Vec<EditedTree>) {
    if !manifest.kind.is("", "ConfigMap") {
        return;
    }
    for (index, generator) in layer.items("configMapGenerator").enumerate() {
        let name = generator.get("name").and_then(Value::as_str);
        if name.is_some_and(|name| manifest.name.contains(name))
            && let Some(text) = layer.without("configMapGenerator", index)
        {
            let mut edited = tree.clone();
            edited.write(&layer.file, text);
            found.push(edited);
        }
    }
}
