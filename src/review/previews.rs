//! The task that has every open pull request say what it would do.
//!
//! It looks at the forge every so often, and at once when it is hinted that there is
//! something to see. A pull request is planned again when its head, the branch that it is
//! for, or what is live has moved; what is live moves all the time, so that costs at most
//! a tenth of the time. The forge is written to only if the words are others.

mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::prospect::{Known, Planner, foresee, is_members};
use super::text::{Hindrance, Prospect};
use super::{blocking, patience};
use crate::config::{self, Previews};
use crate::forge::{CommitStatus, Forge, ForgeError, PullRequest, Retry, Section};
use crate::model::{Digest, EnvironmentName, Revision};
use crate::reconcile::Window;
use crate::runtime::clock;
use crate::source::tree::GitTree;
use crate::source::{Merge, MergeError, Pull, Pulls, Remote, SourceState};

/// What makes a burst of hints one look.
const SETTLE: Duration = Duration::from_millis(50);

/// How often it is seen whether live has moved, where the forge is asked less often.
const LIVE: Duration = Duration::from_secs(30);

/// What was planned because live had moved rests this many times as long as it took.
const REST: u32 = 10;

/// The task's state.
pub struct Previewer {
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
    /// The environments that are ours to serve.
    pub windows: watch::Receiver<Vec<Window>>,
    /// How to plan.
    pub planner: Planner,
    /// How often the forge is asked.
    pub interval: Duration,
    /// Counts up when there may be something new on the forge. Many hints are one look.
    pub hint: watch::Receiver<u64>,
    /// When to end.
    pub stop: CancellationToken,
    /// What is remembered; nothing to begin with.
    pub memory: Memory,
}

/// What is known from one look to the next.
#[derive(Default)]
pub struct Memory {
    windows: Vec<Window>,
    pulls: BTreeMap<u64, Seen>,
    known: BTreeMap<EnvironmentName, Known>,
    /// When the forge was asked last, and what it said.
    listed: Option<(Instant, Vec<PullRequest>)>,
    /// Pull requests of which it was said that they are not previewed.
    passed_over: BTreeSet<u64>,
    /// How far the views were when something was last planned for their sake.
    live: Vec<u64>,
    not_before: Option<Instant>,
    policy: Option<(Revision, Previews)>,
    /// What was logged last.
    problem: Option<String>,
    failures: u32,
}

/// A pull request as it was last looked at.
#[derive(Default)]
struct Seen {
    /// Base and head, if nothing has to be tried again. What the forge refused for good is
    /// not: the others would wait with it.
    planned: Option<(Revision, Revision)>,
    /// Of the comment.
    text: Option<Digest>,
    /// What was written and may have been overwritten at the same time by another agent.
    unsure: Option<Vec<Section>>,
    /// What the forge has on the head.
    statuses: Option<(Revision, Vec<CommitStatus>)>,
}

