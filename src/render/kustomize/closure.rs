//! What a kustomization refers to, found without running anything: the directory of
//! each kustomization wholly, and each file that any of its scalars names.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{KUSTOMIZATION, RenderErrors};
use crate::config::{Problem, Problems};
use crate::model::{EntryKind, Measure, Tree, TreeError, UnitBudget};
use crate::render::error::{at, exceeded, of_tree, of_yaml};
use crate::render::yaml::{Document, Documents};
use crate::render::{join, read_text, turn};

/// The most kustomizations that one may come to.
const MAX_KUSTOMIZATIONS: usize = 1_000;

/// What one kustomization, and all that it builds on, refers to.
#[derive(Debug)]
pub(super) struct Closure {
    /// The unit's kustomization file.
    pub(super) file: String,
    /// Real paths of directories, each wholly part of it.
    pub(super) directories: BTreeSet<String>,
    /// Paths of files outside of those, as written (a link on the way included).
    pub(super) files: BTreeSet<String>,
    /// Directories reached through a link: path as written, real path.
    pub(super) links: BTreeSet<(String, String)>,
    /// Paths outside of those that are named, and where nothing is.
    pub(super) absent: BTreeSet<String>,
    /// Files that change objects rather than declare them.
    pub(super) patches: BTreeSet<String>,
}

impl Closure {
    /// All of it, as paths of the tree.
    pub(super) fn places(&self) -> impl Iterator<Item = &str> {
        self.directories
            .iter()
            .chain(&self.files)
            .map(String::as_str)
    }

    /// Whether a path lies in a directory that is part of it.
    fn holds(&self, path: &str) -> bool {
        let mut above = path;
        while let Some((directory, _)) = above.rsplit_once('/') {
            if self.directories.contains(directory) {
                return true;
            }
            above = directory;
        }
        self.directories.contains("")
    }
}

/// The closure of the kustomization in the directory at `path`.
pub(super) fn of(
    tree: &dyn Tree,
    path: &str,
    budget: &mut UnitBudget,
) -> Result<Closure, RenderErrors> {
    let file = kustomization(tree, path)?.ok_or_else(|| {
        let problem = Problem::in_file(path, "has no kustomization.yaml");
        RenderErrors::from(problem)
    })?;
    let mut search = Search {
        tree,
        budget,
        closure: Closure {
            file,
            directories: BTreeSet::new(),
            files: BTreeSet::new(),
            links: BTreeSet::new(),
            absent: BTreeSet::new(),
            patches: BTreeSet::new(),
        },
        todo: Vec::new(),
        problems: Problems::default(),
    };
    search.directory(path, path);
    while let Some(directory) = search.todo.pop() {
        search.kustomization(&directory)?;
    }
    if search.problems.is_empty() {
        Ok(search.closure)
    } else {
        Err(search.problems.into())
    }
}

/// The kustomization file in a directory.
pub(super) fn kustomization(tree: &dyn Tree, directory: &str) -> Result<Option<String>, TreeError> {
    for name in KUSTOMIZATION {
        let path = join(directory, name);
        if tree.kind(&path)? == Some(EntryKind::File) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

struct Search<'a> {
    tree: &'a dyn Tree,
    budget: &'a mut UnitBudget,
    closure: Closure,
    /// Real paths of directories whose kustomization is not read yet.
    todo: Vec<String>,
    problems: Problems,
}

/// A scalar of a kustomization.
struct Scalar<'a> {
    file: &'a str,
    document: &'a Document,
    pointer: &'a str,
    text: &'a str,
}

/// What kustomize does with a scalar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It loads a file or a directory of that name, which so must be there.
    Loaded,
    /// It loads a file unless the text is YAML itself.
    LoadedOrInline,
    /// It loads a file, perhaps under another key: `key=path`.
    LoadedByKey,
    /// None that we know of; should it be a file's name, the file is part of it.
    Unknown,
}

