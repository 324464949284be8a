//! The units of a revision: what becomes of each one's state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tracing::{info, warn};

use super::reading::Reading;
use super::revision::{AGAIN, ONCE_TRIES};
use super::{Environment, Met, RunMode};
use crate::config::{self, MaxPrune};
use crate::health::Status;
use crate::kube::{Inventory, InventoryParent, parent_name};
use crate::model::{ObjectId, Revision, SourceCommit, UnitName};
use crate::plan::{Dependencies, Neighbours, dependencies, foreign};
use crate::reconcile::budget::Roster;
use crate::reconcile::declared::{Declared, UnitDesired};
use crate::reconcile::dry_run::retired_unit;
use crate::reconcile::journal::Journal;
use crate::reconcile::pass::Context;
use crate::reconcile::standing::Stand;
use crate::reconcile::unit::{UnitState, Unrendered, Unseen};
use crate::record::status::{State, UnitStatus};
use crate::render::RenderErrors;
use crate::runtime::clock;
use crate::runtime::exec::Retry;
use crate::source;

/// What a revision brings for all units.
#[derive(Debug, Clone, Copy)]
pub(super) struct News {
    /// Other plans are approved.
    pub(super) approvals: bool,
    /// Units claim other objects, or are others.
    pub(super) neighbours: bool,
}

impl Environment {
    /// Whether the units declare just what they did: what one has to know of the others
    /// is as it was then.
    pub(super) fn stands_as(&self, declared: &Declared, retired: &BTreeSet<UnitName>) -> bool {
        let mut units = declared.units.iter();
        self.units.len() == declared.units.len() + retired.len()
            && retired
                .iter()
                .all(|name| self.units.get(name).is_some_and(|unit| unit.retired))
            && units.all(|(name, declared)| {
                let before = self.units.get(name);
                let before = before.filter(|unit| !unit.retired && unit.unrendered.is_none());
                match (
                    before.and_then(|unit| unit.desired.as_ref()),
                    &declared.desired,
                ) {
                    (Some(before), Ok(now)) => Arc::ptr_eq(before, now) || before.same_ids(now),
                    _ => false,
                }
            })
    }

    /// Whether the unit declares something else than before.
    pub(super) fn enforce(
        &mut self,
        name: &UnitName,
        unit: &Arc<config::Unit>,
        desired: Arc<UnitDesired>,
        source: &SourceCommit,
        news: News,
    ) -> bool {
        let before = self.units.get(name).and_then(|unit| unit.desired.clone());
        let warnings = desired.warnings.iter();
        for warning in warnings.filter(|warning| {
            !before
                .iter()
                .any(|before| before.warnings.iter().any(|it| it == *warning))
        }) {
            warn!(environment = %self.context.environment, unit = %name, "{warning}");
        }
        let recorded = self.journal.status().units.get(name).cloned();
        let known = self.units.get(name);
        let decided = known.is_some_and(|known| known.unit.decisions() != unit.decisions());
        let first = before.is_none();
        let last = recorded.as_ref().filter(|_| first);
        let last = last.filter(|last| !last.is_decided_otherwise(unit.decisions()));
        let since = last.and_then(|last| declared_since(&self.repository, last, &desired));
        let source = since.as_ref().unwrap_or(source);
        let same = before.is_some_and(|before| Arc::ptr_eq(&before, &desired));
        let needs = (!same || news.neighbours).then(|| needs(&desired, &self.neighbours));
        let met = self.met;
        self.share_ids(name, &desired);
        let state = self.unit_state(name, unit);
        if let Some((dependencies, foreign)) = needs {
            state.dirty |= *state.dependencies != dependencies;
            state.dependencies = Arc::new(dependencies);
            state.foreign = foreign;
        }
        // What is synced has nothing that others or an approval could change.
        let settled = state.standing.state == State::Synced && state.asks.is_none();
        state.dirty |= !settled && (news.approvals || news.neighbours);
        let changed = state.declare(desired, source);
        if decided && !changed {
            state.decide(source);
        }
        match met {
            Met::Before if first => state.remember(recorded.as_deref()),
            // What is recorded was there and nobody has taken it away here.
            Met::Anew if first => state.unseen = Unseen::These(BTreeSet::new()),
            Met::Before | Met::Anew => {}
        }
        changed
    }

