//! What is written down of an environment, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Environment;
use super::scene::{scene, unit_status};
use super::tale::Tale;
use super::untold::{Sight, are_deployed, is_put_back, untold};
use crate::model::{ObjectId, SourceCommit, UnitName, yaml};
use crate::plan::{Action, recorded_side};
use crate::reconcile::journal::Journal;
use crate::reconcile::target::Hindrance;
use crate::reconcile::unit::{UnitState, Unseen};
use crate::record::Entry;
use crate::record::foreign::ForeignFile;
use crate::record::status::{RefusedRevision, State, StatusChange, Ties, UnitStatus};
use crate::record::story::{self, By, Scene, Told};
use crate::runtime::clock;
use crate::source;

/// How long a unit may be on its way to health before the record says that it waits.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

impl Environment {
    /// An object as it is recorded: live, at the fields that are declared or that we own.
    fn recorded(&self, name: &UnitName, id: &ObjectId) -> Option<String> {
        let desired = self.units.get(name)?.desired.as_ref()?.objects.get(id)?;
        let live = self.context.view.get(id)?;
        if live.api_version() != desired.api_version {
            return self.context.compared.form(id);
        }
        Some(yaml(&recorded_side(desired, &live, &self.context.key)))
    }

    /// Writes down how units stand: at once where they rest, after [`PATIENCE`] where
    /// they are on their way.
    pub(super) fn record_due(&mut self) {
        let now = clock::now();
        let due = self.unrecorded.iter().filter(|(name, (since, _))| {
            let rests = self
                .units
                .get(*name)
                .is_none_or(|unit| unit.standing.state.rests());
            rests || *since + PATIENCE <= now
        });
        self.record_units(due.map(|(name, _)| name.clone()).collect(), now);
        if self.unrecorded.is_empty()
            && self
                .units
                .values()
                .all(|unit| !unit.dirty && unit.running.is_none())
        {
            self.record_revision();
        }
    }

    /// Writes down whatever is not written yet. What a revision comes to is known only when
    /// every unit was looked at.
    pub(super) fn record_all(&mut self) {
        self.record_units(self.unrecorded.keys().cloned().collect(), clock::now());
        let looked_at = |unit: &UnitState| !unit.needs_pass() && unit.running.is_none();
        if self.units.values().all(looked_at) {
            self.record_revision();
        }
    }

    fn record_units(&mut self, names: Vec<UnitName>, now: Timestamp) {
        for name in names {
            if let Some((_, sight)) = self.unrecorded.remove(&name) {
                self.record_unit(&name, sight.as_ref(), now);
            }
        }
    }

