//! What is wrong with a source: what was tried, on what, what the other side said,
//! what to do.

use git2::{ErrorClass, ErrorCode};

use super::auth::CredentialsError;
use super::known_hosts::HostKeyError;
use super::url::RepoUrl;

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
    #[error("{url} is not trusted: {error}")]
    HostKey {
        /// The repository.
        url: String,
        /// Which key it showed, and what to do.
        error: Box<HostKeyError>,
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
        matches!(self, Self::Empty { .. } | Self::BranchMissing { .. })
    }

    /// Whether the copy may be at fault, so that a fresh one might help.
    pub(super) fn maybe_local(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

/// What our own callbacks refused during a conversation: more telling than what
/// libgit2 makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Credentials(CredentialsError),
    HostKey(HostKeyError),
    Stalled { seconds: u64 },
}

/// Tells what a failed conversation with a remote means.
pub(crate) fn explain(
    url: &RepoUrl,
    error: &git2::Error,
    refusal: Option<Refusal>,
) -> SourceProblem {
    let url = url.to_string();
    match refusal {
        Some(Refusal::Credentials(why)) => SourceProblem::Unauthorized {
            url,
            reason: why.to_string(),
        },
        Some(Refusal::HostKey(error)) => SourceProblem::HostKey {
            url,
            error: Box::new(error),
        },
        Some(Refusal::Stalled { seconds }) => SourceProblem::Unreachable {
            url,
            reason: format!("nothing more came for {seconds} s, so the transfer was given up"),
        },
        None => by_class(url, error),
    }
}

fn by_class(url: String, error: &git2::Error) -> SourceProblem {
    let reason = error.message().to_owned();
    match (error.class(), error.code()) {
        (_, ErrorCode::Auth) => SourceProblem::Unauthorized { url, reason },
        (_, ErrorCode::Certificate) => SourceProblem::Certificate { url, reason },
        (ErrorClass::Http, _) => by_status(url, reason),
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
            | ErrorClass::Config
            | ErrorClass::Sha1,
            _,
        ) => SourceProblem::Corrupt { url, reason },
        _ => SourceProblem::Unreachable { url, reason },
    }
}

/// libgit2 reports a status only as text: `unexpected http status code: 404`.
fn by_status(url: String, reason: String) -> SourceProblem {
    let code = reason
        .rsplit(' ')
        .next()
        .and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(401 | 403) => SourceProblem::Unauthorized { url, reason },
        Some(404 | 410) => SourceProblem::NoRepository { url, reason },
        _ => SourceProblem::Unreachable { url, reason },
    }
}
