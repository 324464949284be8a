//! Where in the repository an object comes from that kustomize put out: kustomize does
//! not say, so it is looked for among the files that it read, by kind and name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{KUSTOMIZATION, at};
use crate::config::Problems;
use crate::model::{GroupKind, Origin, UnitBudget, group_of};
use crate::render::yaml::{Document, Documents};
use crate::render::{Manifest, turn};

/// The objects that the files of a closure declare.
#[derive(Debug)]
pub(super) struct Origins {
    /// By kind: name and place.
    declared: BTreeMap<GroupKind, Vec<(String, Origin)>>,
    /// The unit's kustomization, where nothing better is known.
    file: String,
}

/// Looks through the files that were copied below `root`; also tells what kustomize
/// reads in them otherwise than kubectl would.
pub(super) fn of(
    file: &str,
    root: &Path,
    copied: &super::Copied,
    patches: &BTreeSet<String>,
) -> (Origins, Problems) {
    let mut origins = Origins {
        declared: BTreeMap::new(),
        file: file.to_owned(),
    };
    let mut warnings = Problems::default();
    // What is built has a budget of its own; of more than that nobody is told the place.
    let mut budget = UnitBudget::default();
    for path in &copied.files {
        let Some(text) = text(root, path) else {
            continue;
        };
        let _turn = turn(text.len());
        let mut documents = Documents::of(&text);
        while let Some(Ok(document)) = documents.next(&mut budget) {
            let found = document.warnings.iter();
            warnings.extend(found.map(|it| at(path, it.at, it.text.clone())));
            if !patches.contains(path) {
                origins.take(path, &document);
            }
        }
    }
    (origins, warnings)
}

/// A file that can't be read or is no YAML declares nothing; kustomize says so if it
/// should.
fn text(root: &Path, path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let yaml = [".yaml", ".yml", ".json"]
        .iter()
        .any(|end| name.ends_with(end));
    if !yaml && !KUSTOMIZATION.contains(&name) {
        return None;
    }
    fs::read_to_string(root.join(path)).ok()
}

impl Origins {
    fn take(&mut self, path: &str, document: &Document) {
        if let Some((kind, name)) = identity(&document.value) {
            self.declare(kind, name, path, document, "");
        }
        for (field, kind) in [
            ("configMapGenerator", GroupKind::known("", "ConfigMap")),
            ("secretGenerator", GroupKind::known("", "Secret")),
        ] {
            let generators = document.value.get(field).and_then(Value::as_array);
            for (index, generator) in generators.into_iter().flatten().enumerate() {
                if let Some(name) = generator.get("name").and_then(Value::as_str) {
                    let pointer = format!("/{field}/{index}");
                    self.declare(kind.clone(), name, path, document, &pointer);
                }
            }
        }
    }

    fn declare(
        &mut self,
        kind: GroupKind,
        name: &str,
        path: &str,
        document: &Document,
        pointer: &str,
    ) {
        let origin = Origin {
            path: path.to_owned(),
            line: document.position(pointer).line,
        };
        let declared = self.declared.entry(kind).or_default();
        declared.push((name.to_owned(), origin));
    }

    /// Of an object: the one of that name, else (prefixes, suffixes, hashes) the one
    /// with the longest name that is a part of its name.
    pub(super) fn of(&self, manifest: &Manifest) -> Origin {
        self.find(&manifest.kind, &manifest.name)
    }

    /// Of an object that may be none; for errors.
    pub(super) fn of_document(&self, document: &Document) -> Origin {
        match identity(&document.value) {
            Some((kind, name)) => self.find(&kind, name),
            None => self.unknown(),
        }
    }

    fn find(&self, kind: &GroupKind, name: &str) -> Origin {
        let declared = self.declared.get(kind).into_iter().flatten();
        declared
            .filter(|(part, _)| name.contains(part.as_str()))
            .max_by_key(|(part, _)| part.len())
            .map_or_else(|| self.unknown(), |(_, origin)| origin.clone())
    }

    fn unknown(&self) -> Origin {
        Origin {
            path: self.file.clone(),
            line: 0,
        }
    }
}

fn identity(value: &Value) -> Option<(GroupKind, &str)> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let group = group_of(text("/apiVersion")?);
    let kind = GroupKind::new(group, text("/kind")?).ok()?;
    Some((kind, text("/metadata/name")?))
}
