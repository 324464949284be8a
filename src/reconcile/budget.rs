//! What may be deleted from an environment unasked: counted over all of its units, and over
//! the last hour.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};

use super::declared::Declared;
use super::lists::Lists;
use super::membership::proven;
use super::pass::{Context, PlanInput};
use crate::config::{MaxPrune, Unit};
use crate::kube::{Inventory, InventoryParent};
use crate::model::{
    Deleted, Digest, EnvironmentName, GroupKind, LATELY, Live, Namespace, ObjectId, Owned, Pinned,
    Tally, Uid, UnitName,
};
use crate::plan::{
    Action, Budget, Checked, Extent, Granted, Lately, Leaver, Leaving, Neighbours, Plan, detached,
};
use crate::runtime::lock::lock;

/// How many of the objects that are counted are known by their uids to the next agent: they fit
/// into the ConfigMap.
const MOST_DOOMED: usize = 5_000;

/// The units of an environment, as far as what leaves it is concerned.
#[derive(Debug, Default)]
pub struct Roster {
    /// Those of which objects are deleted and count: each by its ApplySet.
    pruning: BTreeMap<String, (UnitName, Presence)>,
    /// The ApplySets of the others.
    keeping: Vec<String>,
    /// Who declares what.
    neighbours: Arc<Neighbours>,
    /// The kinds and namespaces to look into.
    inventory: Inventory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Declared,
    Retired,
}

