//! The bare copy of the environment repository in the data directory.
//!
//! It holds nothing that the remote doesn't: whenever it is doubtful it is thrown
//! away and made again. Nothing stays open between calls, so a copy that somebody
//! deletes or damages meanwhile is noticed.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use git2::{Odb, Oid, Repository};
use rustix::fs::{CWD, RenameFlags};
use tracing::warn;

use super::checkout::revision;
use super::commits::{self, Content, Walk, contains, tree_id};
use super::objects::{added, has_many_packs, loose};
use super::problem::{SourceProblem, explain};
use super::remote::Remote;
use super::stamp::Stamp;
use super::tree::MAX_FILE;
use crate::model::{Digest, Revision};

/// What is copied from a disk stays in files of its own, of which Git keeps those that
/// begin alike in one directory: with more than this many there it is fetched anew.
const MOST_LOOSE: usize = 40;

/// When a repository that is damaged itself is fetched as a whole again.
const ANEW_AGAIN: Duration = Duration::from_mins(30);

/// How closely to look at what is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Whether every object is there.
    Presence,
    /// Whether every object can be read and is what its hash says.
    Content,
}

/// A bare mirror of one branch of a repository.
#[derive(Debug, Clone)]
pub struct Mirror {
    path: PathBuf,
    remote: Remote,
    branch: String,
    /// The commit of which a fresh copy was damaged as well, and when.
    anew: Cell<Option<(Oid, Instant)>>,
    /// The commit that was last found to be whole, and the objects as they were then.
    intact: Cell<Option<(Oid, Stamp)>>,
}

impl Mirror {
    /// The mirror of a repository's branch in a data directory:
    /// `<data_dir>/mirror/<name>-<hash of the address>.git`. Touches nothing yet.
    pub fn new(data_dir: &Path, remote: Remote, branch: &str) -> Self {
        Self {
            path: data_dir.join("mirror").join(directory_name(&remote)),
            remote,
            branch: branch.to_owned(),
            anew: Cell::new(None),
            intact: Cell::new(None),
        }
    }

    /// Where the bare repository is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The repository that it mirrors.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The branch's commit as last fetched, if it is whole.
    pub fn head(&self) -> Option<Revision> {
        let repository = open(&self.path).ok()?;
        let head = self.fetched(&repository)?;
        whole(&repository, head, Check::Presence).ok()?;
        head.to_string().parse().ok()
    }

    /// Asks the remote for its branches, fetches ours if it moved, and gives its
    /// commit, all of whose files are there.
    pub(super) fn update(&self, check: Check) -> Result<Revision, SourceProblem> {
        let wanted = self.ask()?;
        if let Ok(repository) = open(&self.path) {
            if has_many_packs(&repository) || loose(&repository) > MOST_LOOSE {
                // Without this it goes on as it is, so a failure is no problem yet.
                return self
                    .make_anew()
                    .or_else(|_| self.bring_to(&repository, wanted, check))
                    .map(revision);
            }
            match self.bring_to(&repository, wanted, check) {
                Ok(head) => return Ok(revision(head)),
                Err(problem) if !problem.maybe_local() => return Err(problem),
                Err(problem) if self.was_anew(wanted) => return Err(problem),
                Err(problem) => {
                    warn!(mirror = %self.path.display(), %problem, "the copy of the repository is damaged; it is fetched anew");
                }
            }
        } else if self.path.exists() {
            warn!(mirror = %self.path.display(), "the copy of the repository can't be opened; it is fetched anew");
        }
        let made = self.make_anew();
        if made.as_ref().is_err_and(SourceProblem::maybe_local) {
            self.anew.set(Some((wanted, Instant::now())));
        }
        made.map(revision)
    }

    /// Whether a fresh copy of this was no better, not long ago: then the repository
    /// itself is damaged, and is not to be fetched as a whole again and again.
    fn was_anew(&self, wanted: Oid) -> bool {
        let anew = self.anew.get();
        anew.is_some_and(|(id, at)| id == wanted && at.elapsed() < ANEW_AGAIN)
    }

