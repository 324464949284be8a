//! Which files of a record were left as drift.

use std::collections::{BTreeMap, BTreeSet};

use git2::{DiffOptions, Oid};

use super::event::Event;
use super::history::{Parent, parent};
use super::recorded::Recorded;
use super::view::{RecordView, ViewError};
use crate::source::tree_of;

/// How far back it is looked. What is older is drift that nobody has put back for long.
const ENTRIES: usize = 500;

/// By path, what the file was before it drifted; `None` where there was none.
pub type Drifted = BTreeMap<String, Option<Oid>>;

impl RecordView {
    /// The files that were left as drift by the entry that changed them last.
    ///
    /// # Errors
    /// When the repository can't be read.
    pub fn drifted(&self) -> Result<Drifted, ViewError> {
        let mut drifted = Drifted::new();
        let mut seen = BTreeSet::new();
        for entry in self.history().take(ENTRIES) {
            let entry = entry?;
            let changed = self.changed(&entry).map_err(|error| self.failed(error))?;
            for (path, before) in changed {
                if seen.insert(path.clone()) && entry.event() == Some(Event::Drift) {
                    drifted.insert(path, before);
                }
            }
        }
        Ok(drifted)
    }

    /// The files that an entry changed, and what they were before.
    fn changed(&self, entry: &Recorded) -> Result<Drifted, git2::Error> {
        let id = Oid::from_str(entry.entry.as_str())?;
        let Parent::Here(before) = parent(&self.repository, id)? else {
            return Ok(Drifted::new());
        };
        let before = tree_of(&self.repository, before)?;
        let after = tree_of(&self.repository, id)?;
        let mut options = DiffOptions::new();
        options.skip_binary_check(true);
        let diff =
            self.repository
                .diff_tree_to_tree(Some(&before), Some(&after), Some(&mut options))?;
        let files = diff.deltas().filter_map(|delta| {
            let (old, new) = (delta.old_file(), delta.new_file());
            let path = new.path().or(old.path())?.to_str()?.to_owned();
            Some((path, Some(old.id()).filter(|id| !id.is_zero())))
        });
        Ok(files.collect())
    }
}
