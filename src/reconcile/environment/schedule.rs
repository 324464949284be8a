//! What wakes a unit, and the start of its pass.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::record::PATIENCE;
use super::{Environment, Event, Purpose};
use crate::model::UnitName;
use crate::plan::{Neighbours, is_admission};
use crate::reconcile::budget;
use crate::reconcile::pass::{self, Passed, PlanInput, Planned};
use crate::reconcile::unit::UnitState;
use crate::record::status::State;
use crate::runtime::clock;

/// The longest sleep without an event.
const IDLE: Duration = Duration::from_hours(1);

impl Environment {
    /// Starts a pass for each unit that needs one.
    pub(super) fn launch(&mut self) {
        let inputs: Vec<(UnitName, PlanInput, CancellationToken)> = {
            let names: Vec<UnitName> = self
                .units
                .iter()
                .filter(|(_, unit)| unit.needs_pass() && unit.running.is_none())
                .map(|(name, _)| name.clone())
                .collect();
            names
                .into_iter()
                .filter_map(|name| self.prepare(&name))
                .collect()
        };
        for (name, input, cancel) in inputs {
            let context = Arc::clone(&self.context);
            context
                .metrics
                .passes
                .get_or_create(&self.labels(&name))
                .inc();
            self.tasks.spawn(async move {
                match pass::pass(&context, &input, &cancel).await {
                    Passed::Ended(outcome) => Event::Passed {
                        unit: name,
                        outcome,
                    },
                    Passed::Found(planned) => Event::Found {
                        unit: name,
                        input: Box::new(input),
                        planned,
                        cancel,
                    },
                }
            });
        }
    }

    /// Takes in that a pass has found drift, and has it go on once that is written down: an
    /// agent that is killed in between leaves the next one to see what became of it.
    pub(super) fn found(
        &mut self,
        name: UnitName,
        input: Box<PlanInput>,
        planned: Box<Planned>,
        cancel: CancellationToken,
    ) {
        self.tell_found(&name, &planned, clock::now());
        let written = self.journal.written();
        let context = Arc::clone(&self.context);
        self.tasks.spawn(async move {
            written.await;
            let outcome = pass::follow(&context, &input, *planned, &cancel).await;
            Event::Passed {
                unit: name,
                outcome: Box::new(outcome),
            }
        });
    }

    fn prepare(&mut self, name: &UnitName) -> Option<(UnitName, PlanInput, CancellationToken)> {
        let waits = self.waits(name);
        // Without the inventory nothing is written: it has to be widened first.
        let inventory_problem = self
            .inventories
            .known
            .as_ref()
            .err()
            .map(ToString::to_string);
        let neighbours = Arc::clone(&self.neighbours);
        let proposals = self.proposals();
        let changes = self.changes;
        let unit = self.units.get_mut(name)?;
        unit.since = changes;
        let cancel = CancellationToken::new();
        unit.dirty = false;
        unit.waited.clone_from(&waits);
        unit.running = Some(cancel.clone());
        let neighbours = if unit.retired {
            Arc::new(Neighbours {
                retired: true,
                ..Neighbours::clone(&neighbours)
            })
        } else {
            neighbours
        };
        let input = PlanInput {
            unit: unit.unit.held_to(unit.limit),
            apply_set: unit.apply_set.clone(),
            desired: Arc::clone(unit.desired.as_ref()?),
            revision: unit.source.as_ref().map(|source| source.revision.clone()),
            neighbours,
            definitions: Arc::clone(&self.definitions),
            inventory: unit.inventory.clone(),
            waits: inventory_problem
                .clone()
                .map(|_| "the inventory to be readable".to_owned())
                .or(waits),
            inventory_problem,
            dependencies: Arc::clone(&unit.dependencies),
            applied: Arc::clone(&unit.applied),
            refusals: unit.refusals.clone(),
            approved: Arc::clone(self.approvals.digests()),
            adopted: Arc::clone(&self.adopted),
            granted: unit.granted.clone(),
            roster: Arc::clone(&self.roster),
            proposals,
            deletions: Arc::clone(&unit.deletions),
            source: self.lineage.clone(),
        };
        Some((name.clone(), input, cancel))
    }

    /// The unit that has to come first, and why it is not there yet.
    fn waits(&self, name: &UnitName) -> Option<String> {
        let unit = self.units.get(name)?;
        unit.unit.after.iter().find_map(|before| {
            let Some(other) = self.units.get(before) else {
                return Some(format!("the unit {before}"));
            };
            let done =
                other.standing.state == State::Synced && !other.dirty && other.running.is_none()
                    || other.standing.state == State::Drifted
                    || other.unit.suspend;
            (!done).then(|| match other.standing.message.lines().next() {
                Some(why) if !why.is_empty() => format!("the unit {before} ({why})"),
                _ => format!("the unit {before}"),
            })
        })
    }

    /// Wakes the units whose last pass waited for a unit that is there by now. That one
    /// may only have been looked at anew, and stand as it did before.
    pub(super) fn wake_waiting(&mut self) {
        let waited = |unit: &UnitState| unit.waited.is_some() && unit.running.is_none();
        let ready: Vec<UnitName> = self
            .units
            .iter()
            .filter(|(name, unit)| waited(unit) && self.waits(name).is_none())
            .map(|(name, _)| name.clone())
            .collect();
        for name in ready {
            if let Some(unit) = self.units.get_mut(&name) {
                unit.waited = None;
                unit.dirty = true;
            }
        }
    }

    /// A unit stands otherwise: those that wait for it, or for what is in it, look again.
    pub(super) fn wake_dependents(&mut self) {
        for unit in self.units.values_mut() {
            unit.dirty |= unit.standing.state == State::Waiting;
        }
    }

