//! Directories of Git, kept in memory from one revision to the next: the id of a tree
//! stands for all that is in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use git2::{Oid, Repository};

use super::git::{DIRECTORY, LINK, SUBMODULE};
use super::join;
use crate::runtime::lock::lock;

/// The most links that there may be below a directory: all of them are followed to tell
/// whether anything that it leads to has changed.
pub(super) const MAX_LINKS: usize = 10_000;

/// The largest directory, as Git keeps it: room for 100,000 files with names of 50 bytes.
const MAX_DIRECTORY: usize = 8 * 1024 * 1024;

/// Directories that were read. One that two revisions in a row did not use is dropped.
#[derive(Debug, Default)]
pub struct Directories {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    generation: u64,
    directories: HashMap<Oid, Kept>,
}

#[derive(Debug)]
struct Kept {
    used: u64,
    entries: Arc<[Entry]>,
    /// How many links are below, at most [`MAX_LINKS`] and one, once they were counted.
    count: Option<usize>,
    /// The links below, once they were looked for.
    links: Option<Arc<[String]>>,
}

/// What stands in a directory.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: Box<[u8]>,
    pub(super) mode: i32,
    pub(super) id: Oid,
}

impl Directories {
    /// A revision is about to be read.
    pub(super) fn begin(&self) {
        let mut known = self.lock();
        known.generation += 1;
        let oldest = known.generation.saturating_sub(2);
        known.directories.retain(|_, kept| kept.used >= oldest);
    }

    /// What stands in the directory with this id, sorted by name.
    pub(super) fn entries(
        &self,
        repository: &Repository,
        id: Oid,
    ) -> Result<Arc<[Entry]>, git2::Error> {
        let mut known = self.lock();
        let generation = known.generation;
        if let Some(kept) = known.directories.get_mut(&id) {
            kept.used = generation;
            return Ok(Arc::clone(&kept.entries));
        }
        let (size, _) = repository.odb()?.read_header(id)?;
        if size > MAX_DIRECTORY {
            let reason = format!("it has {size} bytes of names, more than {MAX_DIRECTORY}");
            return Err(git2::Error::new(
                git2::ErrorCode::Invalid,
                git2::ErrorClass::Tree,
                reason,
            ));
        }
        let tree = repository.find_tree(id)?;
        let mut entries: Vec<Entry> = tree
            .iter()
            .map(|entry| Entry {
                name: entry.name_bytes().into(),
                mode: entry.filemode(),
                id: entry.id(),
            })
            .collect();
        // Git sorts a directory as if its name ended in `/`.
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        let entries: Arc<[Entry]> = entries.into();
        let kept = Kept {
            used: generation,
            entries: Arc::clone(&entries),
            count: None,
            links: None,
        };
        known.directories.insert(id, kept);
        Ok(entries)
    }

    /// Mode and id of what stands at a path below a directory, or on the way there if that
    /// is a link or a submodule.
    pub(super) fn find(
        &self,
        repository: &Repository,
        root: Oid,
        path: &str,
    ) -> Result<Option<(i32, Oid)>, git2::Error> {
        let mut found = (DIRECTORY, root);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match found.0 {
                DIRECTORY => {}
                LINK | SUBMODULE => return Ok(Some(found)),
                _ => return Ok(None),
            }
            let entries = self.entries(repository, found.1)?;
            let at = entries.binary_search_by(|entry| (*entry.name).cmp(name.as_bytes()));
            match at {
                Ok(at) if stands_twice(&entries, at) => {
                    return Err(git2::Error::from_str(TWICE));
                }
                Ok(at) => found = (entries[at].mode, entries[at].id),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// The paths of all links below a directory, from there; `None` if they are more than
    /// [`MAX_LINKS`].
    pub(super) fn links(
        &self,
        repository: &Repository,
        id: Oid,
    ) -> Result<Option<Arc<[String]>>, git2::Error> {
        if let Some(links) = self.kept(id, |kept| kept.links.clone()) {
            return Ok(Some(links));
        }
        if self.count(repository, id)? > MAX_LINKS {
            return Ok(None);
        }
        let mut links = Vec::new();
        let mut todo = vec![(String::new(), id)];
        while let Some((path, id)) = todo.pop() {
            for entry in &*self.entries(repository, id)? {
                let path = || join(&path, &String::from_utf8_lossy(&entry.name));
                match entry.mode {
                    // Whoever has no link leads nowhere, however many paths there are.
                    DIRECTORY if self.count(repository, entry.id)? == 0 => {}
                    DIRECTORY => todo.push((path(), entry.id)),
                    LINK => links.push(path()),
                    _ => {}
                }
            }
        }
        links.sort();
        let links: Arc<[String]> = links.into();
        self.keep(id, |kept| kept.links = Some(Arc::clone(&links)));
        Ok(Some(links))
    }

    /// How many links there are below a directory, at most one more than [`MAX_LINKS`].
    /// Each directory is counted once, however often it stands in others; without
    /// recursion, as it is as deep as somebody made it.
    fn count(&self, repository: &Repository, id: Oid) -> Result<usize, git2::Error> {
        let mut open = vec![id];
        while let Some(&id) = open.last() {
            if self.kept(id, |kept| kept.count).is_some() {
                open.pop();
                continue;
            }
            let (mut count, before) = (0, open.len());
            for entry in &*self.entries(repository, id)? {
                match entry.mode {
                    DIRECTORY => match self.kept(entry.id, |kept| kept.count) {
                        Some(below) => count += below,
                        None => open.push(entry.id),
                    },
                    LINK => count += 1,
                    _ => {}
                }
                count = count.min(MAX_LINKS + 1);
            }
            // Nothing is left to be counted first.
            if open.len() == before {
                self.keep(id, |kept| kept.count = Some(count));
            }
        }
        Ok(self.kept(id, |kept| kept.count).unwrap_or(0))
    }

    fn kept<T>(&self, id: Oid, get: impl FnOnce(&Kept) -> Option<T>) -> Option<T> {
        self.lock().directories.get(&id).and_then(get)
    }

    fn keep(&self, id: Oid, set: impl FnOnce(&mut Kept)) {
        if let Some(kept) = self.lock().directories.get_mut(&id) {
            set(kept);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

/// Git itself makes no such directory, and takes one from others; it reads the first entry
/// or the last, depending on the command.
pub(super) const TWICE: &str = "there are two entries of this name in its directory";

/// Whether another entry of a directory has the name of this one.
pub(super) fn stands_twice(entries: &[Entry], at: usize) -> bool {
    let name = |at: usize| entries.get(at).map(|entry| &entry.name);
    let before = at.checked_sub(1).and_then(name);
    before == name(at) || name(at + 1) == name(at)
}
