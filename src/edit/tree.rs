//! A tree with some files written anew or taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Digest, EntryKind, Tree, TreeError};

/// A tree in which some files have another content, are new, or are gone. The directories
/// of new ones must be there already, or be new as well; one that has nothing left is gone,
/// as in Git.
#[derive(Clone)]
pub struct EditedTree {
    base: Arc<dyn Tree>,
    files: Edits,
}

/// What becomes of files, by real path; `None` where one goes.
pub type Edits = BTreeMap<String, Option<Vec<u8>>>;

impl EditedTree {
    /// A tree as it is.
    pub fn new(base: Arc<dyn Tree>) -> Self {
        Self {
            base,
            files: Edits::new(),
        }
    }

    /// The files that were written or taken away.
    pub fn files(&self) -> &Edits {
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
            self.files.insert(real, Some(content));
        }
    }

    /// Takes a file away; of one that is a link, what it leads to.
    pub fn remove(&mut self, path: &str) {
        match self.base.resolve(path) {
            Ok(Some((real, EntryKind::File))) => drop(self.files.insert(real, None)),
            _ => drop(self.files.remove(path)),
        }
    }

    fn real(&self, path: &str) -> Option<(String, EntryKind)> {
        if let Ok(Some((real, kind))) = self.base.resolve(path) {
            return (!self.is_gone(&real, kind)).then_some((real, kind));
        }
        if self.files.contains_key(path) {
            return Some((path.to_owned(), EntryKind::File));
        }
        let inside = self.inside(path).any(|(_, content)| content.is_some());
        inside.then(|| (path.to_owned(), EntryKind::Directory))
    }

    /// Whether it is by a link of its own that a path leads to a real one.
    fn is_link(&self, path: &str, real: &str) -> bool {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        match self.base.resolve(directory) {
            Ok(Some((directory, _))) => join(&directory, name) != real,
            _ => true,
        }
    }

    /// The edited files below a directory, by their paths from there.
    fn inside(&self, directory: &str) -> impl Iterator<Item = (&str, &Option<Vec<u8>>)> {
        let prefix = if directory.is_empty() {
            String::new()
        } else {
            format!("{directory}/")
        };
        let files = self.files.iter();
        files.filter_map(move |(file, content)| Some((file.strip_prefix(&prefix)?, content)))
    }

    /// Whether nothing is left of what the tree has at a real path.
    fn is_gone(&self, real: &str, kind: EntryKind) -> bool {
        if kind == EntryKind::File {
            return self.files.get(real).is_some_and(Option::is_none);
        }
        let mut edited = self.inside(real).map(|(_, content)| content).peekable();
        if edited.peek().is_none() || edited.any(Option::is_some) {
            return false;
        }
        let Ok(listed) = self.base.list(real) else {
            return false;
        };
        listed.into_iter().all(|(name, kind)| {
            let path = join(real, &name);
            // A link stays, wherever it leads.
            let own = matches!(self.base.resolve(&path), Ok(Some((to, _))) if to == path);
            own && self.is_gone(&path, kind)
        })
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

impl Tree for EditedTree {
    fn list(&self, directory: &str) -> Result<Vec<(String, EntryKind)>, TreeError> {
        let real = self.real(directory).map(|(real, _)| real);
        let listed = match self.base.list(directory) {
            Err(TreeError::NotFound { .. }) if real.is_some() => Vec::new(),
            listed => listed?,
        };
        let Some(real) = real else {
            return Err(not_found(directory));
        };
        let mut all = Vec::new();
        for (name, kind) in listed {
            match self.kind(&join(&real, &name)) {
                Ok(None) => {}
                // A link that leads nowhere by now, for whoever walks on to see.
                Err(_) => all.push((name, EntryKind::Directory)),
                Ok(Some(_)) => all.push((name, kind)),
            }
        }
        let mut names: BTreeSet<String> = all.iter().map(|(name, _)| name.clone()).collect();
        let new = self.inside(&real).filter(|(_, content)| content.is_some());
        for (file, _) in new {
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
            Some((real, kind)) if !self.is_gone(&real, kind) => Ok(Some((real, kind))),
            Some((real, _)) if self.is_link(path, &real) => Err(not_found(path)),
            _ => Ok(self.real(path)),
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let real = match self.base.resolve(path) {
            Ok(Some((real, _))) => real,
            _ => path.to_owned(),
        };
        match self.files.get(&real) {
            Some(Some(content)) => Ok(content.clone()),
            Some(None) => Err(not_found(path)),
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
            let content = content.as_deref().map(Digest::of_bytes);
            text.push_str(&content.map_or_else(|| "gone".to_owned(), |it| it.to_string()));
        }
        Ok(Digest::of_bytes(text.as_bytes()))
    }
}

fn not_found(path: &str) -> TreeError {
    TreeError::NotFound {
        path: path.to_owned(),
    }
}
