//! The secrets that deliveries are signed with.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::Redacted;

/// Whose deliveries are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those that are signed with the secret in one of these files. They are read again
    /// for each delivery, so that a rotated one is taken up.
    Signed(Vec<PathBuf>),
    /// Everybody's.
    Anybody,
}

/// A secret that can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A file that can't be read.
    #[error("the webhook secret {path} can't be read")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file with nothing in it, which would let everybody sign.
    #[error("the webhook secret {path} is empty; write the text into it that the forge signs with")]
    Empty {
        /// The file.
        path: String,
    },
}

impl Trust {
    /// The secrets as they are now; none where everybody is trusted.
    pub fn secrets(&self) -> Result<Vec<Redacted>, SecretError> {
        match self {
            Self::Signed(files) => files.iter().map(|file| read(file)).collect(),
            Self::Anybody => Ok(Vec::new()),
        }
    }
}

fn read(file: &Path) -> Result<Redacted, SecretError> {
    let path = || file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|source| SecretError::Unreadable {
        path: path(),
        source,
    })?;
    match text.trim() {
        "" => Err(SecretError::Empty { path: path() }),
        secret => Ok(Redacted::new(secret)),
    }
}