impl Previewer {
    /// Runs until told to stop.
    pub async fn run(mut self) {
        let stop = self.stop.clone();
        let mut wait = Duration::ZERO;
        self.source.mark_changed();
        loop {
            // Every arm is cancel-safe: a watch channel keeps its mark.
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = self.hint.changed() => match changed {
                    Ok(()) => {
                        tokio::time::sleep(SETTLE).await;
                        self.memory.listed = None;
                    }
                    Err(_) => return,
                },
                changed = self.source.changed() => match changed {
                    Ok(()) => self.memory.listed = None,
                    Err(_) => return,
                },
                // An environment more or less changes every comment.
                changed = self.windows.changed() => match changed {
                    Ok(()) => self.memory = Memory::default(),
                    Err(_) => return,
                },
                () = stop.cancelled() => return,
            }
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
                if self.memory.problem.take().is_some() {
                    info!(forge = %self.forge.kind(), "pull requests are previewed again");
                }
                self.memory.failures = 0;
                if self.memory.pulls.is_empty() {
                    self.interval
                } else {
                    self.interval.min(LIVE)
                }
            }
            Err(error) => {
                let wait = patience(&error, self.memory.failures, clock::now());
                self.memory.failures += 1;
                self.complain(&error.to_string());
                wait.max(self.interval.min(Duration::from_secs(2)))
            }
        }
    }

    /// Said once for each problem.
    fn complain(&mut self, problem: &str) {
        if self.memory.problem.as_deref() != Some(problem) {
            warn!(forge = %self.forge.kind(), problem, "pull requests cannot be previewed; trying again");
            self.memory.problem = Some(problem.to_owned());
        }
    }

    async fn look(&mut self) -> Result<(), ForgeError> {
        let head = self.source.borrow_and_update().head.clone();
        let Some(base) = head.map(|head| head.revision) else {
            return Ok(());
        };
        if self.memory.windows.is_empty() {
            let windows = &self.windows.borrow_and_update();
            self.memory.windows.clone_from(windows);
        }
        if self.memory.windows.is_empty() {
            return Ok(());
        }
        let policy = self.policy(&base).await;
        let pulls = match policy {
            Previews::None => Vec::new(),
            Previews::All | Previews::Members => self.open().await?,
        };
        self.forget(&pulls.iter().map(|pull| pull.number).collect());
        let live: Vec<u64> = self.memory.windows.iter().map(Window::moved).collect();
        let rested = self.memory.not_before.is_none_or(|at| Instant::now() >= at);
        let moved = rested && live != self.memory.live;
        let began = Instant::now();
        let mut problem = None;
        for pull in &pulls {
            if !is_for(policy, pull) {
                self.pass_over(pull);
                continue;
            }
            match self.preview(&base, pull, moved).await {
                Ok(()) => {}
                Err(error @ ForgeError::Refused { .. }) => self.give_up(&base, pull, &error),
                // Whatever comes next would be refused as well.
                Err(error) if matches!(error.retry(), Retry::At(_)) => return Err(error),
                Err(error) => problem = Some(error),
            }
        }
        if moved {
            self.memory.live = live;
            self.memory.not_before = Some(Instant::now() + began.elapsed() * REST);
        }
        problem.map_or(Ok(()), Err)
    }

    /// The open pull requests, as of the last time that the forge was due to be asked.
    async fn open(&mut self) -> Result<Vec<PullRequest>, ForgeError> {
        if let Some((at, pulls)) = &self.memory.listed
            && at.elapsed() < self.interval
        {
            return Ok(pulls.clone());
        }
        let pulls = self.forge.open_pull_requests(&self.branch).await?;
        self.memory.listed = Some((Instant::now(), pulls.clone()));
        Ok(pulls)
    }

    /// Said once of each.
    fn pass_over(&mut self, pull: &PullRequest) {
        if self.memory.passed_over.insert(pull.number) {
            let (pull_request, author) = (pull.number, &pull.author.name);
            info!(
                pull_request,
                author,
                "not previewed: `previews` in agent.yaml allows it for members, from the repository's own branches"
            );
        }
    }

    /// The policy as it stands on the branch.
    async fn policy(&mut self, base: &Revision) -> Previews {
        if let Some((revision, policy)) = &self.memory.policy
            && revision == base
        {
            return *policy;
        }
        let (mirror, revision) = (self.mirror.clone(), base.clone());
        let read = blocking(move || {
            let tree = GitTree::open(&mirror, &revision).ok()?;
            Some(config::resolve(&tree).previews)
        });
        // A mirror that is just being made anew is read the next time.
        let Some(policy) = read.await else {
            return Previews::None;
        };
        self.memory.policy = Some((base.clone(), policy));
        policy
    }

    /// Lets go of what is no longer open.
    fn forget(&mut self, open: &BTreeSet<u64>) {
        let before = self.memory.pulls.len();
        self.memory.pulls.retain(|number, _| open.contains(number));
        self.memory
            .passed_over
            .retain(|number| open.contains(number));
        if self.memory.pulls.len() != before || before == 0 {
            let pulls = Pulls {
                repository: &self.mirror,
                remote: &self.remote,
            };
            // They are let go of the next time.
            let _ = pulls.keep(open);
        }
    }

    async fn preview(
        &mut self,
        base: &Revision,
        pull: &PullRequest,
        moved: bool,
    ) -> Result<(), ForgeError> {
        let sight = (base.clone(), pull.head.revision.clone());
        let seen = self.memory.pulls.entry(pull.number).or_default();
        if seen.planned.as_ref() == Some(&sight) && !moved {
            if let Some(sections) = seen.unsure.clone() {
                self.keep(pull.number, sections).await?;
            }
            return Ok(());
        }
        self.begin(pull).await?;
        let merge = match self.merge(base, pull).await {
            Ok(merge) => merge,
            // The forge's list and its repository are not always of one moment.
            Err(MergeError::Gone(_)) => return Ok(()),
            Err(error) => {
                self.complain(&format!("pull request {}: {error}", pull.number));
                return Ok(());
            }
        };
        let began = Instant::now();
        let planner = self.planner.for_pull(pull);
        let prospect = self.foresee(planner, merge).await;
        debug!(pull_request = pull.number, took = ?began.elapsed(), "planned");
        // What was not planned to its end is not told.
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let again = passing(&prospect);
        self.tell(pull, &prospect).await?;
        if let Some(seen) = self.memory.pulls.get_mut(&pull.number) {
            seen.planned = (!again).then_some(sight);
        }
        Ok(())
    }

    /// The forge takes everything else: this one waits for another head, branch or state.
    fn give_up(&mut self, base: &Revision, pull: &PullRequest, error: &ForgeError) {
        let pull_request = pull.number;
        warn!(forge = %self.forge.kind(), pull_request, %error, "the preview of a pull request is refused; the others go on");
        let seen = self.memory.pulls.entry(pull.number).or_default();
        seen.planned = Some((base.clone(), pull.head.revision.clone()));
        seen.unsure = None;
    }

    async fn merge(&self, base: &Revision, pull: &PullRequest) -> Result<Merge, MergeError> {
        let (mirror, remote, base) = (self.mirror.clone(), self.remote.clone(), base.clone());
        let wanted = Pull {
            number: pull.number,
            reference: self.forge.head_ref(pull.number),
            head: pull.head.revision.clone(),
        };
        blocking(move || {
            let pulls = Pulls {
                repository: &mirror,
                remote: &remote,
            };
            pulls.fetch(&wanted)?;
            pulls.merge(&base, &wanted.head)
        })
        .await
    }

    /// On a thread of its own: it takes a processor.
    async fn foresee(&mut self, planner: Planner, merge: Merge) -> Prospect {
        let mut known = std::mem::take(&mut self.memory.known);
        for window in &self.memory.windows {
            let known = known.entry(window.name.clone()).or_default();
            known.recorded.desired = window.recorded();
            known.at_hand.view = Some(Arc::clone(&window.view));
        }
        let stop = self.stop.clone();
        let (prospect, known) = blocking(move || {
            let planning = stop.run_until_cancelled(foresee(&planner, &merge, &mut known));
            let prospect = Handle::current().block_on(planning);
            (prospect.unwrap_or(Prospect::Planned(Vec::new())), known)
        })
        .await;
        self.memory.known = known;
        prospect
    }
}

/// Whether a pull request is planned under a policy.
fn is_for(policy: Previews, pull: &PullRequest) -> bool {
    match policy {
        Previews::All => true,
        Previews::Members => is_members(pull),
        Previews::None => false,
    }
}

/// Whether something could not be planned for a reason that passes.
fn passing(prospect: &Prospect) -> bool {
    match prospect {
        Prospect::Conflict(_) => false,
        Prospect::Planned(environments) => environments
            .iter()
            .any(|(_, planned)| matches!(planned, Err(Hindrance::Passing(_)))),
    }
}
