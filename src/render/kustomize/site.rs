//! What part of a kustomization sets a field. kustomize doesn't say, so what it would
//! apply last is looked at first: `images` and `replicas`, patches, labels and namespace,
//! components, and then what it builds on. A part counts if it sets the field to the very
//! value that was rendered.

use std::collections::BTreeSet;

use serde_json::Value;

use super::closure::{kustomization, normal};
use crate::model::{EntryKind, Origin, Tree};
use crate::render::site::{Field, SetBy, Site, documents, in_file, is_object};
use crate::render::yaml::{self, Document};

/// Where the kustomization in a directory, or what it builds on, sets a field.
pub(in crate::render) fn site(tree: &dyn Tree, directory: &str, field: &Field<'_>) -> Option<Site> {
    let mut search = Search {
        tree,
        field,
        seen: BTreeSet::new(),
    };
    search.directory(directory)
}

struct Search<'a> {
    tree: &'a dyn Tree,
    field: &'a Field<'a>,
    seen: BTreeSet<String>,
}

/// One kustomization while it is looked through.
struct File<'a> {
    directory: &'a str,
    path: &'a str,
    document: &'a Document,
}

impl File<'_> {
    fn site(&self, pointer: &str, by: SetBy) -> Site {
        self.at(self.document.position(pointer).line, by)
    }

    fn at(&self, line: u32, by: SetBy) -> Site {
        Site {
            origin: Origin {
                path: self.path.to_owned(),
                line,
            },
            by,
        }
    }

    fn items(&self, field: &str) -> impl DoubleEndedIterator<Item = (usize, &Value)> {
        let items = self.document.value.get(field).and_then(Value::as_array);
        items.map_or(&[][..], Vec::as_slice).iter().enumerate()
    }
}