    /// The last good render stays; gives back the recorded revision where there is none.
    pub(super) fn unrendered(
        &mut self,
        name: &UnitName,
        unit: &Arc<config::Unit>,
        problem: &RenderErrors,
        source: &SourceCommit,
    ) -> Option<Revision> {
        if let Some(again) = self.renders_again(name, problem) {
            self.again = Some(self.again.map_or(again, |other| other.min(again)));
        }
        let under_way = problem.retry == Retry::UnderWay;
        let recorded = self
            .journal
            .status()
            .units
            .get(name)
            .and_then(|unit| unit.revision.clone());
        let environment = self.context.environment.clone();
        let state = self.unit_state(name, unit);
        let stays = match (&state.desired, &recorded) {
            (None, None) => "nothing of it is applied",
            (Some(_), _) | (None, Some(_)) => "the last good one stays",
        };
        let unrendered = Unrendered {
            problem: problem.to_string(),
            under_way,
            source: source.clone(),
        };
        if state.unrendered.as_ref() != Some(&unrendered) {
            let revision = source.revision.short();
            if under_way {
                info!(%environment, unit = %name, revision, "{stays} for now:\n{problem}");
            } else {
                warn!(%environment, unit = %name, revision, "cannot be rendered, {stays}:\n{problem}");
            }
        }
        state.dirty = true;
        if state.desired.is_none() && !unit.suspend {
            state.standing = Stand {
                state: unrendered.state(),
                health: Status::Unknown,
                message: unrendered.problem.clone(),
            };
        }
        state.unrendered = Some(unrendered);
        // What is under way is waited for.
        recorded.filter(|_| state.desired.is_none() && !under_way)
    }

    /// When what could not be rendered is tried again, with the same files. What runs once
    /// ends after a few tries.
    fn renders_again(&self, name: &UnitName, problem: &RenderErrors) -> Option<Timestamp> {
        if problem.retry != Retry::Later {
            return None;
        }
        let cache = self.cache.as_ref();
        let Some(pause) = cache.and_then(|cache| cache.renders.pause(name)) else {
            return Some(clock::now() + AGAIN);
        };
        let enough = self.mode == RunMode::Once && pause.failures >= ONCE_TRIES;
        pause.again.filter(|_| !enough)
    }

    /// Tells of units of which neither the newest revision nor the recorded one gives
    /// anything to enforce. Where the recorded one does, that is told with what is found.
    pub(super) fn tell_unrendered(&mut self) {
        let without = |unit: &UnitState| {
            unit.unrendered.is_some() && unit.desired.is_none() && !unit.unit.suspend
        };
        let names = self.units.iter().filter(|(_, unit)| without(unit));
        let now = clock::now();
        for (name, _) in names {
            self.unrecorded.entry(name.clone()).or_insert((now, None));
        }
        self.record_due();
    }

    /// Units that could not be rendered at the newest revision get what was recorded.
    pub(super) fn fall_back(&mut self, source: &SourceCommit, reading: Reading) {
        for (name, unit) in reading.declared.units {
            let without = self
                .units
                .get(&name)
                .is_some_and(|unit| unit.desired.is_none());
            if let (true, Ok(desired)) = (without, unit.desired)
                && let Some(state) = self.units.get_mut(&name)
            {
                let problem = state.unrendered.take();
                let (dependencies, foreign) = needs(&desired, &self.neighbours);
                state.dependencies = Arc::new(dependencies);
                state.foreign = foreign;
                state.declare(desired, source);
                state.unrendered = problem;
                let recorded = self.journal.status().units.get(&name);
                state.remember(recorded.map(|unit| &**unit));
            }
        }
        self.tell_unrendered();
    }

    /// The units that are here and no longer declared. An inventory of a unit that nobody
    /// has ever heard of is left alone: who made it up would have us delete.
    pub(super) fn retired(&mut self, declared: &Declared) -> BTreeSet<UnitName> {
        let environment = &self.context.environment;
        let recorded = &self.journal.status().units;
        let mut retired = BTreeSet::new();
        for name in self.known_units() {
            if declared.units.contains_key(&name) {
                continue;
            }
            let listed = self.inventories.of(&name);
            let listed = listed.is_some_and(|inventory| inventory.lost.is_none());
            if self.units.contains_key(&name) || recorded.contains_key(&name) || listed {
                retired.insert(name);
            } else if self.unknown.insert(name.clone()) {
                let parent = parent_name(environment, &name);
                warn!(%environment, unit = %name, "there is an inventory, ConfigMap {parent}, of a unit that neither the repository nor the record has ever had: nothing is deleted for it. If it is left over, declare the unit and take it away again, or delete its objects and the ConfigMap by hand");
            }
        }
        retired
    }

    /// Takes in which units there are, as far as what leaves them all is counted.
    pub(super) fn count(&mut self, declared: &Declared, retired: &BTreeSet<UnitName>) {
        let none = BTreeMap::new();
        self.roster = Arc::new(Roster::of(
            declared,
            retired,
            &self.neighbours,
            self.inventories.known.as_ref().unwrap_or(&none),
            (&self.context.namespace, &self.context.environment),
            |unit| self.in_force(&unit.name),
        ));
    }

