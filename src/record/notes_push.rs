//! The notes of an environment on their way from its record to the environment repository.
//! They are a projection: what fails here is tried again, and holds nothing up.

use std::path::{Path, PathBuf};

use git2::{Oid, Repository};

use super::branch::RecordBranch;
use super::notes_branch::{NotesBranch, notes_ref};
use super::view::{RecordView, ViewError};
use super::{compact, local};
use crate::model::EnvironmentName;
use crate::source::{Remote, Sent, SourceProblem, directory_name, has_many_packs, remove};

/// What the remote has, as far as is known here.
const THEIRS: &str = "refs/theirs/notes";

/// Why notes are not where they belong.
#[derive(Debug, thiserror::Error)]
pub enum NotesError {
    /// The record can't be read, or the notes not written here.
    #[error("the notes can't be made from the record")]
    Make(#[from] ViewError),
    /// The data directory.
    #[error("the notes can't be kept in {path}")]
    Keep {
        /// The repository.
        path: String,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
    /// The remote can't be reached, or doesn't let us in.
    #[error("the notes can't be pushed")]
    Source(#[from] SourceProblem),
    /// The remote doesn't want them.
    #[error("{url} rejects the notes on `{reference}`: {reason}")]
    Rejected {
        /// The repository.
        url: String,
        /// The ref.
        reference: String,
        /// The server's words.
        reason: String,
    },
}

/// Notes that are kept here and pushed from here. Blocks.
pub struct PushedNotes {
    environment: EnvironmentName,
    branch: String,
    remote: Remote,
    /// The repository of the record, and the ref of what was pushed of it.
    record: (PathBuf, String),
    path: PathBuf,
    notes: NotesBranch,
    /// Whether the remote was asked what it has.
    asked: bool,
}

impl RecordBranch {
    /// The notes of this record, in `<data_dir>/notes/`, for a repository's commits.
    pub fn notes(&self, data_dir: &Path, remote: Remote) -> PushedNotes {
        let environment = self.environment();
        let name = format!("{environment}-{}", directory_name(&remote));
        PushedNotes {
            environment: environment.clone(),
            branch: self.name().to_owned(),
            remote,
            record: (self.repository.path().to_owned(), self.their_ref()),
            path: data_dir.join("notes").join(name),
            notes: NotesBranch::new(self.name()),
            asked: false,
        }
    }
}

impl PushedNotes {
    /// Makes the notes that the record lacks, and pushes them. What somebody else has put
    /// on the ref goes.
    ///
    /// # Errors
    /// What kept them from the remote; to be tried again.
    pub fn push(&mut self) -> Result<(), NotesError> {
        let repository = self.open()?;
        let result = self.push_from(&repository);
        if let (Ok(()), Some(tip)) = (&result, self.notes.tip()) {
            let packed = compact::if_due(&repository, tip);
            packed.map_err(|source| self.failed(source))?;
            if has_many_packs(&repository) {
                // All of it is in the remote, from where the next push has it as one pack.
                remove(&self.path).map_err(|error| {
                    let source = git2::Error::from_str(&error.to_string());
                    self.failed(source)
                })?;
            }
        }
        result
    }

    fn push_from(&mut self, repository: &Repository) -> Result<(), NotesError> {
        let Some(record) = self.record()? else {
            return Ok(());
        };
        let reference = notes_ref(&self.environment);
        if !self.asked {
            // A fetch says nothing of a ref that is gone.
            if let Ok(mut stale) = repository.find_reference(THEIRS) {
                stale.delete().map_err(|source| self.failed(source))?;
            }
            let refspec = format!("+{reference}:{THEIRS}");
            self.remote.fetch(repository, &[refspec])?;
            self.asked = true;
            let tip = self.notes.tip();
            if tip.is_some_and(|tip| repository.find_commit(tip).is_err()) {
                self.notes = NotesBranch::new(&self.branch);
            }
        }
        let id = |name: &str| repository.refname_to_id(name).ok();
        let theirs = id(THEIRS);
        let known: Vec<Oid> = id(&reference).into_iter().chain(theirs).collect();
        self.notes.take(&record, repository, &known)?;
        let Some(tip) = self.notes.tip() else {
            return Ok(());
        };
        self.point(repository, &reference, tip)?;
        if theirs != Some(tip) {
            send(repository, &self.remote, &reference, tip)?;
            self.point(repository, THEIRS, tip)?;
        }
        Ok(())
    }

    /// The record as far as it was pushed.
    fn record(&self) -> Result<Option<RecordView>, NotesError> {
        let (path, reference) = &self.record;
        let opened = Repository::open_bare(path).map_err(|source| ViewError::Open {
            path: path.display().to_string(),
            source,
        })?;
        let Ok(tip) = opened.refname_to_id(reference) else {
            return Ok(None);
        };
        Ok(Some(RecordView {
            repository: opened,
            environment: self.environment.clone(),
            branch: self.branch.clone(),
            tip,
        }))
    }

    fn open(&mut self) -> Result<Repository, NotesError> {
        if let Ok(opened) = Repository::open_bare(&self.path) {
            return Ok(opened);
        }
        self.asked = false;
        Repository::init_bare(&self.path).map_err(|source| self.failed(source))
    }

    fn point(&self, repository: &Repository, name: &str, tip: Oid) -> Result<(), NotesError> {
        let pointed = repository.reference(name, tip, true, "notes");
        pointed.map(|_| ()).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: git2::Error) -> NotesError {
        NotesError::Keep {
            path: self.path.display().to_string(),
            source,
        }
    }
}

impl RecordView {
    /// Makes an environment's notes anew in a repository on this disk; gives the commit that
    /// the ref has now, whether it had it before, and how many commits have a note.
    ///
    /// # Errors
    /// When the record can't be read or the notes not be written.
    pub fn rebuild_notes(&self, into: &Path) -> Result<Option<(Oid, bool, usize)>, ViewError> {
        let into = open(into)?;
        let mut notes = NotesBranch::new(&self.branch);
        notes.take(self, &into, &[])?;
        let Some(tip) = notes.tip() else {
            return Ok(None);
        };
        let reference = notes_ref(&self.environment);
        let before = into.refname_to_id(&reference).ok();
        let pointed = into.reference(&reference, tip, true, "notes");
        pointed.map_err(|error| self.failed(error))?;
        Ok(Some((tip, before == Some(tip), notes.count())))
    }

    /// Pushes notes that were made anew in a repository on this disk.
    ///
    /// # Errors
    /// What kept them from the remote.
    pub fn push_notes(&self, from: &Path, remote: &Remote, tip: Oid) -> Result<(), NotesError> {
        let reference = notes_ref(&self.environment);
        send(&open(from)?, remote, &reference, tip)
    }
}

fn open(path: &Path) -> Result<Repository, ViewError> {
    Repository::open(path).map_err(|source| ViewError::Open {
        path: path.display().to_string(),
        source,
    })
}

/// The ref is the agent's alone: what is there and isn't ours is written over.
fn send(from: &Repository, to: &Remote, reference: &str, tip: Oid) -> Result<(), NotesError> {
    let sent = if to.url.local_path().is_some() {
        local::put(from, &to.url, reference, tip)?
    } else {
        to.push(from, &format!("+{reference}:{reference}"))?
    };
    match sent {
        Sent::Taken => Ok(()),
        Sent::Behind => Err(rejected(to, reference, "it has moved meanwhile")),
        Sent::Rejected(reason) => Err(rejected(to, reference, &reason)),
    }
}

fn rejected(to: &Remote, reference: &str, reason: &str) -> NotesError {
    NotesError::Rejected {
        url: to.url.to_string(),
        reference: reference.to_owned(),
        reason: reason.to_owned(),
    }
}
