//! What may be deleted from an environment unasked: counted over all of its units, and over
//! the last hour.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::declared::Declared;
use super::lists::Lists;
use super::membership::proven;
use super::pass::{Context, PlanInput};
use crate::config::{MaxPrune, Unit};
use crate::kube::{Inventory, InventoryParent};
use crate::model::{EnvironmentName, GroupKind, Live, Namespace, ObjectId, Owned, Uid, UnitName};
use crate::plan::{Action, Budget, Checked, Extent, Leaver, Leaving, Neighbours, Plan, detached};

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
