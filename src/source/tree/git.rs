//! The tree of one commit, read from the object database; nothing is checked out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use git2::{ObjectType, Oid, Repository};

use super::directories::{Directories, MAX_LINKS, TWICE, stands_twice};
use super::resolve::{self, MAX_PATH, Node, Nodes, Straight};
use super::{check_size, join, listed_kind, refuse_lfs};
use crate::model::{Digest, EntryKind, Revision, Tree, TreeError};
use crate::runtime::lock::lock;
use crate::source::checkout::is_partial;
use crate::source::commits::tree_id;
use crate::source::problem::is_absence;

/// The modes of tree entries; every other is a file.
pub(super) const DIRECTORY: i32 = 0o040_000;
pub(super) const LINK: i32 = 0o120_000;
pub(super) const SUBMODULE: i32 = 0o160_000;

/// A real path, the mode and the id of what stands there.
type Place = (String, i32, Oid);

/// The files of one revision. Reads take turns: a repository of libgit2 may move
/// between threads, but not be used by two at once.
pub struct GitTree {
    repository: Mutex<Repository>,
    directories: Arc<Directories>,
    root: Oid,
}

impl GitTree {
    /// The tree of `revision` in the repository (bare or not) at `repository`.
    pub fn open(repository: &Path, revision: &Revision) -> Result<Self, TreeError> {
        Self::open_after(repository, revision, Arc::default())
    }

    /// The same, where other revisions were read before: what they have in common is not
    /// read again.
    pub fn open_after(
        repository: &Path,
        revision: &Revision,
        directories: Arc<Directories>,
    ) -> Result<Self, TreeError> {
        let tree = Self::open_beside(repository, revision, directories)?;
        tree.directories.begin();
        Ok(tree)
    }

    /// The same, for a look at a revision that is being read or was.
    pub fn open_beside(
        repository: &Path,
        revision: &Revision,
        directories: Arc<Directories>,
    ) -> Result<Self, TreeError> {
        let open = || {
            let repository = Repository::open(repository)?;
            let commit = Oid::from_str(revision.as_str())?;
            let root = tree_id(&repository, commit)?;
            Ok((repository, root))
        };
        let (repository, root) = open()
            .map_err(|error| unreadable(&format!("revision {}", revision.short()), &error))?;
        Ok(Self {
            repository: Mutex::new(repository),
            directories,
            root,
        })
    }

    /// A tree that no commit needs to have. What the repository holds in memory alone is
    /// found as well.
    pub(crate) fn of_tree(repository: Repository, root: Oid) -> Self {
        Self {
            repository: Mutex::new(repository),
            directories: Arc::default(),
            root,
        }
    }

