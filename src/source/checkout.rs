//! Commits of a repository on this machine's disk: the mirror, or a person's own
//! checkout.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository};

use super::commit::RawCommit;
use super::commits;
use super::problem::form;
use crate::model::{Redacted, Revision, SourceCommit};

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
    /// A form of repository that can't be read here.
    #[error("{path} can't be read: {reason}")]
    Form {
        /// Its path.
        path: String,
        /// Which form it is, and what to do.
        reason: String,
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

/// A working tree and the repository that it belongs to, or a bare repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The working tree's root; of a bare repository, its own.
    pub root: PathBuf,
    /// The repository: to be opened for commits and refs.
    pub repository: PathBuf,
    /// Whether there is no working tree.
    pub bare: bool,
}

impl Checkout {
    /// The checkout or bare repository that a directory is in, looking upwards; `None` outside
    /// of any.
    ///
    /// # Errors
    /// When there is one that can't be opened.
    pub fn find(directory: &Path) -> Result<Option<Self>, CheckoutError> {
        let repository = match Repository::discover(directory) {
            Ok(repository) => repository,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(unopened(directory, error)),
        };
        let root = repository.workdir().unwrap_or(repository.path());
        Ok(Some(Self {
            root: root.to_owned(),
            repository: repository.path().to_owned(),
            bare: repository.workdir().is_none(),
        }))
    }

    /// The same, where it makes no difference why there is none.
    pub fn discover(directory: &Path) -> Option<Self> {
        Self::find(directory).ok().flatten()
    }

    /// Whether objects of it were left at the remote, as in a partial clone.
    pub fn is_partial(&self) -> bool {
        Repository::open(&self.repository).is_ok_and(|repository| is_partial(&repository))
    }

    /// The commit that is checked out; `None` in a repository without commits.
    pub fn head(&self) -> Option<Revision> {
        let repository = Repository::open(&self.repository).ok()?;
        repository.head().ok()?.target().map(revision)
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

/// Whether what can't be found in a repository may be at the remote that it was cloned from.
pub(super) fn is_partial(repository: &Repository) -> bool {
    let promised = || {
        let config = repository.config()?;
        let mut entries = config.entries(Some("^remote\\..*\\.promisor$"))?;
        Ok::<_, git2::Error>(entries.next().is_some())
    };
    promised().unwrap_or(false)
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
        .and_then(|object| object.peel_to_commit())
        .map(|commit| commit.id())
        .or_else(|error| odd(&opened, text).ok_or(error));
    match found {
        Ok(id) => Ok(revision(id)),
        Err(source) => Err(CheckoutError::NoCommit {
            text: text.to_owned(),
            path,
            source,
        }),
    }
}

/// The commit that a text names and libgit2 can't read.
fn odd(repository: &Repository, text: &str) -> Option<git2::Oid> {
    let prefixes = ["", "refs/heads/", "refs/tags/", "refs/remotes/origin/"];
    let named = prefixes
        .iter()
        .find_map(|prefix| repository.refname_to_id(&format!("{prefix}{text}")).ok());
    let id = named.or_else(|| {
        let revision: Revision = text.parse().ok()?;
        git2::Oid::from_str(revision.as_str()).ok()
    })?;
    commits::read(repository, id, |_| id).ok()
}

/// A commit's author and subject, as far as they can be read.
pub fn commit(repository: &Path, revision: &Revision) -> Result<SourceCommit, CheckoutError> {
    let failed = |source| CheckoutError::Read {
        revision: revision.clone(),
        path: repository.display().to_string(),
        source,
    };
    let opened = open(repository)?;
    let id = git2::Oid::from_str(revision.as_str()).map_err(failed)?;
    commits::read(&opened, id, |raw| source_commit(id, raw)).map_err(failed)
}

/// Whether a revision goes on from another one, as far as both are here.
pub fn descends(repository: &Path, tip: &Revision, base: &Revision) -> bool {
    let id = |revision: &Revision| git2::Oid::from_str(revision.as_str());
    let (Ok(opened), Ok(tip), Ok(base)) = (open(repository), id(tip), id(base)) else {
        return false;
    };
    commits::contains(&opened, tip, base).unwrap_or(false)
}

/// Whether a commit is another one, or the next after it.
pub fn is_next(repository: &Path, commit: &Revision, after: &Revision) -> bool {
    let next = || {
        let id = git2::Oid::from_str(commit.as_str()).ok()?;
        let parents = super::read_commit(&open(repository).ok()?, id, |it| it.parents.clone());
        Some(
            parents
                .ok()?
                .into_iter()
                .map(revision)
                .any(|parent| parent == *after),
        )
    };
    commit == after || next().unwrap_or(false)
}

/// A commit's author and subject, as far as they can be read.
pub(super) fn source_commit(id: git2::Oid, raw: &RawCommit<'_>) -> SourceCommit {
    SourceCommit {
        revision: revision(id),
        author: raw.author(),
        committed: raw.committed(),
        subject: raw.subject(),
    }
}

/// What is odd about a commit that is there and can't be used, such as a time that is
/// none; `None` if it can be.
///
/// # Errors
/// When the repository can't be opened, or the commit isn't there.
pub(crate) fn oddity(
    repository: &Path,
    revision: &Revision,
) -> Result<Option<String>, CheckoutError> {
    commit(repository, revision)?;
    let opened = open(repository)?;
    let id = git2::Oid::from_str(revision.as_str());
    Ok(id.ok().and_then(|id| commits::oddity(&opened, id)))
}

fn open(path: &Path) -> Result<Repository, CheckoutError> {
    Repository::open(path).map_err(|source| unopened(path, source))
}

fn unopened(path: &Path, source: git2::Error) -> CheckoutError {
    let path = path.display().to_string();
    match form(source.message()) {
        Some(reason) => CheckoutError::Form { path, reason },
        None => CheckoutError::Open { path, source },
    }
}

/// A commit's id, as a revision.
pub(crate) fn revision(id: git2::Oid) -> Revision {
    id.to_string()
        .parse()
        .expect("libgit2 prints an id as 40 hexadecimal digits")
}

#[cfg(test)]
mod tests;
