//! Pushes to a repository on this machine's disk.
//!
//! libgit2 refuses to push to a repository that has a working tree. Its objects are
//! written there directly, and its ref is moved only if it still is what it was.

use git2::{ErrorCode, Oid, Repository};

use crate::source::{RepoUrl, Sent, SourceProblem, contains, copy, explain};

/// Pushes `tip` to a branch, if it follows on what is there.
pub(super) fn push(
    from: &Repository,
    to: &RepoUrl,
    reference: &str,
    tip: Oid,
) -> Result<Sent, SourceProblem> {
    send(from, to, reference, tip).map_err(|error| explain(to, &error))
}

/// Makes a ref there `tip`, whatever it was.
pub(super) fn put(
    from: &Repository,
    to: &RepoUrl,
    reference: &str,
    tip: Oid,
) -> Result<Sent, SourceProblem> {
    let put = || {
        let there = Repository::open(to.connect_text())?;
        let current = there.refname_to_id(reference).ok();
        // What we don't have can't be left out.
        let known = current.filter(|id| from.find_commit(*id).is_ok());
        copy(from, &there, tip, known)?;
        there.reference(reference, tip, true, "put by gitops-agent")?;
        Ok(Sent::Taken)
    };
    put().map_err(|error: git2::Error| explain(to, &error))
}

fn send(from: &Repository, to: &RepoUrl, reference: &str, tip: Oid) -> Result<Sent, git2::Error> {
    let there = Repository::open(to.connect_text())?;
    if checked_out(&there, reference) {
        let why = "the branch is checked out there; check out another one";
        return Ok(Sent::Rejected(why.to_owned()));
    }
    let current = match there.refname_to_id(reference) {
        Ok(id) => Some(id),
        Err(error) if error.code() == ErrorCode::NotFound => None,
        Err(error) => return Err(error),
    };
    if current == Some(tip) {
        return Ok(Sent::Taken);
    }
    if let Some(current) = current
        && !contains(from, tip, current).unwrap_or(false)
    {
        return Ok(Sent::Behind);
    }
    copy(from, &there, tip, current)?;
    let log = "push by gitops-agent";
    let moved = match current {
        Some(current) => there.reference_matching(reference, tip, true, current, log),
        None => there.reference(reference, tip, false, log),
    };
    match moved {
        Ok(_) => Ok(Sent::Taken),
        Err(error) => match error.code() {
            ErrorCode::Modified | ErrorCode::Exists | ErrorCode::Locked => Ok(Sent::Behind),
            _ => Err(error),
        },
    }
}

fn checked_out(repository: &Repository, reference: &str) -> bool {
    let head = repository.head();
    !repository.is_bare() && head.is_ok_and(|head| head.name() == Ok(reference))
}
