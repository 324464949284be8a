//! The closure as files on disk, where kustomize can read it and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::closure::Closure;
use super::unwritable;
use crate::config::Problem;
use crate::model::{EntryKind, Tree, TreeError};
use crate::render::error::of_tree;
use crate::render::{RenderErrors, join};

/// The most that is copied, in bytes and in files.
const MAX_BYTES: usize = 128 * 1024 * 1024;
const MAX_FILES: usize = 20_000;

/// What was copied, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// Paths of files.
    pub(super) files: BTreeSet<String>,
    bytes: usize,
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
) -> Result<Copied, RenderErrors> {
    let mut copier = Copier {
        tree,
        root,
        unit: &closure.file,
        copied: Copied::default(),
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
    unit: &'a str,
    copied: Copied,
    todo: Vec<String>,
    seen: BTreeSet<String>,
}

impl Copier<'_> {
    /// A directory by its real path. A link to a file becomes that file, as kustomize
    /// loads no file from outside of its directory; a link to a directory stays one, as
    /// kustomize takes paths in there as relative to where it really is.
    fn directory(&mut self, directory: &str) -> Result<(), RenderErrors> {
        self.make(directory)?;
        for (name, kind) in self.tree.list(directory)? {
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
        self.copied.bytes += content.len();
        if self.copied.bytes > MAX_BYTES || self.copied.files.len() > MAX_FILES {
            let message = format!(
                "its directories come to more than {MAX_FILES} files or {} MiB",
                MAX_BYTES / (1024 * 1024)
            );
            let hint = "keep what kustomize does not need elsewhere";
            return Err(Problem::in_file(self.unit, message).hint(hint).into());
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
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
