//! The steps for objects that left desired.

use std::collections::BTreeMap;

use super::apply::block;
use super::order;
use super::subject::{Members, Observation, Refused, Subject};
use super::taken::takes_along;
use super::text;
use super::types::{Action, Blocked, Cause, Standing, Step};
use crate::model::{DELETION, GroupKind, Json, Live, ObjectId, number_of};

/// Whether an object is let go instead of deleted, as it says itself.
pub fn detached(live: &Live) -> bool {
    live.annotation(DELETION) == Some("detach")
}

/// The steps for members that are no longer desired. `unsettled`: what of the applies is not
/// done and healthy, so that nothing is taken away yet.
pub(super) fn prunes(
    subject: &Subject<'_>,
    unsettled: Option<&str>,
    notes: &mut Vec<String>,
) -> Vec<Step> {
    let members = match subject.members {
        Members::Known(members) => members,
        Members::Unknown(_) => return Vec::new(),
    };
    let left: Vec<(&ObjectId, &Observation)> = members
        .iter()
        .filter(|id| {
            !subject.desired.contains_key(*id) && !subject.neighbours.claims.contains_key(*id)
        })
        .filter_map(|id| Some((id, subject.observed.get(id)?)))
        .filter(|(_, observation)| **observation != Observation::Absent)
        .collect();
    let mut steps: Vec<Step> = left
        .iter()
        .filter_map(|(id, seen)| prune(subject, id, seen))
        .collect();
    if !subject.unit.prune && !subject.neighbours.retired && !left.is_empty() {
        let (count, are) = (left.len(), if left.len() == 1 { "is" } else { "are" });
        notes.push(format!(
            "{} that left the unit {are} kept, since it says `prune: false`",
            number_of(count, "object")
        ));
        return Vec::new();
    }
    let inside = steps
        .iter()
        .filter(|step| tier(&step.object.kind) == 0)
        .count();
    for step in steps
        .iter_mut()
        .filter(|step| step.standing == Standing::Ready)
    {
        if let Some(before) = unsettled {
            step.standing = Standing::Waits(before.to_owned());
        } else if tier(&step.object.kind) > 0 && inside > 0 {
            step.standing = Standing::Waits("what lies in it to be gone".to_owned());
        }
    }
    steps
}

/// What is to be deleted and can't be yet, by what it waits for. What is on its way out
/// already is none of that.
pub fn held_back(steps: &[Step]) -> BTreeMap<&str, Vec<&ObjectId>> {
    let mut held: BTreeMap<&str, Vec<&ObjectId>> = BTreeMap::new();
    let prunes = |step: &&Step| step.action == Action::Prune;
    for step in steps.iter().filter(prunes) {
        if let Standing::Waits(what) = &step.standing
            && *what != gone(&step.object)
        {
            held.entry(what).or_default().push(&step.object);
        }
    }
    held
}

/// What is waited for of an object that is on its way out.
pub(super) fn gone(id: &ObjectId) -> String {
    format!("{id}, which is being deleted, to be gone")
}

/// Namespaces and CRDs go after the objects that live in them.
fn tier(kind: &GroupKind) -> u8 {
    u8::from(order::rank(kind) <= 1)
}

fn prune(subject: &Subject<'_>, id: &ObjectId, observation: &Observation) -> Option<Step> {
    let mut step = Step {
        object: id.clone(),
        action: Action::Prune,
        cause: Cause::Change,
        standing: Standing::Ready,
        wave: 0,
        reason: if subject.neighbours.retired {
            "its unit left the environment".to_owned()
        } else {
            "it left the unit".to_owned()
        },
        fields: Vec::new(),
        removes: Vec::new(),
        origin: None,
        before: None,
        after: None,
        live: None,
        gone: None,
        along: None,
        locks_out: None,
        uid: None,
    };
    match observation {
        // What is as desired has not left desired.
        Observation::Absent | Observation::AsDesired(_) => return None,
        Observation::Unknown(why) => block(&mut step, Blocked::Unobserved(why.clone())),
        Observation::Present(seen) => {
            let live = &seen.live();
            step.uid = Some(live.uid().to_owned());
            step.along = takes_along(id, live, subject.dependents);
            let owned = text::without_label(text::owned_side(id, live, subject.key));
            step.before = Some(Json::from(&owned));
            let kept = subject.neighbours.retired && !subject.unit.prune;
            if kept || detached(live) {
                step.action = Action::Detach;
            } else if live.terminating() {
                step.standing = Standing::Waits(gone(id));
            }
        }
    }
    if step.standing == Standing::Ready {
        guard_completeness(subject, &mut step);
    }
    if step.standing == Standing::Ready {
        refuse(subject, &mut step);
    }
    Some(step)
}

/// What the server refused once is not sent again and again.
fn refuse(subject: &Subject<'_>, step: &mut Step) {
    let refusal = subject.refusals.get(&step.object);
    let refusal = refusal.filter(|it| it.refused == Refused::Removal && subject.now < it.again);
    if let Some(refusal) = refusal {
        let what = match step.action {
            Action::Detach => "letting it go",
            _ => "deleting it",
        };
        let why = format!("{what} was refused: {}", refusal.message);
        block(step, Blocked::Refused(why));
    }
}

/// Where it is not sure that an object really left desired, it stays.
fn guard_completeness(subject: &Subject<'_>, step: &mut Step) {
    if let Some(unit) = subject.neighbours.unrendered.iter().next() {
        let why = format!("the unit {unit} could not be rendered, and it may have moved there");
        block(step, Blocked::Guard(why));
    } else if subject.desired.is_empty() && !subject.neighbours.retired {
        let why =
            "the unit has become empty; to take it away, remove it from agent.yaml".to_owned();
        block(step, Blocked::Guard(why));
    }
}
