//! One unit as its environment's task keeps it: what it declares, how far it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::contend::Fights;
use super::declared::UnitDesired;
use super::left_alone::LeftAlone;
use super::overruled::Overrulings;
use super::pass::Planned;
use super::patience::Patience;
use super::standing::Stand;
use super::unsure::Unsure;
use crate::config::{MaxPrune, Unit};
use crate::kube::Inventory;
use crate::model::{Desired, Digest, ObjectId, SourceCommit};
use crate::plan::{
    Baseline, Blocked, Deletions, Dependencies, Gone, Granted, Question, Refusal, Refused,
    Standing, Step,
};
use crate::record::foreign::ForeignFile;
use crate::record::status::{State, UnitStatus};
use crate::record::story::Told;
use crate::runtime::backoff::grown;
use crate::runtime::clock;

/// The wait after a first failure, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A unit and how far it is.
pub(super) struct UnitState {
    pub(super) unit: Arc<Unit>,
    pub(super) apply_set: String,
    /// The last complete render, which is enforced.
    pub(super) desired: Option<Arc<UnitDesired>>,
    /// The commit that it was rendered from when it last changed.
    pub(super) source: Option<SourceCommit>,
    /// How often it has declared something else than before, in this process.
    pub(super) declarations: usize,
    /// When it was first on its way to what it declares; `None` once it was there.
    pub(super) began: Option<Timestamp>,
    /// What no pass has compared with what is recorded of it since it could be read.
    pub(super) unseen: Unseen,
    /// Why the newest revision could not be rendered.
    pub(super) unrendered: Option<Unrendered>,
    /// Whether it has left the configuration.
    pub(super) retired: bool,
    pub(super) inventory: Inventory,
    pub(super) applied: Arc<BTreeMap<ObjectId, Baseline>>,
    pub(super) refusals: BTreeMap<ObjectId, Refusal>,
    /// The commit that an agent before this one had begun to apply, and may not have told of.
    pub(super) begun: Option<SourceCommit>,
    /// Whether this process has told how it stands, with what was seen of its objects.
    pub(super) told: bool,
    /// What was asked for and may be done, by no answer that said so.
    pub(super) unsure: Unsure,
    /// What was done since the last entry.
    pub(super) changed: Vec<Told>,
    pub(super) reverted: Vec<Told>,
    /// What other writers keep taking back.
    pub(super) fights: Fights,
    /// What the API server gives values of its own.
    pub(super) overruled: Overrulings,
    /// When it is to be asked again whether it still does.
    pub(super) ask_again: Option<Timestamp>,
    /// Drift that an entry tells of, by what was live.
    pub(super) drift_told: BTreeMap<ObjectId, Digest>,
    /// Until when a proposal keeps the first of what was changed in the cluster.
    pub(super) kept_until: Option<Timestamp>,
    /// Objects that somebody deleted, and what becomes of that.
    pub(super) deletions: Arc<Deletions>,
    /// When to look whether one of them is there again: who makes it anew does so without
    /// the label by which objects are watched.
    pub(super) look_again: Option<Timestamp>,
    /// Fields that others have added and that are left, as of the last pass that saw
    /// every object.
    pub(super) others: Option<ForeignFile>,
    /// What was said of what looks like its own and is left alone.
    pub(super) left_alone: LeftAlone,
    /// What was said of how it stands.
    pub(super) patience: Patience,
    /// What keeps it from being as declared, as of its last pass.
    pub(super) about: BTreeSet<ObjectId>,
    /// An object on which others have put the unit's label, of those that was said.
    pub(super) stranger: Option<ObjectId>,
    pub(super) plan: Option<Digest>,
    /// What approved plans were to delete and have not come to yet.
    pub(super) granted: Granted,
    /// How much of it may be deleted unasked, by the settings with which nothing was left to
    /// delete the last time.
    pub(super) limit: MaxPrune,
    /// What has to be approved for it to go on.
    pub(super) asks: Option<Digest>,
    /// What somebody was asked about by its last pass that is not its own alone.
    pub(super) asked: Option<Question>,
    pub(super) dirty: bool,
    /// What its objects depend on.
    pub(super) dependencies: Arc<Dependencies>,
    /// Objects of other units that it may have to wait for.
    pub(super) foreign: BTreeSet<ObjectId>,
    /// The unit that its last pass had to wait for.
    pub(super) waited: Option<String>,
    pub(super) running: Option<CancellationToken>,
    /// How many passes of the environment had changed something when its last one began.
    pub(super) since: u64,
    pub(super) retry: Backoff,
    /// Until when it has to be healthy.
    pub(super) deadline: Option<Timestamp>,
    pub(super) standing: Stand,
}

