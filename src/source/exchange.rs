//! What goes between a repository of ours and one elsewhere, whatever stands in their
//! histories. One on this disk is read and written directly: libgit2's own way there looks
//! at each of its refs, and gives up at the first that it can't read.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{ObjectType, Oid, Repository};

use super::checkout::revision;
use super::commits::oddity;
use super::grafts;
use super::in_the_way;
use super::objects::copy;
use super::problem::{SourceProblem, explain};
use super::remote::{Remote, Sent};
use crate::model::Revision;

impl Remote {
    /// Fetches refs, each as `+theirs:ours`, into a repository; refs that the remote
    /// doesn't have are left out without a word.
    ///
    /// # Errors
    /// When the remote doesn't give them. [`SourceProblem::Unusable`] for one that leads to
    /// something else than a commit that can be read: then ours stays as it was, and the
    /// others have come.
    pub(crate) fn fetch(
        &self,
        into: &Repository,
        refspecs: &[String],
    ) -> Result<(), SourceProblem> {
        let pairs: Vec<(&str, &str)> = refspecs.iter().filter_map(|spec| pair(spec)).collect();
        let before: Vec<Option<Oid>> = pairs
            .iter()
            .map(|(_, ours)| into.refname_to_id(ours).ok())
            .collect();
        match self.url.local_path() {
            Some(path) => {
                fetch_from(path, into, &pairs).map_err(|error| explain(&self.url, &error))?;
            }
            None => self.fetch_around(into, refspecs)?,
        }
        let mut problem = None;
        for ((theirs, ours), before) in pairs.into_iter().zip(before) {
            let Ok(now) = into.refname_to_id(ours) else {
                continue;
            };
            let Some(reason) = oddity(into, now) else {
                continue;
            };
            // A ref to it would be in the way of each fetch to come.
            put_back(into, ours, before).map_err(|error| explain(&self.url, &error))?;
            problem = Some(self.unusable(theirs, now, reason));
        }
        problem.map_or(Ok(()), Err)
    }

    /// Once more, led around what is in the way of telling the remote what is here.
    fn fetch_around(&self, into: &Repository, refspecs: &[String]) -> Result<(), SourceProblem> {
        match self.fetch_once(into, refspecs) {
            Err(problem) => match mended(into, &problem) {
                Some(again) => self.fetch_once(&again, refspecs),
                None => Err(problem),
            },
            fetched => fetched,
        }
    }

    /// Pushes one refspec. A server that rejects it is `Ok(Sent::Rejected)`: libgit2
    /// itself says nothing of it.
    ///
    /// # Errors
    /// When the remote can't be reached, or doesn't let us in.
    pub(crate) fn push(&self, from: &Repository, refspec: &str) -> Result<Sent, SourceProblem> {
        let pushed = match self.push_once(from, refspec) {
            Err(problem) => match mended(from, &problem) {
                Some(again) => self.push_once(&again, refspec),
                None => Err(problem),
            },
            pushed => pushed,
        };
        match (&pushed, pair(refspec)) {
            (Ok(Sent::Rejected(_)), Some((_, theirs))) => self.room_for(theirs).and(pushed),
            _ => pushed,
        }
    }

    /// # Errors
    /// When a branch is in the way of a ref. Where that can't be told, none is.
    pub(crate) fn room_for(&self, reference: &str) -> Result<(), SourceProblem> {
        let Some(wanted) = reference.strip_prefix("refs/heads/") else {
            return Ok(());
        };
        let branches = self.branches().unwrap_or_default();
        match in_the_way::of(wanted, branches.keys().map(String::as_str)) {
            Some(branch) => Err(SourceProblem::InTheWay {
                url: self.url.to_string(),
                branch: branch.to_owned(),
                wanted: wanted.to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn unusable(&self, reference: &str, id: Oid, reason: String) -> SourceProblem {
        SourceProblem::Unusable {
            url: self.url.to_string(),
            reference: reference.to_owned(),
            revision: revision(id),
            reason,
        }
    }
}

/// The repository, if there was something in it to be led around. A checkout is somebody
/// else's, and so is a bare clone: our own copies name no remote.
fn mended(repository: &Repository, problem: &SourceProblem) -> Option<Repository> {
    let ours = repository.is_bare() && repository.remotes().is_ok_and(|names| names.is_empty());
    if !ours || !problem.maybe_local() {
        return None;
    }
    let mended = grafts::mend(repository).unwrap_or(false);
    mended.then(|| Repository::open(repository.path()).ok())?
}

/// The branches of a repository on this disk. A ref that can't be read is none.
pub(super) fn branches(path: &Path) -> Result<BTreeMap<String, Revision>, git2::Error> {
    let repository = Repository::open(path)?;
    let mut branches = BTreeMap::new();
    for reference in repository.references()? {
        let Ok(reference) = reference.and_then(|reference| reference.resolve()) else {
            continue;
        };
        // A name that isn't UTF-8 is none of ours.
        let name = reference.name().ok();
        let name = name.and_then(|name| name.strip_prefix("refs/heads/"));
        if let (Some(name), Some(id)) = (name, reference.target()) {
            branches.insert(name.to_owned(), revision(id));
        }
    }
    Ok(branches)
}

fn fetch_from(path: &Path, into: &Repository, pairs: &[(&str, &str)]) -> Result<(), git2::Error> {
    let there = Repository::open(path)?;
    let objects = there.odb()?;
    for (theirs, ours) in pairs {
        let Ok(tip) = there.refname_to_id(theirs) else {
            continue;
        };
        let before = into.refname_to_id(ours).ok();
        if before == Some(tip) {
            continue;
        }
        let object = objects.read(tip)?;
        if object.kind() == ObjectType::Commit {
            copy(&there, into, tip, before)?;
        } else {
            into.odb()?.write(object.kind(), object.data())?;
        }
        into.reference(ours, tip, true, "fetch")?;
    }
    Ok(())
}

fn put_back(repository: &Repository, name: &str, before: Option<Oid>) -> Result<(), git2::Error> {
    let before = before.filter(|id| oddity(repository, *id).is_none());
    match before {
        Some(before) => repository
            .reference(name, before, true, "put back")
            .map(|_| ()),
        None => repository.find_reference(name)?.delete(),
    }
}

/// A refspec's two sides.
fn pair(refspec: &str) -> Option<(&str, &str)> {
    refspec.trim_start_matches('+').split_once(':')
}
