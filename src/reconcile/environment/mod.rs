//! The task of one environment: what wakes it, what it starts, what it writes down.
//!
//! Invariants: at most one pass of a unit is under way; a unit waits in a state that
//! an event ends, never in a pass; what woke a pass does not change what it does.

mod approvals;
mod away;
mod drift;
mod ending;
mod event;
mod foreign;
mod inventories;
mod left;
mod lineage;
mod outcome;
mod proposals;
mod reading;
mod record;
mod revision;
mod scene;
mod schedule;
mod tale;
mod units;
mod untold;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::approvals::Approvals;
use self::event::{Event, Purpose};
use self::inventories::Inventories;
pub use self::lineage::Followed;
pub use self::proposals::{Deed, DriftedObject, Drifts, OpenProposals, Proposing, UnitDrift};
pub(super) use self::revision::definitions;
use self::untold::Sight;
pub use self::window::{Progress, Window};
use super::acting::Acting;
use super::budget::Roster;
use super::compared::Compared;
use super::declare::{RenderCache, Tools};
use super::intents::Intents;
use super::journal::Journal;
use super::lists::Lists;
use super::others::Others;
use super::pass::Context;
use super::recording::Trouble;
use super::spent::Spent;
use super::target::Target;
use super::ties::Met;
use super::unit::UnitState;
use super::witness::Witness;
use crate::kube::{Cluster, LiveView};
use crate::model::{Digest, DigestKey, EnvironmentName, GroupKind, Lineage, Namespace, UnitName};
use crate::plan::Neighbours;
use crate::record::status::State;
use crate::runtime::clock;
use crate::runtime::lock::lock;
use crate::runtime::metrics::{Metrics, UnitLabels};
use crate::runtime::shutdown::Stop;
use crate::source::verify::Verifier;
use crate::source::{Roots, SourceProblem, SourceState, Waker};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Whether the task ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// It goes on until it is told to stop.
    Forever,
    /// It ends when nothing more happens by itself.
    Once,
}

/// How a task that ran once found the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every unit is as desired and healthy, or left alone on purpose.
    Synced,
    /// What is wrong, by unit.
    Unsettled(Vec<String>),
    /// Why nothing could be looked after at all.
    Unusable(Vec<String>),
    /// It was told to stop.
    Stopped,
}

/// What an environment's task needs.
pub struct Options {
    /// The environment.
    pub environment: EnvironmentName,
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// Which one it is; `None` where that may not be read.
    pub cluster_uid: Option<String>,
    /// Whether it is the one that the record is of.
    pub met: Met,
    /// Where inventories are kept.
    pub namespace: Namespace,
    /// Where they were kept before, so that what was applied by those is taken over.
    pub former: Option<Namespace>,
    /// For digests of Secrets' values.
    pub key: DigestKey,
    /// The mirror of the environment repository.
    pub repository: PathBuf,
    /// Where it comes from.
    pub followed: Followed,
    /// What is known of it.
    pub source: watch::Receiver<SourceState>,
    /// Told when the mirror turns out to be damaged.
    pub waker: Waker,
    /// Judges who has signed a commit, where that matters.
    pub verifier: Verifier,
    /// Programs for rendering.
    pub tools: Tools,
    /// Whether there is somebody to propose what was changed in the cluster.
    pub proposing: Proposing,
    /// Where what happens is counted.
    pub metrics: Metrics,
    /// Whether to end.
    pub mode: RunMode,
    /// How often every object is compared again, from what is known of it.
    pub compare: Option<Duration>,
    /// How often each kind is listed anew, should an event have been lost.
    pub relist: Option<Duration>,
    /// What keeps the environment's Lease from being renewed, if anything does.
    pub barred: watch::Receiver<Option<String>>,
    /// The end of the process.
    pub stop: Stop,
}

