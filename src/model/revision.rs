//! A commit, as a full hash, and who made it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Text that is not a full commit hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a full commit hash (40 hexadecimal digits)")]
pub struct RevisionError(pub String);

/// A full commit hash; a branch is never a revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);

impl Revision {
    /// All 40 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 8 digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl FromStr for Revision {
    type Err = RevisionError;
    fn from_str(text: &str) -> Result<Self, RevisionError> {
        let hash = text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hash {
            Ok(Self(text.to_owned()))
        } else {
            Err(RevisionError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Revision {
    type Error = RevisionError;
    fn try_from(text: String) -> Result<Self, RevisionError> {
        text.parse()
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who made a commit or an entry, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The person's or program's name.
    pub name: String,
    /// The address, which may be empty.
    pub email: String,
    /// The instant.
    pub time: Timestamp,
}

/// What the rest of the agent needs to know of a commit in the environment repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCommit {
    /// Its hash.
    pub revision: Revision,
    /// Its author.
    pub author: Signature,
    /// When it was committed, which a rebase or a merge makes anew.
    pub committed: Timestamp,
    /// The first line of its message.
    pub subject: String,
}
