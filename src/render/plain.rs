//! A directory of manifests: every YAML and JSON file at and below it.

use std::collections::BTreeSet;

use super::error::{at, of_tree, of_yaml};
use super::object::{PlainSecrets, objects};
use super::yaml::{self, Document};
use super::{Found, RenderErrors, join, read_text};
use crate::config::{AGENT_FILE, Problem, Problems, UNIT_FILE, Unit};
use crate::model::{EntryKind, Tree, TreeError};

/// Files that make a directory something else than a directory of manifests.
const OTHER: [(&str, &str); 4] = [
    ("kustomization.yaml", "a kustomization"),
    ("kustomization.yml", "a kustomization"),
    ("Kustomization", "a kustomization"),
    ("Chart.yaml", "a Helm chart"),
];

/// The most files that a unit may have.
const MAX_FILES: usize = 20_000;

/// Reads all of a unit's manifests, or says all that is wrong with them.
pub(super) fn render(tree: &dyn Tree, unit: &Unit) -> Result<Found, RenderErrors> {
    let mut walk = Walk {
        tree,
        unit,
        seen: BTreeSet::new(),
        files: Vec::new(),
        problems: Problems::default(),
    };
    walk.directory(&unit.path);
    let (files, mut problems) = (walk.files, walk.problems);
    let mut found = Found::default();
    for path in files {
        file(tree, &path, secrets(unit), &mut found, &mut problems);
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems.into())
    }
}

pub(super) fn secrets(unit: &Unit) -> PlainSecrets {
    if unit.allow_plain_secrets {
        PlainSecrets::Allowed
    } else {
        PlainSecrets::Refused
    }
}

struct Walk<'a> {
    tree: &'a dyn Tree,
    unit: &'a Unit,
    /// The real directories walked: links may lead to the same one again and again.
    seen: BTreeSet<String>,
    files: Vec<String>,
    problems: Problems,
}

impl Walk<'_> {
    fn directory(&mut self, path: &str) {
        let real = match self.tree.resolve(path) {
            Ok(Some((real, _))) => real,
            Ok(None) => path.to_owned(),
            Err(error) => return self.problems.push(of_tree(&error)),
        };
        if !self.seen.insert(real) {
            let message = "a link leads to a directory that the unit has already";
            return self.problems.push(Problem::in_file(path, message));
        }
        let entries = match self.tree.list(path) {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(of_tree(&error)),
        };
        if path != self.unit.path && self.is_something_else(path, &entries) {
            return;
        }
        for (name, kind) in entries {
            let path = join(path, &name);
            if name.starts_with('.') || self.unit.exclude.contains(&path) {
                continue;
            }
            match kind {
                EntryKind::Directory => self.directory(&path),
                EntryKind::File if is_manifest(&name) => self.file(path),
                EntryKind::File => {}
            }
        }
    }

    /// Left out silently, its objects would be missing, and pruned.
    fn is_something_else(&mut self, path: &str, entries: &[(String, EntryKind)]) -> bool {
        let other = OTHER.iter().find(|(file, _)| {
            let is_it =
                |(name, kind): &(String, EntryKind)| name == file && *kind == EntryKind::File;
            entries.iter().any(is_it)
        });
        let Some((file, what)) = other else {
            return false;
        };
        let message = format!("makes {path} {what}, inside of a unit of plain manifests");
        let hint = "make that directory a unit of its own, or move it out of this unit";
        let problem = Problem::in_file(join(path, file), message).hint(hint);
        self.problems.push(problem);
        true
    }

    fn file(&mut self, path: String) {
        if self.files.len() == MAX_FILES {
            let message = format!("the unit has more than {MAX_FILES} files");
            return self
                .problems
                .push(Problem::in_file(&self.unit.path, message));
        }
        self.files.push(path);
    }
}

fn is_manifest(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| matches!(extension, "yaml" | "yml" | "json"))
}

fn file(
    tree: &dyn Tree,
    path: &str,
    secrets: PlainSecrets,
    found: &mut Found,
    problems: &mut Problems,
) {
    let documents = match parse(tree, path) {
        Ok(documents) => documents,
        Err(problem) => return problems.push(problem),
    };
    if is_ours(path, &documents) {
        return;
    }
    for document in documents {
        let warnings = document.warnings.iter();
        let warnings = warnings.map(|warning| at(path, warning.at, warning.text.clone()));
        found.warnings.extend(warnings);
        let manifests = objects(path, &document, secrets, problems);
        found.manifests.extend(manifests);
    }
}

fn parse(tree: &dyn Tree, path: &str) -> Result<Vec<Document>, Problem> {
    let text = read_text(tree, path).map_err(|error: TreeError| of_tree(&error))?;
    yaml::documents(&text).map_err(|error| of_yaml(path, &error))
}

/// The agent's own files lie among the manifests; a manifest may have such a name too.
fn is_ours(path: &str, documents: &[Document]) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let object = |document: &Document| document.value.get("kind").is_some();
    matches!(name, AGENT_FILE | UNIT_FILE) && !documents.iter().any(object)
}
