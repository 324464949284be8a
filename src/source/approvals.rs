//! Approvals that stand in commit messages.

use std::path::Path;

use git2::{Oid, Repository, Sort};

use super::checkout::CheckoutError;
use crate::model::{Digest, Revision};

/// The trailer that approves a plan by its digest.
const TRAILER: &str = "Approve-Plan:";
/// How far back an approval may lie, in commits.
const REACH: usize = 100;

/// The plans that the last commits up to a revision approve.
///
/// # Errors
/// When the repository can't be read.
pub fn approvals(repository: &Path, revision: &Revision) -> Result<Vec<Digest>, CheckoutError> {
    let failed = |source| CheckoutError::Read {
        revision: revision.clone(),
        path: repository.display().to_string(),
        source,
    };
    let opened = Repository::open(repository).map_err(failed)?;
    let mut walk = opened.revwalk().map_err(failed)?;
    // By topology too, all of the history would be read first.
    walk.set_sorting(Sort::TIME).map_err(failed)?;
    walk.push(Oid::from_str(revision.as_str()).map_err(failed)?)
        .map_err(failed)?;
    let mut approved = Vec::new();
    for commit in walk.take(REACH) {
        let commit = opened
            .find_commit(commit.map_err(failed)?)
            .map_err(failed)?;
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let named = message
            .lines()
            .filter_map(|line| line.trim().strip_prefix(TRAILER));
        approved.extend(named.filter_map(|digest| Digest::try_from(digest.trim().to_owned()).ok()));
    }
    Ok(approved)
}
