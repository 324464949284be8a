//! How a unit stands after a pass, in words.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::pass::Planned;
use super::unit::UnitState;
use crate::health::{Health, Status};
use crate::kube::{ApiError, Retry};
use crate::model::ObjectId;
use crate::plan::{Blocked, Checked, Plan, Standing, first_of, held_back};
use crate::record::status::State;

/// How many objects or fields are named.
const NAMED: usize = 50;
/// How many of those that are held back together.
const FIRST: usize = 10;

/// How a unit stands, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) state: State,
    pub(super) health: Status,
    pub(super) message: String,
}

impl Stand {
    /// Before anything is known.
    pub(super) fn unknown() -> Self {
        Self {
            state: State::Progressing,
            health: Status::Unknown,
            message: String::new(),
        }
    }

    /// Left alone, as the repository says.
    pub(super) fn suspended() -> Self {
        Self {
            state: State::Suspended,
            ..Self::unknown()
        }
    }
}

impl UnitState {
    /// How the unit stands after a plan and the problem that stopped it, if any.
    pub(super) fn assess(
        &mut self,
        planned: &Planned,
        problem: Option<&ApiError>,
        now: Timestamp,
    ) -> Stand {
        let plan = &planned.plan;
        let health = worst(&plan.unhealthy);
        let stand = |state, message| Stand {
            state,
            health,
            message,
        };
        if let Some(unrendered) = &self.unrendered {
            return stand(unrendered.state(), unrendered.problem.clone());
        }
        if let Some(error) = planned.problem.as_ref().filter(|error| error.passes()) {
            return stand(State::Progressing, error.to_string());
        }
        let contended: BTreeMap<&ObjectId, String> = self.fights.told().collect();
        if let Some(blocked) = blocked(plan, &contended) {
            return stand(State::Blocked, blocked);
        }
        if let Some(error) = problem {
            let passes = matches!(error.retry(), Retry::After(_));
            let state = if passes {
                State::Progressing
            } else {
                State::Blocked
            };
            return stand(state, error.to_string());
        }
        // What is fought over may be rolled out for as long as that goes on.
        let settles = |(id, health): &&(ObjectId, Health)| {
            health.status == Status::Failed || !contended.contains_key(id)
        };
        let unhealthy: Vec<&(ObjectId, Health)> = plan.unhealthy.iter().filter(settles).collect();
        let steps = plan.steps.iter();
        let steps = steps.filter(|step| !contended.contains_key(&step.object));
        let mut drifted: Vec<String> = contended.values().cloned().collect();
        let timeout = self.unit.health_timeout;
        if let Some(unhealthy) = await_health(&mut self.deadline, timeout, &unhealthy, now) {
            return unhealthy;
        }
        for step in steps {
            match &step.standing {
                Standing::Waits(what) => return stand(State::Waiting, what.clone()),
                Standing::Ready => {
                    return stand(State::Progressing, format!("{} to be applied", step.object));
                }
                Standing::Blocked(_) | Standing::Reported => {}
            }
        }
        drifted.extend(drift(plan));
        if !drifted.is_empty() {
            return stand(State::Drifted, few(drifted));
        }
        // What people should know of a unit that is as declared.
        let left_over = planned.carriers.leftovers.briefly().into_iter();
        let warnings = planned.desired.warnings.iter().map(ToString::to_string);
        let lines = left_over.chain(warnings).chain(self.overruled.steady());
        stand(State::Synced, few(lines.collect()))
    }
}

/// Objects that are there and not healthy: waited for until the timeout, from when there is one.
fn await_health(
    deadline: &mut Option<Timestamp>,
    timeout: Duration,
    unhealthy: &[&(ObjectId, Health)],
    now: Timestamp,
) -> Option<Stand> {
    let Some((id, first)) = worst_first(unhealthy.iter().copied()) else {
        *deadline = None;
        return None;
    };
    let health = first.status;
    let mut message = format!("{id}: {}", first.message);
    if unhealthy.len() > 1 {
        message = format!("{message}; and {} more", unhealthy.len() - 1);
    }
    let deadline = *deadline.get_or_insert_with(|| now + timeout);
    let state = if health == Status::Failed {
        State::Failed
    } else if now >= deadline {
        let limit = humantime::format_duration(timeout);
        message = format!("not healthy within {limit}: {message}");
        State::Failed
    } else {
        State::Progressing
    };
    Some(Stand {
        state,
        health,
        message,
    })
}