/// The task's state.
pub struct Environment {
    context: Arc<Context>,
    repository: PathBuf,
    followed: Followed,
    cluster_uid: Option<String>,
    met: Met,
    former: Option<Namespace>,
    source: watch::Receiver<SourceState>,
    waker: Waker,
    verifier: Arc<Verifier>,
    tools: Tools,
    mode: RunMode,
    barred: watch::Receiver<Option<String>>,
    stop: Stop,
    /// When nothing more is begun.
    over: CancellationToken,
    compare: Option<Duration>,
    /// When every object is compared again.
    compare_at: Option<Timestamp>,
    journal: Journal,
    /// What is to be enforced.
    target: Target,
    /// The history that is enforced.
    lineage: Option<Lineage>,
    /// Where the history of what is enforced begins, as far as that was gone after.
    roots: Option<Roots>,
    /// Why no newer one can be seen.
    source_problem: Option<SourceProblem>,
    /// How often in a row it could not be read.
    unread: u32,
    /// When the newest commit is read again.
    again: Option<Timestamp>,
    declaring: bool,
    cache: Option<RenderCache>,
    neighbours: Arc<Neighbours>,
    roster: Arc<Roster>,
    /// Inventories of which it was said that nobody knows their units.
    unknown: BTreeSet<UnitName>,
    definitions: Arc<BTreeSet<GroupKind>>,
    approvals: Approvals,
    /// Environments whose objects are taken over.
    adopted: Arc<BTreeSet<EnvironmentName>>,
    inventories: Inventories,
    /// When less was deleted within the last hour than when a deletion had to wait for that.
    eases: Option<Timestamp>,
    units: BTreeMap<UnitName, UnitState>,
    /// How many passes have changed something as the repository says.
    changes: u64,
    tasks: JoinSet<Event>,
    /// Units whose standing is not in the record yet, and since when.
    unrecorded: BTreeMap<UnitName, (Timestamp, Option<Sight>)>,
    /// How far it is, for others.
    progress: watch::Sender<Progress>,
    proposing: Proposing,
    /// Whether it was said that nothing is proposed.
    said_nowhere: bool,
    /// What others have changed and is kept, by unit, for whoever proposes it.
    drifts: watch::Sender<Drifts>,
    /// What people said is not to stay.
    refused: watch::Sender<BTreeSet<Digest>>,
    /// The open proposals.
    proposed: watch::Sender<OpenProposals>,
}

impl Environment {
    /// A task that has not begun. `journal` is the environment's record.
    pub fn new(options: Options, journal: Journal) -> Self {
        let view = Arc::new(LiveView::new(Arc::clone(&options.cluster), options.relist));
        let context = Context {
            environment: options.environment,
            cluster: options.cluster,
            view,
            begun: AtomicBool::new(false),
            hindrance: Mutex::default(),
            compared: Compared::default(),
            key: options.key,
            namespace: options.namespace,
            others: Others::default(),
            lists: Lists::default(),
            spent: Spent::after(journal.status().tally.clone()),
            witness: Witness::default(),
            intents: Intents::kept_in(journal.begun()),
            acting: Acting::default(),
            metrics: options.metrics,
            given_up: CancellationToken::new(),
        };
        Self {
            context: Arc::new(context),
            repository: options.repository,
            followed: options.followed,
            cluster_uid: options.cluster_uid,
            met: options.met,
            former: options.former,
            source: options.source,
            waker: options.waker,
            verifier: Arc::new(options.verifier),
            tools: options.tools,
            mode: options.mode,
            barred: options.barred,
            stop: options.stop,
            over: CancellationToken::new(),
            compare: options.compare,
            compare_at: options.compare.map(|interval| clock::now() + interval),
            journal,
            target: Target::default(),
            lineage: None,
            roots: None,
            source_problem: None,
            unread: 0,
            again: None,
            declaring: false,
            cache: Some(RenderCache::default()),
            neighbours: Arc::default(),
            roster: Arc::default(),
            unknown: BTreeSet::new(),
            definitions: Arc::default(),
            approvals: Approvals::default(),
            adopted: Arc::default(),
            inventories: Inventories::unread(),
            eases: None,
            units: BTreeMap::new(),
            changes: 0,
            tasks: JoinSet::new(),
            unrecorded: BTreeMap::new(),
            progress: watch::Sender::default(),
            proposing: options.proposing,
            said_nowhere: false,
            drifts: watch::Sender::default(),
            refused: watch::Sender::default(),
            proposed: watch::Sender::default(),
        }
    }

