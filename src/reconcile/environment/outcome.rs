//! What a pass came to: what was done, what comes next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::untold::Sight;
use super::{Environment, Event, foreign};
use crate::health::Status;
use crate::kube::{ApiError, Inventory, Removal, Retry};
use crate::model::UnitName;
use crate::plan::{Action, Baseline, Cause, Members, Refused, is_admission};
use crate::reconcile::declared::UnitDesired;
use crate::reconcile::execute::Done;
use crate::reconcile::left_alone::Say;
use crate::reconcile::membership::Carriers;
use crate::reconcile::pass::{Context, Outcome, Planned};
use crate::reconcile::patience::about;
use crate::reconcile::refused;
use crate::reconcile::standing::Stand;
use crate::reconcile::unit::UnitState;
use crate::record::status::State;
use crate::record::story::Told;
use crate::runtime::clock;
use crate::runtime::metrics::HealthLabels;

impl Environment {
    /// Takes a pass's outcome in.
    pub(super) fn passed(&mut self, name: &UnitName, outcome: Outcome) {
        let now = clock::now();
        self.context.begun.store(true, Ordering::Relaxed);
        self.tell_found(name, &outcome.planned, now);
        self.offer_drift(name, &outcome);
        self.tell_left_alone(name, &outcome.planned.carriers);
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.running = None;
        if let Some(inventory) = outcome.inventory {
            unit.inventory = inventory.clone();
            self.inventories.put(name, inventory);
        }
        if !outcome.done.is_empty() {
            unit.plan = Some(outcome.planned.plan.digest);
        }
        if self.approvals.include(&outcome.planned.plan.digest) {
            unit.granted.extend(outcome.planned.plan.deletions());
        }
        unit.asked = outcome.planned.asked;
        unit.asks = outcome.planned.asks();
        if unit.asked.is_some() {
            self.eases = self.context.spent.eases(now);
        }
        let did = |done: &Done| done.result.is_ok() && done.step.cause == Cause::Change;
        let changed = outcome.done.iter().any(did);
        // Live has changed: the next plan is made from that.
        let moved = outcome.done.iter().any(|done| done.result.is_ok());
        unit.dirty |= moved;
        let admits = outcome.done.iter().any(admits);
        let mut problem = outcome.problem;
        let late = unit.unsure.done(&outcome.planned).into_iter();
        for done in late.chain(outcome.done) {
            if let Some(error) = take_in(unit, &done, &outcome.planned.desired, now) {
                let environment = &self.context.environment;
                if matches!(error, ApiError::Misanswered { .. } | ApiError::TooLarge(_)) {
                    warn!(%environment, unit = %name, %error, "an answer is not believed; the step is tried again");
                } else {
                    debug!(%environment, unit = %name, %error, "a step is tried again");
                }
                problem = Some(error);
            }
        }
        unit.settle(&outcome.planned, now);
        // Another unit has changed something while this one was refused.
        if unit.since != self.changes {
            unit.reconsider(now);
        }
        let recorded = self.journal.status().units.get(name);
        let recorded = recorded.map_or("", |unit| &unit.message);
        unit.overruled.see(&outcome.planned, recorded);
        unit.ask_again = asks_again(&self.context, &outcome.planned);
        match problem.as_ref().map(ApiError::retry) {
            Some(Retry::After(after)) => unit.retry.fail(after, now),
            Some(Retry::WhenInputsChange) => unit.retry.fail(Some(refused::pause(0)), now),
            None => unit.retry.succeed(),
        }
        let before = unit.standing.clone();
        // One that was suspended while the pass was under way stays so.
        let suspended = unit.unit.suspend;
        if !suspended {
            stand(unit, &outcome.planned, problem.as_ref(), now);
        }
        unit.others = foreign::file(&outcome.planned.plan).or(unit.others.take());
        if admits {
            self.ask_values();
        }
        if changed {
            self.wake_refused(name);
        }
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let (dirty, retired, after) = (unit.dirty, unit.retired, unit.standing.clone());
        if before != after {
            self.warn_of(name, &before, &after);
            self.show_health(name, before.health, after.health);
            self.wake_dependents();
        }
        if moved {
            self.ask_anew();
        }
        if dirty && !suspended {
            return;
        }
        let none = Members::Known(BTreeSet::new());
        let gone = retired
            && outcome.planned.plan.is_empty()
            && outcome.planned.members == none
            && outcome.planned.carriers.leftovers.is_empty();
        if gone && problem.is_none() {
            return self.remove(name);
        }
        let sight = &mut self.unrecorded.entry(name.clone()).or_insert((now, None)).1;
        // What was seen before the last step is not what is live now.
        *sight = (!dirty).then(|| Sight::of(&outcome.planned));
        self.record_due();
        self.tell_foreign(name, &outcome.planned.plan, now);
    }

    /// Says what keeps a unit from being as declared, unless that was said.
    fn warn_of(&self, name: &UnitName, before: &Stand, after: &Stand) {
        let same = (before.state, &before.message) == (after.state, &after.message);
        if !same && matches!(after.state, State::Blocked | State::Failed) {
            warn!(environment = %self.context.environment, unit = %name, state = %after.state, "{}", after.message);
        }
    }

