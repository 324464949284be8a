//! A tree with some files written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Digest, EntryKind, Tree, TreeError};

/// A tree in which some files have another content, or are new. Their directories must
/// be there already, or be new as well.
#[derive(Clone)]
pub struct EditedTree {
    base: Arc<dyn Tree>,
    /// By real path.
    files: BTreeMap<String, Vec<u8>>,
}

impl EditedTree {
    /// A tree as it is.
    pub fn new(base: Arc<dyn Tree>) -> Self {
        Self {
            base,
            files: BTreeMap::new(),
        }
    }

    /// The files that were written, by path, each with its content.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// What stood in a file before; `None` for one that is new.
    pub fn before(&self, path: &str) -> Option<Vec<u8>> {
        self.base.read(path).ok()
    }

    /// Writes a file; one that is a link is written where it leads.
    pub fn write(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        let real = match self.base.resolve(path) {
            Ok(Some((real, EntryKind::File))) => real,
            _ => path.to_owned(),
        };
        let content = content.into();
        if self.base.read(&real).is_ok_and(|before| before == content) {
            self.files.remove(&real);
        } else {
            self.files.insert(real, content);
        }
    }

    fn real(&self, path: &str) -> Option<(String, EntryKind)> {
        if let Ok(Some(found)) = self.base.resolve(path) {
            return Some(found);
        }
        if self.files.contains_key(path) {
            return Some((path.to_owned(), EntryKind::File));
        }
        let directory = format!("{path}/");
        let inside = self.files.keys().any(|file| file.starts_with(&directory));
        inside.then(|| (path.to_owned(), EntryKind::Directory))
    }
}

impl Tree for EditedTree {
    fn list(&self, directory: &str) -> Result<Vec<(String, EntryKind)>, TreeError> {
        let real = self.real(directory);
        let mut all = match self.base.list(directory) {
            Err(TreeError::NotFound { .. }) if real.is_some() => Vec::new(),
            listed => listed?,
        };
        let prefix = match &real {
            Some((real, _)) if !real.is_empty() => format!("{real}/"),
            _ => String::new(),
        };
        let mut names: BTreeSet<String> = all.iter().map(|(name, _)| name.clone()).collect();
        for file in self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(&prefix))
        {
            let (name, kind) = match file.split_once('/') {
                Some((name, _)) => (name, EntryKind::Directory),
                None => (file, EntryKind::File),
            };
            if names.insert(name.to_owned()) {
                all.push((name.to_owned(), kind));
            }
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(all)
    }

    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        Ok(self.resolve(path)?.map(|(_, kind)| kind))
    }

    fn resolve(&self, path: &str) -> Result<Option<(String, EntryKind)>, TreeError> {
        match self.base.resolve(path)? {
            Some(found) => Ok(Some(found)),
            None => Ok(self.real(path)),
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let edited = self.real(path).and_then(|(real, _)| self.files.get(&real));
        match edited {
            Some(content) => Ok(content.clone()),
            None => self.base.read(path),
        }
    }

    fn digest(&self, path: &str) -> Result<Digest, TreeError> {
        let before = match self.base.digest(path) {
            Err(TreeError::NotFound { .. }) if self.real(path).is_some() => String::new(),
            digest => digest?.to_string(),
        };
        // A link may lead to any of them.
        let mut text = before;
        for (path, content) in &self.files {
            text.push_str(path);
            text.push_str(&Digest::of_bytes(content).to_string());
        }
        Ok(Digest::of_bytes(text.as_bytes()))
    }
}
