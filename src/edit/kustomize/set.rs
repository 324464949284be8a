//! A patch for what no file of a kustomization sets yet.

use serde_json::{Map, Value, json};

use super::layer::Layer;
use super::resources;
use crate::edit::changes::changes;
use crate::edit::locate::pointer;
use crate::edit::manifests::key;
use crate::edit::tree::EditedTree;
use crate::edit::yaml::{self, identity, lined_up};
use crate::fields::same;
use crate::render::Manifest;

/// The patch as it looks to a person: the object with what changes.
pub(in crate::edit) fn merge_patch(manifest: &Manifest, after: &Value) -> Value {
    named(
        manifest,
        &manifest.name,
        difference(&manifest.body(), after, Lists::Keyed),
    )
}

/// Edits that add a patch to the first layer, in every form that may be understood.
pub(in crate::edit) fn patches(
    tree: &EditedTree,
    layers: &[Layer],
    manifest: &Manifest,
    after: &Value,
) -> Vec<EditedTree> {
    let Some(layer) = layers.first() else {
        return Vec::new();
    };
    let names = names_to_patch(tree, layers, manifest);
    let entries = entries(manifest, after, &names).into_iter();
    let edited = entries.filter_map(|entry| with_patch(tree, layer, entry));
    edited.collect()
}

/// The tree with one more patch in a layer.
pub(super) fn with_patch(tree: &EditedTree, layer: &Layer, entry: Value) -> Option<EditedTree> {
    let mut all: Vec<Value> = layer.items("patches").cloned().collect();
    all.push(entry);
    let edited = if layer.value.is_null() {
        yaml::append(&layer.text, &json!({ "patches": all }))
    } else {
        yaml::set(&layer.text, 0, &[key("patches")], &Value::from(all))
    };
    let mut tree = tree.clone();
    tree.write(&layer.file, edited.ok()?);
    Some(tree)
}

/// The names under which a patch may find the object: this layer may be one that has not
/// got its prefix yet.
pub(super) fn names_to_patch(
    tree: &EditedTree,
    layers: &[Layer],
    manifest: &Manifest,
) -> Vec<String> {
    let mut names = vec![manifest.name.to_string()];
    for (_, name) in resources::names(tree, layers, manifest) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The patch as entries of `patches`, the plainest first.
fn entries(manifest: &Manifest, after: &Value, names: &[String]) -> Vec<Value> {
    let mut found = Vec::new();
    let operations = yaml::text(&operations(&manifest.body(), after));
    for lists in [Lists::Keyed, Lists::InOrder, Lists::Whole] {
        if lists == Lists::Whole {
            for name in names {
                found.push(json!({ "patch": operations, "target": target(manifest, name) }));
            }
        }
        let patch = difference(&manifest.body(), after, lists);
        for name in names {
            let text = yaml::text(&named(manifest, name, patch.clone()));
            found.push(json!({ "patch": text }));
            found.push(json!({ "patch": text, "target": target(manifest, name) }));
        }
    }
    found
}

pub(super) fn target(manifest: &Manifest, name: &str) -> Value {
    let mut target = json!({ "kind": manifest.kind.kind, "name": name });
    if !manifest.kind.group.is_empty() {
        target["group"] = manifest.kind.group.as_str().into();
    }
    target
}

pub(super) fn named(manifest: &Manifest, name: &str, patch: Option<Value>) -> Value {
    let mut object = match patch {
        Some(Value::Object(patch)) => patch,
        _ => Map::new(),
    };
    let body = manifest.body();
    for field in ["apiVersion", "kind"] {
        if let Some(value) = body.get(field) {
            object.insert(field.to_owned(), value.clone());
        }
    }
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    metadata["name"] = name.into();
    Value::Object(object)
}

/// What a patch does with lists of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    /// It names items by what identifies them.
    Keyed,
    /// It names all of them, since those that it names come first.
    InOrder,
    /// It has them whole.
    Whole,
}

/// What a merge of must change of one to give the other.
fn difference(before: &Value, after: &Value, lists: Lists) -> Option<Value> {
    if same(before, after) {
        return None;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            let mut patch: Map<String, Value> =
                gone.map(|key| (key.clone(), Value::Null)).collect();
            for (key, value) in new {
                let change = match old.get(key) {
                    Some(old) => difference(old, value, lists),
                    None => Some(value.clone()),
                };
                patch.extend(change.map(|change| (key.clone(), change)));
            }
            Some(Value::Object(patch))
        }
        (Value::Array(old), Value::Array(new)) if lists != Lists::Whole => {
            Some(items(old, new, lists))
        }
        _ => Some(after.clone()),
    }
}

/// Of lists whose items are told apart, those that differ.
fn items(old: &[Value], new: &[Value], lists: Lists) -> Value {
    let mut patch = Vec::new();
    for pair in lined_up(old, new) {
        let item = match pair {
            (Some(was), Some(is)) => {
                let change = difference(&old[was], &new[is], lists);
                let unchanged = (lists == Lists::InOrder).then(|| json!({}));
                let Some(change) = change.or(unchanged) else {
                    continue;
                };
                match (identity(&new[is]), change) {
                    (Some(own), Value::Object(mut change)) => {
                        change.extend(own);
                        Value::Object(change)
                    }
                    _ => return Value::from(new),
                }
            }
            (None, Some(is)) => new[is].clone(),
            (Some(was), None) => {
                let Some(mut own) = identity(&old[was]) else {
                    return Value::from(new);
                };
                own.insert("$patch".to_owned(), "delete".into());
                Value::Object(own)
            }
            (None, None) => continue,
        };
        patch.push(item);
    }
    Value::Array(patch)
}

/// As operations (RFC 6902).
fn operations(before: &Value, after: &Value) -> Value {
    let operations = changes(before, after).into_iter().map(|change| {
        let path = pointer(&change.path);
        let there = yaml::find(before, &change.path).is_some();
        match change.to {
            Some(to) => {
                json!({ "op": if there { "replace" } else { "add" }, "path": path, "value": to })
            }
            None => json!({ "op": "remove", "path": path }),
        }
    });
    operations.collect()
}
