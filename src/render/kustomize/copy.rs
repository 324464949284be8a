//! The closure as files on disk, where kustomize can read it and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::closure::Closure;
use super::unwritable;
use crate::config::Problem;
use crate::model::{EntryKind, Measure, Tree, TreeError, UnitBudget};
use crate::render::error::{exceeded, of_tree};
use crate::render::{RenderErrors, join};

/// The most files that are copied: each takes at least a block of the disk.
const MAX_FILES: usize = 10_000;

/// What was copied, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// Paths of files.
    pub(super) files: BTreeSet<String>,
    /// What can't be read need not be referred to. If it is, kustomize misses it.
    skipped: Vec<(String, TreeError)>,
}

impl Copied {
    /// Why those files could not be copied that a text speaks of.
    pub(super) fn skipped_in<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Problem> + 'a {
        let named = self.skipped.iter().filter(|(path, _)| text.contains(path));
        named.map(|(_, error)| of_tree(error))
    }
}

/// Copies below `root`, at the same paths.
pub(super) fn copy(
    tree: &dyn Tree,
    closure: &Closure,
    root: &Path,
    budget: &mut UnitBudget,
) -> Result<Copied, RenderErrors> {
    let mut copier = Copier {
        tree,
        root,
        budget,
        unit: &closure.file,
        copied: Copied::default(),
        made: BTreeSet::new(),
        todo: closure.directories.iter().cloned().collect(),
        seen: BTreeSet::new(),
    };
    while let Some(directory) = copier.todo.pop() {
        if copier.seen.insert(directory.clone()) {
            copier.directory(&directory)?;
        }
    }
    for path in &closure.files {
        copier.file(path)?;
    }
    for (written, real) in &closure.links {
        copier.link(written, real)?;
    }
    Ok(copier.copied)
}

struct Copier<'a> {
    tree: &'a dyn Tree,
    root: &'a Path,
    budget: &'a mut UnitBudget,
    unit: &'a str,
    copied: Copied,
    /// Directories that are there.
    made: BTreeSet<String>,
    todo: Vec<String>,
    seen: BTreeSet<String>,
}

impl Copier<'_> {
    /// A directory by its real path. A link to a file becomes that file, as kustomize
    /// loads no file from outside of its directory; a link to a directory stays one, as
    /// kustomize takes paths in there as relative to where it really is.
    fn directory(&mut self, directory: &str) -> Result<(), RenderErrors> {
        let entries = self.tree.list(directory)?;
        let paths = self.budget.draw(Measure::Paths, entries.len() as u64);
        paths.map_err(|error| exceeded(self.unit, error))?;
        for (name, kind) in entries {
            let path = join(directory, &name);
            match (kind, self.tree.resolve(&path)) {
                (EntryKind::File, _) => self.file(&path)?,
                (_, Ok(Some((real, _)))) => {
                    if real != path {
                        self.link(&path, &real)?;
                    }
                    self.todo.push(real);
                }
                (_, Ok(None)) => {
                    let error = TreeError::NotFound { path: path.clone() };
                    self.copied.skipped.push((path, error));
                }
                (_, Err(error)) => self.copied.skipped.push((path, error)),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &str) -> Result<(), RenderErrors> {
        if !self.copied.files.insert(path.to_owned()) {
            return Ok(());
        }
        let content = match self.tree.read(path) {
            Ok(content) => content,
            Err(error) => {
                self.copied.skipped.push((path.to_owned(), error));
                return Ok(());
            }
        };
        let bytes = self.budget.draw(Measure::Bytes, content.len() as u64);
        bytes.map_err(|error| exceeded(path, error))?;
        if self.copied.files.len() > MAX_FILES {
            let message = format!("its directories come to more than {MAX_FILES} files");
            let hint = "keep what kustomize does not need elsewhere";
            return Err(Problem::in_file(self.unit, message).hint(hint).into());
        }
        if let Some((parent, _)) = path.rsplit_once('/')
            && self.made.insert(parent.to_owned())
        {
            self.make(parent)?;
        }
        fs::write(self.root.join(path), content).map_err(|error| unwritable(path, &error))
    }

    fn link(&mut self, written: &str, real: &str) -> Result<(), RenderErrors> {
        let link = self.root.join(written);
        if link.symlink_metadata().is_ok() {
            return Ok(());
        }
        if let Some((parent, _)) = written.rsplit_once('/') {
            self.make(parent)?;
        }
        symlink(self.root.join(real), link).map_err(|error| unwritable(written, &error))
    }

    fn make(&self, directory: &str) -> Result<(), RenderErrors> {
        fs::create_dir_all(self.root.join(directory)).map_err(|error| unwritable(directory, &error))
    }
}
