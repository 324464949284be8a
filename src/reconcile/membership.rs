//! Which live objects are proven to be a unit's, and which only look like it.
//!
//! The proof has three parts, each kept by somebody else: the API server says that our own
//! field manager has applied the label (managedFields), the unit's inventory has the very
//! object on its list of what was applied (by uid), and no controller that nobody declares
//! stands above it. What lacks a part is never taken away.

use std::collections::{BTreeMap, BTreeSet};

use super::leftovers::{Leftover, Leftovers};
use super::pass::{Context, PlanInput};
use super::unread;
use crate::kube::ApiError;
use crate::model::{AppliedList, Controller, Kind, Name, Namespace, ObjectId, Owned, Uid};

/// What carries the ApplySet's label of a unit.
#[derive(Debug, Default)]
pub(super) struct Carriers {
    /// Those that we have applied, with what is known of each.
    pub(super) owned: BTreeMap<ObjectId, Owned>,
    /// Those of them that are proven to be the unit's.
    pub(super) members: BTreeSet<ObjectId>,
    /// Those of them that nobody declares and that are not proven: kept, and told.
    pub(super) leftovers: Leftovers,
    /// The same where a unit could not be rendered, which may declare them.
    pub(super) undecided: BTreeSet<ObjectId>,
    /// Those that we have not applied, and nobody declares.
    pub(super) strangers: BTreeSet<ObjectId>,
    /// Members that nobody declares, of which it can't be told whether they are not
    /// declared under another group.
    pub(super) unclear: BTreeMap<ObjectId, ApiError>,
    /// What is on the list and not declared, and could not be read: members until that is
    /// known.
    pub(super) unread: BTreeMap<ObjectId, ApiError>,
}

impl Carriers {
    /// What the unit may have to take away some day, and what it leaves to people.
    pub(super) fn kept(&self) -> impl Iterator<Item = &ObjectId> {
        let members = self.members.iter().chain(&self.undecided);
        members.chain(self.leftovers.objects())
    }

    /// Sorts out what the view has.
    pub(super) async fn of(context: &Context, input: &PlanInput) -> Self {
        let mut carriers = Self {
            owned: context.view.owned(&input.apply_set),
            strangers: context.view.strangers(&input.apply_set),
            unread: unread::unread(context, input).await,
            ..Self::default()
        };
        carriers.strangers.retain(|id| !is_declared(input, id));
        let mut undeclared = BTreeMap::new();
        carriers.members.extend(carriers.unread.keys().cloned());
        let seen = carriers.owned.iter();
        for (id, owned) in seen.filter(|(id, _)| !carriers.unread.contains_key(*id)) {
            let list = &input.inventory.applied;
            let declared = |id: &ObjectId| is_declared(input, id);
            // One that the unit declares is as good as on the list, and is put there.
            if input.desired.objects.contains_key(id) {
                if uncontrolled(list, id, owned, declared).is_ok() {
                    carriers.members.insert(id.clone());
                }
                continue;
            }
            let standing = proven(list, id, owned, declared);
            undeclared.insert(id.clone(), (owned.uid.clone(), standing));
        }
        carriers.sort(context, input, undeclared).await;
        let let_go = carriers.leftovers.approved(context, input);
        carriers.members.extend(let_go);
        carriers
    }

