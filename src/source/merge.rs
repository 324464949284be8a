//! What merging a pull request would bring: both sides in the mirror, the result in
//! memory alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use git2::{ErrorCode, Index, Oid, Repository};

use super::approvals::approvals;
use super::checkout::revision;
use super::problem::SourceProblem;
use super::remote::Remote;
use super::tree::GitTree;
use crate::model::{Digest, Revision, Tree};

/// Where the heads of pull requests are kept, below `refs/`.
const HEADS: &str = "refs/agent/pulls";

/// Objects in memory take precedence over any on disk, and are where new ones go.
const BEFORE_ALL: i32 = 1_000;

/// A conflict is told by so many of its files.
const NAMED: usize = 20;

/// The heads of pull requests in a repository on this disk.
#[derive(Debug, Clone, Copy)]
pub struct Pulls<'a> {
    /// The repository, which has the branch that they are for.
    pub repository: &'a Path,
    /// Where they come from.
    pub remote: &'a Remote,
}

/// A pull request, as far as its commits go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// The ref of the remote that has its head.
    pub reference: String,
    /// Its head.
    pub head: Revision,
}

/// What comes of a merge.
pub enum Merge {
    /// The files as they would be.
    Clean(Merged),
    /// The files that both sides have changed.
    Conflict(Vec<String>),
}

/// The result of a merge.
pub struct Merged {
    /// Its files.
    pub tree: Arc<dyn Tree>,
    /// The id of its tree: the same files, the same id.
    pub id: String,
    /// The plans that either side approves.
    pub approved: BTreeSet<Digest>,
}

/// Why it can't be told what a merge brings.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The remote did not give the head.
    #[error(transparent)]
    Source(#[from] SourceProblem),
    /// The head that the forge names is not under its ref (yet, or any more).
    #[error("the commit {0} of the pull request is not to be had")]
    Gone(Revision),
    /// libgit2 failed.
    #[error("the pull request cannot be merged to be looked at")]
    Git(#[from] git2::Error),
    /// The commits can't be read.
    #[error(transparent)]
    Read(#[from] super::checkout::CheckoutError),
}

impl Pulls<'_> {
    /// Brings a branch's newest commit into a repository that is made if it is missing.
    ///
    /// # Errors
    /// When the remote doesn't give it.
    pub fn fetch_branch(&self, branch: &str) -> Result<Revision, MergeError> {
        let repository = Repository::init_bare(self.repository)?;
        let tracking = format!("refs/remotes/origin/{branch}");
        let refspec = format!("+refs/heads/{branch}:{tracking}");
        self.remote.fetch(&repository, &[refspec])?;
        Ok(revision(repository.refname_to_id(&tracking)?))
    }

    /// Brings a pull request's commits, unless they are here.
    ///
    /// # Errors
    /// When the remote doesn't give them.
    pub fn fetch(&self, pull: &Pull) -> Result<(), MergeError> {
        let repository = Repository::open(self.repository)?;
        let head = Oid::from_str(pull.head.as_str())?;
        if repository.find_commit(head).is_err() {
            let refspec = format!("+{}:{HEADS}/{}", pull.reference, pull.number);
            self.remote.fetch(&repository, &[refspec])?;
        }
        match repository.find_commit(head) {
            Ok(_) => Ok(()),
            Err(error) if error.code() == ErrorCode::NotFound => {
                Err(MergeError::Gone(pull.head.clone()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets go of the heads of all pull requests but these.
    ///
    /// # Errors
    /// When the repository can't be written to.
    pub fn keep(&self, open: &BTreeSet<u64>) -> Result<(), MergeError> {
        let repository = Repository::open(self.repository)?;
        for reference in repository.references_glob(&format!("{HEADS}/*"))? {
            let mut reference = reference?;
            let number = reference.name().ok().and_then(|name| {
                let number = name.rsplit('/').next()?;
                number.parse::<u64>().ok()
            });
            if number.is_none_or(|number| !open.contains(&number)) {
                reference.delete()?;
            }
        }
        Ok(())
    }

    /// Merges a pull request that was fetched onto a commit, as the forge would.
    ///
    /// # Errors
    /// When a commit or what it leads to can't be read.
    pub fn merge(&self, base: &Revision, head: &Revision) -> Result<Merge, MergeError> {
        let repository = Repository::open(self.repository)?;
        // Held by the repository from here on: nothing of the merge reaches the disk.
        repository.odb()?.add_new_mempack_backend(BEFORE_ALL)?;
        let id = {
            let commit =
                |revision: &Revision| repository.find_commit(Oid::from_str(revision.as_str())?);
            let mut index = repository.merge_commits(&commit(base)?, &commit(head)?, None)?;
            if index.has_conflicts() {
                return Ok(Merge::Conflict(conflicts(&index)?));
            }
            index.write_tree_to(&repository)?
        };
        let approved = [base, head].map(|side| approvals(self.repository, side));
        let [base, head] = approved;
        Ok(Merge::Clean(Merged {
            tree: Arc::new(GitTree::of_tree(repository, id)),
            id: id.to_string(),
            approved: base?.into_iter().chain(head?).collect(),
        }))
    }
}

fn conflicts(index: &Index) -> Result<Vec<String>, git2::Error> {
    let mut paths = BTreeSet::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let sides = [conflict.our, conflict.their, conflict.ancestor];
        let entry = sides.into_iter().flatten().next();
        paths.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    Ok(paths.into_iter().take(NAMED).collect())
}

#[cfg(test)]
mod tests;
