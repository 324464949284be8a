//! What the list of what was applied has to say, before a pass writes and after it.
//!
//! Before the first request what is about to be created or adopted is on it as intended:
//! a crash after the request loses nothing then, since an object that an apply of ours has
//! labelled, and that was intended, is ours. Once there is nothing left to do, the uids are
//! filled in. An object that is only changed is on the list already, and costs no request.
//!
//! What the API server refuses was not applied, and is not on the list for what it looks
//! like: who may write an object can give it our label and our manager's name.

use std::collections::{BTreeMap, BTreeSet};

use super::membership::Carriers;
use super::pass::{Context, PlanInput, Planned};
use crate::kube::Inventory;
use crate::model::{Applied, AppliedList, Desired, ObjectId, Owned};
use crate::plan::{Action, Blocked, Cause, Members, Standing, Step};

/// The inventory before a plan is executed: what is about to be applied is on its list.
pub(super) fn wide(input: &PlanInput, planned: &Planned) -> Inventory {
    let list = &input.inventory.applied;
    // What was refused is tried again as it is, but may have to be made anew for that.
    let counts =
        |step: &&Step| step.action == Action::Replace || !input.refusals.contains_key(&step.object);
    let steps = planned.plan.steps.iter().filter(counts);
    Inventory {
        applied: before(list, steps),
        ..widened(input, planned)
    }
}

/// The inventory with what is declared, and with what is kept although it is not.
fn widened(input: &PlanInput, planned: &Planned) -> Inventory {
    let objects = input.desired.objects.keys().chain(planned.carriers.kept());
    let wanted = Inventory {
        source: input.source.clone(),
        ..Inventory::of(objects, input.unit.prune)
    };
    input.inventory.widened(&wanted)
}

/// The inventory when nothing can be done now; `None` where it stays as it is, since not
/// everything is known that it has to hold. With nothing left to do it is narrowed.
pub(super) fn settled(
    context: &Context,
    input: &PlanInput,
    planned: &Planned,
) -> Option<Inventory> {
    let known = matches!(planned.members, Members::Known(_));
    // That of a unit that left goes with the last of what it holds.
    let goes = input.neighbours.retired && planned.carriers.leftovers.is_empty();
    if !known || goes {
        return None;
    }
    let desired = &input.desired.objects;
    let list = &input.inventory.applied;
    let applied = after(list, desired, &planned.plan.steps, &planned.carriers);
    if !planned.plan.is_empty() {
        let news = applied != *list || input.inventory.lost.is_some();
        return news.then(|| Inventory {
            applied,
            ..widened(input, planned)
        });
    }
    // What is kept though it left the unit stays in sight.
    let objects = desired.keys().chain(planned.carriers.kept());
    let mut narrow = Inventory::of(objects, input.unit.prune);
    narrow.known = context.compared.kept(desired.keys());
    narrow.source.clone_from(&input.source);
    narrow.applied = applied;
    Some(narrow)
}

/// The list before these steps are executed.
pub(super) fn before<'a>(
    list: &AppliedList,
    steps: impl IntoIterator<Item = &'a Step>,
) -> AppliedList {
    let missing = steps.into_iter().filter(|step| is_intended(list, step));
    let missing: Vec<&ObjectId> = missing.map(|step| &step.object).collect();
    if missing.is_empty() {
        return list.clone();
    }
    list.intending(missing)
}

/// Whether a step makes an object, or makes one ours, that is not on the list.
fn is_intended(list: &AppliedList, step: &Step) -> bool {
    let comes = matches!(step.standing, Standing::Ready | Standing::Waits(_));
    let makes = match step.action {
        Action::Create | Action::Change | Action::Adopt | Action::Replace => true,
        Action::Clear | Action::Prune | Action::Detach => false,
    };
    let uid = step
        .uid
        .as_deref()
        .filter(|_| step.action != Action::Replace);
    let listed = match list.get(&step.object) {
        Some(Applied::Intended) => true,
        Some(Applied::Is(_)) => uid.is_some_and(|uid| list.is(&step.object, uid)),
        None => false,
    };
    comes && makes && !listed
}

/// The list once nothing is left to do now: what is there by its uid, and what is declared
/// and not there, or could not be read, as it stood. What is neither declared nor there any
/// more is off it, and so are what is declared under another group and what was refused.
pub(super) fn after(
    list: &AppliedList,
    desired: &BTreeMap<ObjectId, Desired>,
    steps: &[Step],
    carriers: &Carriers,
) -> AppliedList {
    let Carriers { owned, unread, .. } = carriers;
    let kept: BTreeSet<&ObjectId> = carriers.kept().collect();
    let steps: BTreeMap<&ObjectId, &Step> = steps.iter().map(|step| (&step.object, step)).collect();
    let is = |owned: &Owned| Applied::Is(owned.uid.clone());
    let declared = desired.keys().filter_map(|id| {
        let listed = list.get(id);
        let step = steps.get(id);
        let applied = match listed {
            Some(Applied::Intended) if step.is_some_and(|step| is_refused(step)) => None,
            Some(Applied::Intended) => owned.get(id).map(is).or_else(|| listed.cloned()),
            Some(Applied::Is(_)) | None if step.is_some_and(|step| is_to_be_applied(step)) => {
                listed.cloned()
            }
            Some(Applied::Is(_)) | None => owned.get(id).map(is).or_else(|| listed.cloned()),
        };
        Some((id.clone(), applied?))
    });
    let undeclared = owned
        .iter()
        .filter(|(id, owned)| !desired.contains_key(*id) && list.covers(id, &owned.uid))
        .filter(|(id, _)| kept.contains(id));
    let undeclared = undeclared.map(|(id, owned)| (id.clone(), is(owned)));
    let unread = list.iter().filter(|(id, _)| unread.contains_key(*id));
    let unread = unread.map(|(id, applied)| (id.clone(), applied.clone()));
    declared.chain(undeclared).chain(unread).collect()
}

/// Whether nothing says yet that an object was applied as it is declared.
fn is_to_be_applied(step: &Step) -> bool {
    step.cause == Cause::Change || is_refused(step)
}

fn is_refused(step: &Step) -> bool {
    matches!(step.standing, Standing::Blocked(Blocked::Refused(_)))
}
