//! The branch `live/<environment>`, of which this is the only writer.
//!
//! An entry is first a commit in a repository of our own in the data directory, so
//! it survives a remote that is away and a restart; a push then moves the remote's
//! branch if it still is where we believe, and otherwise our entries are put on top
//! of what came there.
//!
//! Refs: `refs/heads/live/<environment>` is ours, with what is queued;
//! `refs/remotes/origin/live/<environment>` is what the remote has.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, Oid, Repository, Tree};
use tracing::warn;

use super::names::BranchPattern;
use super::outcome::{Below, PushError, Pushed, RecordError};
use super::signature::{author, committer};
use super::signing::{Draft, SigningKey};
use super::store::Lock;
use super::theirs::Theirs;
use super::{Entry, compact, local, store, view};
use crate::model::{EnvironmentName, Revision};
use crate::runtime::lock::lock;
use crate::source::{Remote, Sent, SourceProblem, directory_name, first_parents, revision};

/// How often a push is tried anew because somebody else pushed in between.
const ATTEMPTS: usize = 5;

/// An entry of so many files is written as one pack: as files, ten thousand of them would
/// take seconds, and a block of the disk each.
const PACKED: usize = 2_000;

/// Paths that change, and what blob they get; `None` for one that goes.
pub(super) type Changes = BTreeMap<String, Option<Oid>>;

/// An environment's record: entries are appended here and pushed from here. Blocks,
/// so it belongs on a thread of its own or in `spawn_blocking`.
pub struct RecordBranch {
    pub(super) repository: Repository,
    environment: EnvironmentName,
    pub(super) branch: String,
    pub(super) remote: Remote,
    pub(super) signing_key: Option<SigningKey>,
    right: Arc<Right>,
}

/// The right to write the repository, which all that write it share.
struct Right {
    /// Held while our branch is moved: an entry that comes while others are put on top of what
    /// the remote has would be lost.
    moving: Mutex<()>,
    /// Held as long as this lives.
    _lock: Lock,
}

impl RecordBranch {
    /// Opens the record that is kept in `<data_dir>/record/`, or begins one. Asks
    /// nobody: call [`refresh`](Self::refresh) to take in what the remote has.
    ///
    /// A damaged repository is set aside, and the remote's record taken anew; entries
    /// that were queued in it are lost, which is logged.
    pub fn open(
        data_dir: &Path,
        remote: Remote,
        environment: &EnvironmentName,
        names: &BranchPattern,
    ) -> Result<Self, RecordError> {
        let name = format!("{environment}-{}", directory_name(&remote));
        let path = data_dir.join("record").join(name);
        let held = store::lock(&path)?;
        let branch = names.of(environment);
        let repository = store::open(&path, &branch, environment)?;
        Ok(Self {
            repository,
            environment: environment.clone(),
            branch,
            remote,
            signing_key: None,
            right: Arc::new(Right {
                moving: Mutex::new(()),
                _lock: held,
            }),
        })
    }

    /// The same record, for another thread: one that pushes, however long that takes, while
    /// entries are added here.
    ///
    /// # Errors
    /// When the repository can't be opened once more.
    pub fn another(&self) -> Result<Self, RecordError> {
        let opened = Repository::open_bare(self.path());
        let repository = opened.map_err(|error| self.failed("be opened", error))?;
        Ok(Self {
            repository,
            environment: self.environment.clone(),
            branch: self.branch.clone(),
            remote: self.remote.clone(),
            signing_key: self.signing_key.clone(),
            right: Arc::clone(&self.right),
        })
    }

    /// The environment.
    pub fn environment(&self) -> &EnvironmentName {
        &self.environment
    }

    /// Signs what is added from now on.
    pub fn signed_by(mut self, key: Option<SigningKey>) -> Self {
        self.signing_key = key;
        self
    }

    /// The repository of our own that the entries are in.
    pub fn path(&self) -> &Path {
        self.repository.path()
    }

