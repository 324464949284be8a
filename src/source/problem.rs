//! What is wrong with a source: what was tried, on what, what the other side said,
//! what to do.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use git2::{ErrorClass, ErrorCode};
use rustix::io::Errno;

use super::url::RepoUrl;
use crate::model::{Revision, shell_quoted};

/// Why there is no newer commit to be had. Addresses in it hold no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceProblem {
    /// No answer, or a broken one.
    #[error("{url} can't be reached: {reason}")]
    Unreachable {
        /// The repository.
        url: String,
        /// What libgit2 or the server said.
        reason: String,
    },
    /// The server is there, and has no time for us.
    #[error("{url} can't be reached: {reason}{}", asks(*.pause))]
    Busy {
        /// The repository.
        url: String,
        /// What the server said.
        reason: String,
        /// For how long it wants to be left alone, if it says so.
        pause: Option<Duration>,
    },
    /// The host answers, and has no such repository.
    #[error(
        "{url} is no Git repository that can be seen from here: {reason}; check the address, and what the credentials may read"
    )]
    NoRepository {
        /// The repository.
        url: String,
        /// What libgit2 or the server said.
        reason: String,
    },
    /// Credentials that are missing, refused, or not enough.
    #[error("{url} doesn't let the agent in: {reason}")]
    Unauthorized {
        /// The repository.
        url: String,
        /// What was given, and what the server said.
        reason: String,
    },
    /// The SSH server isn't one that the operator vouched for.
    #[error("{url} is not trusted: {reason}")]
    HostKey {
        /// The repository.
        url: String,
        /// Which key it showed, and what to do.
        reason: String,
    },
    /// The HTTPS server's certificate is not valid.
    #[error("{url} is not trusted: {reason}")]
    Certificate {
        /// The repository.
        url: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The branch isn't there, or was deleted.
    #[error("{url} has no branch `{branch}`{}; push it, or name another", suggest(.others))]
    BranchMissing {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// Branches that are there, a few.
        others: Vec<String>,
    },
    /// A repository without any commit.
    #[error("{url} is empty; push a first commit to `{branch}`")]
    Empty {
        /// The repository.
        url: String,
        /// The branch that is wanted.
        branch: String,
    },
    /// A ref that leads to no commit that can be read.
    #[error(
        "`{reference}` of {url} can't be used: {revision}: {reason}; move it to a commit as Git makes them"
    )]
    Unusable {
        /// The repository.
        url: String,
        /// The ref.
        reference: String,
        /// What it leads to.
        revision: Revision,
        /// What is odd about that.
        reason: String,
    },
    /// A branch that makes another one impossible.
    #[error(
        "{url} has a branch `{branch}`, beside which Git can keep no branch `{wanted}`; rename it: git push origin {} {}",
        shell_quoted(&format!("origin/{branch}:refs/heads/NEW-NAME")),
        shell_quoted(&format!(":refs/heads/{branch}"))
    )]
    InTheWay {
        /// The repository.
        url: String,
        /// The branch that is there.
        branch: String,
        /// The one that isn't.
        wanted: String,
    },
    /// Git's own configuration, on this machine or in the repository.
    #[error("{url} can't be opened: Git's configuration can't be read: {reason}; mend that file")]
    Configuration {
        /// The repository.
        url: String,
        /// Which file, which line, and what is wrong with it.
        reason: String,
    },
    /// A form of repository that can't be read here.
    #[error("{url} can't be read: {reason}")]
    Form {
        /// The repository.
        url: String,
        /// Which form it is, and what to do.
        reason: String,
    },
    /// Objects that are missing or damaged, even in a fresh copy.
    #[error(
        "the copy of {url} is damaged, and so is a fresh one: {reason}; run `git fsck` in the repository itself"
    )]
    Corrupt {
        /// The repository.
        url: String,
        /// What is missing or damaged.
        reason: String,
    },
    /// The data directory can't be written or read.
    #[error(
        "the copy of {url} in {path} can't be kept: {reason}; check the space and the rights of the data directory"
    )]
    Disk {
        /// The repository.
        url: String,
        /// The copy's path.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// Another process makes the same copy.
    #[error(
        "the copy of {url} in {path} is being written by another process; give each agent its own data directory"
    )]
    Shared {
        /// The repository.
        url: String,
        /// The copy's path.
        path: String,
    },
}

/// What is heeded of a server's wish to be left alone: nobody would know of a new commit
/// for a day because one answer says so.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

fn asks(pause: Option<Duration>) -> String {
    let Some(pause) = pause else {
        return String::new();
    };
    let (asked, longest) = (pause.as_secs(), LONGEST_PAUSE.as_secs());
    if pause > LONGEST_PAUSE {
        format!("; it asks to be left alone for {asked} s, of which {longest} s are heeded")
    } else {
        format!("; it asks to be left alone for {asked} s")
    }
}

