//! Walks a record from its newest entry to its oldest, and tells which of them changed
//! the file of an object.

use std::collections::{BTreeMap, HashMap};

use git2::{ObjectType, Oid, Repository, Tree};
use similar::TextDiff;

use super::path;
use super::recorded::Recorded;
use super::select::ObjectPattern;
use super::view::{self, RecordView, ViewError};
use crate::model::{EnvironmentName, ObjectId, Revision, UnitName};
use crate::source::{read_commit, revision, tree_of};

/// The entries of a record, newest first. Each is read when it is asked for.
pub struct History<'r> {
    view: &'r RecordView,
    next: Option<Oid>,
    cut: bool,
}

/// A file of the record as an entry changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    pub(super) before: Option<Oid>,
    pub(super) after: Option<Oid>,
}

impl RecordView {
    /// Its entries, newest first.
    pub fn history(&self) -> History<'_> {
        History {
            view: self,
            next: Some(self.tip),
            cut: false,
        }
    }
}

impl RecordView {
    /// The entries since one, newest first, and whether that one is there.
    pub(super) fn since(
        &self,
        last: Option<&Revision>,
    ) -> Result<(Vec<Revision>, bool), ViewError> {
        let mut entries = Vec::new();
        let mut next = Some(self.tip);
        while let Some(id) = next {
            let entry = revision(id);
            if Some(&entry) == last {
                return Ok((entries, true));
            }
            entries.push(entry);
            let parent = parent(&self.repository, id);
            next = match parent.map_err(|error| self.failed(error))? {
                Parent::Here(id) => Some(id),
                Parent::Cut | Parent::None => None,
            };
        }
        Ok((entries, false))
    }

    /// Its entries, oldest first.
    ///
    /// # Errors
    /// When the repository can't be read.
    pub fn oldest_first(
        &self,
    ) -> Result<impl Iterator<Item = Result<Recorded, ViewError>>, ViewError> {
        let (entries, _) = self.since(None)?;
        Ok(entries.into_iter().rev().map(|entry| self.entry(&entry)))
    }

    /// One entry.
    pub(super) fn entry(&self, entry: &Revision) -> Result<Recorded, ViewError> {
        let id = Oid::from_str(entry.as_str());
        let found = id.and_then(|id| recorded(&self.repository, &self.environment, id));
        found.map_err(|error| self.failed(error))
    }
}

/// An entry of an environment's record.
pub(super) fn recorded(
    repository: &Repository,
    environment: &EnvironmentName,
    id: Oid,
) -> Result<Recorded, git2::Error> {
    read_commit(repository, id, |commit| {
        Recorded::read(
            environment,
            revision(id),
            &commit.author(),
            commit.committed(),
            &commit.message(),
        )
    })
}

/// The files that an entry changed, by path.
pub(super) fn changes(
    repository: &Repository,
    id: Oid,
) -> Result<BTreeMap<String, FileChange>, git2::Error> {
    let before = match parent(repository, id)? {
        Parent::Here(parent) => Some(tree_of(repository, parent)?),
        Parent::Cut | Parent::None => None,
    };
    let after = tree_of(repository, id)?;
    let diff = repository.diff_tree_to_tree(before.as_ref(), Some(&after), None)?;
    let files = diff.deltas().filter_map(|delta| {
        let (old, new) = (delta.old_file(), delta.new_file());
        let path = new.path_bytes().or(old.path_bytes())?;
        let path = std::str::from_utf8(path).ok()?.to_owned();
        let there = |id: Oid| Some(id).filter(|id| !id.is_zero());
        let (before, after) = (there(old.id()), there(new.id()));
        Some((path, FileChange { before, after }))
    });
    Ok(files.collect())
}

impl Iterator for History<'_> {
    type Item = Result<Recorded, ViewError>;

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.next.take()?;
        let read = self.read(id);
        Some(read.map_err(|error| self.view.failed(error)))
    }
}

impl History<'_> {
    /// Whether older entries were not fetched: the clone is a shallow one.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    fn read(&mut self, id: Oid) -> Result<Recorded, git2::Error> {
        match parent(&self.view.repository, id)? {
            Parent::Here(id) => self.next = Some(id),
            Parent::Cut => self.cut = true,
            Parent::None => {}
        }
        recorded(&self.view.repository, &self.view.environment, id)
    }
}