/// From best to worst.
fn severity(status: Status) -> u8 {
    match status {
        Status::Current => 0,
        Status::InProgress => 1,
        Status::Terminating => 2,
        Status::Unknown => 3,
        Status::NotFound => 4,
        Status::Failed => 5,
    }
}

fn worst_first<'a>(
    unhealthy: impl DoubleEndedIterator<Item = &'a (ObjectId, Health)>,
) -> Option<&'a (ObjectId, Health)> {
    unhealthy
        .rev()
        .max_by_key(|(_, health)| severity(health.status))
}

fn worst(unhealthy: &[(ObjectId, Health)]) -> Status {
    worst_first(unhealthy.iter()).map_or(Status::Current, |(_, health)| health.status)
}

/// Every blocked object with its place and the reason, one a line. What is fought over keeps
/// nothing of the rest back.
fn blocked(plan: &Plan<Checked>, contended: &BTreeMap<&ObjectId, String>) -> Option<String> {
    let mut lines: BTreeMap<&ObjectId, String> = BTreeMap::new();
    let mut guarded: BTreeMap<&str, Vec<&ObjectId>> = BTreeMap::new();
    let blocked = plan.blocked();
    for (step, why) in blocked.filter(|(step, _)| !contended.contains_key(&step.object)) {
        if let (None, Blocked::Guard(why)) = (&step.origin, why) {
            guarded.entry(why).or_default().push(&step.object);
            continue;
        }
        lines
            .entry(&step.object)
            .or_insert_with(|| match (&step.origin, why) {
                (Some(origin), why) => format!("{} ({origin}): {why}", step.object),
                (None, why) => format!("{}: {why}", step.object),
            });
    }
    let guarded = guarded.iter().map(|(why, objects)| kept_back(why, objects));
    let objects = (!lines.is_empty()).then(|| few(lines.into_values().collect()));
    let objects = guarded.chain(objects);
    let more = plan.blind.iter().chain(&plan.leaving).cloned();
    let mut lines: Vec<String> = objects.chain(more).collect();
    if lines.is_empty() {
        return None;
    }
    let held = held_back(&plan.steps);
    lines.extend(held.iter().map(|(what, objects)| waits(what, objects)));
    Some(lines.join("\n"))
}

/// What is to go once something else is done, the first objects by name.
fn waits(what: &str, objects: &[&ObjectId]) -> String {
    if let [only] = objects {
        return format!("{only} is to be deleted, and waits for {what}");
    }
    let (count, first) = (objects.len(), first_of(objects.iter(), FIRST));
    format!("{count} objects are to be deleted, and wait for {what}. They are {first}")
}

/// What the guard holds back for one reason, the first objects by name.
fn kept_back(why: &str, objects: &[&ObjectId]) -> String {
    if let [only] = objects {
        return format!("{only} is not pruned: {why}");
    }
    let (count, first) = (objects.len(), first_of(objects.iter(), FIRST));
    format!("{count} objects are not pruned: {why}. They are {first}")
}

/// One a line, as many as a person reads.
fn few(mut lines: Vec<String>) -> String {
    let more = lines.len().saturating_sub(NAMED);
    lines.truncate(NAMED);
    lines.extend((more > 0).then(|| format!("… and {more} more")));
    lines.join("\n")
}

/// What is left as somebody made it, a field a line.
fn drift(plan: &Plan<Checked>) -> impl Iterator<Item = String> {
    let reported = plan
        .steps
        .iter()
        .filter(|step| step.standing == Standing::Reported);
    reported.flat_map(|step| {
        let fields = step
            .fields
            .iter()
            .map(|field| format!("{}: {field}", step.object));
        let whole = step
            .fields
            .is_empty()
            .then(|| format!("{}: {}", step.object, step.reason));
        fields.chain(whole).collect::<Vec<_>>()
    })
}
