//! The step for one desired object: whether it differs, whose it is, whether the API
//! server would take it.

use serde_json::Value;

use super::foreign;
use super::proposed;
use super::subject::{Observation, Seen, Subject};
use super::text;
use super::types::{Action, Blocked, Cause, Standing, Step};
use crate::config::{ConflictPolicy, DriftPolicy};
use crate::fields::{self, Kind, Others, Verdict};
use crate::model::{Desired, FIELD_MANAGER, Json, Live, Manager, PART_OF, UnitName};

/// Ours for a single object, where the unit does not say `replace: true`.
const REPLACE: &str = "gitops-agent.dev/replace";

/// What is done about a desired object: nothing if it is as desired, mostly one thing.
/// Where drift is only reported, what others have added goes all the same if the unit
/// says so.
pub(super) fn steps(subject: &Subject<'_>, desired: &Desired) -> Vec<Step> {
    let Some(mut step) = step(subject, desired) else {
        return Vec::new();
    };
    let others = subject
        .observed
        .get(&desired.id)
        .and_then(Observation::others);
    let Some(others) = others.filter(|_| step.standing == Standing::Reported) else {
        return vec![step];
    };
    let mut rest = blank(subject, desired);
    let removes = clear(subject, desired, others, &mut rest).is_some();
    step.fields
        .retain(|field| !step.removes.contains(&field.path));
    step.removes.clear();
    if removes && rest.cause == Cause::Drift {
        refuse(subject, desired, &mut rest);
        vec![step, rest]
    } else {
        vec![step]
    }
}

fn blank(subject: &Subject<'_>, desired: &Desired) -> Step {
    Step {
        object: desired.id.clone(),
        action: Action::Create,
        cause: cause(subject, desired),
        standing: Standing::Ready,
        wave: 0,
        reason: String::new(),
        fields: Vec::new(),
        removes: Vec::new(),
        origin: Some(desired.origin.clone()),
        before: None,
        after: None,
        live: None,
        gone: None,
        uid: None,
    }
}

fn step(subject: &Subject<'_>, desired: &Desired) -> Option<Step> {
    let mut step = blank(subject, desired);
    match subject.observed.get(&desired.id) {
        None => block(
            &mut step,
            Blocked::Unobserved("it was not looked for".to_owned()),
        ),
        Some(Observation::AsDesired(found)) => clear(subject, desired, &found.others, &mut step)?,
        Some(Observation::Unknown(why)) => block(&mut step, Blocked::Unobserved(why.clone())),
        Some(Observation::Absent) => {
            let after = text::masked(&desired.id, &desired.body(), subject.key);
            step.after = Some(Json::from(&text::without_label(after)));
            match step.cause {
                Cause::Drift => "somebody deleted it",
                Cause::Change | Cause::Ownership => "it does not exist yet",
            }
            .clone_into(&mut step.reason);
        }
        Some(Observation::Present(seen)) => compare(subject, desired, seen, &mut step)?,
    }
    refuse(subject, desired, &mut step);
    if step.standing == Standing::Ready {
        match (step.cause, subject.unit.drift, subject.waits) {
            (Cause::Drift, DriftPolicy::Report, _) if step.action != Action::Clear => {
                step.standing = Standing::Reported;
            }
            // Of what is gone is decided when all that is gone is known.
            (Cause::Drift, DriftPolicy::Propose, _)
                if !matches!(step.action, Action::Clear | Action::Create) =>
            {
                match proposed::put_back(subject, &step) {
                    Some(why) => step.reason = format!("{}; put back, since {why}", step.reason),
                    None => step.standing = Standing::Reported,
                }
            }
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
        Verdict::Clean if owner == Ownership::Ours => {
            return clear(subject, desired, &seen.others, step);
        }
        Verdict::Clean => &[][..],
        Verdict::Maybe(differences) | Verdict::Drifted(differences) => differences,
    };
    let told = text::told(differences, step.cause);
    let drifted = step.cause == Cause::Drift;
    let remover = drifted.then(|| fields::last_writer(live)).flatten();
    step.uid = Some(live.uid().to_owned());
    step.fields = text::fields(&told, remover.as_ref());
    if drifted && !told.is_empty() && told.iter().all(|one| one.kind == Kind::NotOwned) {
        step.cause = Cause::Ownership;
    }
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
            step.reason = adoption(&seen.others);
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
    remove(subject, desired, &seen.others, step);
    Some(())
}

fn reason(step: &Step) -> &'static str {
    match step.cause {
        Cause::Drift => "live has drifted",
        Cause::Change => "desired has changed",
        Cause::Ownership => "its values are as desired, but some fields are no longer ours",
    }
}

/// From whom an object is adopted.
fn adoption(others: &Others) -> String {
    if others.sharing.is_empty() {
        return "it exists and is not managed yet".to_owned();
    }
    format!(
        "it exists, applied by {}; adopted: ownership of what is declared here is taken over",
        names(&others.sharing)
    )
}

fn names(managers: &[Manager]) -> String {
    let names: Vec<String> = managers.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// An object whose every field is as desired.
fn clear(subject: &Subject<'_>, desired: &Desired, others: &Others, step: &mut Step) -> Option<()> {
    step.action = Action::Clear;
    remove(subject, desired, others, step);
    if !step.removes.is_empty() {
        step.cause = Cause::Drift;
        "others have added fields, and the unit says `foreignFields: revert`"
            .clone_into(&mut step.reason);
        return Some(());
    }
    let shared = subject.unit.conflicts == ConflictPolicy::Take && !others.sharing.is_empty();
    step.cause = Cause::Ownership;
    step.reason = format!(
        "fields of it are owned by {} as well, and would stay when they leave Git; its ownership is taken over",
        names(&others.sharing)
    );
    shared.then_some(())
}

/// Has what others have added go with the step, if the unit says so.
fn remove(subject: &Subject<'_>, desired: &Desired, others: &Others, step: &mut Step) {
    for field in foreign::removed(subject, &desired.id, &others.foreign) {
        step.fields.push(foreign::change(field));
        step.removes.push(field.path.clone());
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
    if refusal.immutable && replace && !matches!(step.action, Action::Create | Action::Clear) {
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