impl Search<'_> {
    /// A directory that is part of it, as written and as it really is.
    fn directory(&mut self, written: &str, real: &str) {
        if written != real {
            let link = (written.to_owned(), real.to_owned());
            self.closure.links.insert(link);
        }
        if self.closure.directories.insert(real.to_owned()) {
            self.todo.push(real.to_owned());
        }
    }

    fn kustomization(&mut self, directory: &str) -> Result<(), TreeError> {
        let Some(file) = kustomization(self.tree, directory)? else {
            return Ok(());
        };
        if self.closure.directories.len() > MAX_KUSTOMIZATIONS {
            let message = format!("builds on more than {MAX_KUSTOMIZATIONS} directories");
            self.problems.push(Problem::in_file(&file, message));
            return Ok(());
        }
        let text = read_text(self.tree, &file)?;
        let _turn = turn(text.len());
        let mut documents = Documents::of(&text);
        while let Some(document) = documents.next(self.budget) {
            match document {
                Ok(document) => self.document(directory, &file, &document),
                Err(error) => self.problems.push(of_yaml(&file, &error)),
            }
        }
        Ok(())
    }

    fn document(&mut self, directory: &str, file: &str, document: &Document) {
        let mut scalars = Vec::new();
        collect(&document.value, String::new(), &mut scalars);
        if let Err(error) = self.budget.draw(Measure::Paths, scalars.len() as u64) {
            return self.problems.push(exceeded(file, error));
        }
        for (pointer, text) in scalars {
            let scalar = Scalar {
                file,
                document,
                pointer: &pointer,
                text,
            };
            self.scalar(directory, &scalar);
        }
    }

    fn scalar(&mut self, directory: &str, scalar: &Scalar<'_>) {
        let used = use_of(scalar.pointer);
        let inline = scalar.text.contains('\n') || scalar.text.trim_start().starts_with('{');
        if scalar.text.is_empty() || (inline && used != Use::Loaded) {
            return;
        }
        if used != Use::Unknown && is_remote(scalar.text) {
            let message = format!("`{}` would be fetched from elsewhere", scalar.text);
            let hint = "commit a copy of it to this repository and name its path: what runs \
                        must be in the revision";
            return self.problems.push(scalar.problem(message).hint(hint));
        }
        let path = match (used, scalar.text.split_once('=')) {
            (Use::LoadedByKey | Use::Unknown, Some((_, path))) => path,
            _ => scalar.text,
        };
        let resolved = normal(directory, path).and_then(|path| {
            let found = self.tree.resolve(&path)?;
            Ok((path, found))
        });
        match resolved {
            Ok((written, Some((real, EntryKind::Directory)))) if used == Use::Loaded => {
                self.loaded_directory(&written, &real, scalar);
            }
            Ok((written, Some((_, EntryKind::File)))) => self.file(written, scalar),
            Ok((written, None)) if used != Use::Unknown => {
                let message = format!("`{path}`: there is no {written} in the repository");
                self.problems.push(scalar.problem(message));
            }
            Err(error) if used != Use::Unknown => {
                let message = format!("`{path}`: {}", of_tree(&error).message);
                self.problems.push(scalar.problem(message));
            }
            Ok((written, None)) if !self.closure.holds(&written) => {
                self.closure.absent.insert(written);
            }
            // A directory of the same name as some text, or no path at all.
            _ => {}
        }
    }

    fn loaded_directory(&mut self, written: &str, real: &str, scalar: &Scalar<'_>) {
        match kustomization(self.tree, real) {
            Ok(Some(_)) => self.directory(written, real),
            Ok(None) => {
                let message = format!("`{}` has no kustomization.yaml", scalar.text);
                self.problems.push(scalar.problem(message));
            }
            Err(error) => self.problems.push(of_tree(&error)),
        }
    }

    fn file(&mut self, path: String, scalar: &Scalar<'_>) {
        if scalar.pointer.starts_with("/patches") {
            self.closure.patches.insert(path.clone());
        }
        if !self.closure.holds(&path) {
            self.closure.files.insert(path);
        }
    }
}

impl Scalar<'_> {
    fn problem(&self, message: impl Into<String>) -> Problem {
        at(self.file, self.document.position(self.pointer), message)
    }
}

fn collect<'a>(value: &'a Value, pointer: String, scalars: &mut Vec<(String, &'a str)>) {
    match value {
        Value::String(text) => scalars.push((pointer, text)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{pointer}/{index}"), scalars);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect(item, format!("{pointer}/{key}"), scalars);
            }
        }
        _ => {}
    }
}

/// By the fields of kustomize's `types.Kustomization`.
fn use_of(pointer: &str) -> Use {
    let fields: Vec<&str> = pointer
        .split('/')
        .skip(1)
        .filter(|token| token.parse::<usize>().is_err())
        .collect();
    match fields[..] {
        ["resources" | "bases" | "components" | "crds" | "configurations"]
        | ["openapi", "path"] => Use::Loaded,
        ["generators" | "transformers" | "validators" | "patchesStrategicMerge"]
        | ["patches" | "patchesJson6902" | "replacements", "path"] => Use::LoadedOrInline,
        [
            "configMapGenerator" | "secretGenerator",
            "files" | "envs" | "env",
        ] => Use::LoadedByKey,
        _ => Use::Unknown,
    }
}

/// What kustomize would take for a URL or a repository, were there no such file.
fn is_remote(text: &str) -> bool {
    const HOSTS: [&str; 5] = [
        "github.com",
        "gitlab.com",
        "bitbucket.org",
        "dev.azure.com",
        "ssh.",
    ];
    text.contains("://")
        || text.contains("?ref=")
        || text.starts_with("git@")
        || text.starts_with("git::")
        || HOSTS.iter().any(|host| text.starts_with(host))
}

/// A path from a kustomization in `directory`, without `.` and `..`: kustomize too
/// cleans it before it looks at any link.
pub(super) fn normal(directory: &str, path: &str) -> Result<String, TreeError> {
    let escapes = |via: &str| TreeError::Escapes {
        path: path.to_owned(),
        via: via.to_owned(),
    };
    if path.starts_with('/') {
        return Err(escapes("an absolute path"));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| escapes(".."))?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
