//! Directories of Git, kept in memory from one revision to the next: the id of a tree
//! stands for all that is in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use git2::{Oid, Repository};

use super::git::{DIRECTORY, LINK, SUBMODULE};
use super::join;
use crate::runtime::lock::lock;

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
                Ok(at) => found = (entries[at].mode, entries[at].id),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// The paths of all links below a directory, from there.
    pub(super) fn links(
        &self,
        repository: &Repository,
        id: Oid,
    ) -> Result<Arc<[String]>, git2::Error> {
        if let Some(links) = self.lock().directories.get(&id).and_then(Kept::links) {
            return Ok(links);
        }
        let mut links = Vec::new();
        for entry in &*self.entries(repository, id)? {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            match entry.mode {
                DIRECTORY => {
                    let below = self.links(repository, entry.id)?;
                    links.extend(below.iter().map(|link| join(&name, link)));
                }
                LINK => links.push(name),
                _ => {}
            }
        }
        links.sort();
        let links: Arc<[String]> = links.into();
        if let Some(kept) = self.lock().directories.get_mut(&id) {
            kept.links = Some(Arc::clone(&links));
        }
        Ok(links)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

impl Kept {
    fn links(&self) -> Option<Arc<[String]>> {
        self.links.clone()
    }
}