fn suggest(others: &[String]) -> String {
    if others.is_empty() {
        String::new()
    } else {
        format!(" (it has `{}`)", others.join("`, `"))
    }
}

impl SourceProblem {
    /// Whether the remote answered as it should, and only has no commit for us.
    pub fn answered(&self) -> bool {
        matches!(
            self,
            Self::Empty { .. } | Self::BranchMissing { .. } | Self::Unusable { .. }
        )
    }

    /// The same of a fetch into a copy: where it is the copy that can't be written, nothing is
    /// wrong with the repository.
    pub(super) fn of_copy(self, path: &Path) -> Self {
        match self {
            Self::Unreachable { url, reason }
            | Self::Corrupt { url, reason }
            | Self::NoRepository { url, reason }
                if is_unwritable(&reason, path) =>
            {
                Self::Disk {
                    url,
                    path: path.display().to_string(),
                    reason,
                }
            }
            other => other,
        }
    }

    /// What the ref leads to that can't be used.
    pub(super) fn commit(&self) -> Option<&Revision> {
        match self {
            Self::Unusable { revision, .. } => Some(revision),
            _ => None,
        }
    }

    /// The least time until it is asked again.
    pub(super) fn pause(&self) -> Duration {
        match self {
            Self::Busy {
                pause: Some(pause), ..
            } => (*pause).min(LONGEST_PAUSE),
            _ => Duration::ZERO,
        }
    }

    /// Whether the copy may be at fault, so that a fresh one might help.
    pub(super) fn maybe_local(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

/// Whether the system's words, as libgit2 hands them on, are of a file that can't be written
/// beside this copy: nothing is written elsewhere by a fetch.
fn is_unwritable(words: &str, copy: &Path) -> bool {
    let beside = copy.parent().and_then(Path::to_str);
    let full = [Errno::NOSPC, Errno::ROFS, Errno::DQUOT];
    full.iter()
        .any(|error| words.ends_with(&error_text(*error)))
        || beside.is_some_and(|beside| words.contains(&format!("'{beside}/")))
}

/// As the system says it.
fn error_text(error: Errno) -> String {
    let text = std::io::Error::from(error).to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Tells what libgit2's error means.
pub(crate) fn explain(url: &RepoUrl, error: &git2::Error) -> SourceProblem {
    by_class(url.to_string(), error)
}

fn by_class(url: String, error: &git2::Error) -> SourceProblem {
    let reason = error.message().to_owned();
    if let Some(reason) = form(&reason) {
        return SourceProblem::Form { url, reason };
    }
    match (error.class(), error.code()) {
        (_, ErrorCode::Auth) => SourceProblem::Unauthorized { url, reason },
        (_, ErrorCode::Certificate) => SourceProblem::Certificate { url, reason },
        // A walk through what is here came to what it can't read.
        (ErrorClass::Invalid, _) if reason.starts_with("failed to parse") => {
            SourceProblem::Corrupt { url, reason }
        }
        (ErrorClass::Repository, _) => SourceProblem::NoRepository { url, reason },
        (ErrorClass::Os | ErrorClass::Filesystem, ErrorCode::NotFound) => {
            SourceProblem::NoRepository { url, reason }
        }
        (
            ErrorClass::Odb
            | ErrorClass::Object
            | ErrorClass::Zlib
            | ErrorClass::Indexer
            | ErrorClass::Reference
            | ErrorClass::Tree
            | ErrorClass::Sha1,
            _,
        ) => SourceProblem::Corrupt { url, reason },
        (ErrorClass::Config, _) => SourceProblem::Configuration { url, reason },
        _ => SourceProblem::Unreachable { url, reason },
    }
}

/// Whether an error is libgit2's of an object that isn't here.
pub fn is_absence(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<git2::Error>().is_some_and(|error| {
        (error.class(), error.code()) == (ErrorClass::Odb, ErrorCode::NotFound)
    })
}

/// What is to be done about a repository of a newer form than libgit2 knows, by its words.
pub(super) fn form(words: &str) -> Option<String> {
    let lower = words.to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|some| lower.contains(some));
    if says(&["extensions.refstorage", "reftable"]) {
        Some("its refs are kept as a reftable, which the agent can't read from a disk; run `git refs migrate --ref-format=files` there, or give its address at a server".to_owned())
    } else if says(&["objectformat", "object format", "object type sha256"]) {
        Some("its objects are named by SHA-256, which the agent can't read; use a repository of SHA-1 (`git init --object-format=sha1`)".to_owned())
    } else if says(&["unsupported extension name", "extensions.partialclone"]) {
        Some(format!(
            "it is of a form that the agent can't read ({words}); make a full clone of it"
        ))
    } else {
        None
    }
}
