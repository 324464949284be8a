//! Where in the repository a field of an object is set. It is told from the files alone:
//! the manifest, or the part of a kustomization that sets it. What can't be told has the
//! place of its object.

use std::fmt;

use serde_json::Value;

use super::kustomize;
use super::read_text;
use super::yaml::{self, Document};
use crate::config::{FieldPath, Unit, UnitType};
use crate::model::{Desired, Origin, Tree, group_of};

/// Where a field is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The file and the line.
    pub origin: Origin,
    /// What sets it there.
    pub by: SetBy,
}

/// What sets a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// The object's own manifest.
    Manifest,
    /// A patch of a kustomization.
    Patch,
    /// A field of a kustomization, such as `images`.
    Transformer(&'static str),
    /// What sets it can't be told, or nothing does: this is the object's place.
    Object,
}

impl fmt::Display for SetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => f.write_str("manifest"),
            Self::Patch => f.write_str("patch"),
            Self::Transformer(name) => f.write_str(name),
            Self::Object => f.write_str("object"),
        }
    }
}

/// What is looked for.
pub(super) struct Field<'a> {
    pub(super) desired: &'a Desired,
    pub(super) path: &'a FieldPath,
    /// The value as it is rendered.
    pub(super) value: &'a Value,
    /// Where that is in the rendered object.
    pub(super) pointer: String,
}

/// Where a field of an object that a unit declares is set.
pub fn site(tree: &dyn Tree, unit: &Unit, desired: &Desired, path: &FieldPath) -> Site {
    let object = Site {
        origin: desired.origin.clone(),
        by: SetBy::Object,
    };
    let body = desired.body();
    let Some(value) = path.resolve(&body) else {
        return object;
    };
    let field = Field {
        desired,
        path,
        value,
        pointer: path.pointer(&body).text,
    };
    let found = match unit.kind {
        UnitType::Manifests => {
            // In plain manifests the object's line is known for certain.
            let is_it = |_: &Value, line| line == desired.origin.line;
            in_file(tree, &desired.origin.path, &field, &is_it)
        }
        UnitType::Kustomize => kustomize::site(tree, &unit.path, &field),
    };
    found.unwrap_or(object)
}

/// Tells the object that is looked for, by what it says and the line where it begins.
type IsIt<'a> = &'a dyn Fn(&Value, u32) -> bool;

/// Where a file that holds the object sets the field to its value.
pub(super) fn in_file(
    tree: &dyn Tree,
    path: &str,
    field: &Field<'_>,
    is_it: IsIt<'_>,
) -> Option<Site> {
    let documents = documents(tree, path)?;
    let found = documents
        .iter()
        .find_map(|document| in_document(document, "", &document.value, field, is_it));
    Some(Site {
        origin: Origin {
            path: path.to_owned(),
            line: found?,
        },
        by: SetBy::Manifest,
    })
}

/// The documents of a file; none if it can't be read, which the render has said.
pub(super) fn documents(tree: &dyn Tree, path: &str) -> Option<Vec<Document>> {
    yaml::documents(&read_text(tree, path).ok()?).ok()
}

/// The line that sets the field: of the object, or of the item of a list that is it.
fn in_document(
    document: &Document,
    pointer: &str,
    value: &Value,
    field: &Field<'_>,
    is_it: IsIt<'_>,
) -> Option<u32> {
    if is_it(value, document.position(pointer).line) && value.get("metadata").is_some() {
        let found = field.path.pointer(value);
        let there = value.pointer(&found.text)?;
        let sets = found.rest == 0 && there == field.value;
        return sets.then(|| document.position(&format!("{pointer}{}", found.text)).line);
    }
    let items = value.get("items")?.as_array()?;
    items.iter().enumerate().find_map(|(index, item)| {
        let pointer = format!("{pointer}/items/{index}");
        in_document(document, &pointer, item, field, is_it)
    })
}

/// Whether a document is about an object, which may have got a namespace, and its name a
/// prefix or a suffix.
pub(super) fn is_object(value: &Value, desired: &Desired) -> bool {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let kind = &desired.id.kind;
    text("/kind") == Some(kind.kind.as_str())
        && text("/apiVersion").is_none_or(|version| kind.group == group_of(version))
        && text("/metadata/name").is_some_and(|name| desired.id.name.contains(name))
}