/// A revision of a unit that can't be rendered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unrendered {
    /// Why.
    pub(super) problem: String,
    /// Whether it only takes long.
    pub(super) under_way: bool,
    /// The commit.
    pub(super) source: SourceCommit,
}

impl Unrendered {
    pub(super) fn state(&self) -> State {
        if self.under_way {
            State::Progressing
        } else {
            State::Failed
        }
    }
}

/// Objects that were not looked at for a time, in which others may have been at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unseen {
    /// All that there are: no agent ran, or none looked after the unit.
    All,
    /// Those that could not be read by the last pass.
    These(BTreeSet<ObjectId>),
}

impl Unseen {
    pub(super) fn has(&self, id: &ObjectId) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(id),
        }
    }
}

/// When to try again after failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    pub(super) at: Option<Timestamp>,
}

impl Backoff {
    pub(super) fn fail(&mut self, after: Option<Duration>, now: Timestamp) {
        let wait = after.unwrap_or_else(|| grown(BACKOFF, self.failures));
        self.failures += 1;
        self.at = Some(now + wait);
    }

    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }
}

impl UnitState {
    pub(super) fn new(unit: Arc<Unit>, apply_set: String, inventory: Inventory) -> Self {
        Self {
            unit,
            apply_set,
            desired: None,
            source: None,
            declarations: 0,
            began: None,
            unseen: Unseen::All,
            unrendered: None,
            retired: false,
            inventory,
            applied: Arc::default(),
            refusals: BTreeMap::new(),
            begun: None,
            told: false,
            unsure: Unsure::default(),
            changed: Vec::new(),
            reverted: Vec::new(),
            fights: Fights::default(),
            overruled: Overrulings::default(),
            ask_again: None,
            drift_told: BTreeMap::new(),
            kept_until: None,
            deletions: Arc::default(),
            look_again: None,
            others: None,
            left_alone: LeftAlone::default(),
            patience: Patience::default(),
            about: BTreeSet::new(),
            stranger: None,
            plan: None,
            granted: Granted::new(),
            limit: MaxPrune::default(),
            asks: None,
            asked: None,
            dirty: true,
            dependencies: Arc::default(),
            foreign: BTreeSet::new(),
            waited: None,
            running: None,
            since: 0,
            retry: Backoff::default(),
            deadline: None,
            standing: Stand::unknown(),
        }
    }

    /// Whether live is to be as it declares.
    pub(super) fn is_enforced(&self) -> bool {
        self.desired.is_some() && !self.unit.suspend
    }

    /// Whether a pass has to look at it.
    pub(super) fn needs_pass(&self) -> bool {
        self.dirty && self.is_enforced()
    }

    /// Leaves the unit alone from now on: a pass that is under way takes no further step.
    pub(super) fn suspend(&mut self) {
        self.standing = Stand::suspended();
        self.began = None;
        self.deadline = None;
        if let Some(running) = &self.running {
            running.cancel();
        }
    }

    /// Looks after it again: what became of it meanwhile is found out as after a restart.
    pub(super) fn resume(&mut self) {
        self.standing = Stand::unknown();
        self.unseen = Unseen::All;
        self.began = self.began.map(|_| clock::now());
        self.dirty = true;
    }

    /// Takes in what it declares from now on; whether that is something else than before.
    pub(super) fn declare(&mut self, desired: Arc<UnitDesired>, source: &SourceCommit) -> bool {
        self.dirty |= self.unrendered.take().is_some();
        if self
            .desired
            .as_ref()
            .is_some_and(|before| before.digest == desired.digest)
        {
            return false;
        }
        if matches!(self.standing.state, State::Synced | State::Drifted) {
            self.standing.state = State::Progressing;
        }
        self.declarations += 1;
        self.granted.clear();
        self.refusals.clear();
        self.retry.succeed();
        self.deadline = None;
        Arc::make_mut(&mut self.applied).retain(|id, _| desired.objects.contains_key(id));
        self.fights
            .retain(|id| desired.objects.get(id).map(|object| object.digest));
        self.desired = Some(desired);
        self.source = Some(source.clone());
        self.began = Some(clock::now());
        self.dirty = true;
        if let Some(running) = &self.running {
            running.cancel();
        }
        true
    }

