//! The step for one desired object: whether it differs, whose it is, whether the API
//! server would take it.

use serde_json::Value;

use super::foreign;
use super::lockout::locks_out;
use super::overruled::Overruled;
use super::proposed;
use super::subject::{Observation, Refused, Seen, Subject};
use super::taken::takes_along;
use super::text;
use super::types::{Action, Blocked, Cause, Standing, Step};
use crate::config::{ConflictPolicy, DriftPolicy};
use crate::fields::{self, Kind, Others, Verdict};
use crate::model::{
    Claim, Desired, FIELD_MANAGER, Json, Live, Manager, PART_OF, REPLACE, UnitName,
};

/// Why an object is not deleted to be made again.
const NOT_REPLACED: &str = "it would have to be deleted and created again, and that it is one that the agent has applied and that nothing else controls can't be proven; delete it by hand if it is to go";

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
    // What is not ours, or no longer, is left whole.
    let ours = step.action != Action::Adopt;
    let Some(others) = others.filter(|_| ours && step.standing == Standing::Reported) else {
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
        along: None,
        locks_out: None,
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
                Cause::Change | Cause::Ownership | Cause::Admission => "it does not exist yet",
            }
            .clone_into(&mut step.reason);
        }
        Some(Observation::Present(seen)) => compare(subject, desired, seen, &mut step)?,
    }
    if step.action != Action::Clear {
        step.locks_out = lockout(subject, desired);
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

fn lockout(subject: &Subject<'_>, desired: &Desired) -> Option<String> {
    let live = match subject.observed.get(&desired.id) {
        Some(Observation::Present(seen)) => Some(seen.live.value()),
        _ => None,
    };
    locks_out(desired, live.as_ref(), subject.desired, subject.upkeep)
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
    let owner = ownership(subject, desired, live);
    let differences = match &seen.verdict {
        Verdict::Clean if owner == Ownership::Ours => {
            return clear(subject, desired, &seen.others, step);
        }
        Verdict::Clean => &[][..],
        Verdict::Maybe(differences)
        | Verdict::Drifted(differences)
        | Verdict::Overruled(differences, _) => differences,
    };
    let mut told = text::told(differences, step.cause);
    let drifted = step.cause == Cause::Drift;
    if owner == Ownership::Nobodys && drifted {
        // Of another object nothing is ours; what it says otherwise is told.
        told.retain(|one| one.kind != Kind::NotOwned);
    }
    step.uid = Some(live.uid().to_owned());
    step.fields = text::fields(&told);
    if drifted && !told.is_empty() && told.iter().all(|one| one.kind == Kind::NotOwned) {
        step.cause = Cause::Ownership;
    }
    if drifted && !told.is_empty() && told.iter().all(|one| one.is_answered()) {
        step.cause = Cause::Admission;
    }
    let key = subject.key;
    step.before = Some(Json::from(&text::live_side(desired, live, key)));
    step.live = Some(Json::from(&text::recorded_side(desired, live, key)));
    step.after = Some(Json::from(&text::masked(&desired.id, &desired.body(), key)));
    step.action = Action::Change;
    match owner {
        Ownership::Ours => reason(step).clone_into(&mut step.reason),
        Ownership::Formerly => {
            step.cause = Cause::Change;
            "the agent keeps its inventories in another namespace from now on"
                .clone_into(&mut step.reason);
        }
        // It was as declared, and ours: so somebody has put another in its place.
        Ownership::Nobodys if drifted => {
            step.action = Action::Adopt;
            step.cause = Cause::Drift;
            "somebody replaced it".clone_into(&mut step.reason);
        }
        Ownership::Nobodys => {
            step.action = Action::Adopt;
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
        Ownership::Adopted(claim) => step.reason = format!("it is handed over by {claim}"),
        Ownership::Foreign(id) => {
            let why = foreign_owner(subject, id);
            block(step, Blocked::NotOurs(why));
        }
    }
    if let Verdict::Overruled(differences, hold) = &seen.verdict
        && let Some(overruled) = Overruled::of(desired, differences, *hold)
    {
        block(step, Blocked::Overruled(overruled.to_string()));
    }
    if live.terminating() {
        step.standing = Standing::Waits(super::prune::gone(&desired.id));
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

/// Whose an object is, and how it would become ours.
fn foreign_owner(subject: &Subject<'_>, id: &str) -> String {
    match subject.others.get(id) {
        Some(claim) => format!(
            "it belongs to {claim}; only one environment may declare it. If {ours} takes the place of {theirs}, see `agent adopt --from {theirs}`",
            ours = subject.environment,
            theirs = claim.environment,
        ),
        None => format!(
            "it belongs to another ApplySet ({id}); remove its label {PART_OF} to hand it over"
        ),
    }
}

fn reason(step: &Step) -> &'static str {
    match step.cause {
        Cause::Drift => "live has drifted",
        Cause::Change => "desired has changed",
        Cause::Ownership => "its values are as desired, but some fields are no longer ours",
        Cause::Admission => {
            "the API server, or an admission, gave it other values when it was applied"
        }
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
    /// Ours, by the inventory that the unit had in another namespace.
    Formerly,
    Neighbours(&'a UnitName),
    /// Of an environment that this one takes the place of.
    Adopted(&'a Claim),
    Foreign(&'a str),
}

/// A label is what somebody says. An object that we have applied stays ours whatever its
/// label is made to say, unless another unit or environment has applied it since.
fn ownership<'a>(subject: &'a Subject<'_>, desired: &Desired, live: &'a Live) -> Ownership<'a> {
    let listed = subject.list.is(&desired.id, live.uid());
    match live.label(PART_OF) {
        Some(id) if id == subject.apply_set => Ownership::Ours,
        Some(id) => match subject.neighbours.apply_sets.get(id) {
            Some(unit) if *unit == subject.unit.name => Ownership::Formerly,
            Some(unit) if !listed || fields::labelled_by_us(live, PART_OF) => {
                Ownership::Neighbours(unit)
            }
            Some(_) => Ownership::Ours,
            // An agent of another environment has taken it over, which is nobody's slip.
            None if listed && !fields::labelled_by_us(live, PART_OF) => Ownership::Ours,
            None => match subject.others.get(id) {
                Some(claim) if subject.adopted.contains(&claim.environment) => {
                    Ownership::Adopted(claim)
                }
                Some(_) | None => Ownership::Foreign(id),
            },
        },
        None if listed || was_applied(live) => Ownership::Ours,
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
    if refusal.refused != Refused::Desired(desired.digest) || step.standing != Standing::Ready {
        return;
    }
    let replace = subject.unit.replace || desired.setting(REPLACE) == Some("true");
    if refusal.immutable && replace && !matches!(step.action, Action::Create | Action::Clear) {
        step.action = Action::Replace;
        if let Some(Observation::Present(seen)) = subject.observed.get(&desired.id) {
            step.along = takes_along(&desired.id, &seen.live(), subject.dependents);
        }
        step.reason = format!("a field can't be changed: {}", refusal.message);
        if !subject.members.include(&desired.id) {
            block(step, Blocked::NotOurs(NOT_REPLACED.to_owned()));
        }
    } else if subject.now < refusal.again {
        let mut message = refusal.message.clone();
        if refusal.immutable {
            message.push_str("; to have it deleted and created again, set `replace: true` on the unit or the annotation ");
            message.push_str(REPLACE);
        }
        block(step, Blocked::Refused(message));
    }
}
