//! Which files of a record were left as drift.

use std::collections::{BTreeMap, BTreeSet};

use git2::Oid;

use super::event::Event;
use super::history::changes;
use super::view::{RecordView, ViewError};

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
            let id = Oid::from_str(entry.entry.as_str());
            let changed = id.and_then(|id| changes(&self.repository, id));
            for (path, change) in changed.map_err(|error| self.failed(error))? {
                if seen.insert(path.clone()) && entry.event() == Some(Event::Drift) {
                    drifted.insert(path, change.before);
                }
            }
        }
        Ok(drifted)
    }
}