    /// Takes in what the remote has; what is queued here goes on top of it.
    pub fn refresh(&mut self) -> Result<(), PushError> {
        self.take_theirs().map(|_| ())
    }

    /// The branch's name.
    pub fn name(&self) -> &str {
        &self.branch
    }

    /// The latest entry, pushed or not.
    pub fn tip(&self) -> Option<Revision> {
        self.ours().map(revision)
    }

    /// A file of the recorded tree, as of the latest entry.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, RecordError> {
        let found = self
            .ours()
            .map(|tip| view::read(&self.repository, tip, path));
        found
            .transpose()
            .map(Option::flatten)
            .map_err(|error| self.failed("be read", error))
    }

    /// Every file of the recorded tree, and the hash of its content: that of
    /// [`content_id`].
    pub fn files(&self) -> Result<BTreeMap<String, Oid>, RecordError> {
        let found = self.ours().map(|tip| view::files(&self.repository, tip));
        let files = found
            .transpose()
            .map_err(|error| self.failed("be listed", error))?;
        Ok(files.unwrap_or_default())
    }

    /// Adds an entry. It is on disk when this returns; the work is proportional to
    /// what it changes. An entry that changes no file is an entry as well.
    pub fn append(&mut self, entry: &Entry) -> Result<Revision, RecordError> {
        let _moving = self.moving();
        let added = self.commit_entry(entry);
        added
            .map(revision)
            .map_err(|error| self.failed("take an entry", error))
    }

    /// How many entries the remote doesn't have yet. Where that can't be told (no descriptor
    /// is left, the disk fails), there is one at least: what can't be read isn't empty.
    pub fn queued(&self) -> usize {
        self.queue().map_or(1, |queue| queue.len())
    }

    /// Pushes what is queued. Whatever fails, the entries stay queued.
    pub fn push(&mut self) -> Result<Pushed, PushError> {
        let mut below = Below::Same;
        for _ in 0..ATTEMPTS {
            let count = self.queued();
            let Some(tip) = self.ours().filter(|_| count > 0) else {
                return Ok(Pushed::Nothing);
            };
            match self.send(tip)? {
                Sent::Taken => {
                    self.remember_theirs(Some(tip))?;
                    self.compact();
                    let tip = revision(tip);
                    return Ok(Pushed::Entries { tip, count, below });
                }
                Sent::Behind => {
                    self.take_theirs()?;
                }
                // A server also says no when somebody was faster.
                Sent::Rejected(reason) => {
                    if self.take_theirs()? == Theirs::Unmoved {
                        return Err(self.rejected(reason));
                    }
                }
            }
            below = Below::Foreign;
        }
        Err(PushError::Contended {
            url: self.remote.url.to_string(),
            branch: self.branch.clone(),
        })
    }

    /// A failure here costs space, not entries.
    fn compact(&self) {
        let _moving = self.moving();
        let Some(tip) = self.ours() else { return };
        if let Err(error) = compact::if_due(&self.repository, tip) {
            warn!(branch = %self.branch, %error, "the record's own repository can't be packed");
        }
    }

    fn rejected(&self, reason: String) -> PushError {
        PushError::Rejected {
            url: self.remote.url.to_string(),
            branch: self.branch.clone(),
            reason,
        }
    }

    fn send(&self, tip: Oid) -> Result<Sent, SourceProblem> {
        let reference = self.our_ref();
        let url = &self.remote.url;
        if url.local_path().is_some() {
            let pushed = local::push(&self.repository, url, &reference, tip);
            return match pushed {
                Err(problem) => self.remote.room_for(&reference).and(Err(problem)),
                pushed => pushed,
            };
        }
        let refspec = format!("{reference}:{reference}");
        self.remote.push(&self.repository, &refspec)
    }
}

