//! Which revision a unit was about to be made as, on the disk ahead of the first step. An
//! agent that is killed before its entry is written leaves the next one to find what it did:
//! by this, that one can say whose it was, also where a newer commit has come meanwhile.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing::debug;

use crate::model::{Revision, UnitName};
use crate::runtime::files::{own_directory, own_file};
use crate::runtime::lock::lock;

/// What is noted, one file for each unit.
#[derive(Debug, Default)]
pub struct Intents {
    /// `None` where nothing is ever done.
    directory: Option<PathBuf>,
    noted: Mutex<BTreeMap<UnitName, Revision>>,
}

impl Intents {
    /// Those that are kept in a directory, which is made with the first.
    pub(super) fn kept_in(directory: PathBuf) -> Self {
        Self {
            directory: Some(directory),
            noted: Mutex::default(),
        }
    }

    /// Notes the revision. Where that does not work, less can be said after a crash, and
    /// nothing else is lost.
    pub(super) fn note(&self, unit: &UnitName, revision: &Revision) {
        let Some(directory) = &self.directory else {
            return;
        };
        let mut noted = lock(&self.noted);
        if noted.get(unit) == Some(revision) {
            return;
        }
        match write(directory, unit, revision) {
            Ok(()) => drop(noted.insert(unit.clone(), revision.clone())),
            Err(error) => debug!(%unit, %error, "what is about to be applied cannot be noted"),
        }
    }

    /// What an agent before this one has noted.
    pub(super) fn of(&self, unit: &UnitName) -> Option<Revision> {
        let path = self.directory.as_ref()?.join(unit.as_str());
        std::fs::read_to_string(path).ok()?.parse().ok()
    }

    /// The unit is no more.
    pub(super) fn forget(&self, unit: &UnitName) {
        let mut noted = lock(&self.noted);
        noted.remove(unit);
        if let Some(directory) = &self.directory {
            // Mostly there is none; one that stays says nothing of a unit that is not there.
            let _ = std::fs::remove_file(directory.join(unit.as_str()));
        }
    }
}

/// Revisions are of one length, so that one write replaces what was there.
fn write(directory: &Path, unit: &UnitName, revision: &Revision) -> io::Result<()> {
    own_directory(directory)?;
    let mut file = own_file(&directory.join(unit.as_str()))?;
    file.write_all(revision.as_str().as_bytes())?;
    file.set_len(revision.as_str().len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_last_is_known_to_the_next() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = place.path().join("begun");
        let unit: UnitName = "shop".parse().expect("a name");
        let [first, second]: [Revision; 2] =
            ["a", "b"].map(|digit| digit.repeat(40).parse().expect("a hash"));
        let next = || Intents::kept_in(directory.clone());
        assert_eq!(next().of(&unit), None);
        let intents = next();
        intents.note(&unit, &first);
        intents.note(&unit, &second);
        assert_eq!(next().of(&unit), Some(second));
        intents.forget(&unit);
        assert_eq!(next().of(&unit), None);
        Intents::default().note(&unit, &first);
        assert_eq!(next().of(&unit), None);
    }
}