/// The entry before an entry.
enum Parent {
    Here(Oid),
    /// There is one, and a shallow clone ends before it.
    Cut,
    None,
}

fn parent(repository: &Repository, id: Oid) -> Result<Parent, git2::Error> {
    let parent = read_commit(repository, id, |commit| commit.parents.first().copied())?;
    let objects = repository.odb()?;
    Ok(match parent {
        Some(parent) if objects.exists(parent) => Parent::Here(parent),
        Some(_) => Parent::Cut,
        None => Parent::None,
    })
}

/// Finds an object's file in the trees of entries. What was found in a unit's tree is
/// kept: most entries leave it as it was.
pub struct ObjectFiles<'r> {
    view: &'r RecordView,
    object: &'r ObjectPattern,
    found: HashMap<Oid, Option<Oid>>,
}

impl<'r> ObjectFiles<'r> {
    /// The files of an object.
    pub fn new(view: &'r RecordView, object: &'r ObjectPattern) -> Self {
        Self {
            view,
            object,
            found: HashMap::new(),
        }
    }

    /// What an entry changed of them; `None` if nothing.
    ///
    /// # Errors
    /// When the repository can't be read.
    pub fn change(&mut self, entry: &Recorded) -> Result<Option<FileChange>, ViewError> {
        let changed = self.changed(entry);
        changed.map_err(|error| self.view.failed(error))
    }

    fn changed(&mut self, entry: &Recorded) -> Result<Option<FileChange>, git2::Error> {
        let repository = &self.view.repository;
        let id = Oid::from_str(entry.entry.as_str())?;
        let after = tree_of(repository, id)?;
        let before = match parent(repository, id)? {
            Parent::Here(parent) => Some(tree_of(repository, parent)?),
            Parent::Cut | Parent::None => None,
        };
        let units = match entry.unit() {
            Some(unit) => vec![unit.to_string()],
            None => units_that_differ(before.as_ref(), &after),
        };
        for unit in units {
            let change = FileChange {
                before: match &before {
                    Some(before) => self.file(before, &unit)?,
                    None => None,
                },
                after: self.file(&after, &unit)?,
            };
            if change.before != change.after {
                return Ok(Some(change));
            }
        }
        Ok(None)
    }

    /// The object's file in a unit.
    fn file(&mut self, root: &Tree<'_>, unit: &str) -> Result<Option<Oid>, git2::Error> {
        let Some(entry) = root.get_name(unit) else {
            return Ok(None);
        };
        let id = entry.id();
        if entry.kind() != Some(ObjectType::Tree) {
            return Ok(None);
        }
        if let Some(found) = self.found.get(&id) {
            return Ok(*found);
        }
        let found = self.look_for(unit, id)?;
        self.found.insert(id, found);
        Ok(found)
    }

    fn look_for(&self, unit: &str, id: Oid) -> Result<Option<Oid>, git2::Error> {
        let repository = &self.view.repository;
        let namespace = self
            .object
            .namespace()
            .map_or(path::CLUSTER.to_owned(), path::encode);
        let Some(namespaced) = subtree(repository, &repository.find_tree(id)?, &namespace)? else {
            return Ok(None);
        };
        let file = format!("{}.yaml", path::encode(self.object.name()));
        for kind in &namespaced {
            let Ok(name) = kind.name() else { continue };
            let path = format!("{unit}/{namespace}/{name}/{file}");
            let is_it = path::to_object(&path).is_some_and(|(_, id)| self.object.matches(&id));
            if is_it && let Some(kind) = subtree(repository, &namespaced, name)? {
                return Ok(kind.get_name(&file).map(|entry| entry.id()));
            }
        }
        Ok(None)
    }
}