impl RecordBranch {
    /// Nobody else moves our branch, or writes what it is moved to, while this is held.
    pub(super) fn moving(&self) -> MutexGuard<'_, ()> {
        lock(&self.right.moving)
    }

    fn commit_entry(&self, entry: &Entry) -> Result<Oid, git2::Error> {
        let id = if entry.changes.len() < PACKED {
            self.write_entry(&self.repository, entry)?
        } else {
            let memory = compact::in_memory(self.path())?;
            let id = self.write_entry(&memory, entry)?;
            compact::pack(&memory, id, self.ours())?;
            id
        };
        self.set_ours(id)?;
        Ok(id)
    }

    fn write_entry(&self, into: &Repository, entry: &Entry) -> Result<Oid, git2::Error> {
        let parent = self.ours().map(|id| into.find_commit(id)).transpose()?;
        let mut changes = Changes::new();
        for (path, content) in &entry.changes {
            let blob = content.as_deref().map(|bytes| into.blob(bytes));
            changes.insert(path.clone(), blob.transpose()?);
        }
        let before = parent.as_ref().map(Commit::tree).transpose()?;
        let tree = changed(into, before.as_ref(), &changes)?;
        let parents: Vec<&Commit<'_>> = parent.iter().collect();
        let draft = Draft {
            author: &author(&entry.author)?,
            committer: &committer(entry.time)?,
            message: &entry.message(),
            tree: &tree,
            parents: &parents,
        };
        draft.write(into, self.signing_key.as_ref())
    }

    fn queue(&self) -> Result<Vec<Oid>, git2::Error> {
        match self.ours() {
            Some(ours) => self.commits(ours, self.theirs().into_iter()),
            None => Ok(Vec::new()),
        }
    }

    /// Oldest first.
    pub(super) fn commits(
        &self,
        tip: Oid,
        hidden: impl Iterator<Item = Oid>,
    ) -> Result<Vec<Oid>, git2::Error> {
        first_parents(&self.repository, tip, hidden)
    }

    pub(super) fn ours(&self) -> Option<Oid> {
        self.repository.refname_to_id(&self.our_ref()).ok()
    }

    pub(super) fn theirs(&self) -> Option<Oid> {
        self.repository.refname_to_id(&self.their_ref()).ok()
    }

    pub(super) fn set_ours(&self, tip: Oid) -> Result<(), git2::Error> {
        let name = self.our_ref();
        self.repository
            .reference(&name, tip, true, "entry")
            .map(|_| ())
    }

    pub(super) fn our_ref(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    pub(super) fn their_ref(&self) -> String {
        format!("refs/remotes/origin/{}", self.branch)
    }

    pub(super) fn failed(&self, act: &'static str, source: git2::Error) -> RecordError {
        RecordError::Git {
            environment: self.environment.clone(),
            path: self.path().display().to_string(),
            act,
            source,
        }
    }
}

/// A tree with some changes.
pub(super) fn changed<'r>(
    repository: &'r Repository,
    before: Option<&Tree<'_>>,
    changes: &Changes,
) -> Result<Tree<'r>, git2::Error> {
    let empty;
    let before = if let Some(before) = before {
        before
    } else {
        empty = repository.find_tree(repository.treebuilder(None)?.write()?)?;
        &empty
    };
    let mut update = TreeUpdateBuilder::new();
    for (path, blob) in changes {
        match blob {
            Some(blob) => {
                update.upsert(path.as_str(), *blob, FileMode::Blob);
            }
            // libgit2 fails on one that isn't there.
            None if before.get_path(Path::new(path)).is_ok() => {
                update.remove(path.as_str());
            }
            None => {}
        }
    }
    let tree = update.create_updated(repository, before)?;
    repository.find_tree(tree)
}

/// The hash that [`RecordBranch::files`] gives for a content, so that what is recorded
/// can be compared without being read.
pub fn content_id(content: &[u8]) -> Oid {
    Oid::hash_object(git2::ObjectType::Blob, content).expect("any bytes have a hash")
}

#[cfg(test)]
mod tests;
