//! `images`, `replicas` and `configMapGenerator` of a kustomization.

use serde_json::{Map, Value};

use super::Search;
use super::layer::Layer;
use crate::edit::manifests::{key, read};
use crate::edit::tree::EditedTree;
use crate::edit::yaml::{self, Step, find};

/// An image that the layer gives another name or tag.
pub(super) fn images(search: &Search<'_>, layer: &Layer, found: &mut Vec<EditedTree>) {
    let path = &search.change.path;
    let body = search.manifest.body();
    let (Some(Value::String(to)), Some(Value::String(from))) =
        (&search.change.to, find(&body, path))
    else {
        return;
    };
    if path.last() != Some(&key("image")) {
        return;
    }
    let (to, from) = (Image::parse(to), Image::parse(from));
    for (index, entry) in layer.items("images").enumerate() {
        let (Some(name), Some(entry)) =
            (entry.get("name").and_then(Value::as_str), entry.as_object())
        else {
            continue;
        };
        let becomes = entry.get("newName").and_then(Value::as_str).unwrap_or(name);
        if becomes != from.name && name != from.name {
            continue;
        }
        let edited = to.entry(name, entry);
        let at = [key("images"), Step::Index(index)];
        search.offer(
            &layer.file,
            yaml::set(&layer.text, 0, &at, &edited).ok(),
            found,
        );
    }
}

struct Image<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// `host:port/name:tag@digest`
    fn parse(text: &'a str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let last = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[last..].split_once(':') {
            Some((name, tag)) => (&rest[..last + name.len()], Some(tag)),
            None => (rest, None),
        };
        Self { name, tag, digest }
    }

    /// The entry that makes it of an image of that name.
    fn entry(&self, name: &str, before: &Map<String, Value>) -> Value {
        let mut entry = before.clone();
        let mut set = |field: &str, value: Option<&str>| match value {
            Some(value) => drop(entry.insert(field.to_owned(), value.into())),
            None => drop(entry.remove(field)),
        };
        set("newName", Some(self.name).filter(|new| *new != name));
        set("newTag", self.tag);
        set("digest", self.digest);
        Value::Object(entry)
    }
}

/// A count of replicas that the layer sets.
pub(super) fn replicas(search: &Search<'_>, layer: &Layer, found: &mut Vec<EditedTree>) {
    let Some(count) = search.change.to.as_ref().filter(|to| to.is_number()) else {
        return;
    };
    if search.change.path != [key("spec"), key("replicas")] {
        return;
    }
    for (index, entry) in layer.items("replicas").enumerate() {
        let name = entry.get("name").and_then(Value::as_str);
        if name.is_some_and(|name| search.manifest.name.contains(name)) {
            let at = [key("replicas"), Step::Index(index), key("count")];
            search.offer(
                &layer.file,
                yaml::set(&layer.text, 0, &at, count).ok(),
                found,
            );
        }
    }
}

/// A value of a ConfigMap that the layer generates.
pub(super) fn generators(search: &Search<'_>, layer: &Layer, found: &mut Vec<EditedTree>) {
    let (Some(Value::String(to)), [data, Step::Key(name)]) =
        (&search.change.to, &search.change.path[..])
    else {
        return;
    };
    if !search.manifest.kind.is("", "ConfigMap") || *data != key("data") {
        return;
    }
    for (index, generator) in layer.items("configMapGenerator").enumerate() {
        let generated = generator.get("name").and_then(Value::as_str);
        if !generated.is_some_and(|generated| search.manifest.name.contains(generated)) {
            continue;
        }
        let texts = |field: &str| -> Vec<String> {
            let items = generator.get(field).and_then(Value::as_array);
            let items = items.into_iter().flatten();
            items
                .filter_map(|item| Some(item.as_str()?.to_owned()))
                .collect()
        };
        for (place, literal) in texts("literals").iter().enumerate() {
            if literal.split_once('=').is_some_and(|(key, _)| key == name) {
                let at = [
                    key("configMapGenerator"),
                    Step::Index(index),
                    key("literals"),
                    Step::Index(place),
                ];
                let value = Value::from(format!("{name}={to}"));
                search.offer(
                    &layer.file,
                    yaml::set(&layer.text, 0, &at, &value).ok(),
                    found,
                );
            }
        }
        for file in texts("files") {
            let (own, path) = file
                .split_once('=')
                .unwrap_or((file.rsplit('/').next().unwrap_or(&file), &file));
            let path = layer.path(path).filter(|_| own == name);
            if let Some(path) = path.filter(|path| read(search.tree, path).is_ok()) {
                search.offer(&path, Some(to.clone()), found);
            }
        }
    }
}