impl Search<'_> {
    fn directory(&mut self, directory: &str) -> Option<Site> {
        if !self.seen.insert(directory.to_owned()) {
            return None;
        }
        let path = kustomization(self.tree, directory).ok()??;
        let documents = documents(self.tree, &path)?;
        let file = File {
            directory,
            path: &path,
            document: documents.first()?,
        };
        self.images(&file)
            .or_else(|| self.replicas(&file))
            .or_else(|| self.metadata(&file))
            .or_else(|| self.patches(&file))
            .or_else(|| self.generated(&file))
            .or_else(|| self.built_on(&file))
    }

    fn images(&self, file: &File<'_>) -> Option<Site> {
        let image = self.field.value.as_str()?;
        if !self.field.pointer.ends_with("/image") {
            return None;
        }
        let (name, digest) = image.split_once('@').unwrap_or((image, ""));
        // A port has a `:` too, and a `/` behind it.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (name, ""),
        };
        file.items("images").rev().find_map(|(index, item)| {
            let text = |field: &str| item.get(field).and_then(Value::as_str);
            let renamed = text("newName").or_else(|| text("name"))? == name;
            let set = [("digest", digest), ("newTag", tag), ("newName", name)];
            let (field, _) = set.iter().find(|(field, value)| {
                renamed && scalar(item, field).is_some_and(|it| it == *value)
            })?;
            Some(file.site(
                &format!("/images/{index}/{field}"),
                SetBy::Transformer("images"),
            ))
        })
    }

    fn replicas(&self, file: &File<'_>) -> Option<Site> {
        if self.field.pointer != "/spec/replicas" {
            return None;
        }
        file.items("replicas").rev().find_map(|(index, item)| {
            let ours = self.is_named(item.get("name"));
            let sets = item.get("count") == Some(self.field.value);
            let pointer = format!("/replicas/{index}/count");
            (ours && sets).then(|| file.site(&pointer, SetBy::Transformer("replicas")))
        })
    }

    /// Labels, annotations, the namespace.
    fn metadata(&self, file: &File<'_>) -> Option<Site> {
        let kustomization = &file.document.value;
        let pointer = &self.field.pointer;
        if pointer == "/metadata/namespace" {
            let sets = kustomization.get("namespace") == Some(self.field.value);
            return sets.then(|| file.site("/namespace", SetBy::Transformer("namespace")));
        }
        let (map, key) = pointer.rsplit_once('/')?;
        let field = match map.rsplit('/').next()? {
            "labels" | "matchLabels" | "selector" => "commonLabels",
            "annotations" => "commonAnnotations",
            _ => return None,
        };
        let sets = |pointer: &str| kustomization.pointer(pointer) == Some(self.field.value);
        let common = format!("/{field}/{key}");
        if sets(&common) {
            return Some(file.site(&common, SetBy::Transformer(field)));
        }
        let mut labels = file.items("labels").rev();
        labels.find_map(|(index, _)| {
            let pointer = format!("/labels/{index}/pairs/{key}");
            let is_it = field == "commonLabels" && sets(&pointer);
            is_it.then(|| file.site(&pointer, SetBy::Transformer("labels")))
        })
    }

    fn patches(&self, file: &File<'_>) -> Option<Site> {
        ["patchesJson6902", "patches", "patchesStrategicMerge"]
            .into_iter()
            .find_map(|field| {
                let mut items = file.items(field).rev();
                items.find_map(|(index, item)| self.patch(file, field, index, item))
            })
    }

    fn patch(&self, file: &File<'_>, field: &str, index: usize, item: &Value) -> Option<Site> {
        if let Some(target) = item.get("target") {
            let kind = target.get("kind").and_then(Value::as_str);
            let named = target.get("name").is_none() || self.is_named(target.get("name"));
            if !named || kind.is_some_and(|kind| self.field.desired.id.kind.kind != kind) {
                return None;
            }
        }
        let targeted = item.get("target").is_some();
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let (pointer, inline) = match item {
            Value::String(text) => (format!("/{field}/{index}"), Some(text.clone())),
            item => (format!("/{field}/{index}/patch"), text(item.get("patch"))),
        };
        let named = text(item.get("path")).or_else(|| inline.clone());
        if let Some(path) = named.and_then(|name| normal(file.directory, &name).ok())
            && let Some(documents) = documents(self.tree, &path)
        {
            let line = self.in_patch(&documents, targeted)?;
            let origin = Origin { path, line };
            let by = SetBy::Patch;
            return Some(Site { origin, by });
        }
        let documents = yaml::documents(&inline?).ok()?;
        let line = self.in_patch(&documents, targeted)?;
        // The text of a block begins on the line after its key.
        let key = file.document.position(&pointer).line;
        Some(file.at(key + line, SetBy::Patch))
    }

    /// The line of a patch that sets the field.
    fn in_patch(&self, documents: &[Document], targeted: bool) -> Option<u32> {
        documents.iter().find_map(|document| match &document.value {
            Value::Array(operations) => self.in_operations(document, operations),
            value if targeted || is_object(value, self.field.desired) => {
                let found = self.field.path.pointer(value);
                let sets = found.rest == 0 && value.pointer(&found.text) == Some(self.field.value);
                sets.then(|| document.position(&found.text).line)
            }
            _ => None,
        })
    }

    fn in_operations(&self, document: &Document, operations: &[Value]) -> Option<u32> {
        let mut operations = operations.iter().enumerate().rev();
        operations.find_map(|(index, operation)| {
            let path = operation.get("path")?.as_str()?;
            let rest = self.field.pointer.strip_prefix(path)?;
            let sets = operation.get("value")?.pointer(rest) == Some(self.field.value);
            sets.then(|| document.position(&format!("/{index}/value{rest}")).line)
        })
    }

    /// What `configMapGenerator` says literally.
    fn generated(&self, file: &File<'_>) -> Option<Site> {
        let key = self.field.pointer.strip_prefix("/data/")?;
        let value = self.field.value.as_str()?;
        let by = SetBy::Transformer("configMapGenerator");
        if self.field.desired.id.kind.kind != "ConfigMap" {
            return None;
        }
        file.items("configMapGenerator").find_map(|(index, item)| {
            let literals = item.get("literals").and_then(Value::as_array)?;
            let ours = self.is_named(item.get("name"));
            let wanted = format!("{key}={value}");
            let at = literals.iter().position(|literal| *literal == wanted)?;
            let pointer = format!("/configMapGenerator/{index}/literals/{at}");
            ours.then(|| file.site(&pointer, by))
        })
    }

    fn built_on(&mut self, file: &File<'_>) -> Option<Site> {
        let fields = ["components", "resources", "bases"];
        let parts = fields.iter().flat_map(|field| file.items(field).rev());
        let parts: Vec<String> = parts
            .filter_map(|(_, item)| normal(file.directory, item.as_str()?).ok())
            .collect();
        parts
            .into_iter()
            .find_map(|path| match self.tree.kind(&path) {
                Ok(Some(EntryKind::Directory)) => self.directory(&path),
                Ok(Some(EntryKind::File)) => self.file(&path),
                _ => None,
            })
    }

    fn file(&self, path: &str) -> Option<Site> {
        let is_it = |value: &Value, _| is_object(value, self.field.desired);
        in_file(self.tree, path, self.field, &is_it)
    }

    fn is_named(&self, name: Option<&Value>) -> bool {
        let name = name.and_then(Value::as_str);
        name.is_some_and(|name| self.field.desired.id.name.contains(name))
    }
}

/// A scalar as text: a tag may be written without quotes.
fn scalar(item: &Value, field: &str) -> Option<String> {
    match item.get(field)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
