//! The task that proposes what was changed in the cluster: of each unit that says
//! `drift: propose` one pull request, which makes the source files say what is live.
//!
//! It keeps nothing that matters: what a proposal is about stands in its commit, whether
//! it was merged or closed on the forge, and what there is to propose in the cluster. The
//! same change made again has another time, so what was refused once is not refused for
//! ever.

mod branch;
mod sweep;
mod text;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::branch::{BranchError, Proposed};
use super::{blocking, patience};
use crate::forge::{Forge, ForgeError, PullRequest, PullState};
use crate::model::{Digest, Revision, UnitName, chain};
use crate::reconcile::{DriftedObject, Drifts, Tools, UnitDrift, Window};
use crate::record::SigningKey;
use crate::runtime::clock;
use crate::source::{Remote, SourceState};

/// What makes a burst of changes one proposal.
const SETTLE: Duration = Duration::from_millis(300);

/// So many of a unit's latest proposals are looked at for what was decided.
const LATEST: usize = 10;

/// The task's state.
pub struct Proposer {
    /// The forge.
    pub forge: Arc<dyn Forge>,
    /// The repository.
    pub remote: Remote,
    /// The mirror of it.
    pub mirror: PathBuf,
    /// The branch that is followed.
    pub branch: String,
    /// What is known of the repository.
    pub source: watch::Receiver<SourceState>,
    /// The environment.
    pub window: Window,
    /// What commits are signed with.
    pub signing_key: Option<SigningKey>,
    /// Programs for rendering.
    pub tools: Tools,
    /// How often the forge is asked what became of proposals.
    pub interval: Duration,
    /// Counts up when there may be something new on the forge.
    pub hint: watch::Receiver<u64>,
    /// What is remembered; nothing to begin with.
    pub memory: Memory,
}

/// What spares asking twice.
#[derive(Default)]
pub struct Memory {
    /// Proposals as they were read, by number and head.
    read: BTreeMap<(u64, Revision), Option<Proposed>>,
    /// Whether a proposal was open when the forge was last asked.
    open: bool,
    /// What was there to propose then; `None` before the first time.
    seen: Option<Drifts>,
    problem: Option<String>,
    failures: u32,
}

