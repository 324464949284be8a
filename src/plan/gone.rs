//! Objects that somebody deleted, in a unit that proposes its drift: which are left so
//! until people decide, and which are put back. Once it is said that one is put back, that
//! stays so until it is there: those that went with it may be back by then.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::order::Dependencies;
use super::proposed::{drift_digest, kept_until};
use super::subject::{Observation, Subject};
use super::taken::takes_others_along;
use super::types::{Action, Blocked, Cause, Standing, Step};
use crate::config::{DriftPolicy, Unit};
use crate::model::{Desired, Digest, ObjectId, holds_secret, number_of};

/// A declared object that was found to be gone, and it was not us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gone {
    /// When that was first seen, to the second: nothing says when it was done.
    pub since: Timestamp,
    /// What was declared of it then.
    pub declared: Digest,
    /// Why it is put back; `None` where it is left so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_back: Option<String>,
}

/// How long a deletion counts among those that were done at once.
const AT_ONCE: SignedDuration = SignedDuration::from_mins(1);

/// What is known of objects that somebody deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deletions {
    /// Those that were gone when last looked.
    pub gone: BTreeMap<ObjectId, Gone>,
    /// When objects were last seen to be gone, whatever became of that. Of many that are
    /// deleted one after the other the first may be back before the last is gone.
    pub seen: BTreeMap<ObjectId, Timestamp>,
}

impl Deletions {
    /// What is known after a plan, in which what could not be looked at is as it was.
    pub fn after(&self, steps: &[Step], now: Timestamp) -> Self {
        let gone = steps.iter().filter_map(|step| {
            let unseen = matches!(step.standing, Standing::Blocked(Blocked::Unobserved(_)));
            let known = self.gone.get(&step.object).filter(|_| unseen);
            Some((step.object.clone(), step.gone.as_ref().or(known)?.clone()))
        });
        let gone: BTreeMap<ObjectId, Gone> = gone.collect();
        let mut seen = self.seen.clone();
        seen.extend(gone.keys().map(|id| (id.clone(), now)));
        seen.retain(|_, at| *at + AT_ONCE > now);
        Self { gone, seen }
    }
}

/// Why one of the objects that are gone of a unit is not left so, whatever people would say
/// of it: what is big is never taken for meant. `lately` is how many were deleted, those
/// included that are back.
pub fn never_left(
    unit: &Unit,
    desired: &BTreeMap<ObjectId, Desired>,
    dependencies: &Dependencies,
    gone: &BTreeSet<ObjectId>,
    lately: usize,
    id: &ObjectId,
) -> Option<String> {
    if holds_secret(id) {
        return Some("what becomes of a Secret is never proposed".to_owned());
    }
    if takes_others_along(&id.kind) {
        let kind = &id.kind.kind;
        return Some(format!("deleting a {kind} takes everything in it along"));
    }
    let mut needs = dependencies.of.iter();
    let dependent = needs.find(|(other, needs)| !gone.contains(*other) && needs.contains(id));
    if let Some((other, _)) = dependent {
        return Some(format!("{other} depends on it"));
    }
    let total = desired.len();
    if gone.len() == total {
        return Some("nothing would be left of the unit".to_owned());
    }
    let exceeded = unit.max_prune.exceeded_by(lately, total);
    exceeded.then(|| {
        let total = number_of(total, "object");
        format!("{lately} of the unit's {total} were deleted")
    })
}

/// Decides what becomes of each deletion.
pub(super) fn decide(subject: &Subject<'_>, steps: &mut [Step]) {
    if subject.unit.drift != DriftPolicy::Propose {
        return;
    }
    let steps = steps.iter_mut().filter(|step| is_gone(subject, step));
    let mut steps: Vec<&mut Step> = steps.collect();
    let all: BTreeSet<ObjectId> = steps.iter().map(|step| step.object.clone()).collect();
    for step in &mut steps {
        let Some(gone) = gone(subject, &all, step) else {
            continue;
        };
        match (&gone.put_back, &step.standing) {
            (Some(why), Standing::Ready) => {
                step.reason = format!("{}; put back, since {why}", step.reason);
            }
            (None, Standing::Ready) => step.standing = Standing::Reported,
            _ => {}
        }
        step.gone = Some(gone);
    }
}

fn is_gone(subject: &Subject<'_>, step: &Step) -> bool {
    let observed = subject.observed.get(&step.object);
    step.action == Action::Create
        && step.cause == Cause::Drift
        && observed == Some(&Observation::Absent)
}

fn gone(subject: &Subject<'_>, all: &BTreeSet<ObjectId>, step: &mut Step) -> Option<Gone> {
    let declared = subject.desired.get(&step.object)?.digest;
    let known = subject.deletions.gone.get(&step.object);
    let known = known.filter(|known| known.declared == declared);
    let gone = known.cloned().unwrap_or_else(|| Gone {
        since: second(subject.now),
        declared,
        put_back: None,
    });
    if gone.put_back.is_some() {
        return Some(gone);
    }
    step.gone = Some(gone.clone());
    let put_back = put_back(subject, all, step);
    Some(Gone { put_back, ..gone })
}

fn put_back(subject: &Subject<'_>, all: &BTreeSet<ObjectId>, step: &Step) -> Option<String> {
    let id = &step.object;
    if subject.along.contains(id) {
        return Some("it went with its namespace or the definition of its kind".to_owned());
    }
    let (unit, desired) = (subject.unit, subject.desired);
    let before = subject.deletions.seen.iter().filter(|(id, at)| {
        **at + AT_ONCE > subject.now && desired.contains_key(*id) && !all.contains(*id)
    });
    let lately = all.len() + before.count();
    let needs = subject.dependencies;
    if let Some(why) = never_left(unit, desired, needs, all, lately, id) {
        return Some(why);
    }
    if subject.proposals.refused.contains(&drift_digest(step)) {
        return Some("the proposal to leave it so was closed".to_owned());
    }
    let over = kept_until(step, subject.unit.keep_for).is_some_and(|until| until <= subject.now);
    over.then(|| "it was proposed, and `keepFor` is over".to_owned())
}

fn second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