    /// Of what this unit does not declare, what is the same object as one that is declared
    /// under another group is neither a member nor left over.
    async fn sort(
        &mut self,
        context: &Context,
        input: &PlanInput,
        undeclared: BTreeMap<ObjectId, (Uid, Result<(), Leftover>)>,
    ) {
        if undeclared.is_empty() {
            return;
        }
        let uids = undeclared.values().map(|(uid, _)| uid.clone()).collect();
        let called = context.view.called(&uids).into_iter();
        let twins: BTreeSet<Uid> = called
            .filter(|(id, _)| is_declared(input, id))
            .map(|(_, uid)| uid)
            .collect();
        let names = undeclared.keys().map(name).collect();
        let unseen = unseen(context, input, &names);
        for (id, (uid, standing)) in undeclared {
            // What another unit declares, that one takes over.
            if twins.contains(&uid) && !is_declared(input, &id) {
                continue;
            }
            if let Err(why) = standing {
                if is_left_over(input, &id) {
                    self.leftovers.insert(id, uid, why);
                } else {
                    self.undecided.insert(id);
                }
                continue;
            }
            let namesakes = unseen.get(&name(&id)).into_iter().flatten();
            match is_one_of(context, namesakes.filter(|it| **it != id), &uid).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => drop(self.unclear.insert(id.clone(), error)),
            }
            self.members.insert(id);
        }
    }
}

fn is_declared(input: &PlanInput, id: &ObjectId) -> bool {
    input.desired.objects.contains_key(id) || input.neighbours.claims.contains_key(id)
}

/// What is not declared anywhere, as far as everything could be rendered.
fn is_left_over(input: &PlanInput, id: &ObjectId) -> bool {
    !is_declared(input, id) && input.neighbours.unrendered.is_empty()
}

/// Whether an object that we have applied is proven to be the unit's with this list.
pub(super) fn proven(
    list: &AppliedList,
    id: &ObjectId,
    owned: &Owned,
    is_declared: impl Fn(&ObjectId) -> bool,
) -> Result<(), Leftover> {
    if !list.covers(id, &owned.uid) {
        return Err(Leftover::Unlisted);
    }
    uncontrolled(list, id, owned, is_declared)
}

/// Whether nothing controls it, or only what is declared, or was and is about to go as well.
fn uncontrolled(
    list: &AppliedList,
    id: &ObjectId,
    owned: &Owned,
    is_declared: impl Fn(&ObjectId) -> bool,
) -> Result<(), Leftover> {
    match owned.controller.as_deref() {
        Some(controller) if !is_ours(list, id, controller, is_declared) => {
            Err(Leftover::Controlled(controller.text.clone()))
        }
        Some(_) | None => Ok(()),
    }
}

fn is_ours(
    list: &AppliedList,
    of: &ObjectId,
    controller: &Controller,
    is_declared: impl Fn(&ObjectId) -> bool,
) -> bool {
    let Some((kind, name)) = &controller.named else {
        return false;
    };
    [of.namespace.clone(), None].into_iter().any(|namespace| {
        let id = ObjectId::new(kind.clone(), namespace, name.clone());
        let uid = controller.uid.as_ref();
        uid.is_some_and(|uid| list.covers(&id, uid)) || is_declared(&id)
    })
}

/// What two ids have in common that may be of the same object.
type Called = (Kind, Option<Namespace>, Name);

fn name(id: &ObjectId) -> Called {
    (id.kind.kind.clone(), id.namespace.clone(), id.name.clone())
}

/// The declared objects with these names that the view does not have, so that it can't
/// tell which objects they are.
fn unseen(
    context: &Context,
    input: &PlanInput,
    names: &BTreeSet<Called>,
) -> BTreeMap<Called, BTreeSet<ObjectId>> {
    let declared = input.desired.objects.keys();
    let mut found: BTreeMap<Called, BTreeSet<ObjectId>> = BTreeMap::new();
    for id in declared.chain(input.neighbours.claims.keys()) {
        let name = name(id);
        if names.contains(&name) && context.view.version(id).is_none() {
            found.entry(name).or_default().insert(id.clone());
        }
    }
    found
}

/// Whether one of these is the object with this uid, as the API server has it.
async fn is_one_of(
    context: &Context,
    ids: impl Iterator<Item = &ObjectId>,
    uid: &Uid,
) -> Result<bool, ApiError> {
    for id in ids {
        match context.cluster.get(id, None).await {
            Ok(Some(live)) if Uid::parse(live.uid()).as_ref() == Some(uid) => return Ok(true),
            Ok(_) | Err(ApiError::NoSuchKind(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
