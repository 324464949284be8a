//! What the remote has of the record, and how our entries go on top of it.

use std::collections::BTreeMap;

use git2::Oid;
use tracing::{info, warn};

use super::branch::{Changes, RecordBranch, changed};
use super::event::Event;
use super::history::{changes, recorded};
use super::lines::Changed;
use super::outcome::{PushError, RecordError};
use super::signature::committer;
use super::signing::Draft;
use super::status_files::STATUS;
use crate::runtime::clock;
use crate::source::{contains, related};

/// Whether the remote's branch is where we believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theirs {
    Moved,
    Unmoved,
}

/// How many entries of another agent are looked at.
const LOOKED_AT: usize = 1_000;

/// What another agent has written that is not here.
#[derive(Default)]
struct Newer {
    /// By path, when it last did; in seconds.
    changed: BTreeMap<String, i64>,
    drifts: Vec<Changed>,
}

impl Newer {
    fn of(branch: &RecordBranch, entries: Vec<Oid>) -> Result<Self, git2::Error> {
        let mut newer = Self::default();
        let before = entries.len().saturating_sub(LOOKED_AT);
        for id in entries.into_iter().skip(before) {
            let time = branch.repository.find_commit(id)?.time().seconds();
            for path in changes(&branch.repository, id)?.into_keys() {
                let last = newer.changed.entry(path).or_insert(time);
                *last = time.max(*last);
            }
            newer.drifts.extend(branch.drifts_of(id)?);
        }
        Ok(newer)
    }

    /// Whether a file was written after that.
    fn has(&self, path: &str, seconds: i64) -> bool {
        self.changed.get(path).is_some_and(|last| *last > seconds)
    }

    /// Whether all of this is told.
    fn tells(&self, drifts: &[Changed]) -> bool {
        !drifts.is_empty() && drifts.iter().all(|drift| self.drifts.contains(drift))
    }
}

impl RecordBranch {
    pub(super) fn take_theirs(&mut self) -> Result<Theirs, PushError> {
        let before = self.theirs();
        // A fetch says nothing of a branch that was deleted, so ask first.
        if self.remote.branches()?.contains_key(&self.branch) {
            let refspec = format!("+{}:{}", self.our_ref(), self.their_ref());
            self.remote.fetch(&self.repository, &[refspec])?;
        } else if before.is_some() {
            warn!(repository = %self.remote.url, branch = %self.branch, "the record is gone from the remote; it will be pushed again in full");
            self.remember_theirs(None)?;
        }
        let now = self.theirs();
        if let Some(theirs) = now {
            let _moving = self.moving();
            let put = self.put_on_top(theirs, before);
            put.map_err(|error| self.failed("be put on top of the remote's", error))?;
        }
        Ok(if now == before {
            Theirs::Unmoved
        } else {
            Theirs::Moved
        })
    }

    fn put_on_top(&self, theirs: Oid, before: Option<Oid>) -> Result<(), git2::Error> {
        let Some(ours) = self.ours() else {
            return self.set_ours(theirs);
        };
        if contains(&self.repository, ours, theirs)? {
            return Ok(());
        }
        // With a common past, all that the remote lacks; without, only what it never had.
        let related = related(&self.repository, ours, theirs)?;
        if !related && before.is_some() && !self.is_record(theirs)? {
            return self.keep_beside(ours, theirs);
        }
        let hidden = [Some(theirs), before.filter(|_| !related)];
        let queue = self.commits(ours, hidden.into_iter().flatten())?;
        let newer = if related && !queue.is_empty() {
            Newer::of(self, self.commits(theirs, std::iter::once(ours))?)?
        } else {
            Newer::default()
        };
        let mut tip = theirs;
        for id in &queue {
            tip = self.replay(*id, tip, &newer)?;
        }
        if !queue.is_empty() {
            info!(branch = %self.branch, entries = queue.len(), "the record's branch moved; the entries that it lacks go on top");
        }
        self.set_ours(tip)
    }

    /// Whether an agent has written what there is.
    fn is_record(&self, tip: Oid) -> Result<bool, git2::Error> {
        let tree = self.repository.find_commit(tip)?.tree()?;
        Ok(tree.get_name(STATUS).is_some())
    }

    /// Goes on with what is here where something else was put in its place, and keeps that
    /// beside it: nothing of either is lost.
    fn keep_beside(&self, ours: Oid, theirs: Oid) -> Result<(), git2::Error> {
        let (kept, other) = (
            self.repository.find_commit(ours)?,
            self.repository.find_commit(theirs)?,
        );
        warn!(branch = %self.branch, commit = %theirs, "the record was replaced by another history; it is put back, with that beside it");
        let message = format!(
            "{}: go on with the record, which was replaced\n\nAnother history, {theirs}, was put in its place. It is the second parent of this.\n",
            self.environment()
        );
        let agent = committer(clock::now())?;
        let draft = Draft {
            author: &agent,
            committer: &agent,
            message: &message,
            tree: &kept.tree()?,
            parents: &[&kept, &other],
        };
        let id = draft.write(&self.repository, self.signing_key.as_ref())?;
        self.set_ours(id)
    }

    /// The same entry on another parent: its changes, path by path, but for what another
    /// agent has written since. Drift that this one has told as well is left out.
    fn replay(&self, id: Oid, onto: Oid, newer: &Newer) -> Result<Oid, git2::Error> {
        if newer.tells(&self.drifts_of(id)?) {
            return Ok(onto);
        }
        let entry = self.repository.find_commit(id)?;
        let mut changes = changes(&self.repository, id)?;
        changes.retain(|path, _| !newer.has(path, entry.time().seconds()));
        let changes: Changes = changes
            .into_iter()
            .map(|(path, it)| (path, it.after))
            .collect();
        let parent = self.repository.find_commit(onto)?;
        let tree = changed(&self.repository, Some(&parent.tree()?), &changes)?;
        let message = String::from_utf8_lossy(entry.message_bytes());
        let draft = Draft {
            author: &entry.author(),
            committer: &entry.committer(),
            message: &message,
            tree: &tree,
            parents: &[&parent],
        };
        draft.write(&self.repository, self.signing_key.as_ref())
    }

    /// The objects that an entry tells to have drifted, and how; none where it tells
    /// something else.
    fn drifts_of(&self, id: Oid) -> Result<Vec<Changed>, git2::Error> {
        let entry = recorded(&self.repository, self.environment(), id)?;
        Ok(if entry.event() == Some(Event::Drift) {
            entry.objects()
        } else {
            Vec::new()
        })
    }

    pub(super) fn remember_theirs(&self, tip: Option<Oid>) -> Result<(), RecordError> {
        let name = self.their_ref();
        let done = match tip {
            Some(tip) => self
                .repository
                .reference(&name, tip, true, "pushed")
                .map(|_| ()),
            None => self
                .repository
                .find_reference(&name)
                .and_then(|mut reference| reference.delete()),
        };
        done.map_err(|error| self.failed("note what the remote has", error))
    }
}
