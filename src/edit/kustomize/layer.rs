//! A kustomization and those that it builds on.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::edit::manifests::read;
use crate::edit::source::Why;
use crate::edit::tree::EditedTree;
use crate::edit::yaml::{self, Step};
use crate::model::{EntryKind, Tree};
use crate::render::yaml::documents;

const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// One kustomization.
pub(in crate::edit) struct Layer {
    /// Its directory.
    pub(super) directory: String,
    /// Its file, and the text of that.
    pub(super) file: String,
    pub(super) text: String,
    /// What it says; null where that is nothing.
    pub(super) value: Value,
    /// The files that it names as resources.
    pub(super) resources: Vec<String>,
}

impl Layer {
    /// The kustomization in a directory, then what it builds on, layer by layer.
    pub(in crate::edit) fn all(tree: &EditedTree, directory: &str) -> Result<Vec<Self>, Why> {
        let mut todo = vec![directory.to_owned()];
        let mut seen: BTreeSet<String> = todo.iter().cloned().collect();
        let mut layers = Vec::new();
        while !todo.is_empty() {
            let mut next = Vec::new();
            for directory in todo {
                let Some((layer, below)) = Self::read(tree, &directory)? else {
                    continue;
                };
                layers.push(layer);
                next.extend(below.into_iter().filter(|below| seen.insert(below.clone())));
            }
            todo = next;
        }
        Ok(layers)
    }

    fn read(tree: &EditedTree, directory: &str) -> Result<Option<(Self, Vec<String>)>, Why> {
        let files = FILES.iter().map(|name| join(directory, name));
        let is_file = |path: &String| matches!(tree.kind(path), Ok(Some(EntryKind::File)));
        let Some(file) = files.into_iter().find(is_file) else {
            return Ok(None);
        };
        let text = read(tree, &file)?;
        let found = documents(&text).map_err(|error| Why::Unreadable {
            path: file.clone(),
            message: error.message,
        })?;
        let value = found
            .into_iter()
            .next()
            .map(|it| it.value)
            .unwrap_or_default();
        let mut layer = Self {
            directory: directory.to_owned(),
            file,
            text,
            value,
            resources: Vec::new(),
        };
        let mut below = Vec::new();
        for field in ["resources", "bases", "components"] {
            for name in layer.texts(field) {
                let Some(path) = normal(directory, &name) else {
                    continue;
                };
                match tree.resolve(&path) {
                    Ok(Some((real, EntryKind::Directory))) => below.push(real),
                    Ok(Some((_, EntryKind::File))) => layer.resources.push(path),
                    _ => {}
                }
            }
        }
        Ok(Some((layer, below)))
    }

    /// Its file.
    pub(in crate::edit) fn file(&self) -> &str {
        &self.file
    }

    /// The texts of a list.
    fn texts(&self, field: &str) -> Vec<String> {
        let items = self.items(field);
        items
            .filter_map(|item| Some(item.as_str()?.to_owned()))
            .collect()
    }

    /// The items of a list.
    pub(super) fn items(&self, field: &str) -> impl Iterator<Item = &Value> {
        self.value
            .get(field)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    /// A path that it names.
    pub(super) fn path(&self, name: &str) -> Option<String> {
        normal(&self.directory, name)
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

/// A path relative to a directory, without `.` and `..`; `None` where it leads outside or
/// is none.
pub(super) fn normal(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    if path.starts_with('/') || path.contains("://") || path.contains('\n') {
        return None;
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl Layer {
    /// Its text without an item of a list, and without the list where that was the only one.
    pub(super) fn without(&self, field: &str, index: usize) -> Option<String> {
        let list = Step::Key(field.to_owned());
        let path = match self.items(field).count() {
            1 => vec![list],
            _ => vec![list, Step::Index(index)],
        };
        yaml::remove(&self.text, 0, &path).ok()
    }
}

/// The directory for a new resource, and the namespace that it gets there.
pub(in crate::edit) fn place_of_new(layers: &[Layer]) -> (String, Option<String>) {
    let Some(layer) = layers.first() else {
        return (String::new(), None);
    };
    let namespace = layer.value.get("namespace").and_then(Value::as_str);
    (layer.directory.clone(), namespace.map(str::to_owned))
}

/// The tree with a file of the first layer's directory among its resources.
pub(in crate::edit) fn with_resource(
    mut tree: EditedTree,
    directory: &str,
    name: &str,
) -> Result<EditedTree, Why> {
    let Some((layer, _)) = Layer::read(&tree, directory)? else {
        return Ok(tree);
    };
    let mut resources: Vec<Value> = layer.items("resources").cloned().collect();
    resources.push(name.into());
    let edited = if layer.value.is_null() {
        yaml::append(&layer.text, &json!({ "resources": resources }))
    } else {
        let path = [Step::Key("resources".to_owned())];
        yaml::set(&layer.text, 0, &path, &Value::from(resources))
    };
    let edited = edited.map_err(|error| Why::Unwritable {
        path: layer.file.clone(),
        message: error.to_string(),
    })?;
    tree.write(&layer.file, edited);
    Ok(tree)
}
