//! What was deleted from an environment lately, and what was approved to be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use crate::model::{Deleted, Digest, LATELY, ObjectId, Pinned, Tally};
use crate::plan::{Granted, Lately, Leaving};
use crate::runtime::lock::lock;

/// How many of the objects that are counted are known by their uids to the next agent: they fit
/// into the ConfigMap.
const MOST_DOOMED: usize = 5_000;

/// What was deleted lately, and what was approved to be.
#[derive(Debug, Default)]
pub struct Spent {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    granted: Granted,
    /// By which plan's approval what was done to these objects may be done.
    approved: BTreeMap<ObjectId, Digest>,
    /// By this process.
    deleted: Vec<(Timestamp, ObjectId, String)>,
    /// By those before.
    before: Tally,
    /// The uids of objects that those before have counted, and may not have come to.
    doomed: BTreeSet<String>,
    /// Whether nothing tells of any before, so that this may be the first.
    beginning: bool,
}

impl Spent {
    /// After what is recorded.
    pub(super) fn after(before: Tally) -> Self {
        let state = State {
            before,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Takes in what is remembered elsewhere of what those before have deleted.
    pub(super) fn recall(&self, tally: &Tally) {
        let mut state = lock(&self.state);
        state.before = state.before.with(tally);
    }

    /// Takes in which objects are counted by that, whether or not they were deleted.
    pub(super) fn recall_doomed(&self, doomed: BTreeSet<String>) {
        lock(&self.state).doomed.extend(doomed);
    }

    /// Whether an agent before this one has counted an object, and so most likely deleted it
    /// if it is gone.
    pub(super) fn is_doomed(&self, uid: &str) -> bool {
        lock(&self.state).doomed.contains(uid)
    }

    /// The uids of those that were counted, as many as are kept.
    pub(super) fn doomed(&self) -> BTreeSet<String> {
        let state = lock(&self.state);
        let deleted = state.deleted.iter().rev().map(|(.., uid)| uid);
        let all = deleted.chain(&state.doomed);
        all.take(MOST_DOOMED).cloned().collect()
    }

    /// Takes in that nothing tells of an agent before this one.
    pub(super) fn begin(&self) {
        lock(&self.state).beginning = true;
    }

    /// Takes in that there was one; whether nothing had told of it.
    pub(super) fn ends_beginning(&self) -> bool {
        std::mem::take(&mut lock(&self.state).beginning)
    }

    /// Takes in that nobody knows what those before have deleted.
    pub(super) fn forget(&self, now: Timestamp) {
        lock(&self.state).before.unknown_until = Some(now + LATELY);
    }

    pub(super) fn granted(&self) -> Granted {
        lock(&self.state).granted.clone()
    }

    /// Takes in that all of this was approved.
    pub(super) fn grant(&self, leaving: &Leaving) {
        let objects = leaving.objects.iter();
        let granted = objects.map(|(id, leaver)| (id.clone(), leaver.uid.clone()));
        self.grant_all(granted.collect());
        self.approve(leaving.objects.keys(), leaving.digest);
    }

    /// Takes in that these were approved to be deleted.
    pub(super) fn grant_all(&self, objects: Granted) {
        lock(&self.state).granted.extend(objects);
    }

    /// Takes in that what a plan does to these objects was approved.
    pub(super) fn approve<'a>(&self, objects: impl Iterator<Item = &'a ObjectId>, plan: Digest) {
        let approved = objects.map(|id| (id.clone(), plan));
        lock(&self.state).approved.extend(approved);
    }

    /// The approved plans by which something is done to any of these objects.
    pub(super) fn approved<'a>(
        &self,
        objects: impl Iterator<Item = &'a ObjectId>,
    ) -> BTreeSet<Digest> {
        let state = lock(&self.state);
        let plans = objects.filter_map(|id| state.approved.get(id));
        plans.copied().collect()
    }

