//! A working tree: what is on disk now, uncommitted changes included. What Git would
//! never commit (`.git`, ignored files that are not tracked) is not there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use git2::Repository;
use sha2::{Digest as _, Sha256};

use super::resolve::{self, Node, Nodes};
use super::sparse::Sparse;
use super::{MAX_FILE, check_size, join, listed_kind, refuse_lfs};
use crate::model::{Digest, EntryKind, Tree, TreeError};
use crate::runtime::lock::lock;

/// The most files and directories that may wait to be looked at below one.
const MAX_BELOW: usize = 1_000_000;

/// The files of a directory.
pub struct DirTree {
    root: PathBuf,
    /// The repository that the directory belongs to, for what it ignores.
    repository: Option<Checkout>,
}

struct Checkout {
    repository: Mutex<Repository>,
    /// The directory's path from the root of the working tree.
    inside: PathBuf,
    /// What of it is not checked out.
    sparse: Sparse,
}

impl DirTree {
    /// The directory at `root`, which need not be a Git repository.
    pub fn open(root: &Path) -> Result<Self, TreeError> {
        let shown = root.display().to_string();
        let root = root
            .canonicalize()
            .map_err(|error| unreadable(&shown, &error))?;
        if !root.is_dir() {
            return Err(TreeError::WrongKind {
                path: shown,
                wanted: "directory",
            });
        }
        // Somebody who names an ignored directory wants it read.
        let repository = Checkout::of(&root)?
            .filter(|it| it.inside.as_os_str().is_empty() || !it.ignores(Path::new("")));
        Ok(Self { root, repository })
    }

    fn on_disk(&self, path: &str) -> PathBuf {
        if path.is_empty() {
            self.root.clone()
        } else {
            self.root.join(path)
        }
    }

    fn ignored(&self, path: &str) -> bool {
        let repository = self.repository.as_ref();
        repository.is_some_and(|repository| repository.ignores(Path::new(path)))
    }

    /// Names directly in the directory at a real path, sorted.
    fn names(&self, path: &str) -> Result<Vec<String>, TreeError> {
        let failed = |error: &io::Error| unreadable(path, error);
        let mut names = Vec::new();
        let sparse = self.sparse_names(path);
        let entries = match fs::read_dir(self.on_disk(path)) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !sparse.is_empty() => None,
            Err(error) => return Err(failed(&error)),
        };
        for entry in entries.into_iter().flatten() {
            let name = entry.map_err(|error| failed(&error))?.file_name();
            let name = name.into_string().map_err(|name| TreeError::Misnamed {
                path: join(path, &name.to_string_lossy()),
            })?;
            if name != ".git" && !self.ignored(&join(path, &name)) {
                names.push(name);
            }
        }
        names.extend(sparse);
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Names directly in a directory of what is not checked out.
    fn sparse_names(&self, path: &str) -> BTreeSet<String> {
        let checkout = self.repository.as_ref();
        checkout.map_or_else(BTreeSet::new, |it| it.sparse.names(path))
    }

    /// A file that is not checked out.
    fn sparse_content(&self, path: &str) -> Result<Option<Vec<u8>>, TreeError> {
        let Some(checkout) = &self.repository else {
            return Ok(None);
        };
        checkout.sparse.read(path, &lock(&checkout.repository))
    }

    fn fingerprint(&self, root: &str) -> Result<String, TreeError> {
        let (mut text, mut todo) = (String::new(), vec![root.to_owned()]);
        let mut seen = BTreeSet::new();
        while let Some(path) = todo.pop() {
            // A link is told by its own path, what it leads to by its real one.
            let _ = writeln!(text, "{path}");
            match resolve::resolve(self, &path) {
                Ok(Some((real, _))) if !seen.insert(real.clone()) => {}
                Ok(Some((real, Node::Directory))) => {
                    let _ = writeln!(text, "directory {real}");
                    let names = self.names(&real)?;
                    todo.extend(names.iter().rev().map(|name| join(&real, name)));
                }
                Ok(Some((real, Node::File))) => {
                    let _ = writeln!(text, "{} {real}", self.content_digest(&real)?);
                }
                Ok(Some((real, Node::Submodule | Node::Link(_)))) => {
                    let _ = writeln!(text, "submodule {real}");
                }
                Ok(None) => {
                    let _ = writeln!(text, "absent {path}");
                }
                Err(error) => {
                    let _ = writeln!(text, "error {error}");
                }
            }
            if todo.len() > MAX_BELOW {
                return Err(TreeError::TooMany {
                    path: root.to_owned(),
                    what: "files and directories",
                    limit: MAX_BELOW as u64,
                });
            }
        }
        Ok(text)
    }