    /// How much of a unit may be deleted unasked, whatever a newer revision says.
    fn in_force(&self, name: &UnitName) -> MaxPrune {
        let recorded = || self.journal.status().units.get(name)?.max_prune;
        let known = self.units.get(name).map(|unit| unit.limit);
        known.or_else(recorded).unwrap_or_default()
    }

    pub(super) fn known_units(&self) -> impl Iterator<Item = UnitName> + use<> {
        let inventories = self.inventories.all().map(|(name, _)| name);
        // One whose inventory is lost is known of by the record alone.
        let recorded = self.journal.status().units.keys();
        self.units
            .keys()
            .chain(inventories)
            .chain(recorded)
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
    }

    /// A list that was read has ids of its own, and those of ten thousand objects are large.
    fn share_ids(&mut self, name: &UnitName, desired: &UnitDesired) {
        if !self.units.contains_key(name)
            && let Ok(all) = &mut self.inventories.known
            && let Some(inventory) = all.get_mut(name)
        {
            inventory.applied = inventory.applied.sharing(&desired.objects);
            let (namespace, environment) = (&self.context.namespace, &self.context.environment);
            let apply_set = InventoryParent::new(namespace, environment, name).apply_set();
            self.context.lists.put(apply_set, inventory.applied.clone());
        }
    }

    /// The unit's state, with these settings. It is looked at again if they are others.
    fn unit_state(&mut self, name: &UnitName, unit: &Arc<config::Unit>) -> &mut UnitState {
        let (inventories, context) = (&self.inventories, &self.context);
        let (journal, repository) = (&self.journal, &self.repository);
        let state = self.units.entry(name.clone()).or_insert_with(|| {
            let inventory = inventories.of(name).cloned();
            let parent = InventoryParent::new(&context.namespace, &context.environment, name);
            // Where the inventory is lost, the record tells in which kinds to look.
            let recorded = || Inventory::by_record(&journal.objects(name), unit.prune);
            let inventory = inventory.unwrap_or_else(recorded);
            let state = UnitState::new(Arc::clone(unit), parent.apply_set(), inventory);
            UnitState {
                begun: begun(context, journal, repository, name),
                ..state
            }
        });
        let same = Arc::ptr_eq(&state.unit, unit) || state.unit == *unit;
        state.dirty |= state.retired || !same;
        state.unit = Arc::clone(unit);
        state.retired = false;
        match (unit.suspend, state.standing.state == State::Suspended) {
            (true, false) => state.suspend(),
            (false, true) => state.resume(),
            (true, true) | (false, false) => {}
        }
        state
    }

    /// A unit that left the configuration: what its inventory holds is pruned.
    pub(super) fn retire(&mut self, name: &UnitName, source: &SourceCommit) -> bool {
        let inventory = self.inventories.of(name);
        let unit = Arc::new(retired_unit(
            name,
            inventory.is_none_or(|inventory| inventory.prune),
        ));
        let state = self.unit_state(name, &unit);
        state.retired = true;
        state.dirty = true;
        state.declare(Arc::new(UnitDesired::nothing()), source)
    }
}

/// The commit since which a unit declares the same, where the agent before this one knew that.
fn declared_since(
    repository: &Path,
    recorded: &UnitStatus,
    desired: &UnitDesired,
) -> Option<SourceCommit> {
    let revision = recorded.revision.as_ref();
    let revision = revision.filter(|_| recorded.desired == Some(desired.digest))?;
    // Where it can't be read, the newest commit declares it as well.
    source::commit(repository, revision).ok()
}

/// The commit that an agent before this one had begun to apply, unless the record says what
/// came of it.
fn begun(
    context: &Context,
    journal: &Journal,
    repository: &Path,
    name: &UnitName,
) -> Option<SourceCommit> {
    let revision = context.intents.of(name)?;
    let recorded = journal.status().units.get(name);
    let settled = recorded.is_some_and(|unit| match &unit.revision {
        Some(told) if *told == revision => unit.state.rests(),
        // Another agent has gone on from there.
        Some(told) => source::descends(repository, told, &revision),
        None => false,
    });
    if settled {
        return None;
    }
    // Without the commit less can be said, and nothing is wrong.
    source::commit(repository, &revision).ok()
}

/// What a unit's objects depend on, and the objects of other units among that.
fn needs(desired: &UnitDesired, neighbours: &Neighbours) -> (Dependencies, BTreeSet<ObjectId>) {
    let dependencies = dependencies(&desired.objects, &neighbours.claims);
    let foreign = foreign(&desired.objects, &dependencies, &neighbours.crds);
    (dependencies, foreign)
}
