//! Commits of a repository on this machine's disk: the mirror, or a person's own
//! checkout.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository};
use jiff::Timestamp;

use crate::model::{Redacted, Revision, Signature, SourceCommit};

/// Why a commit can't be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The repository can't be opened.
    #[error("{path} can't be opened as a Git repository")]
    Open {
        /// Its path.
        path: String,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
    /// Text that names no commit, or more than one.
    #[error(
        "`{text}` names no commit in {path}: give a commit hash, a branch, or a tag that is there"
    )]
    NoCommit {
        /// What was asked for.
        text: String,
        /// The repository.
        path: String,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
    /// A commit object that is missing or damaged.
    #[error("commit {revision} can't be read from {path}")]
    Read {
        /// The commit.
        revision: Revision,
        /// The repository.
        path: String,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
}

/// A working tree and the repository that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The working tree's root.
    pub root: PathBuf,
    /// The repository: to be opened for commits and refs.
    pub repository: PathBuf,
}

impl Checkout {
    /// The checkout that a directory is in, looking upwards; `None` outside of any.
    pub fn discover(directory: &Path) -> Option<Self> {
        let repository = Repository::discover(directory).ok()?;
        Some(Self {
            root: repository.workdir()?.to_owned(),
            repository: repository.path().to_owned(),
        })
    }

    /// The commit that is checked out; `None` in a repository without commits.
    pub fn head(&self) -> Option<Revision> {
        let repository = Repository::open(&self.repository).ok()?;
        let head = repository.head().ok()?.peel_to_commit().ok()?;
        head.id().to_string().parse().ok()
    }

    /// The address of the remote `origin`, as Git would connect to it. It may hold a
    /// password; [`RepoUrl`](super::RepoUrl) takes that off. `None` without one.
    pub fn origin(&self) -> Option<Redacted> {
        let repository = Repository::open(&self.repository).ok()?;
        let remote = repository.find_remote("origin").ok()?;
        let url = remote.url().ok()?.to_owned();
        // Git takes a relative path from the working tree.
        let relative = !url.contains(':') && !url.starts_with('/');
        Some(Redacted::new(if relative {
            self.root.join(url).to_string_lossy().into_owned()
        } else {
            url
        }))
    }
}

/// The commit that a text names as `git rev-parse` would: a hash, a branch, a tag.
pub fn resolve(repository: &Path, text: &str) -> Result<Revision, CheckoutError> {
    let path = repository.display().to_string();
    let opened = open(repository)?;
    let found = opened
        .revparse_single(text)
        .or_else(|error| match error.code() {
            // A bare mirror has no branches of its own.
            ErrorCode::NotFound => opened.revparse_single(&format!("origin/{text}")),
            _ => Err(error),
        })
        .and_then(|object| object.peel_to_commit());
    match found {
        Ok(commit) => Ok(revision(commit.id())),
        Err(source) => Err(CheckoutError::NoCommit {
            text: text.to_owned(),
            path,
            source,
        }),
    }
}

/// A commit's author and subject.
pub fn commit(repository: &Path, revision: &Revision) -> Result<SourceCommit, CheckoutError> {
    let failed = |source| CheckoutError::Read {
        revision: revision.clone(),
        path: repository.display().to_string(),
        source,
    };
    let opened = open(repository)?;
    let id = git2::Oid::from_str(revision.as_str()).map_err(failed)?;
    let found = opened.find_commit(id).map_err(failed)?;
    let summary = found.summary_bytes().unwrap_or_default();
    Ok(SourceCommit {
        revision: revision.clone(),
        author: signature(&found.author()),
        committed: signature(&found.committer()).time,
        subject: String::from_utf8_lossy(summary).into_owned(),
    })
}

/// A name or time that isn't valid is made so: history can't be mended.
fn signature(author: &git2::Signature<'_>) -> Signature {
    Signature {
        name: String::from_utf8_lossy(author.name_bytes()).into_owned(),
        email: String::from_utf8_lossy(author.email_bytes()).into_owned(),
        time: Timestamp::from_second(author.when().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
    }
}

fn open(path: &Path) -> Result<Repository, CheckoutError> {
    Repository::open(path).map_err(|source| CheckoutError::Open {
        path: path.display().to_string(),
        source,
    })
}

/// A commit's id, as a revision.
pub(crate) fn revision(id: git2::Oid) -> Revision {
    id.to_string()
        .parse()
        .expect("libgit2 prints an id as 40 hexadecimal digits")
}

#[cfg(test)]
mod tests;
