//! The branch of a proposal: one commit on the branch that is followed, made by the agent
//! in the name of whoever changed the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use git2::{FileMode, Index, IndexEntry, IndexTime, Oid, Repository, Tree};
use jiff::Timestamp;

use crate::edit::Edits;
use crate::model::{Digest, EnvironmentName, Revision, Signature, UnitName};
use crate::record::{COMMITTER_EMAIL, Draft, SigningKey, author, committer};
use crate::source::{Remote, Sent, SourceProblem, read_commit, revision, tree_of};

/// Where proposals lie in the mirror, below `refs/`.
const KEPT: &str = "refs/agent/proposals";

/// Why the branch can't be worked with.
#[derive(Debug, thiserror::Error)]
pub(super) enum BranchError {
    /// The remote did not do its part.
    #[error(transparent)]
    Source(#[from] SourceProblem),
    /// libgit2 failed.
    #[error("the proposal's commit can't be made")]
    Git(#[from] git2::Error),
    /// The remote did not take it.
    #[error("the repository does not take the branch {branch}: {reason}")]
    Rejected {
        /// The branch.
        branch: String,
        /// The server's words.
        reason: String,
    },
}

/// The branch for a unit.
pub(super) fn name(environment: &EnvironmentName, unit: &UnitName) -> String {
    format!("{}{unit}", prefix(environment))
}

/// How the branches of an environment begin.
pub(super) fn prefix(environment: &EnvironmentName) -> String {
    format!("agent/propose/{environment}/")
}

/// A proposal, as its commits tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposed {
    /// What it was made on.
    pub(super) base: Revision,
    /// The drift that it is about.
    pub(super) drifts: BTreeSet<Digest>,
    /// Whether nobody else has committed to it since.
    pub(super) untouched: bool,
    /// The ids of the files that it has changed, by path; none where it took one away.
    pub(super) files: BTreeMap<String, Option<Oid>>,
}

/// What is committed.
pub(super) struct Commit<'a> {
    /// On this.
    pub(super) base: &'a Revision,
    /// What becomes of which files.
    pub(super) files: &'a Edits,
    /// Who changed the cluster.
    pub(super) author: &'a Signature,
    /// What was changed, and the trailers.
    pub(super) message: &'a str,
    /// When it is made.
    pub(super) now: Timestamp,
    /// What it is signed with.
    pub(super) key: Option<&'a SigningKey>,
}

/// The proposal under a ref of the remote; `None` where it is none of ours.
pub(super) fn read(
    mirror: &Path,
    remote: &Remote,
    reference: &str,
    head: &Revision,
) -> Result<Option<Proposed>, BranchError> {
    let repository = Repository::open(mirror)?;
    let head = Oid::from_str(head.as_str())?;
    if read_commit(&repository, head, |_| ()).is_err() {
        let kept = format!("{KEPT}/{}", reference.trim_start_matches("refs/"));
        remote.fetch(&repository, &[format!("+{reference}:{kept}")])?;
    }
    // People may have gone on from it.
    let mut id = head;
    for _ in 0..50 {
        let read = read_commit(&repository, id, |commit| {
            let ours = commit.is_committed_by(COMMITTER_EMAIL);
            let parent = commit.parents.first().copied();
            (drifts(&commit.message()), ours, parent)
        });
        let Ok((drifts, ours, Some(parent))) = read else {
            break;
        };
        if ours && !drifts.is_empty() {
            return Ok(Some(Proposed {
                base: revision(parent),
                drifts,
                untouched: id == head,
                files: changed(&repository, parent, id)?,
            }));
        }
        id = parent;
    }
    Ok(None)
}

/// The drift that a message's trailers name.
fn drifts(message: &str) -> BTreeSet<Digest> {
    let trailers = message
        .lines()
        .filter_map(|line| line.strip_prefix("Drift: "));
    trailers
        .filter_map(|text| Digest::try_from(text.trim().to_owned()).ok())
        .collect()
}

fn changed(
    repository: &Repository,
    before: Oid,
    after: Oid,
) -> Result<BTreeMap<String, Option<Oid>>, git2::Error> {
    let tree = |id: Oid| tree_of(repository, id);
    let difference =
        repository.diff_tree_to_tree(Some(&tree(before)?), Some(&tree(after)?), None)?;
    let files = difference.deltas().filter_map(|delta| {
        let path = delta.new_file().path()?.to_str()?.to_owned();
        let id = delta.new_file().id();
        Some((path, (!id.is_zero()).then_some(id)))
    });
    Ok(files.collect())
}

/// Whether the files that a proposal changes are on another commit as they were.
pub(super) fn stands_on(
    mirror: &Path,
    proposed: &Proposed,
    base: &Revision,
) -> Result<bool, BranchError> {
    let repository = Repository::open(mirror)?;
    let tree = |revision: &Revision| tree_of(&repository, Oid::from_str(revision.as_str())?);
    let (old, new) = (tree(&proposed.base)?, tree(base)?);
    let id =
        |tree: &Tree<'_>, path: &str| tree.get_path(Path::new(path)).ok().map(|entry| entry.id());
    Ok(proposed
        .files
        .keys()
        .all(|path| id(&old, path) == id(&new, path)))
}

/// Makes the commit, and has the branch be just that.
pub(super) fn write(
    mirror: &Path,
    remote: &Remote,
    branch: &str,
    commit: &Commit<'_>,
) -> Result<Revision, BranchError> {
    let repository = Repository::open(mirror)?;
    let id = make(&repository, commit)?;
    let kept = format!("{KEPT}/heads/{branch}");
    repository.reference(&kept, id, true, "proposed")?;
    match remote.push(&repository, &format!("+{kept}:refs/heads/{branch}"))? {
        Sent::Taken => Ok(revision(id)),
        Sent::Behind => Err(rejected(branch, "somebody else has pushed to it")),
        Sent::Rejected(reason) => Err(rejected(branch, &reason)),
    }
}

fn rejected(branch: &str, reason: &str) -> BranchError {
    BranchError::Rejected {
        branch: branch.to_owned(),
        reason: reason.to_owned(),
    }
}

fn make(repository: &Repository, commit: &Commit<'_>) -> Result<Oid, git2::Error> {
    let base = repository.find_commit(Oid::from_str(commit.base.as_str())?)?;
    let tree = edited(repository, &base.tree()?, commit.files)?;
    let (author, committer) = (author(commit.author)?, committer(commit.now)?);
    let draft = Draft {
        author: &author,
        committer: &committer,
        message: commit.message,
        tree: &tree,
        parents: &[&base],
    };
    draft.write(repository, commit.key)
}

/// Through an index, which leaves no directory of which the last file is gone.
fn edited<'a>(
    repository: &'a Repository,
    before: &Tree<'_>,
    files: &Edits,
) -> Result<Tree<'a>, git2::Error> {
    let mut index = Index::new()?;
    index.read_tree(before)?;
    for (path, content) in files {
        let Some(content) = content else {
            index.remove_path(Path::new(path))?;
            continue;
        };
        let mode = match before.get_path(Path::new(path)) {
            Ok(entry) if entry.filemode() == i32::from(FileMode::BlobExecutable) => {
                FileMode::BlobExecutable
            }
            _ => FileMode::Blob,
        };
        index.add(&entry(path, repository.blob(content)?, mode))?;
    }
    repository.find_tree(index.write_tree_to(repository)?)
}

fn entry(path: &str, id: Oid, mode: FileMode) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: u32::from(mode),
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}
