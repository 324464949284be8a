//! Where in a file an object stands.

use serde_json::Value;

use super::yaml::Step;
use crate::model::group_of;
use crate::render::Manifest;
use crate::render::yaml::Document;

/// The place of an object in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The document, as [`crate::render::yaml::documents`] counts them.
    pub(super) document: usize,
    /// The way to it, where it is an item of a list of objects.
    pub(super) path: Vec<Step>,
}

/// An object that is looked for.
pub(super) struct Wanted<'a> {
    pub(super) group: &'a str,
    pub(super) kind: &'a str,
    /// Any of these.
    pub(super) names: Vec<&'a str>,
    pub(super) namespace: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    pub(super) fn manifest(manifest: &'a Manifest) -> Self {
        Self {
            group: &manifest.kind.group,
            kind: &manifest.kind.kind,
            names: vec![&manifest.name],
            namespace: manifest.namespace.as_deref(),
        }
    }

    /// Whether an object in a file is it; one that leaves its namespace to others may be.
    pub(super) fn is(&self, object: &Value) -> bool {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let namespace = text("/metadata/namespace");
        group_of(text("/apiVersion").unwrap_or_default()) == self.group
            && text("/kind") == Some(self.kind)
            && text("/metadata/name").is_some_and(|name| self.names.contains(&name))
            && (namespace.is_none() || self.namespace.is_none() || namespace == self.namespace)
    }
}

/// All places of an object in a file.
pub(super) fn places(documents: &[Document], wanted: &Wanted<'_>) -> Vec<Place> {
    let mut found = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        walk(&document.value, wanted, &mut Vec::new(), &mut |path| {
            found.push(Place {
                document: index,
                path: path.to_vec(),
            });
        });
    }
    found
}

fn walk(value: &Value, wanted: &Wanted<'_>, path: &mut Vec<Step>, found: &mut impl FnMut(&[Step])) {
    if wanted.is(value) {
        return found(path);
    }
    let kind = value
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let items = value.get("items").and_then(Value::as_array);
    let Some(items) = items.filter(|_| kind.ends_with("List")) else {
        return;
    };
    for (index, item) in items.iter().enumerate() {
        path.extend([Step::Key("items".to_owned()), Step::Index(index)]);
        // The items of a typed list leave unsaid what they are.
        let lent = kind.strip_suffix("List").filter(|kind| !kind.is_empty());
        match lent.filter(|_| item.get("kind").is_none()) {
            Some(kind) => {
                let mut item = item.clone();
                item["kind"] = kind.into();
                if item.get("apiVersion").is_none() {
                    item["apiVersion"] = value["apiVersion"].clone();
                }
                walk(&item, wanted, path, found);
            }
            None => walk(item, wanted, path, found),
        }
        path.truncate(path.len() - 2);
    }
}

/// The way as a JSON pointer.
pub(super) fn pointer(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        text.push('/');
        match step {
            Step::Key(key) => text.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => text.push_str(&index.to_string()),
        }
    }
    text
}
