//! A repository in memory.

use std::collections::BTreeMap;

use crate::model::{Digest, EntryKind, Tree, TreeError};

/// Files by path.
pub struct Repository(BTreeMap<String, String>);

impl Repository {
    /// One file.
    pub fn with(path: &str, content: &str) -> Self {
        Self(BTreeMap::from([(path.to_owned(), content.to_owned())]))
    }

    /// Files one after another, each below a line `-- path --`.
    pub fn from_text(text: &str) -> Self {
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            let head = line
                .strip_prefix("-- ")
                .and_then(|rest| rest.strip_suffix(" --"));
            if let Some(path) = head {
                path.clone_into(&mut current);
                files.entry(current.clone()).or_default();
            } else if let Some(content) = files.get_mut(&current) {
                content.push_str(line);
                content.push('\n');
            }
        }
        Self(files)
    }
}

fn missing(path: &str) -> TreeError {
    TreeError::NotFound {
        path: path.to_owned(),
    }
}

impl Tree for Repository {
    fn list(&self, directory: &str) -> Result<Vec<(String, EntryKind)>, TreeError> {
        if self.kind(directory)? != Some(EntryKind::Directory) {
            return Err(missing(directory));
        }
        let inside = match directory {
            "" => String::new(),
            path => format!("{path}/"),
        };
        let mut entries = BTreeMap::new();
        for path in self.0.keys() {
            let Some(rest) = path.strip_prefix(&inside) else {
                continue;
            };
            match rest.split_once('/') {
                Some((name, _)) => entries.insert(name.to_owned(), EntryKind::Directory),
                None => entries.insert(rest.to_owned(), EntryKind::File),
            };
        }
        Ok(entries.into_iter().collect())
    }

    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        if self.0.contains_key(path) {
            return Ok(Some(EntryKind::File));
        }
        let inside = format!("{path}/");
        let directory = path.is_empty() || self.0.keys().any(|file| file.starts_with(&inside));
        Ok(directory.then_some(EntryKind::Directory))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let content = self.0.get(path).ok_or_else(|| missing(path))?;
        Ok(content.clone().into_bytes())
    }

    fn digest(&self, path: &str) -> Result<Digest, TreeError> {
        self.read(path).map(|bytes| Digest::of_bytes(&bytes))
    }
}