    /// What is shared with the admin endpoints: whether the watches are up.
    pub fn context(&self) -> Arc<Context> {
        Arc::clone(&self.context)
    }

    /// What keeps entries from the record, for others.
    pub fn trouble(&self) -> watch::Receiver<Trouble> {
        self.journal.trouble()
    }

    /// Runs until told to stop, or until it rests in [`RunMode::Once`].
    ///
    /// # Errors
    /// When an essential part has ended: the source's thread, or a pass by panic.
    pub async fn run(mut self, over: CancellationToken) -> anyhow::Result<Ending> {
        self.over = over.clone();
        let mut live = self.context.view.changes();
        let mut refused = self.refused.subscribe();
        let mut proposed = self.proposed.subscribe();
        self.source.mark_changed();
        self.read_inventories();
        loop {
            self.wake_waiting();
            self.launch();
            if self.mode == RunMode::Once && self.rests() {
                return self.end().await;
            }
            self.show();
            let wake = self.next_wake();
            // Every arm is cancel-safe: watch channels keep their mark, JoinSet keeps
            // what has ended, and a sleep or a token holds nothing.
            tokio::select! {
                changed = self.source.changed() => {
                    changed.map_err(|_| anyhow::anyhow!("the task that follows the repository has ended"))?;
                    self.look();
                }
                Some(event) = self.tasks.join_next() => self.take(event?),
                Some(()) = revision::late(self.cache.as_mut()) => self.again = Some(clock::now()),
                _ = live.changed() => self.wake_touched(),
                _ = refused.changed() => self.wake_proposing(),
                Ok(()) = self.barred.changed() => self.record_revision(),
                _ = proposed.changed() => self.tell_proposals(),
                () = tokio::time::sleep(wake) => self.wake_due(),
                () = over.cancelled() => return self.stop().await,
            }
        }
    }

    /// Whether nothing more happens by itself.
    fn rests(&self) -> bool {
        let unit_moves = |unit: &UnitState| {
            unit.needs_pass()
                || unit.running.is_some()
                || unit.retry.at.is_some() && unit.standing.state != State::Blocked
                || unit.standing.state == State::Progressing
        };
        self.source_rests()
            && !self.declaring
            && self.again.is_none()
            && !self.cache.iter().any(|cache| cache.renders.is_under_way())
            && !self.units.values().any(unit_moves)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Declared {
                source,
                purpose,
                result,
                cache,
            } => {
                self.cache = Some(*cache);
                self.declared(*source, purpose, result);
            }
            Event::Descended { read, depth, roots } => self.descended(read, depth, roots),
            Event::Found {
                unit,
                input,
                planned,
                cancel,
            } => self.found(unit, input, planned, cancel),
            Event::Passed { unit, outcome } => self.passed(&unit, *outcome),
            Event::Inventories(read) => self.take_inventories(read),
            Event::Removed { unit, result } => self.removed(&unit, result),
        }
    }

    fn labels(&self, unit: &UnitName) -> UnitLabels {
        UnitLabels {
            environment: self.context.environment.to_string(),
            unit: unit.to_string(),
        }
    }
}

/// What an environment still lacks to be called ready: something to enforce, and its
/// watches.
pub fn ready(context: &Context) -> Option<String> {
    if !context.begun.load(Ordering::Relaxed) {
        return Some("its first revision is being read".to_owned());
    }
    if let Some(hindrance) = lock(&context.hindrance).clone() {
        return Some(hindrance);
    }
    (!context.view.settled()).then(|| "the watches are being started".to_owned())
}