    /// Takes in that a commit has what is declared be carried out otherwise: what comes of
    /// that is its author's.
    pub(super) fn decide(&mut self, source: &SourceCommit) {
        self.source = Some(source.clone());
        self.began = Some(clock::now());
    }

    /// Takes in what the record says that was declared when the unit was last synced, and
    /// what was gone then, as long as the same is declared of that.
    pub(super) fn remember(&mut self, recorded: Option<&UnitStatus>) {
        let (Some(desired), Some(recorded)) = (&self.desired, recorded) else {
            return;
        };
        self.limit = recorded.max_prune.unwrap_or_default();
        let mut gone = recorded.gone();
        gone.retain(|id, gone| {
            let object = desired.objects.get(id);
            object.is_some_and(|object| object.digest == gone.declared)
        });
        let gone_as = |(id, gone): (&ObjectId, &Gone)| {
            let digest = gone.declared;
            (id.clone(), Baseline { digest })
        };
        let applied = Arc::make_mut(&mut self.applied);
        applied.extend(gone.iter().map(gone_as));
        applied.extend(desired.baselines(recorded.desired));
        self.deletions = Arc::new(Deletions {
            gone,
            ..Deletions::default()
        });
    }

    /// Takes in that drift of an object was put back; whether that is told. Where another
    /// writer keeps at it, the object is left alone for a while.
    pub(super) fn contend(&mut self, step: &Step, now: Timestamp) -> bool {
        let objects = self.desired.as_ref().map(|desired| &desired.objects);
        let Some(desired) = objects.and_then(|objects| objects.get(&step.object)) else {
            return true;
        };
        let told = self.fights.covers(step);
        if let Some((wait, message)) = self.fights.reverted(step, desired.digest, now) {
            let refusal = Refusal {
                refused: Refused::Desired(desired.digest),
                message,
                immutable: false,
                again: now + wait,
                failures: 0,
            };
            self.refusals.insert(step.object.clone(), refusal);
        }
        !told
    }

    /// Takes in what a pass found. A refusal that had its next chance is forgotten, or the
    /// unit would be woken for it for ever.
    pub(super) fn settle(&mut self, planned: &Planned, now: Timestamp) {
        let steps = &planned.plan.steps;
        self.settle_baseline(planned);
        self.settle_limit(planned);
        let deletions = self.deletions.after(steps, now);
        if *self.deletions != deletions {
            self.deletions = Arc::new(deletions);
        }
        self.fights.see(steps, now);
        let steps: BTreeMap<&ObjectId, &Step> =
            steps.iter().map(|step| (&step.object, step)).collect();
        let held = |id: &ObjectId| {
            let step = steps.get(id);
            step.is_some_and(|step| matches!(step.standing, Standing::Blocked(Blocked::Refused(_))))
        };
        let mut due = false;
        self.refusals.retain(|id, refusal| {
            due |= held(id) && refusal.again <= now;
            held(id) || refusal.again > now
        });
        self.dirty |= due;
    }

    /// Every object that the plan does not mention is as it was desired then.
    fn settle_baseline(&mut self, planned: &Planned) {
        let desired = &planned.desired;
        let steps = planned.plan.steps.iter();
        let dirty: BTreeSet<&ObjectId> = steps.map(|step| &step.object).collect();
        let known = |object: &&Desired| {
            let baseline = self.applied.get(&object.id);
            baseline.is_some_and(|baseline| baseline.digest == object.digest)
        };
        let fresh: Vec<&Desired> = desired
            .objects
            .values()
            .filter(|object| !dirty.contains(&object.id) && !known(object))
            .collect();
        if fresh.is_empty() {
            return;
        }
        let applied = Arc::make_mut(&mut self.applied);
        for object in fresh {
            let digest = object.digest;
            applied.insert(object.id.clone(), Baseline { digest });
        }
    }

    /// The next instant at which something is due without an event.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let refused = self.refusals.values().map(|refusal| refusal.again);
        let deadline = self.deadline.filter(|deadline| *deadline > now);
        let calm = self.fights.due();
        refused
            .chain(self.retry.at)
            .chain(deadline)
            .chain(calm)
            .chain(self.kept_until)
            .chain(self.look_again)
            .chain(self.ask_again)
            .chain(self.patience.due())
            .min()
    }
}
