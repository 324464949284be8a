//! `refs/notes/agent/<environment>`: the notes as Git keeps them. One commit for each
//! entry that changes a note, dated and named after it, so that the same record makes the
//! same commits, whoever makes them and however often.

use std::collections::BTreeMap;

use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, Oid, Repository, Signature, Time};

use super::notes::Notes;
use super::recorded::Recorded;
use super::text::{COMMITTER_EMAIL, COMMITTER_NAME};
use super::view::{RecordView, ViewError};
use super::{compact, entry};
use crate::model::{EnvironmentName, Revision};

/// From so many entries on, their notes are written as one pack.
const PACKED: usize = 10;

/// The ref of an environment's notes.
pub fn notes_ref(environment: &EnvironmentName) -> String {
    format!("refs/notes/agent/{environment}")
}

/// Notes in a repository, up to some entry of the record.
pub struct NotesBranch {
    notes: Notes,
    /// The entry that they tell of as the last.
    entry: Option<Revision>,
    tip: Option<Oid>,
}

impl NotesBranch {
    /// Before any entry of the record on a branch.
    pub fn new(branch: &str) -> Self {
        Self {
            notes: Notes::new(branch),
            entry: None,
            tip: None,
        }
    }

    /// The commit that the ref is to have; `None` where no commit has a note.
    pub fn tip(&self) -> Option<Oid> {
        self.tip
    }

    /// How many commits have a note.
    pub fn count(&self) -> usize {
        self.notes.count()
    }

    /// Takes in the entries of a record that it has not yet, and writes the notes that
    /// they change into a repository. Of `known` (commits of notes that are there) the one
    /// that has most of the record is gone on from. A record that no longer has the entry
    /// that was the last is begun again.
    ///
    /// # Errors
    /// When the record can't be read or the repository can't be written.
    pub fn take(
        &mut self,
        record: &RecordView,
        into: &Repository,
        known: &[Oid],
    ) -> Result<(), ViewError> {
        let (news, found) = record.since(self.entry.as_ref())?;
        if !found && self.entry.is_some() {
            *self = Self::new(record.branch());
        }
        // The newest entry first, and the first that a known commit tells of last.
        let told: Vec<(Revision, Oid)> = known
            .iter()
            .filter_map(|id| Some((told_by(into, *id)?, *id)))
            .collect();
        let known = news.iter().find_map(|entry| {
            let found = told.iter().find(|(told, _)| told == entry);
            found.cloned()
        });
        let known = known.filter(|_| self.tip.is_none());
        let there = self.tip.or(known.as_ref().map(|(_, id)| *id));
        let failed = |error| record.failed(error);
        let memory = (news.len() >= PACKED).then(|| compact::in_memory(into.commondir()));
        let memory = memory.transpose().map_err(failed)?;
        let mut taken = self.take_each(record, &news, known, memory.as_ref().unwrap_or(into));
        if let (Ok(()), Some(memory), Some(tip)) = (&taken, &memory, self.tip) {
            taken = compact::pack(memory, tip, there).map_err(failed);
        }
        if taken.is_err() && memory.is_some() {
            // What was written is nowhere.
            *self = Self::new(record.branch());
        }
        taken
    }

    /// Up to a `known` commit of notes they are there.
    fn take_each(
        &mut self,
        record: &RecordView,
        news: &[Revision],
        known: Option<(Revision, Oid)>,
        into: &Repository,
    ) -> Result<(), ViewError> {
        let mut skipping = known;
        for entry in news.iter().rev() {
            let entry = &record.entry(entry)?;
            let changed = self.notes.take(entry);
            match &skipping {
                Some((last, id)) if *last == entry.entry => {
                    self.tip = Some(*id);
                    skipping = None;
                }
                Some(_) => {}
                None if changed.is_empty() => {}
                None => {
                    let written = self.write(into, entry, &changed);
                    self.tip = Some(written.map_err(|error| record.failed(error))?);
                }
            }
            self.entry = Some(entry.entry.clone());
        }
        Ok(())
    }

    fn write(
        &self,
        into: &Repository,
        entry: &Recorded,
        changed: &BTreeMap<Revision, String>,
    ) -> Result<Oid, git2::Error> {
        let parent = self.tip.map(|tip| into.find_commit(tip)).transpose()?;
        let before = match &parent {
            Some(parent) => parent.tree()?,
            None => into.find_tree(into.treebuilder(None)?.write()?)?,
        };
        let mut update = TreeUpdateBuilder::new();
        for (revision, text) in changed {
            let (first, rest) = revision.as_str().split_at(2);
            let blob = into.blob(text.as_bytes())?;
            update.upsert(format!("{first}/{rest}"), blob, FileMode::Blob);
        }
        let tree = into.find_tree(update.create_updated(into, &before)?)?;
        let time = Time::new(entry.time.as_second(), 0);
        let agent = Signature::new(COMMITTER_NAME, COMMITTER_EMAIL, &time)?;
        let message = format!("Note {}\n\nRecord: {}\n", entry.subject, entry.entry);
        let parents: Vec<&Commit<'_>> = parent.iter().collect();
        into.commit(None, &agent, &agent, &message, &tree, &parents)
    }
}

/// The entry that a commit of notes tells of.
fn told_by(repository: &Repository, id: Oid) -> Option<Revision> {
    let commit = repository.find_commit(id).ok()?;
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let trailers = entry::trailers(&message);
    let (_, entry) = trailers.into_iter().find(|(key, _)| key == "Record")?;
    entry.parse().ok()
}

#[cfg(test)]
mod tests;
