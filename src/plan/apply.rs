//! The step for one desired object: whether it differs, whose it is, whether the API
//! server would take it.

use serde_json::Value;

use super::subject::{Observation, Seen, Subject};
use super::text;
use super::types::{Action, Blocked, Cause, Standing, Step};
use crate::config::{ConflictPolicy, DriftPolicy};
use crate::fields::Verdict;
use crate::model::{Desired, FIELD_MANAGER, Json, Live, PART_OF, UnitName};

/// Ours for a single object, where the unit does not say `replace: true`.
const REPLACE: &str = "gitops-agent.dev/replace";

/// The step for a desired object, `None` if it is as desired.
pub(super) fn step(subject: &Subject<'_>, desired: &Desired) -> Option<Step> {
    let mut step = Step {
        object: desired.id.clone(),
        action: Action::Create,
        cause: cause(subject, desired),
        standing: Standing::Ready,
        wave: 0,
        reason: String::new(),
        fields: Vec::new(),
        origin: Some(desired.origin.clone()),
        before: None,
        after: None,
        live: None,
        uid: None,
    };
    match subject.observed.get(&desired.id) {
        None => block(
            &mut step,
            Blocked::Unobserved("it was not looked for".to_owned()),
        ),
        Some(Observation::AsDesired(_)) => return None,
        Some(Observation::Unknown(why)) => block(&mut step, Blocked::Unobserved(why.clone())),
        Some(Observation::Absent) => {
            let after = text::masked(&desired.id, &desired.body(), subject.key);
            step.after = Some(Json::from(&text::without_label(after)));
            match step.cause {
                Cause::Drift => "somebody deleted it",
                Cause::Change => "it does not exist yet",
            }
            .clone_into(&mut step.reason);
        }
        Some(Observation::Present(seen)) => compare(subject, desired, seen, &mut step)?,
    }
    refuse(subject, desired, &mut step);
    if step.standing == Standing::Ready {
        match (step.cause, subject.unit.drift, subject.waits) {
            (Cause::Drift, DriftPolicy::Report, _) => step.standing = Standing::Reported,
            (Cause::Change, _, Some(waits)) => step.standing = Standing::Waits(waits.to_owned()),
            _ => {}
        }
    }
    Some(step)
}

pub(super) fn block(step: &mut Step, why: Blocked) {
    step.standing = Standing::Blocked(why);
}

/// Desired has not moved since it was applied: so live has.
fn cause(subject: &Subject<'_>, desired: &Desired) -> Cause {
    match subject.applied.get(&desired.id) {
        Some(baseline) if baseline.digest == desired.digest => Cause::Drift,
        _ => Cause::Change,
    }
}

fn compare(subject: &Subject<'_>, desired: &Desired, seen: &Seen, step: &mut Step) -> Option<()> {
    let live = &seen.live();
    let owner = ownership(subject, live);
    let differences = match &seen.verdict {
        Verdict::Clean if owner == Ownership::Ours => return None,
        Verdict::Clean => &[][..],
        Verdict::Maybe(differences) | Verdict::Drifted(differences) => differences,
    };
    step.uid = Some(live.uid().to_owned());
    step.fields = text::fields(differences);
    let key = subject.key;
    step.before = Some(Json::from(&text::live_side(desired, live, key)));
    step.live = Some(Json::from(&text::recorded_side(desired, live, key)));
    step.after = Some(Json::from(&text::masked(&desired.id, &desired.body(), key)));
    step.action = Action::Change;
    match owner {
        Ownership::Ours => reason(step).clone_into(&mut step.reason),
        Ownership::Nobodys => {
            step.action = Action::Adopt;
            step.cause = Cause::Change;
            "it exists and is not managed yet".clone_into(&mut step.reason);
        }
        Ownership::Neighbours(unit) => {
            step.reason = format!("it moves here from the unit {unit}");
            if subject
                .neighbours
                .claims
                .get(&desired.id)
                .is_some_and(|claims| claims == unit)
            {
                let why = format!("the unit {unit} declares it too; only one may");
                block(step, Blocked::NotOurs(why));
            }
        }
        Ownership::Foreign(id) => {
            let why = format!(
                "it belongs to another ApplySet ({id}); remove its label {PART_OF} to hand it over"
            );
            block(step, Blocked::NotOurs(why));
        }
    }
    if live.terminating() {
        step.standing = Standing::Waits("its deletion, which is under way".to_owned());
    } else if subject.unit.conflicts == ConflictPolicy::Fail
        && step.cause == Cause::Change
        && let Some(taken) = step.fields.iter().find(|field| field.owner.is_some())
    {
        block(
            step,
            Blocked::NotOurs(format!("the unit says `conflicts: fail`, and {taken}")),
        );
    }
    Some(())
}

fn reason(step: &Step) -> &'static str {
    match step.cause {
        Cause::Drift => "live has drifted",
        Cause::Change => "desired has changed",
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ownership<'a> {
    Ours,
    Nobodys,
    Neighbours(&'a UnitName),
    Foreign(&'a str),
}

fn ownership<'a>(subject: &'a Subject<'_>, live: &'a Live) -> Ownership<'a> {
    match live.label(PART_OF) {
        Some(id) if id == subject.apply_set => Ownership::Ours,
        Some(id) => match subject.neighbours.apply_sets.get(id) {
            Some(unit) => Ownership::Neighbours(unit),
            None => Ownership::Foreign(id),
        },
        // Somebody took the label off an object that we have applied.
        None if was_applied(live) => Ownership::Ours,
        None => Ownership::Nobodys,
    }
}

fn was_applied(live: &Live) -> bool {
    let entries = live
        .body
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| {
        entry.get("manager").and_then(Value::as_str) == Some(FIELD_MANAGER)
            && entry.get("operation").and_then(Value::as_str) == Some("Apply")
    })
}

/// What the server refused once is not sent again and again.
fn refuse(subject: &Subject<'_>, desired: &Desired, step: &mut Step) {
    let Some(refusal) = subject.refusals.get(&desired.id) else {
        return;
    };
    if refusal.digest != desired.digest || step.standing != Standing::Ready {
        return;
    }
    let replace = subject.unit.replace || desired.setting(REPLACE) == Some("true");
    if refusal.immutable && replace && step.action != Action::Create {
        step.action = Action::Replace;
        step.reason = format!("a field can't be changed: {}", refusal.message);
    } else if subject.now < refusal.again {
        let mut message = refusal.message.clone();
        if refusal.immutable {
            message.push_str("; to have it deleted and created again, set `replace: true` on the unit or the annotation ");
            message.push_str(REPLACE);
        }
        block(step, Blocked::Refused(message));
    }
}