    /// What the remote says that our branch is at.
    fn ask(&self) -> Result<Oid, SourceProblem> {
        let branches = self.remote.branches()?;
        let url = self.remote.url.to_string();
        let branch = self.branch.clone();
        match branches.get(&branch) {
            Some(head) => Oid::from_str(head.as_str()).map_err(|error| SourceProblem::Corrupt {
                url,
                reason: error.message().to_owned(),
            }),
            None if branches.is_empty() => Err(SourceProblem::Empty { url, branch }),
            None => Err(SourceProblem::BranchMissing {
                url,
                branch,
                others: branches.into_keys().take(5).collect(),
            }),
        }
    }

    fn bring_to(
        &self,
        repository: &Repository,
        wanted: Oid,
        check: Check,
    ) -> Result<Oid, SourceProblem> {
        let before = self.fetched(repository);
        if before == Some(wanted) {
            self.look_at(repository, wanted, check)?;
            return Ok(wanted);
        }
        if is_odd(repository, wanted) {
            return Ok(wanted);
        }
        // A process that was killed leaves it; the copy has no other writer than us.
        let _ = std::fs::remove_file(repository.path().join(self.tracking() + ".lock"));
        self.fetch_into(repository)
    }

    /// Whether all of a commit that was fetched is still here. Fetching again would bring
    /// nothing: libgit2 believes that it is.
    fn look_at(
        &self,
        repository: &Repository,
        wanted: Oid,
        check: Check,
    ) -> Result<(), SourceProblem> {
        // Before looking, so that what changes meanwhile is looked at the next time.
        let seen = Stamp::of(repository).map(|stamp| (wanted, stamp));
        if check == Check::Presence && seen.is_some() && self.intact.get() == seen {
            return Ok(());
        }
        whole(repository, wanted, check).map_err(|error| self.damaged(error.message()))?;
        self.intact.set(seen);
        Ok(())
    }

    /// Brings what was committed since the commit that is here with all of its files. One
    /// that can't be used is a head as well: who reads it tells why, and goes on with the
    /// one before.
    fn fetch_into(&self, repository: &Repository) -> Result<Oid, SourceProblem> {
        let before = self.fetched(repository);
        let refspec = format!("+refs/heads/{}:{}", self.branch, self.tracking());
        let fetched = self.remote.fetch(repository, &[refspec]);
        match fetched.map_err(|problem| problem.of_copy(&self.path)) {
            Ok(()) => {
                let received = self.received(repository, before);
                if let (Err(_), Some(before)) = (&received, before) {
                    self.point(repository, before)?;
                }
                received
            }
            Err(problem) => {
                let odd = problem
                    .commit()
                    .and_then(|id| Oid::from_str(id.as_str()).ok());
                let Some(odd) = odd.filter(|id| is_odd(repository, *id)) else {
                    return Err(problem);
                };
                if let (None, Some(below)) = (before, usable_below(repository, odd)) {
                    self.point(repository, below)?;
                }
                Ok(odd)
            }
        }
    }

    fn point(&self, repository: &Repository, to: Oid) -> Result<(), SourceProblem> {
        let pointed = repository.reference(&self.tracking(), to, true, "fetch");
        pointed
            .map(|_| ())
            .map_err(|error| explain(&self.remote.url, &error).of_copy(&self.path))
    }

    /// The commit that was fetched, all of whose files are there.
    fn received(&self, repository: &Repository, before: Option<Oid>) -> Result<Oid, SourceProblem> {
        let head = self
            .fetched(repository)
            .ok_or_else(|| self.damaged("the branch was not received"))?;
        let all = match before {
            Some(before) => whole_since(repository, before, head),
            None => whole(repository, head, Check::Presence),
        };
        all.map_err(|error| self.damaged(error.message()))?;
        Ok(head)
    }

    fn damaged(&self, reason: &str) -> SourceProblem {
        SourceProblem::Corrupt {
            url: self.remote.url.to_string(),
            reason: reason.to_owned(),
        }
    }

    /// Whether the branch was moved to a commit that doesn't follow on the old one.
    pub(super) fn rewritten(&self, old: &Revision, new: &Revision) -> bool {
        let follows = || {
            let (old, new) = (Oid::from_str(old.as_str())?, Oid::from_str(new.as_str())?);
            contains(&open(&self.path)?, new, old)
        };
        !follows().unwrap_or(false)
    }

