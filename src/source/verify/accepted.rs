//! The newest commit of an environment that was found properly signed, kept in the data
//! directory: where [`Mode::SinceLast`](super::Mode::SinceLast) begins after a restart.
//! The record tells it too, but whoever may push may write there.

use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::model::{EnvironmentName, Revision};
use crate::runtime::files::own_directory;

#[derive(Debug)]
pub(super) struct Accepted {
    path: PathBuf,
    revision: Option<Revision>,
}

impl Accepted {
    /// Reads what was kept; something unreadable counts as nothing.
    pub(super) fn open(data_dir: &Path, environment: &EnvironmentName, repository: &str) -> Self {
        let path = data_dir
            .join("verified")
            .join(format!("{environment}-{repository}"));
        let text = std::fs::read_to_string(&path).ok();
        Self {
            revision: text.and_then(|text| text.trim().parse().ok()),
            path,
        }
    }

    pub(super) fn revision(&self) -> Option<&Revision> {
        self.revision.as_ref()
    }

    /// None where nothing is asked of the next one.
    pub(super) fn set(&mut self, revision: Option<&Revision>) {
        if self.revision.as_ref() == revision {
            return;
        }
        let kept = match revision {
            Some(revision) => self.write(revision),
            None => std::fs::remove_file(&self.path),
        };
        if let Err(error) = kept {
            warn!(file = %self.path.display(), %error, "which commit was accepted last cannot be kept over a restart");
        }
        self.revision = revision.cloned();
    }

    /// Beside it first, so that a crash leaves the old one.
    fn write(&self, revision: &Revision) -> io::Result<()> {
        if let Some(parent) = self.path.parent() {
            own_directory(parent)?;
        }
        let fresh = self.path.with_extension("new");
        std::fs::write(&fresh, format!("{revision}\n"))?;
        std::fs::rename(&fresh, &self.path)
    }
}
