//! Building the plan of one unit.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use serde_json::{Value, json};

use super::apply::{block, steps};
use super::foreign;
use super::gone;
use super::order;
use super::overruled::{Overruled, overruled};
use super::prune::prunes;
use super::subject::{Members, Observation, Subject};
use super::text::first_of;
use super::types::{Action, Blocked, Plan, Proposed, Standing, Step};
use crate::fields::Hold;
use crate::health::{Health, Status};
use crate::model::{Digest, Json, ObjectId};

/// So many of the objects that hold others back are named.
const BLOCKED: usize = 3;

/// The plan of a unit.
pub fn plan(subject: &Subject<'_>) -> Plan<Proposed> {
    let mut steps: Vec<Step> = subject
        .desired
        .values()
        .flat_map(|desired| steps(subject, desired))
        .collect();
    gone::decide(subject, &mut steps);
    let dirty: BTreeSet<ObjectId> = steps
        .iter()
        .filter(|step| step.standing != Standing::Reported)
        .map(|step| step.object.clone())
        .collect();
    for step in &mut steps {
        depend(subject, &dirty, step);
    }
    let unhealthy = unhealthy(subject);
    let mut notes = Vec::new();
    let unsettled = unsettled(&steps, &unhealthy);
    let prunes = prunes(subject, unsettled.as_deref(), &mut notes);
    let differing: BTreeSet<&ObjectId> = steps.iter().map(|step| &step.object).collect();
    let clean = subject.desired.len() - differing.len();
    let foreign = foreign::reported(subject, &steps);
    let overruled = overruled(subject, &steps);
    let steady = overruled.iter().filter(|one| one.hold == Hold::Steady);
    notes.extend(steady.map(Overruled::line));
    steps.extend(prunes);
    steps.sort_by_cached_key(|step| {
        let rank = order::rank(&step.object.kind);
        let rank = if step.action.applies() {
            rank
        } else {
            u8::MAX - rank
        };
        (!step.action.applies(), step.wave, rank, step.object.clone())
    });
    Plan {
        environment: subject.environment.clone(),
        unit: subject.unit.name.clone(),
        revision: subject.revision.cloned(),
        digest: digest(subject, &steps),
        steps,
        clean,
        foreign,
        overruled,
        unhealthy,
        notes,
        blind: blind(subject),
        leaving: None,
        asks: None,
        stage: PhantomData,
    }
}

/// Sets wave and standing by what has to come before.
fn depend(subject: &Subject<'_>, dirty: &BTreeSet<ObjectId>, step: &mut Step) {
    let dependencies = subject.dependencies;
    if let Some(wrong) = dependencies.wrong.get(&step.object) {
        return block(step, Blocked::Dependency(wrong.to_string()));
    }
    step.wave = dependencies.wave(&step.object);
    if step.standing != Standing::Ready {
        return;
    }
    let mut before = dependencies.of.get(&step.object).into_iter().flatten();
    let unmet = before.find_map(|other| unmet(subject, dirty, other));
    if let Some(unmet) = unmet {
        step.standing = Standing::Waits(unmet);
    }
}

/// What is still missing of something that has to come before.
fn unmet(subject: &Subject<'_>, dirty: &BTreeSet<ObjectId>, before: &ObjectId) -> Option<String> {
    if dirty.contains(before) {
        return Some(format!("{before} to be applied"));
    }
    match subject.observed.get(before).and_then(Observation::health) {
        Some(health) if health.status == Status::Current => None,
        Some(health) => Some(format!("{before}: {}", health.message)),
        None => Some(format!("{before} to exist")),
    }
}

/// What has to come before anything is taken away; `None` if it has.
fn unsettled(steps: &[Step], unhealthy: &[(ObjectId, Health)]) -> Option<String> {
    let blocked = steps
        .iter()
        .filter(|step| matches!(step.standing, Standing::Blocked(_)));
    let blocked: Vec<&ObjectId> = blocked.map(|step| &step.object).collect();
    if !blocked.is_empty() {
        let first = first_of(blocked.iter(), BLOCKED);
        return Some(format!("{first} to be applied"));
    }
    let differs = steps.iter().any(|step| step.standing != Standing::Reported);
    let settles = differs || !unhealthy.is_empty();
    settles.then(|| "the unit to be applied and healthy".to_owned())
}

fn unhealthy(subject: &Subject<'_>) -> Vec<(ObjectId, Health)> {
    let present = subject
        .desired
        .keys()
        .filter_map(|id| Some((id, subject.observed.get(id)?.health()?)));
    present
        .filter(|(_, health)| health.status != Status::Current)
        .map(|(id, health)| (id.clone(), health.clone()))
        .collect()
}

fn blind(subject: &Subject<'_>) -> Option<String> {
    match subject.members {
        Members::Known(_) => None,
        Members::Unknown(why) => Some(format!(
            "nothing is pruned, since the inventory could not be read: {why}"
        )),
    }
}

/// Of what would be done to what: where somebody may have to be asked, of that alone, so that
/// what is approved stays the same while the rest is done. Secrets' values are left out, since
/// each process digests them under its own key; that and which of them differ counts.
fn digest(subject: &Subject<'_>, steps: &[Step]) -> Digest {
    let side = |json: Option<&Json>| json.map(Json::value);
    let asks = |step: &Step| {
        matches!(step.action, Action::Prune | Action::Replace) || step.locks_out.is_some()
    };
    let any = steps.iter().any(asks);
    let steps: Vec<Value> = steps
        .iter()
        .filter(|step| !any || asks(step))
        .map(|step| {
            let secret = crate::model::holds_secret(&step.object);
            let paths: Vec<&str> = step
                .fields
                .iter()
                .map(|field| field.path.as_str())
                .collect();
            let sides = if secret {
                json!(paths)
            } else {
                json!([side(step.before.as_ref()), side(step.after.as_ref())])
            };
            json!([
                step.object.to_string(),
                step.action,
                step.uid,
                sides,
                step.removes
            ])
        })
        .collect();
    Digest::of_json(&json!([subject.environment, subject.unit.name, steps]))
}
