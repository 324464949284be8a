//! A directory of manifests: every YAML and JSON file at and below it.

use std::collections::BTreeSet;

use super::error::{at, exceeded, of_tree, of_yaml};
use super::object::{PlainSecrets, in_vain, objects, slips};
use super::yaml::{self, Document, Documents};
use super::{Found, RenderErrors, Rendered, join, read_text, turn};
use crate::config::{AGENT_FILE, Problem, Problems, UNIT_FILE, Unit};
use crate::model::{EntryKind, Measure, Tree, UnitBudget};

/// Files that make a directory something else than a directory of manifests.
const OTHER: [(&str, &str); 4] = [
    ("kustomization.yaml", "a kustomization"),
    ("kustomization.yml", "a kustomization"),
    ("Kustomization", "a kustomization"),
    ("Chart.yaml", "a Helm chart"),
];

/// The most directories inside each other.
const MAX_DEPTH: usize = 100;

/// Reads all of a unit's manifests, or says all that is wrong with them.
pub(super) fn render(
    tree: &dyn Tree,
    unit: &Unit,
    mut budget: UnitBudget,
) -> Result<Rendered, RenderErrors> {
    let mut walk = Walk {
        tree,
        unit,
        budget: &mut budget,
        exclude: unit.exclude.iter().map(String::as_str).collect(),
        seen: BTreeSet::new(),
        files: Vec::new(),
        problems: Problems::default(),
    };
    walk.directory(&unit.path, 0);
    let (files, problems) = (walk.files, walk.problems);
    let mut found = Found {
        problems,
        ..Found::default()
    };
    for path in files {
        if budget.check().is_err() {
            break;
        }
        file(tree, &path, secrets(unit), &mut budget, &mut found);
    }
    found.rendered(&budget)
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
    budget: &'a mut UnitBudget,
    /// What is not the unit's.
    exclude: BTreeSet<&'a str>,
    /// The real directories walked: links may lead to the same one again and again.
    seen: BTreeSet<String>,
    files: Vec<String>,
    problems: Problems,
}

impl Walk<'_> {
    fn directory(&mut self, path: &str, depth: usize) {
        if self.budget.check().is_err() {
            return;
        }
        let real = match self.tree.resolve(path) {
            Ok(Some((real, _))) => real,
            Ok(None) => path.to_owned(),
            Err(error) => return self.problems.push(of_tree(&error)),
        };
        if !self.seen.insert(real) {
            let message = "a link leads to a directory that the unit has already";
            return self.problems.push(Problem::in_file(path, message));
        }
        if depth > MAX_DEPTH {
            let message = format!("is more than {MAX_DEPTH} directories deep in its unit");
            return self.problems.push(Problem::in_file(path, message));
        }
        let entries = match self.tree.list(path) {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(of_tree(&error)),
        };
        if let Err(error) = self.budget.draw(Measure::Paths, entries.len() as u64) {
            return self.problems.push(exceeded(path, error));
        }
        if path != self.unit.path && self.is_something_else(path, &entries) {
            return;
        }
        for (name, kind) in entries {
            let path = join(path, &name);
            if name.starts_with('.') || self.exclude.contains(path.as_str()) {
                continue;
            }
            match kind {
                EntryKind::Directory => self.directory(&path, depth + 1),
                EntryKind::File if is_manifest(&name) => self.files.push(path),
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
}

fn is_manifest(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| matches!(extension, "yaml" | "yml" | "json"))
}

fn file(
    tree: &dyn Tree,
    path: &str,
    secrets: PlainSecrets,
    budget: &mut UnitBudget,
    found: &mut Found,
) {
    let text = match read_text(tree, path) {
        Ok(text) => text,
        Err(error) => return found.problems.push(of_tree(&error)),
    };
    if let Err(error) = budget.draw(Measure::Bytes, text.len() as u64) {
        return found.problems.push(exceeded(path, error));
    }
    if is_ours(path, &text) {
        return;
    }
    let _turn = turn(text.len());
    let mut documents = Documents::of(&text);
    while let Some(document) = documents.next(budget) {
        match document {
            Ok(document) => {
                let warnings = document.warnings.iter();
                let warnings = warnings.map(|warning| at(path, warning.at, warning.text.clone()));
                found.warnings.extend(warnings);
                found.warnings.append(in_vain(path, &document));
                found.slipped(slips(path, &document));
                let problems = &mut found.problems;
                let manifests = objects(path, &document, secrets, budget, problems);
                found.manifests.extend(manifests);
            }
            Err(error) => found.problems.push(of_yaml(path, &error)),
        }
    }
}

/// The agent's own files lie among the manifests; a manifest may have such a name too.
fn is_ours(path: &str, text: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let object = |document: &Document| document.value.get("kind").is_some();
    matches!(name, AGENT_FILE | UNIT_FILE)
        && yaml::documents(text).is_ok_and(|documents| !documents.iter().any(object))
}