    fn repository(&self) -> MutexGuard<'_, Repository> {
        lock(&self.repository)
    }

    /// Mode and id of what stands at a path without links.
    fn find(&self, path: &str) -> Result<Option<(i32, Oid)>, TreeError> {
        self.directories
            .find(&self.repository(), self.root, path)
            .map_err(|error| unreadable(path, &error))
    }

    fn found(&self, path: &str) -> Result<(i32, Oid), TreeError> {
        self.find(path)?.ok_or_else(|| TreeError::NotFound {
            path: path.to_owned(),
        })
    }

    /// Names, modes and ids directly in the directory at a real path, sorted.
    fn entries(&self, path: &str) -> Result<Vec<(String, i32, Oid)>, TreeError> {
        let (_, id) = self.found(path)?;
        let found = self.directories.entries(&self.repository(), id);
        let found = found.map_err(|error| unreadable(path, &error))?;
        let entries = found.iter().enumerate().map(|(at, entry)| {
            if stands_twice(&found, at) {
                return Err(TreeError::Unreadable {
                    path: join(path, &String::from_utf8_lossy(&entry.name)),
                    reason: TWICE.to_owned(),
                });
            }
            let name = str::from_utf8(&entry.name).map_err(|_| TreeError::Misnamed {
                path: join(path, &String::from_utf8_lossy(&entry.name)),
            })?;
            Ok((name.to_owned(), entry.mode, entry.id))
        });
        entries.collect()
    }

    fn blob(&self, path: &str, id: Oid) -> Result<Vec<u8>, TreeError> {
        let repository = self.repository();
        let read = || {
            let database = repository.odb()?;
            let (size, _) = database.read_header(id)?;
            Ok((database, size as u64))
        };
        let absent = |error| lacking(&repository, path, &error);
        let (database, size) = read().map_err(absent)?;
        check_size(path, size)?;
        let object = database.read(id).map_err(absent)?;
        match object.kind() {
            ObjectType::Blob => Ok(object.data().to_vec()),
            _ => Err(TreeError::WrongKind {
                path: path.to_owned(),
                wanted: "file",
            }),
        }
    }

    fn target(&self, path: &str, id: Oid) -> Result<String, TreeError> {
        let target = self.blob(path, id)?;
        match String::from_utf8(target) {
            Ok(target) if target.len() <= MAX_PATH => Ok(target),
            _ => Err(TreeError::Unreadable {
                path: path.to_owned(),
                reason: "it is a link whose target is not a path".to_owned(),
            }),
        }
    }

    fn classify(&self, path: &str, mode: i32, id: Oid) -> Result<Node, TreeError> {
        Ok(match mode {
            DIRECTORY => Node::Directory,
            LINK => Node::Link(self.target(path, id)?),
            SUBMODULE => Node::Submodule,
            _ => Node::File,
        })
    }

    /// The real path of what stands at a path, its mode and id.
    fn place(&self, path: &str) -> Result<Option<Place>, TreeError> {
        let Some((real, _)) = resolve::resolve(self, path)? else {
            return Ok(None);
        };
        let (mode, id) = self.found(&real)?;
        Ok(Some((real, mode, id)))
    }

    /// A tree's id covers all below it, but for what its links lead to: those are
    /// followed, each place once, and what can't be followed counts as its error.
    fn fingerprint(&self, path: &str, place: Place) -> Result<String, TreeError> {
        let too_many = || TreeError::TooMany {
            path: path.to_owned(),
            what: "links below it and below what they lead to",
            limit: MAX_LINKS as u64,
        };
        let (mut text, mut followed) = (String::new(), 0);
        let mut seen = BTreeSet::from([place.0.clone()]);
        let mut todo = vec![place];
        while let Some((real, mode, id)) = todo.pop() {
            let _ = writeln!(text, "{mode:o} {id} {real}");
            if mode != DIRECTORY {
                continue;
            }
            let links = self.directories.links(&self.repository(), id);
            let links = links.map_err(|error| unreadable(&real, &error))?;
            let links = links.ok_or_else(too_many)?;
            followed += links.len();
            if followed > MAX_LINKS {
                return Err(too_many());
            }
            for link in &*links {
                let link = join(&real, link);
                match self.place(&link) {
                    Ok(Some(place)) if !seen.insert(place.0.clone()) => {}
                    Ok(Some(place)) => todo.push(place),
                    Ok(None) => {
                        let _ = writeln!(text, "absent {link}");
                    }
                    Err(error) => {
                        let _ = writeln!(text, "error {error}");
                    }
                }
            }
        }
        Ok(text)
    }
}

impl Nodes for GitTree {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        match self.find(path)? {
            None => Ok(None),
            Some((mode, id)) => self.classify(path, mode, id).map(Some),
        }
    }

    fn straight(&self, path: &str) -> Result<Straight, TreeError> {
        Ok(match self.find(path)? {
            None => Straight::Absent,
            Some((LINK | SUBMODULE, _)) => Straight::Unknown,
            Some((DIRECTORY, _)) => Straight::Is(Node::Directory),
            Some(_) => Straight::Is(Node::File),
        })
    }
}

impl Tree for GitTree {
    fn list(&self, directory: &str) -> Result<Vec<(String, EntryKind)>, TreeError> {
        let real = resolve::expect(self, directory, EntryKind::Directory)?;
        let mut list = Vec::new();
        for (name, mode, id) in self.entries(&real)? {
            let path = join(&real, &name);
            let node = self.classify(&path, mode, id)?;
            list.push((name, listed_kind(self, &path, &node)));
        }
        Ok(list)
    }

    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        Ok(resolve::entry(self, path)?.map(|(_, kind)| kind))
    }

    fn resolve(&self, path: &str) -> Result<Option<(String, EntryKind)>, TreeError> {
        resolve::entry(self, path)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let real = resolve::expect(self, path, EntryKind::File)?;
        let (_, id) = self.found(&real)?;
        refuse_lfs(path, self.blob(path, id)?)
    }

    fn digest(&self, path: &str) -> Result<Digest, TreeError> {
        let place = self.place(path)?.ok_or_else(|| TreeError::NotFound {
            path: path.to_owned(),
        })?;
        if place.1 == SUBMODULE {
            resolve::entry(self, path)?;
        }
        let text = self.fingerprint(path, place)?;
        Ok(Digest::of_bytes(text.as_bytes()))
    }
}

fn unreadable(path: &str, error: &git2::Error) -> TreeError {
    TreeError::Unreadable {
        path: path.to_owned(),
        reason: error.message().to_owned(),
    }
}

/// The same, of an object that may not be here.
fn lacking(repository: &Repository, path: &str, error: &git2::Error) -> TreeError {
    if !is_absence(error) || !is_partial(repository) {
        return unreadable(path, error);
    }
    TreeError::Unreadable {
        path: path.to_owned(),
        reason: "it is not in this partial clone; `git fetch --refetch --no-filter` brings all that it lacks".to_owned(),
    }
}