impl FileChange {
    /// The lines that differ, each after `-` or `+`.
    ///
    /// # Errors
    /// When the repository can't be read.
    pub fn lines(&self, view: &RecordView) -> Result<Vec<String>, ViewError> {
        let content = |id: Option<Oid>| match id {
            Some(id) => view.blob(id),
            None => Ok(String::new()),
        };
        let (before, after) = (content(self.before)?, content(self.after)?);
        let diff = TextDiff::from_lines(&before, &after);
        let text = diff.unified_diff().context_radius(0).to_string();
        let lines = text.lines().filter(|line| line.starts_with(['-', '+']));
        Ok(lines.map(str::to_owned).collect())
    }
}

/// An object that a record had, and how it left it.
#[derive(Debug, Clone, PartialEq)]
pub struct Departed {
    /// The object.
    pub object: ObjectId,
    /// Its unit.
    pub unit: UnitName,
    /// The entry with which it left.
    pub entry: Recorded,
}

impl RecordView {
    /// The objects that a pattern names in the newest tree, and the unit and path of each.
    ///
    /// # Errors
    /// When the repository can't be read.
    pub fn find(&self, object: &ObjectPattern) -> Result<Vec<(String, ObjectId)>, ViewError> {
        let found = found(&self.repository, self.tip, object);
        found.map_err(|error| self.failed(error))
    }

    /// How an object that the newest tree has not left the record last; `None` where it was
    /// never there.
    ///
    /// # Errors
    /// When the repository can't be read.
    pub fn departed(&self, object: &ObjectPattern) -> Result<Option<Departed>, ViewError> {
        let mut files = ObjectFiles::new(self, object);
        for entry in self.history() {
            let entry = entry?;
            let change = files.change(&entry)?;
            if change.is_some_and(|change| change.after.is_none()) {
                let departed = self.left_with(object, entry);
                return departed.map_err(|error| self.failed(error));
            }
        }
        Ok(None)
    }

    fn left_with(
        &self,
        object: &ObjectPattern,
        entry: Recorded,
    ) -> Result<Option<Departed>, git2::Error> {
        let id = Oid::from_str(entry.entry.as_str())?;
        let Parent::Here(before) = parent(&self.repository, id)? else {
            return Ok(None);
        };
        let mut found = found(&self.repository, before, object)?.into_iter();
        let found = found.find_map(|(path, _)| path::to_object(&path));
        Ok(found.map(|(unit, object)| Departed {
            object,
            unit,
            entry,
        }))
    }

    fn blob(&self, id: Oid) -> Result<String, ViewError> {
        let blob = self.repository.find_blob(id);
        let blob = blob.map_err(|error| self.failed(error))?;
        Ok(String::from_utf8_lossy(blob.content()).into_owned())
    }
}

/// The objects that a pattern names in an entry's tree, and the path of each.
fn found(
    repository: &Repository,
    entry: Oid,
    object: &ObjectPattern,
) -> Result<Vec<(String, ObjectId)>, git2::Error> {
    let files = view::files(repository, entry)?;
    let objects = files.into_keys().filter_map(|path| {
        let (_, id) = path::to_object(&path)?;
        object.matches(&id).then_some((path, id))
    });
    Ok(objects.collect())
}

fn units_that_differ(before: Option<&Tree<'_>>, after: &Tree<'_>) -> Vec<String> {
    let ids = |tree: Option<&Tree<'_>>| -> HashMap<String, Oid> {
        let entries = tree.into_iter().flat_map(|tree| tree.iter());
        entries
            .filter_map(|entry| Some((entry.name().ok()?.to_owned(), entry.id())))
            .collect()
    };
    let (before, after) = (ids(before), ids(Some(after)));
    let names = before.keys().chain(after.keys());
    let mut differ: Vec<String> = names
        .filter(|name| before.get(*name) != after.get(*name))
        .cloned()
        .collect();
    differ.sort();
    differ.dedup();
    differ
}

fn subtree<'r>(
    repository: &'r Repository,
    tree: &Tree<'_>,
    name: &str,
) -> Result<Option<Tree<'r>>, git2::Error> {
    let entry = tree.get_name(name);
    let entry = entry.filter(|entry| entry.kind() == Some(ObjectType::Tree));
    entry
        .map(|entry| repository.find_tree(entry.id()))
        .transpose()
}

#[cfg(test)]
mod tests;