    /// Whether the approval of a plan is that of anything.
    pub(super) fn is_used(&self, plan: &Digest) -> bool {
        let state = lock(&self.state);
        state.approved.values().any(|other| other == plan)
    }

    /// Forgets what was approved of objects that are declared again.
    pub(super) fn retain(&self, keep: impl Fn(&ObjectId) -> bool) {
        let mut state = lock(&self.state);
        state.granted.retain(|id, _| keep(id));
        state.approved.retain(|id, _| keep(id));
    }

    /// Counts objects that are about to be deleted, but for those of which that was approved.
    pub(super) fn count(&self, doomed: &[(ObjectId, String)], now: Timestamp) {
        let mut state = lock(&self.state);
        for (id, uid) in doomed {
            if state.granted.get(id) == Some(uid) {
                continue;
            }
            let other = |(at, of, was): &(Timestamp, ObjectId, String)| {
                *at + LATELY > now && (of != id || was != uid)
            };
            state.deleted.retain(other);
            state.deleted.push((now, id.clone(), uid.clone()));
        }
    }

    /// It was not deleted after all.
    pub(super) fn uncount(&self, id: &ObjectId, uid: &str) {
        let other = |one: &(Timestamp, ObjectId, String)| one.1 != *id || one.2 != uid;
        lock(&self.state).deleted.retain(other);
    }

    /// What deletions are measured by for now.
    pub(super) fn pinned(&self) -> Pinned {
        lock(&self.state).before.pinned.clone()
    }

    /// Changes that; whether it is something else now.
    pub(super) fn pin(&self, change: impl FnOnce(&mut Pinned)) -> bool {
        let mut state = lock(&self.state);
        let before = state.before.pinned.clone();
        change(&mut state.before.pinned);
        state.before.pinned != before
    }

    /// How many were deleted within the last hour, without those that are leaving still.
    pub(super) fn lately(&self, leaving: &Leaving, now: Timestamp) -> Lately {
        let state = lock(&self.state);
        if state.before.unknown_until.is_some_and(|until| until > now) {
            return Lately::Unknown;
        }
        let leaves = |id: &ObjectId, uid: &str| {
            let leaver = leaving.objects.get(id);
            leaver.is_some_and(|leaver| leaver.uid == uid)
        };
        let deleted = state
            .deleted
            .iter()
            .filter(|(at, id, uid)| *at + LATELY > now && !leaves(id, uid))
            .filter(|(.., uid)| !state.doomed.contains(uid));
        let before = state.before.deleted.iter();
        let before = before.filter(|one| one.at + LATELY > now);
        let before = before.map(|one| one.objects).sum::<usize>();
        // Counted by an agent that did not come to it.
        let there = leaving.objects.values();
        let there = there.filter(|leaver| state.doomed.contains(&leaver.uid));
        Lately::Objects(deleted.count() + before.saturating_sub(there.count()))
    }

    /// What is to be remembered of it.
    pub(super) fn tally(&self, now: Timestamp) -> Tally {
        let state = lock(&self.state);
        let deleted = state.deleted.iter();
        let deleted = deleted.filter(|(.., uid)| !state.doomed.contains(uid));
        let deleted = deleted.map(|(at, ..)| Deleted {
            at: *at,
            objects: 1,
        });
        let before = state.before.deleted.iter().copied();
        Tally {
            unknown_until: state.before.unknown_until.filter(|until| *until > now),
            pinned: state.before.pinned.clone(),
            ..Tally::of(deleted.chain(before), now)
        }
    }

    /// When the first of it counts no longer.
    pub(super) fn eases(&self, now: Timestamp) -> Option<Timestamp> {
        let tally = self.tally(now);
        // To the end of its minute, in which all of it was.
        let first = tally.deleted.first().map(|one| one.at);
        let first = first.map(|at| at + SignedDuration::from_mins(1) + LATELY);
        first.into_iter().chain(tally.unknown_until).min()
    }
}