/// Why something could not be proposed.
#[derive(Debug, thiserror::Error)]
enum ProposeError {
    #[error(transparent)]
    Forge(#[from] ForgeError),
    #[error(transparent)]
    Branch(#[from] BranchError),
    #[error("no edit can be proven: {0}")]
    Unproven(crate::edit::Why),
    #[error("the files can't be read: {0}")]
    Tree(#[from] crate::model::TreeError),
}

impl Proposer {
    /// Runs until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut wait = Duration::ZERO;
        loop {
            // Every arm is cancel-safe: a watch channel keeps its mark.
            let ended = tokio::select! {
                () = tokio::time::sleep(wait) => false,
                changed = self.window.drifts.changed() => changed.is_err(),
                changed = self.hint.changed() => changed.is_err(),
                changed = self.source.changed() => changed.is_err(),
                () = stop.cancelled() => true,
            };
            if ended {
                return;
            }
            tokio::time::sleep(SETTLE).await;
            // What is dropped halfway is looked at again after a restart.
            wait = tokio::select! {
                wait = self.round() => wait,
                () = stop.cancelled() => return,
            };
        }
    }

    /// One look; gives the time until the next.
    async fn round(&mut self) -> Duration {
        match self.look().await {
            Ok(()) => {
                self.memory.failures = 0;
                self.memory.problem = None;
                self.interval
            }
            Err(error) => {
                let problem = chain(&error);
                if self.memory.problem.as_ref() != Some(&problem) {
                    let environment = &self.window.name;
                    warn!(%environment, problem, "what was changed in the cluster is kept, but can't be proposed; trying again");
                    self.memory.problem = Some(problem);
                }
                self.memory.failures += 1;
                match &error {
                    ProposeError::Forge(error) => {
                        patience(error, self.memory.failures, clock::now())
                    }
                    _ => self.interval.min(Duration::from_secs(10)),
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), ProposeError> {
        let head = self.source.borrow_and_update().head.clone();
        let Some(base) = head.map(|head| head.revision) else {
            return Ok(());
        };
        let drifts = self.window.drifts.borrow_and_update().clone();
        let nothing = drifts.values().all(|drift| drift.objects.is_empty());
        // An environment without drift costs the forge no question.
        if nothing && !self.memory.open && self.memory.seen.as_ref() == Some(&drifts) {
            return Ok(());
        }
        let mut refused = BTreeSet::new();
        let mut failed = None;
        for (name, drift) in drifts.iter().filter(|(_, drift)| !drift.objects.is_empty()) {
            match self.propose(&base, name, drift).await {
                Ok(decided) => refused.extend(decided),
                Err(error) => {
                    // What was decided before still is.
                    let known = self.window.refused.borrow();
                    let digests = drift.objects.iter().map(|object| object.digest);
                    refused.extend(digests.filter(|digest| known.contains(digest)));
                    failed = Some(error);
                }
            }
        }
        self.window.refused.send_if_modified(|known| {
            let news = *known != refused;
            known.clone_from(&refused);
            news
        });
        self.sweep(&base, &drifts).await?;
        if failed.is_none() {
            self.memory.seen = Some(drifts);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Has the proposal for a unit be what it is to be; gives what of the drift was refused.
    async fn propose(
        &mut self,
        base: &Revision,
        name: &UnitName,
        drift: &UnitDrift,
    ) -> Result<BTreeSet<Digest>, ProposeError> {
        let branch = branch::name(&self.window.name, name);
        let pulls = self.forge.pull_requests_from(&branch).await?;
        let (mut refused, mut merged, mut open) = (BTreeSet::new(), BTreeSet::new(), None);
        for pull in pulls.into_iter().take(LATEST) {
            let proposed = self.read(&pull).await?;
            let drifts = proposed.iter().flat_map(|it| it.drifts.iter().copied());
            match &pull.state {
                PullState::Open if open.is_none() => open = Some((pull, proposed)),
                PullState::Open => {}
                PullState::Merged(_) => merged.extend(drifts),
                PullState::Closed => refused.extend(drifts),
            }
        }
        let undecided = |object: &&DriftedObject| {
            !refused.contains(&object.digest) && !merged.contains(&object.digest)
        };
        let objects: Vec<DriftedObject> = drift.objects.iter().filter(undecided).cloned().collect();
        let digests: BTreeSet<Digest> = objects.iter().map(|object| object.digest).collect();
        let mine = |digest: &Digest| drift.objects.iter().any(|object| object.digest == *digest);
        refused.retain(mine);
        match open {
            // The sweep closes one that nothing is left of.
            _ if objects.is_empty() => {}
            Some((pull, proposed)) => {
                if self.is_outdated(base, proposed, &digests).await? {
                    self.write(base, drift, &objects, Some(&pull)).await?;
                }
            }
            None => self.write(base, drift, &objects, None).await?,
        }
        Ok(refused)
    }

    /// Whether an open proposal is about something else by now. Where people have gone on
    /// from it, it is theirs.
    async fn is_outdated(
        &self,
        base: &Revision,
        proposed: Option<Proposed>,
        digests: &BTreeSet<Digest>,
    ) -> Result<bool, ProposeError> {
        let Some(proposed) = proposed.filter(|proposed| proposed.untouched) else {
            return Ok(false);
        };
        if proposed.drifts != *digests {
            return Ok(true);
        }
        let (mirror, base) = (self.mirror.clone(), base.clone());
        Ok(!blocking(move || branch::stands_on(&mirror, &proposed, &base)).await?)
    }

    async fn read(&mut self, pull: &PullRequest) -> Result<Option<Proposed>, ProposeError> {
        let key = (pull.number, pull.head.revision.clone());
        if let Some(known) = self.memory.read.get(&key) {
            return Ok(known.clone());
        }
        let (mirror, remote) = (self.mirror.clone(), self.remote.clone());
        let (reference, head) = (self.forge.head_ref(pull.number), key.1.clone());
        let read = blocking(move || branch::read(&mirror, &remote, &reference, &head)).await?;
        self.memory.read.insert(key, read.clone());
        Ok(read)
    }
}
