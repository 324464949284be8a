//! What became of an entry or a push.

use crate::model::{EnvironmentName, Revision};
use crate::source::SourceProblem;

/// Why an entry can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Another process writes this record.
    #[error(
        "the record in {path} is being written by another agent; give each its own data directory"
    )]
    Locked {
        /// The repository.
        path: String,
    },
    /// The data directory.
    #[error("the record's repository {path} can't be used")]
    Disk {
        /// The repository.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// libgit2.
    #[error("the record of {environment} in {path} can't {act}")]
    Git {
        /// The environment.
        environment: EnvironmentName,
        /// The repository.
        path: String,
        /// What was tried, such as `take an entry`.
        act: &'static str,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// Nothing was queued; the remote was not asked.
    Nothing,
    /// The remote now has the tip, with this many entries of ours that it didn't have.
    Entries {
        /// The remote's new tip.
        tip: Revision,
        /// How many commits were sent.
        count: usize,
        /// Whether somebody else's commits came in below ours. The tree then holds
        /// what they changed as well.
        below: Below,
    },
}

/// What lies below entries that were pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// What was there when they were made.
    Same,
    /// Commits that came to the remote meanwhile; ours were put on top.
    Foreign,
}

/// Why entries are still queued.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The remote can't be reached, or doesn't let us in.
    #[error(transparent)]
    Source(#[from] SourceProblem),
    /// The remote doesn't want it: a rule on the branch, or a hook.
    #[error(
        "{url} rejects the record on branch `{branch}`: {reason}; allow the agent's user to push there"
    )]
    Rejected {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// The server's words.
        reason: String,
    },
    /// Others keep pushing to the branch.
    #[error(
        "`{branch}` at {url} moved each time that the record was pushed; only one agent may write it"
    )]
    Contended {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
    },
    /// Our own repository.
    #[error(transparent)]
    Record(#[from] RecordError),
}
