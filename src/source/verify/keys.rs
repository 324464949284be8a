//! The files with the keys that are trusted.

use std::io;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use pgp::composed::SignedPublicKey;

use super::allowed::{self, Allowed};
use super::openpgp;

/// The keys of some files.
#[derive(Debug, Default)]
pub struct Keys {
    pub(super) ssh: Vec<Allowed>,
    pub(super) openpgp: Vec<SignedPublicKey>,
}

/// Keys that can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file that can't be read.
    #[error("the file of trusted keys {path} can't be read")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line that is none of an `allowed_signers` file.
    #[error("{path}:{line}: {what}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A damaged keyring.
    #[error("{path}: {what}")]
    Keyring {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// No key at all: nothing could ever be accepted.
    #[error(
        "there is no key in {path}; write an `allowed_signers` file or an armored OpenPGP keyring"
    )]
    None {
        /// The files.
        path: String,
    },
}

impl Keys {
    /// Reads files, each an `allowed_signers` file or an armored keyring.
    pub fn read(files: &[PathBuf]) -> Result<Self, KeysError> {
        let mut keys = Self::default();
        for file in files {
            let text = std::fs::read_to_string(file).map_err(|source| KeysError::Unreadable {
                path: shown(file),
                source,
            })?;
            keys.add(&shown(file), &text)?;
        }
        if keys.ssh.is_empty() && keys.openpgp.is_empty() {
            let names: Vec<String> = files.iter().map(|file| shown(file)).collect();
            return Err(KeysError::None {
                path: names.join(" and "),
            });
        }
        Ok(keys)
    }

    /// Adds those of a file's text.
    pub(super) fn add(&mut self, path: &str, text: &str) -> Result<(), KeysError> {
        if text.contains("-----BEGIN PGP") {
            let found = openpgp::parse(text).map_err(|what| KeysError::Keyring {
                path: path.to_owned(),
                what,
            })?;
            self.openpgp.extend(found);
        } else {
            // As ssh-keygen has it: a time without a zone is one of this machine's.
            let found = allowed::parse(text, &TimeZone::system());
            self.ssh
                .extend(found.map_err(|(line, what)| KeysError::Line {
                    path: path.to_owned(),
                    line,
                    what,
                })?);
        }
        Ok(())
    }
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}