    /// Streamed, so that a large file that nobody reads costs no memory.
    fn content_digest(&self, path: &str) -> Result<String, TreeError> {
        if let Some(content) = self.sparse_content(path)? {
            return Ok(hex::encode(Sha256::digest(&content)));
        }
        let hash = || {
            let mut file = File::open(self.on_disk(path))?;
            let mut hasher = Sha256::new();
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok(hex::encode(hasher.finalize())),
                    read => hasher.update(&buffer[..read]),
                }
            }
        };
        hash().map_err(|error| unreadable(path, &error))
    }
}

impl Checkout {
    fn of(directory: &Path) -> Result<Option<Self>, TreeError> {
        let found = Repository::discover(directory).ok();
        let found = found.and_then(|repository| {
            let root = repository.workdir()?.canonicalize().ok()?;
            let inside = directory.strip_prefix(root).ok()?.to_owned();
            Some((repository, inside))
        });
        let Some((repository, inside)) = found else {
            return Ok(None);
        };
        let sparse = Sparse::of(&repository, &inside, directory)?;
        Ok(Some(Self {
            repository: Mutex::new(repository),
            inside,
            sparse,
        }))
    }

    /// Whether Git ignores the path and tracks nothing at or below it.
    fn ignores(&self, path: &Path) -> bool {
        let path = self.inside.join(path);
        let repository = lock(&self.repository);
        if !repository.status_should_ignore(&path).unwrap_or(false) {
            return false;
        }
        let Ok(index) = repository.index() else {
            return true;
        };
        let below = index.find_prefix(path.join("")).is_ok();
        !below && index.get_path(&path, 0).is_none()
    }
}

impl Nodes for DirTree {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        if path.rsplit('/').next() == Some(".git") {
            return Ok(None);
        }
        let on_disk = self.on_disk(path);
        let metadata = match fs::symlink_metadata(&on_disk) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(checkout) = &self.repository else {
                    return Ok(None);
                };
                return checkout.sparse.node(path, &lock(&checkout.repository));
            }
            Err(error) => return Err(unreadable(path, &error)),
        };
        let kind = metadata.file_type();
        if !path.is_empty() && self.ignored(path) {
            return Ok(None);
        }
        if kind.is_symlink() {
            let target = fs::read_link(&on_disk).map_err(|error| unreadable(path, &error))?;
            Ok(Some(Node::Link(target.to_string_lossy().into_owned())))
        } else if kind.is_dir() {
            // What a checkout of a submodule has; a revision would not have its files.
            let submodule = !path.is_empty() && on_disk.join(".git").exists();
            Ok(Some(if submodule {
                Node::Submodule
            } else {
                Node::Directory
            }))
        } else if kind.is_file() {
            Ok(Some(Node::File))
        } else {
            Err(TreeError::Unreadable {
                path: path.to_owned(),
                reason: "it is neither a file, a directory nor a link".to_owned(),
            })
        }
    }
}

impl Tree for DirTree {
    fn list(&self, directory: &str) -> Result<Vec<(String, EntryKind)>, TreeError> {
        let real = resolve::expect(self, directory, EntryKind::Directory)?;
        let mut list = Vec::new();
        for name in self.names(&real)? {
            let path = join(&real, &name);
            // A pipe or a socket is nobody's manifest; it is met when it is read.
            let kind = match self.node(&path) {
                Ok(Some(node)) => listed_kind(self, &path, &node),
                Ok(None) => continue,
                Err(_) => EntryKind::File,
            };
            list.push((name, kind));
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
        if let Some(content) = self.sparse_content(&real)? {
            return refuse_lfs(path, content);
        }
        let file = File::open(self.on_disk(&real)).map_err(|error| unreadable(path, &error))?;
        let size = file.metadata().map_err(|error| unreadable(path, &error))?;
        check_size(path, size.len())?;
        let mut content = Vec::new();
        // Bounded again: the file may be growing.
        file.take(MAX_FILE + 1)
            .read_to_end(&mut content)
            .map_err(|error| unreadable(path, &error))?;
        check_size(path, content.len() as u64)?;
        refuse_lfs(path, content)
    }

    fn digest(&self, path: &str) -> Result<Digest, TreeError> {
        if resolve::entry(self, path)?.is_none() {
            return Err(TreeError::NotFound {
                path: path.to_owned(),
            });
        }
        let text = self.fingerprint(path)?;
        Ok(Digest::of_bytes(text.as_bytes()))
    }
}

fn unreadable(path: &str, error: &io::Error) -> TreeError {
    TreeError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