impl Roster {
    /// Of the units that are declared, each with the limit that is in force still, and of
    /// those that have left.
    pub(super) fn of<'a>(
        declared: &Declared,
        retired: impl IntoIterator<Item = &'a UnitName>,
        neighbours: &Arc<Neighbours>,
        inventories: &BTreeMap<UnitName, Inventory>,
        (namespace, environment): (&Namespace, &EnvironmentName),
        in_force: impl Fn(&Unit) -> MaxPrune,
    ) -> Self {
        let mut roster = Self {
            neighbours: Arc::clone(neighbours),
            ..Self::default()
        };
        let set = |name| InventoryParent::new(namespace, environment, name).apply_set();
        for (name, unit) in &declared.units {
            // What a unit that can't be rendered declares is not known, and keeps all.
            let settings = unit.unit.held_to(in_force(&unit.unit));
            let counts = settings.prune && !settings.prunes_for_itself();
            if counts && !settings.suspend && unit.desired.is_ok() {
                let entry = (name.clone(), Presence::Declared);
                roster.pruning.insert(set(name), entry);
            } else {
                roster.keeping.push(set(name));
            }
        }
        for name in retired {
            if inventories
                .get(name)
                .is_none_or(|inventory| inventory.prune)
            {
                let entry = (name.clone(), Presence::Retired);
                roster.pruning.insert(set(name), entry);
            } else {
                roster.keeping.push(set(name));
            }
        }
        for inventory in inventories.values() {
            roster.inventory = roster.inventory.widened(inventory);
        }
        roster
    }

    /// Whether something was applied that nobody declares now, as far as the inventories
    /// tell: it may leave.
    pub(super) fn is_left_by_something(&self, lists: &Lists) -> bool {
        let claims = &self.neighbours.claims;
        self.pruning.keys().any(|set| {
            let list = lists.of(set);
            list.iter().any(|(id, _)| !claims.contains_key(id))
        })
    }

    /// How many units stay.
    fn units(&self) -> usize {
        let stay = |(_, presence): &&(UnitName, Presence)| *presence == Presence::Declared;
        self.pruning.values().filter(stay).count() + self.keeping.len()
    }
}

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
    fn lately(&self, leaving: &Leaving, now: Timestamp) -> Lately {
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

/// The objects that a plan deletes now, each with its uid, as far as they count for the
/// environment.
pub(super) fn doomed(unit: &Unit, plan: &Plan<Checked>) -> Vec<(ObjectId, String)> {
    if unit.prunes_for_itself() {
        return Vec::new();
    }
    let prunes = plan.ready().filter(|step| step.action == Action::Prune);
    let doomed = prunes.filter_map(|step| Some((step.object.clone(), step.uid.clone()?)));
    doomed.collect()
}

/// What leaves the environment, measured. The kinds of all inventories are looked at, also
/// of units that no pass has come to yet.
pub(super) async fn budget(context: &Context, input: &PlanInput, now: Timestamp) -> Budget {
    let roster = &input.roster;
    let kinds: BTreeMap<GroupKind, Option<String>> = roster
        .inventory
        .kinds
        .iter()
        .map(|kind| (kind.clone(), roster.neighbours.versions.get(kind).cloned()))
        .collect();
    let namespaces = &roster.inventory.namespaces;
    context.view.listed(&kinds, namespaces).await;
    measured(context, roster, now)
}

/// The same as far as the view has it.
pub(super) fn measured(context: &Context, roster: &Roster, now: Timestamp) -> Budget {
    let mut leaving = leaving(context, roster);
    let lately = context.spent.lately(&leaving, now);
    let pinned = context.spent.pinned();
    let total = pinned.of_environment(leaving.extent.objects + lately.objects());
    leaving.extent.objects = total.saturating_sub(lately.objects());
    Budget {
        lately,
        leaving,
        limit: MaxPrune::default(),
    }
}

fn leaving(context: &Context, roster: &Roster) -> Leaving {
    let claims = &roster.neighbours.claims;
    let (mut objects, mut count) = (BTreeMap::new(), 0);
    for (apply_set, (unit, presence)) in &roster.pruning {
        let members = members(context, roster, apply_set);
        count += members.len();
        let left = members.into_keys().filter(|id| !claims.contains_key(id));
        objects.extend(left.filter_map(|id| {
            let live = context.view.get(&id).filter(goes)?;
            let leaver = Leaver {
                unit: unit.clone(),
                uid: live.uid().to_owned(),
                retired: *presence == Presence::Retired,
            };
            Some((id, leaver))
        }));
    }
    spare_namesakes(context, roster, &mut objects);
    let kept = roster.keeping.iter();
    let kept = kept.map(|set| members(context, roster, set).len());
    count += kept.sum::<usize>();
    let extent = Extent {
        objects: count,
        declared: claims.len(),
        units: roster.units(),
    };
    Leaving::of(&context.environment, objects, extent)
}

/// The objects of a unit: those that are declared, and those that are proven to be its own.
/// What only looks like one of them is not counted, however many somebody makes of it.
fn members(context: &Context, roster: &Roster, apply_set: &str) -> BTreeMap<ObjectId, Owned> {
    let list = context.lists.of(apply_set);
    let declared = |id: &ObjectId| roster.neighbours.claims.contains_key(id);
    let mut owned = context.view.owned(apply_set);
    owned.retain(|id, owned| declared(id) || proven(&list, id, owned, declared).is_ok());
    owned
}

/// What is declared under another group is the same object, and stays.
fn spare_namesakes(context: &Context, roster: &Roster, left: &mut BTreeMap<ObjectId, Leaver>) {
    let uids = left.values().filter_map(|leaver| Uid::parse(&leaver.uid));
    let uids: BTreeSet<Uid> = uids.collect();
    if uids.is_empty() {
        return;
    }
    let called = context.view.called(&uids).into_iter();
    let declared = called.filter(|(id, _)| roster.neighbours.claims.contains_key(id));
    let declared: BTreeSet<Uid> = declared.map(|(_, uid)| uid).collect();
    left.retain(|_, leaver| Uid::parse(&leaver.uid).is_none_or(|uid| !declared.contains(&uid)));
}

/// Whether an object that nobody declares is deleted, and not on its way out already.
fn goes(live: &Live) -> bool {
    !live.terminating() && !detached(live)
}