    /// Begins to delete the inventory of a retired unit without members, which goes as the
    /// last.
    fn remove(&mut self, name: &UnitName) {
        // The next agent finds it empty, and removes it.
        if self.over.is_cancelled() {
            return;
        }
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.running = Some(CancellationToken::new());
        let (parent, name) = (self.parent(name), name.clone());
        let cluster = Arc::clone(&self.context.cluster);
        self.tasks.spawn(async move {
            let result = parent.remove(&cluster).await;
            Event::Removed { unit: name, result }
        });
    }

    /// Takes in what became of a retired unit's inventory. The unit may have come back
    /// meanwhile: it begins with a new one then.
    pub(super) fn removed(&mut self, name: &UnitName, result: Result<Removal, ApiError>) {
        let (now, environment) = (clock::now(), &self.context.environment);
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.running = None;
        match result {
            Ok(Removal::Gone) => {}
            Ok(Removal::NotOurs) => {
                warn!(%environment, unit = %name, "the inventory is left as it is: the agent has not written it");
            }
            Err(error) => {
                warn!(%environment, unit = %name, %error, "the inventory cannot be deleted; trying again");
                unit.retry.fail(None, now);
                return;
            }
        }
        self.context.lists.forget(&unit.apply_set);
        self.inventories.forget(name);
        if !unit.retired {
            unit.inventory = Inventory::default();
            unit.dirty = true;
        } else if let Some(unit) = self.units.remove(name) {
            self.context.intents.forget(name);
            self.record_removal(name, &unit, now);
        }
    }

    /// Says once of what carries the unit's label that it is left alone: of what we have
    /// applied the first ones by name, of what others have labelled the first time that there is any.
    fn tell_left_alone(&mut self, name: &UnitName, carriers: &Carriers) {
        let environment = &self.context.environment;
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        for (id, line) in carriers.leftovers.told() {
            match unit.left_alone.say(id) {
                Say::Named => warn!(%environment, unit = %name, "{line}"),
                Say::More => {
                    let count = carriers.leftovers.len();
                    warn!(%environment, unit = %name, count, "more objects are kept like these, and not told one by one; `agent status -v` names them all");
                }
                Say::Nothing => {}
            }
        }
        let strangers = &carriers.strangers;
        if let Some(first) = strangers.first()
            && unit.stranger.is_none()
        {
            unit.stranger = Some(first.clone());
            let count = strangers.len();
            info!(%environment, unit = %name, count, %first, "objects carry the unit's label that the agent has not applied; they are none of it and stay as they are");
        }
    }

    fn show_health(&self, name: &UnitName, before: Status, after: Status) {
        let labels = |status: Status| HealthLabels {
            environment: self.context.environment.to_string(),
            unit: name.to_string(),
            status: status.to_string(),
        };
        self.context
            .metrics
            .health
            .get_or_create(&labels(before))
            .set(0);
        self.context
            .metrics
            .health
            .get_or_create(&labels(after))
            .set(1);
    }
}

/// Takes in how a unit stands after a pass, and what keeps it there.
fn stand(unit: &mut UnitState, planned: &Planned, problem: Option<&ApiError>, now: Timestamp) {
    unit.standing = unit.assess(planned, problem, now);
    unit.about = about(&planned.plan, unit.standing.state);
}

/// Whether a step has changed a policy or webhook that may give objects other values.
fn admits(done: &Done) -> bool {
    done.result.is_ok() && is_admission(&done.step.object)
}

/// When it is to be asked again whether what the plan found overruled still is.
fn asks_again(context: &Context, planned: &Planned) -> Option<Timestamp> {
    let overruled = planned.plan.overruled.iter();
    context
        .compared
        .asks_again(overruled.map(|one| &one.object))
}

/// Takes the result of a step in; gives back an error that is to be tried again.
fn take_in(
    unit: &mut UnitState,
    done: &Done,
    desired: &UnitDesired,
    now: Timestamp,
) -> Option<ApiError> {
    let step = &done.step;
    let desired = desired.objects.get(&step.object);
    match &done.result {
        Ok(()) => {
            unit.taken(&step.object, now);
            let applied = Arc::make_mut(&mut unit.applied);
            match desired {
                // Its deletion may not be over: that it is gone then is our doing.
                _ if step.action == Action::Replace => drop(applied.remove(&step.object)),
                Some(desired) if step.action.applies() => {
                    let digest = desired.digest;
                    applied.insert(step.object.clone(), Baseline { digest });
                }
                _ => {}
            }
            match step.cause {
                Cause::Drift => {
                    if unit.contend(step, now) {
                        unit.reverted.push(Told::from(step));
                    }
                }
                // Nobody's business, unless somebody keeps at it.
                Cause::Ownership => {
                    unit.contend(step, now);
                }
                // It is put right, and there is nobody of whom to tell.
                Cause::Admission => unit.reverted.push(Told::from(step)),
                Cause::Change => unit.changed.push(Told::from(step)),
            }
            None
        }
        Err(error) => match error.retry() {
            Retry::WhenInputsChange => {
                // What nobody desires was to go.
                let refused =
                    desired.map_or(Refused::Removal, |desired| Refused::Desired(desired.digest));
                unit.refuse(&step.object, refused, error, now);
                unit.dirty = true;
                None
            }
            Retry::After(_) => {
                unit.unsure.note(step, error);
                Some(error.clone())
            }
        },
    }
}