    /// Fetched beside the old copy, which stays until the new one is complete.
    fn make_anew(&self) -> Result<Oid, SourceProblem> {
        let system = |error: io::Error| self.unkept(&error);
        let fresh = self.path.with_extension("new");
        remove(&fresh).map_err(system)?;
        let repository =
            Repository::init_bare(&fresh).map_err(|error| self.disk(error.message()))?;
        let head = self.fetch_into(&repository)?;
        drop(repository);
        replace(&fresh, &self.path).map_err(system)?;
        Ok(head)
    }

    /// Why the copy can't be kept.
    fn unkept(&self, error: &io::Error) -> SourceProblem {
        match error.kind() {
            // It was empty a moment ago.
            io::ErrorKind::DirectoryNotEmpty => SourceProblem::Shared {
                url: self.remote.url.to_string(),
                path: self.path.display().to_string(),
            },
            _ => self.disk(&error.to_string()),
        }
    }

    fn disk(&self, reason: &str) -> SourceProblem {
        SourceProblem::Disk {
            url: self.remote.url.to_string(),
            path: self.path.display().to_string(),
            reason: reason.to_owned(),
        }
    }

    fn fetched(&self, repository: &Repository) -> Option<Oid> {
        repository.refname_to_id(&self.tracking()).ok()
    }

    fn tracking(&self) -> String {
        format!("refs/remotes/origin/{}", self.branch)
    }
}

/// Whether a commit is there that can't be used.
fn is_odd(repository: &Repository, id: Oid) -> bool {
    commits::read(repository, id, |_| ()).is_ok() && commits::oddity(repository, id).is_some()
}

/// The newest commit below another that can be used.
fn usable_below(repository: &Repository, tip: Oid) -> Option<Oid> {
    let mut walk = Walk::from(repository, [tip]).ok()?;
    let usable = walk.find(|walked| matches!(walked.content, Content::Tree(_)))?;
    Some(usable.id)
}

/// `<name>-<hash of the address>.git`.
pub(crate) fn directory_name(remote: &Remote) -> String {
    let hash = Digest::of_bytes(remote.url.to_string().as_bytes());
    format!("{}-{}.git", remote.url.short_name(), hash.short())
}

/// Opens exactly this bare repository, not one further up.
pub(crate) fn open(path: &Path) -> Result<Repository, git2::Error> {
    Repository::open_bare(path)
}

/// Whether a commit and all that its tree names is there. Submodules are somebody
/// else's.
fn whole(repository: &Repository, head: Oid, check: Check) -> Result<(), git2::Error> {
    let tree = tree_id(repository, head)?;
    all(repository, &added(repository, tree, None)?, check)
}

/// The same, given that all of another commit is there.
fn whole_since(repository: &Repository, before: Oid, head: Oid) -> Result<(), git2::Error> {
    let [head, before] = [head, before].map(|id| tree_id(repository, id));
    let added = added(repository, head?, Some(before?))?;
    all(repository, &added, Check::Presence)
}

fn all(repository: &Repository, ids: &[Oid], check: Check) -> Result<(), git2::Error> {
    let objects = repository.odb()?;
    ids.iter().try_for_each(|id| object(&objects, *id, check))
}

fn object(objects: &Odb<'_>, id: Oid, check: Check) -> Result<(), git2::Error> {
    match check {
        // Nobody reads more than that of it, and it would take as much memory.
        Check::Content if objects.read_header(id)?.0 as u64 > MAX_FILE => Ok(()),
        // Reading compares with the hash.
        Check::Content => objects.read(id).map(|_| ()),
        Check::Presence if objects.exists(id) => Ok(()),
        Check::Presence => Err(git2::Error::new(
            git2::ErrorCode::NotFound,
            git2::ErrorClass::Odb,
            format!("object {id} is missing"),
        )),
    }
}

/// Removes a directory, or whatever else is in its place.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => std::fs::remove_file(path),
        other => other,
    }
}

/// Puts `fresh` in the place of `old`, which is removed. In one step where the file
/// system can, so that a reader never finds nothing.
fn replace(fresh: &Path, old: &Path) -> io::Result<()> {
    let exchanged = rustix::fs::renameat_with(CWD, fresh, CWD, old, RenameFlags::EXCHANGE);
    if exchanged.is_ok() {
        return remove(fresh);
    }
    remove(old)?;
    std::fs::rename(fresh, old)
}

#[cfg(test)]
mod tests;
