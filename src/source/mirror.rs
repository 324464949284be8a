//! The bare copy of the environment repository in the data directory.
//!
//! It holds nothing that the remote doesn't: whenever it is doubtful it is thrown
//! away and made again. Nothing stays open between calls, so a copy that somebody
//! deletes or damages meanwhile is noticed.

use std::io;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Odb, Oid, Repository, TreeWalkMode, TreeWalkResult};
use rustix::fs::{CWD, RenameFlags};
use tracing::warn;

use super::checkout::revision;
use super::objects::{added, copy, has_many_packs, loose};
use super::problem::{SourceProblem, explain};
use super::remote::Remote;
use crate::model::{Digest, Revision};

/// What is copied from a disk stays in files of its own, of which Git keeps those that
/// begin alike in one directory: with more than this many there it is fetched anew.
const MOST_LOOSE: usize = 40;

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
}

impl Mirror {
    /// The mirror of a repository's branch in a data directory:
    /// `<data_dir>/mirror/<name>-<hash of the address>.git`. Touches nothing yet.
    pub fn new(data_dir: &Path, remote: Remote, branch: &str) -> Self {
        Self {
            path: data_dir.join("mirror").join(directory_name(&remote)),
            remote,
            branch: branch.to_owned(),
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
                Err(problem) => {
                    warn!(mirror = %self.path.display(), %problem, "the copy of the repository is damaged; it is fetched anew");
                }
            }
        } else if self.path.exists() {
            warn!(mirror = %self.path.display(), "the copy of the repository can't be opened; it is fetched anew");
        }
        self.make_anew().map(revision)
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
        match self.fetched(repository) {
            Some(before) if before == wanted => {}
            before => {
                // A process that was killed leaves it; the copy has no other writer than us.
                let _ = std::fs::remove_file(repository.path().join(self.tracking() + ".lock"));
                return match before {
                    Some(before) => self.fetch_after(repository, before, wanted),
                    None => self.fetch_into(repository),
                };
            }
        }
        // Fetching again would bring nothing: libgit2 believes that all is here.
        whole(repository, wanted, check).map_err(|error| self.damaged(error.message()))?;
        Ok(wanted)
    }

    fn fetch_into(&self, repository: &Repository) -> Result<Oid, SourceProblem> {
        self.fetch(repository)?;
        self.received(repository, None)
    }

    fn fetch(&self, repository: &Repository) -> Result<(), SourceProblem> {
        let refspec = format!("+refs/heads/{}:{}", self.branch, self.tracking());
        self.remote.fetch(repository, &[refspec])
    }

    /// Brings what was committed since. All of the commit before is here.
    fn fetch_after(
        &self,
        repository: &Repository,
        before: Oid,
        wanted: Oid,
    ) -> Result<Oid, SourceProblem> {
        let Some(path) = self.remote.url.local_path() else {
            self.fetch(repository)?;
            return self.received(repository, Some(before));
        };
        let brought = Repository::open(path).and_then(|there| {
            let known = there.find_commit(before).is_ok().then_some(before);
            copy(&there, repository, wanted, known)?;
            repository.reference(&self.tracking(), wanted, true, "fetch")
        });
        brought.map_err(|error| explain(&self.remote.url, &error, None))?;
        Ok(wanted)
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
            open(&self.path)?.graph_descendant_of(new, old)
        };
        !follows().unwrap_or(false)
    }

    /// Fetched beside the old copy, which stays until the new one is complete.
    fn make_anew(&self) -> Result<Oid, SourceProblem> {
        let disk = |reason: String| SourceProblem::Disk {
            url: self.remote.url.to_string(),
            path: self.path.display().to_string(),
            reason,
        };
        let fresh = self.path.with_extension("new");
        remove(&fresh).map_err(|error| disk(error.to_string()))?;
        let repository =
            Repository::init_bare(&fresh).map_err(|error| disk(error.message().to_owned()))?;
        let head = self.fetch_into(&repository)?;
        drop(repository);
        replace(&fresh, &self.path).map_err(|error| disk(error.to_string()))?;
        Ok(head)
    }

    fn fetched(&self, repository: &Repository) -> Option<Oid> {
        repository.refname_to_id(&self.tracking()).ok()
    }

    fn tracking(&self) -> String {
        format!("refs/remotes/origin/{}", self.branch)
    }
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
    let objects = repository.odb()?;
    let mut damage = None;
    let tree = repository.find_commit(head)?.tree()?;
    let walked = tree.walk(TreeWalkMode::PreOrder, |_, entry| {
        if entry.kind() != Some(ObjectType::Blob) {
            return TreeWalkResult::Ok;
        }
        match blob(&objects, entry.id(), check) {
            Ok(()) => TreeWalkResult::Ok,
            Err(error) => {
                damage = Some(error);
                TreeWalkResult::Abort
            }
        }
    });
    match damage {
        Some(error) => Err(error),
        None => walked,
    }
}

/// The same, given that all of another commit is there.
fn whole_since(repository: &Repository, before: Oid, head: Oid) -> Result<(), git2::Error> {
    let tree = |id| Ok::<_, git2::Error>(repository.find_commit(id)?.tree_id());
    let objects = repository.odb()?;
    for id in added(repository, tree(head)?, tree(before)?)? {
        blob(&objects, id, Check::Presence)?;
    }
    Ok(())
}

fn blob(objects: &Odb<'_>, id: Oid, check: Check) -> Result<(), git2::Error> {
    match check {
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