    /// A unit has changed something: what was refused to others may be taken by now.
    pub(super) fn wake_refused(&mut self, by: &UnitName) {
        self.changes += 1;
        let now = clock::now();
        let others = self.units.iter_mut().filter(|(name, _)| *name != by);
        for (_, unit) in others {
            unit.reconsider(now);
        }
    }

    /// Wakes the units that an object belongs to, is declared by, or may be waited for by.
    pub(super) fn wake_touched(&mut self) {
        let touched = self.context.view.take_touched();
        let recovered = self.context.view.take_recovered();
        let mut wake = BTreeSet::new();
        // A member that is gone, or of a unit that is not known here: whoever waits may
        // wait for that. What only carries a label is nobody's business.
        let mut lost = false;
        for (id, apply_sets) in &touched {
            let apply_sets = apply_sets.iter();
            let members = apply_sets.map(|id| self.neighbours.apply_sets.get(&**id));
            let (known, unknown): (Vec<_>, Vec<_>) = members.partition(Option::is_some);
            let declares = self.neighbours.claims.get(id);
            let gone = !known.is_empty() && self.context.view.version(id).is_none();
            lost |= declares.is_none() && (gone || !unknown.is_empty());
            wake.extend(known.into_iter().flatten().chain(declares).cloned());
        }
        for (name, unit) in &mut self.units {
            let waits = matches!(unit.standing.state, State::Waiting | State::Progressing);
            let needs = unit.foreign.iter().any(|id| touched.contains_key(id));
            // Of a unit that could not be rendered, nobody knows the claims.
            let last_good = unit.desired.iter().filter(|_| unit.unrendered.is_some());
            let owns = || {
                let mut objects = last_good.map(|desired| &desired.objects);
                objects.any(|objects| touched.keys().any(|id| objects.contains_key(id)))
            };
            unit.dirty |= recovered || wake.contains(name) || unit.retired;
            unit.dirty |= (waits && lost) || needs || owns();
        }
        if touched.keys().any(is_admission) {
            self.ask_values();
        }
        self.ask_anew();
    }

    /// What an admission gives values may be as declared by now: it has changed.
    pub(super) fn ask_values(&mut self) {
        let soon = self.context.compared.doubt_values(clock::now());
        for again in self
            .units
            .values_mut()
            .filter_map(|it| it.ask_again.as_mut())
        {
            *again = soon.min(*again);
        }
    }

    /// Wakes the units whose deletions wait for an approval because of what else is counted
    /// with them, where that is something else by now.
    pub(super) fn ask_anew(&mut self) {
        if self.units.values().all(|unit| unit.asked.is_none()) {
            return;
        }
        let now = budget::measured(&self.context, &self.roster, clock::now()).question();
        for unit in self.units.values_mut() {
            unit.dirty |= unit.asked.is_some_and(|asked| asked != now);
        }
    }

    /// Wakes what waited for an instant.
    pub(super) fn wake_due(&mut self) {
        let now = clock::now();
        if self.inventories.again.is_some_and(|at| at <= now) {
            self.read_inventories();
        }
        if self.again.is_some_and(|at| at <= now)
            && !self.declaring
            && let Some(head) = self.target.head().cloned()
        {
            self.again = None;
            self.declare(head, Purpose::Head);
        }
        let compare = self.compare_due(now);
        let eases = self.eases.is_some_and(|at| at <= now);
        if eases {
            self.eases = None;
        }
        for unit in self.units.values_mut() {
            unit.dirty |= compare || eases && unit.standing.state == State::Blocked;
            let due = unit.retry.at.is_some_and(|at| at <= now)
                || unit
                    .deadline
                    .is_some_and(|at| at <= now && unit.standing.state == State::Progressing)
                || unit.refusals.values().any(|refusal| refusal.again <= now)
                || unit.fights.due().is_some_and(|at| at <= now)
                || unit.kept_until.is_some_and(|at| at <= now)
                || unit.look_again.is_some_and(|at| at <= now)
                || unit.ask_again.is_some_and(|at| at <= now)
                || unit.patience.is_over(now);
            unit.dirty |= due;
            if due {
                // The pass says when it is time again.
                unit.retry.at = None;
                unit.kept_until = None;
                unit.look_again = None;
                unit.ask_again = None;
            }
        }
        self.record_due();
    }

    /// Whether it is time to compare every object again, and the record with what its
    /// repository has of it. What is known of the objects is at hand, so that they cost no
    /// request.
    fn compare_due(&mut self, now: Timestamp) -> bool {
        let due = self.compare_at.is_some_and(|at| at <= now);
        if due {
            self.compare_at = self.compare.map(|interval| now + interval);
            debug!(environment = %self.context.environment, "comparing all units again");
            self.context.compared.forget();
            self.journal.look();
        }
        due
    }

    pub(super) fn next_wake(&self) -> Duration {
        let now = clock::now();
        let units = self
            .units
            .values()
            .filter(|unit| unit.running.is_none())
            .filter_map(|unit| unit.due(now));
        let records = self.unrecorded.values().map(|(since, _)| *since + PATIENCE);
        let next = units
            .chain(records)
            .chain(self.inventories.again)
            .chain(self.again.filter(|_| !self.declaring))
            .chain(self.compare_at)
            .chain(self.eases)
            .min();
        next.map_or(IDLE, |at| {
            at.duration_since(now)
                .try_into()
                .unwrap_or(Duration::from_millis(1))
        })
        .max(Duration::from_millis(1))
    }
}
