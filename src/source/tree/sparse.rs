//! The files of a sparse checkout that are not on disk: Git takes them for unchanged, and
//! so are they read from its index.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use git2::{Oid, Repository};

use super::git::{LINK, SUBMODULE};
use super::resolve::Node;
use super::{check_size, join};
use crate::model::TreeError;

/// The bit of an index entry that says that it is not checked out.
const SKIPPED: u16 = 1 << 14;

/// Files that are not checked out, by path from the tree's root.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    files: BTreeMap<String, (i32, Oid)>,
}

impl Sparse {
    /// Those of a repository below a directory of its working tree, which is `root` on disk.
    pub(super) fn of(
        repository: &Repository,
        inside: &Path,
        root: &Path,
    ) -> Result<Self, TreeError> {
        let index = match repository.index() {
            Ok(index) => index,
            Err(error) if is_sparse(repository) => return Err(unreadable("", &error)),
            // Whoever has a damaged index has all files there are on disk.
            Err(_) => return Ok(Self::default()),
        };
        let skipped = index
            .iter()
            .filter(|entry| entry.flags_extended & SKIPPED != 0);
        let files = skipped.filter_map(|entry| {
            let path = String::from_utf8(entry.path).ok()?;
            let path = Path::new(&path).strip_prefix(inside).ok()?.to_str()?;
            let is_there = fs::symlink_metadata(root.join(path)).is_ok();
            let mode = i32::try_from(entry.mode).ok()?;
            (!is_there).then(|| (path.to_owned(), (mode, entry.id)))
        });
        let files = files.collect();
        Ok(Self { files })
    }

    /// What stands at a path where nothing is on disk.
    pub(super) fn node(
        &self,
        path: &str,
        repository: &Repository,
    ) -> Result<Option<Node>, TreeError> {
        let Some((mode, _)) = self.files.get(path) else {
            let below = self.below(path).next().is_some();
            return Ok(below.then_some(Node::Directory));
        };
        Ok(Some(match *mode {
            LINK => {
                let target = self.read(path, repository)?.unwrap_or_default();
                Node::Link(String::from_utf8_lossy(&target).into_owned())
            }
            SUBMODULE => Node::Submodule,
            _ => Node::File,
        }))
    }

    /// The names directly in a directory.
    pub(super) fn names(&self, directory: &str) -> BTreeSet<String> {
        let first = |path: &str| path.split('/').next().unwrap_or(path).to_owned();
        self.below(directory).map(first).collect()
    }

    /// The content of a file; `None` where it is not one of these.
    pub(super) fn read(
        &self,
        path: &str,
        repository: &Repository,
    ) -> Result<Option<Vec<u8>>, TreeError> {
        let Some((_, id)) = self.files.get(path) else {
            return Ok(None);
        };
        let failed = |error: git2::Error| unreadable(path, &error);
        let objects = repository.odb().map_err(failed)?;
        let (size, _) = objects.read_header(*id).map_err(failed)?;
        check_size(path, size as u64)?;
        let object = objects.read(*id).map_err(failed)?;
        Ok(Some(object.data().to_vec()))
    }

    /// The rest of each path below a directory.
    fn below(&self, directory: &str) -> impl Iterator<Item = &str> {
        let prefix = match directory {
            "" => String::new(),
            directory => join(directory, ""),
        };
        let from = self.files.range(prefix.clone()..);
        from.map_while(move |(path, _)| path.strip_prefix(&prefix))
    }
}

fn is_sparse(repository: &Repository) -> bool {
    let config = repository.config();
    config.is_ok_and(|config| config.get_bool("core.sparseCheckout").unwrap_or(false))
}

fn unreadable(path: &str, error: &git2::Error) -> TreeError {
    TreeError::Unreadable {
        path: path.to_owned(),
        reason: format!(
            "the checkout is a sparse one, and what is not checked out can't be read from its index: {}; `git sparse-checkout reapply --no-sparse-index` writes a whole index, `git sparse-checkout disable` checks all of it out, and --revision reads a commit instead",
            error.message()
        ),
    }
}
