//! Which files of the recorded tree differ from what was seen.

use std::collections::{BTreeMap, BTreeSet};

use git2::Oid;

use super::Journal;
use crate::model::{ObjectId, UnitName};
use crate::record::path;
use crate::record::story::{Changes, Told};

impl Journal {
    /// The files of a unit that differ from what is recorded. `files` are all of it, by
    /// the ids of their contents, but for the objects that could not be read; `read` gives
    /// the content of one.
    pub(in crate::reconcile) fn differing(
        &self,
        unit: &UnitName,
        files: &BTreeMap<ObjectId, Oid>,
        unread: &BTreeSet<ObjectId>,
        read: impl Fn(&ObjectId) -> Option<String>,
    ) -> Changes {
        let mut changes = Changes::new();
        let unread = unread.iter().map(|id| path::of_object(unit, id));
        let mut paths: BTreeSet<String> = unread.collect();
        for (id, content) in files {
            let path = path::of_object(unit, id);
            // One that is gone by now is told by the pass that sees it.
            if self.files.get(&path) != Some(content)
                && let Some(content) = read(id)
            {
                changes.insert(path.clone(), Some(content.into_bytes()));
            }
            paths.insert(path);
        }
        let prefix = format!("{unit}/");
        let recorded = self
            .files
            .range(prefix.clone()..)
            .take_while(|(path, _)| path.starts_with(&prefix));
        paths.extend([path::of_foreign(unit), path::of_status(unit)]);
        for (path, _) in recorded.filter(|(path, _)| !paths.contains(*path)) {
            changes.insert(path.clone(), None);
        }
        changes
    }

    /// The files of what was done, where nobody has looked at the unit since, as far as they
    /// differ from what is recorded.
    pub(in crate::reconcile) fn of_those(
        &self,
        unit: &UnitName,
        done: Vec<Told>,
        read: impl Fn(&ObjectId) -> Option<String>,
    ) -> Changes {
        let mut changes = Changes::new();
        for Told { object, .. } in done {
            let content = read(&object);
            if !self.holds(unit, &object, content.as_deref()) {
                changes.extend(Self::change(unit, &object, content));
            }
        }
        changes
    }
}
