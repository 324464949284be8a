//! Pushes to a repository on this machine's disk.
//!
//! libgit2 refuses to push to a repository that has a working tree. Its objects are
//! written there directly, and its ref is moved only if it still is what it was.

use git2::{ErrorCode, ObjectType, Odb, OdbLookupFlags, Oid, Repository, Sort};

use crate::source::{RepoUrl, Sent, SourceProblem, explain};

/// Pushes `tip` to a branch, if it follows on what is there.
pub(super) fn push(
    from: &Repository,
    to: &RepoUrl,
    reference: &str,
    tip: Oid,
) -> Result<Sent, SourceProblem> {
    send(from, to, reference, tip).map_err(|error| explain(to, &error, None))
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
        && !from.graph_descendant_of(tip, current).unwrap_or(false)
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

/// Copies a commit with all that it needs and the other side doesn't have. What an
/// object names goes before it, so an object that is there is there with all below.
fn copy(
    from: &Repository,
    to: &Repository,
    tip: Oid,
    known: Option<Oid>,
) -> Result<(), git2::Error> {
    let mut walk = from.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(tip)?;
    if let Some(known) = known {
        walk.hide(known)?;
    }
    let (from, to) = (Objects::of(from)?, Objects::of(to)?);
    for id in walk {
        let id = id?;
        from.tree_to(from.repository.find_commit(id)?.tree_id(), &to)?;
        from.object_to(id, &to)?;
    }
    Ok(())
}

struct Objects<'a> {
    repository: &'a Repository,
    store: Odb<'a>,
}

impl<'a> Objects<'a> {
    fn of(repository: &'a Repository) -> Result<Self, git2::Error> {
        Ok(Self {
            repository,
            store: repository.odb()?,
        })
    }

    /// Nobody adds what we need meanwhile, so packs aren't looked for anew each time.
    fn has(&self, id: Oid) -> bool {
        self.store.exists_ext(id, OdbLookupFlags::NO_REFRESH)
    }

    fn tree_to(&self, id: Oid, to: &Self) -> Result<(), git2::Error> {
        if to.has(id) {
            return Ok(());
        }
        for entry in &self.repository.find_tree(id)? {
            match entry.kind() {
                Some(ObjectType::Tree) => self.tree_to(entry.id(), to)?,
                Some(ObjectType::Blob) => self.object_to(entry.id(), to)?,
                _ => {}
            }
        }
        self.object_to(id, to)
    }

    fn object_to(&self, id: Oid, to: &Self) -> Result<(), git2::Error> {
        if to.has(id) {
            return Ok(());
        }
        let object = self.store.read(id)?;
        to.store.write(object.kind(), object.data()).map(|_| ())
    }
}
