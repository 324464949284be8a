//! What merging a pull request would bring: both sides in the mirror, the result in
//! memory alone.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use git2::{Index, Oid, Repository};

use super::approvals::{Approved, approvals};
use super::checkout::revision;
use super::commits::{self, Walk};
use super::objects::paths;
use super::problem::SourceProblem;
use super::remote::Remote;
use super::tree::GitTree;
use crate::model::{Revision, Tree};

/// Where the heads of pull requests are kept, below `refs/`.
const HEADS: &str = "refs/agent/pulls";

/// Objects in memory take precedence over any on disk, and are where new ones go.
const BEFORE_ALL: i32 = 1_000;

/// The most paths that a side may have: libgit2 merges in a list of all of them.
const MAX_PATHS: u64 = 200_000;

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
    /// It is not tried: a side has more files and directories than this.
    TooLarge(u64),
}

/// The result of a merge.
pub struct Merged {
    /// Its files.
    pub tree: Arc<dyn Tree>,
    /// The id of its tree: the same files, the same id.
    pub id: String,
    /// What either side approves.
    pub approved: Approved,
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
    /// The head is a commit that libgit2 can't read.
    #[error("the commit {0} of the pull request can't be used: {1}")]
    Odd(Revision, String),
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
        let is_here = || commits::read(&repository, head, |_| ()).is_ok();
        if !is_here() {
            let refspec = format!("+{}:{HEADS}/{}", pull.reference, pull.number);
            self.remote.fetch(&repository, &[refspec])?;
        }
        if !is_here() {
            return Err(MergeError::Gone(pull.head.clone()));
        }
        match commits::oddity(&repository, head) {
            Some(why) => Err(MergeError::Odd(pull.head.clone(), why)),
            None => Ok(()),
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
        for side in [base, head] {
            let tree = commits::tree_id(&repository, Oid::from_str(side.as_str())?)?;
            if paths(&repository, tree)? > MAX_PATHS {
                return Ok(Merge::TooLarge(MAX_PATHS));
            }
        }
        // Held by the repository from here on: nothing of the merge reaches the disk.
        repository.odb()?.add_new_mempack_backend(BEFORE_ALL)?;
        let id = {
            let [base, head] = [base, head].map(|side| Oid::from_str(side.as_str()));
            let mut index = merged(&repository, base?, head?)?;
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
            approved: base?.and(head?),
        }))
    }
}

/// As Git merges them; around a commit that libgit2 can't read, by the newest one that both
/// sides have.
fn merged(repository: &Repository, base: Oid, head: Oid) -> Result<Index, git2::Error> {
    let commits = [base, head].map(|side| repository.find_commit(side));
    if let [Ok(base), Ok(head)] = &commits
        && let Ok(index) = repository.merge_commits(base, head, None)
    {
        return Ok(index);
    }
    let tree = |id| commits::tree_of(repository, id);
    let beneath: HashSet<Oid> = Walk::from(repository, [base])?.map(|one| one.id).collect();
    let mut shared = Walk::from(repository, [head])?
        .filter(|one| beneath.contains(&one.id))
        .filter_map(|one| tree(one.id).ok());
    let ancestor = match shared.next() {
        Some(ancestor) => ancestor,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    repository.merge_trees(&ancestor, &tree(base)?, &tree(head)?, None)
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