    /// Entries for what was done to a unit, or one for how it stands if that is news.
    fn record_unit(&mut self, name: &UnitName, sight: Option<&Sight>, now: Timestamp) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let before = self.journal.status().units.get(name).cloned();
        let after = unit_status(unit, before.as_ref(), now);
        let (mut changed, reverted) = (
            std::mem::take(&mut unit.changed),
            std::mem::take(&mut unit.reverted),
        );
        let fights = unit.fights.take_news();
        let overruled = unit.overruled.take_news();
        let state = unit.standing.state;
        let took = match (unit.began, state) {
            (Some(began), State::Synced | State::Drifted | State::Failed) => {
                now.duration_since(began).try_into().ok()
            }
            _ => None,
        };
        if state != State::Failed && state.rests() && state != State::Blocked {
            unit.began = None;
        }
        let about = unit.about.clone();
        let told = unit.left_alone.is_news(before.as_deref(), &after, now);
        let worth = unit.patience.is_news(before.as_deref(), &after, about, now);
        let news = told && worth;
        let unit = &self.units[name];
        let scene = Scene {
            took,
            approved: self.approvals.of(&changed, &self.context.spent),
            ..scene(&self.context.environment, name, unit, now)
        };
        let none = BTreeSet::new();
        let unread = match &unit.unseen {
            Unseen::These(unread) => unread,
            Unseen::All => &none,
        };
        let read = |id: &ObjectId| self.recorded(name, id);
        let mut differing = match sight {
            Some(sight) => {
                let kept = unread.union(&sight.leaving).cloned().collect();
                self.journal.differing(name, &sight.files, &kept, read)
            }
            None => self
                .journal
                .of_those(name, [&*changed, &*reverted].concat(), read),
        };
        // What is gone goes along; what is new is told by itself.
        if let Some(now) = &unit.others {
            let others = self.journal.foreign(name).within(now);
            differing.extend(self.journal.foreign_change(name, &others));
        }
        // What goes to and fro is recorded when that begins and when it is over.
        let begun = |id: &ObjectId| fights.iter().any(|fight| fight.object == *id);
        for (id, _) in unit.fights.told().filter(|(id, _)| !begun(id)) {
            for path in Journal::change(name, id, None).keys() {
                differing.remove(path);
            }
        }
        let told = [&*changed, &*reverted];
        // What another unit declares has moved to it.
        let claims = &self.neighbours.claims;
        let moved = |id: &ObjectId| claims.get(id).is_some_and(|unit| unit != name);
        let untold = sight.map(|sight| {
            let known = |id: &ObjectId| sight.open.contains(id) || moved(id);
            let kept = |id: &ObjectId| sight.kept.contains(id);
            untold(&self.journal, &differing, known, kept, &told)
        });
        let deployed = are_deployed(unit, before.as_deref());
        let untold = untold.unwrap_or_default();
        // What left the repository and stays where it is, is a deed as well: it is let go.
        let (let_go, untold): (Vec<Told>, Vec<Told>) = untold
            .into_iter()
            .partition(|one| one.action == Action::Detach);
        changed.extend(let_go);
        let (put_back, untold): (Vec<Told>, Vec<Told>) = untold.into_iter().partition(|one| {
            !unit.told && is_put_back(&self.journal, name, one, &differing, deployed)
        });
        let by = if untold.is_empty() || !deployed {
            By::Author
        } else {
            self.by(unit)
        };
        let tale = Tale {
            scene,
            unit,
            before: before.as_ref().map(|before| before.state),
            news,
            put_back,
            untold,
            deployed,
            by,
            changed,
            reverted,
            fights,
            overruled,
        };
        let entries = tale.entries(differing);
        let status = self.with(name, Some(after));
        self.enter(entries, status);
        if let (Some(_), Some(unit)) = (sight, self.units.get_mut(name)) {
            unit.told = true;
            unit.begun = None;
        }
    }

    /// For whose commit an agent before this one did something to a unit: the one that it
    /// noted, or the one that is enforced, where no other came after what was told last.
    fn by(&self, unit: &UnitState) -> By {
        let told = self.journal.opened_at();
        match (&unit.begun, &unit.source, told) {
            (None, Some(source), Some(told))
                if !source::is_next(&self.repository, &source.revision, told) =>
            {
                By::Unknown
            }
            _ => By::Author,
        }
    }

    /// Writes down what belongs together. The last entry says how it stands, or one before
    /// it that would say nothing else in the tree.
    fn enter(&mut self, mut entries: Vec<Entry>, status: StatusChange) {
        let last = entries.pop();
        for entry in entries {
            let stands = if entry.changes.is_empty() {
                status.clone()
            } else {
                self.journal.status().unchanged()
            };
            self.journal.enter(entry, stands);
        }
        if let Some(last) = last {
            self.journal.enter(last, status);
        }
    }

    /// The last entry of a unit that is no more.
    pub(super) fn record_removal(&mut self, name: &UnitName, unit: &UnitState, now: Timestamp) {
        self.unrecorded.remove(name);
        let mut changes = self
            .journal
            .differing(name, &BTreeMap::new(), &BTreeSet::new(), |_| None);
        let none = ForeignFile::default();
        changes.extend(self.journal.foreign_change(name, &none));
        // What another unit declares has moved to it.
        let moved = |id: &ObjectId| self.neighbours.claims.contains_key(id);
        let kept = |_: &ObjectId| !unit.unit.prune;
        let gone = untold(&self.journal, &changes, moved, kept, &[&unit.changed]);
        let told = [&*unit.changed, &*gone].concat();
        let scene = Scene {
            approved: self.approvals.of(&unit.changed, &self.context.spent),
            ..scene(&self.context.environment, name, unit, now)
        };
        let entry = story::left(&scene, &told, changes);
        let status = self.with(name, None);
        self.journal.enter(entry, status);
    }

    /// One entry for a revision that changed nothing, or that can't be followed.
    pub(super) fn record_revision(&mut self) {
        self.record_follows();
        self.judge_approvals();
        let now = clock::now();
        let status = self.head();
        let before = self.journal.status();
        let never = status.revision.is_none();
        // An environment that was never had, perhaps a misspelt name, gets no record; one
        // that others have served has it said why it is not served from here.
        if never && !self.target.is_estranged() {
            return;
        }
        let tied = before.ties == status.ties || status.error.is_some();
        if before.revision == status.revision
            && before.error == status.error
            && tied
            && before.warning == status.warning
        {
            return;
        }
        let units = self.resting(now);
        let status = StatusChange { units, ..status };
        let (name, source) = (&self.context.environment, self.target.enforced());
        let hindrance = |why| story::Hindrance {
            enforced: status.revision.as_ref(),
            nothing: self.target.is_nothing(),
            newest: self.target.refused(),
            why,
        };
        let distrusted = matches!(self.target.hindrance(), Some(Hindrance::Untrusted(_)))
            && status.error == self.target.problem();
        let entry = match status.error.as_deref() {
            Some(why) if distrusted => story::refused(name, hindrance(why), now),
            Some(why) => story::stuck(name, hindrance(why), now),
            None => {
                let trouble = self.approvals.trouble();
                story::nothing(name, status.revision.as_ref(), source, trouble, now)
            }
        };
        self.journal.enter(entry, status);
    }

    /// One entry for the end of what kept the environment from following its repository,
    /// before what comes of that.
    pub(super) fn record_follows(&mut self) {
        let status = self.head();
        let before = self.journal.status();
        let (Some(why), None) = (&before.error, &status.error) else {
            return;
        };
        let (name, revision) = (&self.context.environment, status.revision.as_ref());
        let entry = story::follows(name, revision, why, clock::now());
        // That it is at this revision is told by what that changes, or that it does not.
        let status = StatusChange {
            error: None,
            refused: None,
            ..before.unchanged()
        };
        self.journal.enter(entry, status);
    }

    /// How it stands now, where of the units one stands otherwise or is no more.
    pub(super) fn with(&self, name: &UnitName, unit: Option<Arc<UnitStatus>>) -> StatusChange {
        StatusChange {
            units: BTreeMap::from([(name.clone(), unit)]),
            ..self.head()
        }
    }

    /// How units stand that are recorded otherwise. A unit's state keeps its time while it
    /// stays the same, and one that is on its way stands as it was until that is told.
    fn resting(&self, now: Timestamp) -> BTreeMap<UnitName, Option<Arc<UnitStatus>>> {
        if self.target.enforced().is_none() {
            return BTreeMap::new();
        }
        let before = &self.journal.status().units;
        let gone = before.keys().filter(|name| !self.units.contains_key(*name));
        let gone = gone.map(|name| (name.clone(), None));
        let resting = self.units.iter().filter_map(|(name, unit)| {
            let recorded = before.get(name);
            let rests = unit.standing.state.rests() || recorded.is_none();
            rests.then(|| (name.clone(), Some(unit_status(unit, recorded, now))))
        });
        gone.chain(resting).collect()
    }

    /// What the environment is tied to: what was recorded stays where it is not known now.
    fn ties(&self) -> Ties {
        let recorded = &self.journal.status().ties;
        Ties {
            source: self.lineage.clone().or_else(|| recorded.source.clone()),
            cluster: self
                .cluster_uid
                .clone()
                .or_else(|| recorded.cluster.clone()),
            namespace: Some(self.context.namespace.clone()),
        }
    }

    /// The newest revision as one that can't be followed, since when that is known.
    fn refused(&self, head: &SourceCommit) -> RefusedRevision {
        let recorded = self.journal.status().refused.as_ref();
        let before = recorded.filter(|recorded| recorded.revision == head.revision);
        RefusedRevision {
            revision: head.revision.clone(),
            author: head.author.name.clone(),
            subject: head.subject.clone(),
            since: before.map_or_else(clock::now, |recorded| recorded.since),
            idle: self.target.is_nothing(),
        }
    }

    /// How the environment stands, without its units.
    fn head(&self) -> StatusChange {
        let recorded = self.journal.status().revision.clone();
        // A remote that is away for a moment is no news of the environment.
        let source = self
            .source_problem
            .as_ref()
            .filter(|problem| problem.answered());
        let refused = self.target.refused().map(|head| self.refused(head));
        let barred = self.barred.borrow().clone();
        let problem = barred.or_else(|| self.target.problem());
        let problem = problem.or_else(|| source.map(ToString::to_string));
        StatusChange {
            revision: self
                .target
                .enforced()
                .map(|source| source.revision.clone())
                .or(recorded),
            error: problem,
            refused,
            warning: self.warning(),
            ties: self.ties(),
            tally: self.context.spent.tally(clock::now()),
            units: BTreeMap::new(),
        }
    }
}
