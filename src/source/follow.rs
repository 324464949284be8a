//! Follows a branch: polls for its ref, is woken by a poke or by a repository on
//! this disk, and keeps the last good commit while anything is wrong.
//!
//! libgit2 blocks, so this is a thread of its own. Its end closes the channel, which
//! whoever waits on it sees.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::checkout;
use super::mirror::{Check, Mirror};
use super::problem::SourceProblem;
use super::remote::Remote;
use super::state::SourceState;
use super::watch::RefsWatch;
use crate::model::{Revision, SourceCommit};
use crate::runtime::backoff::grown;
use crate::runtime::clock;

/// The wait after a first failure; it doubles with each that follows.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest wait between two tries while something is wrong.
const LAST_RETRY: Duration = Duration::from_mins(1);

/// A push moves several files; what comes within this time is one look.
const SETTLE: Duration = Duration::from_millis(15);

/// When to look again after a hint that brought nothing: a forge may tell of a push before
/// each of its servers knows of it.
const AFTER_HINT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// How long the first look may take before what was fetched in an earlier life is gone on with.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Wakes that wait to be heard; one is enough, since a look sees all that came before.
const WAKES: usize = 1;

/// What to follow.
#[derive(Debug, Clone)]
pub struct Follow {
    /// Where the mirror is kept.
    pub data_dir: PathBuf,
    /// The environment repository.
    pub remote: Remote,
    /// The branch, such as `main`.
    pub branch: String,
    /// How often to ask, give or take a tenth.
    pub poll_interval: Duration,
    /// Whether it is followed for one round, at whose end what is wrong is told.
    pub once: bool,
}

/// A branch that is being followed; dropping it ends that.
#[derive(Debug)]
pub struct Follower {
    state: watch::Receiver<SourceState>,
    waker: Waker,
    mirror: PathBuf,
}

/// Makes the follower look at once.
#[derive(Debug, Clone)]
pub struct Waker {
    wakes: SyncSender<()>,
    wants: Arc<Wants>,
}

/// What the next look is to mind. Beside the channel, so that a full one loses
/// nothing.
#[derive(Debug, Default)]
struct Wants {
    content: AtomicBool,
    hinted: AtomicBool,
    end: AtomicBool,
}

impl Waker {
    /// Returns at once; a look that is already due is not asked for twice.
    pub fn poke(&self) {
        // Full: a look is due. Disconnected: the follower has ended, nobody looks.
        let _ = self.wakes.try_send(());
    }

    /// Says that the branch has moved, as somebody else has told us. Where the look that
    /// follows sees nothing of it, a few more do.
    pub fn hint(&self) {
        self.wants.hinted.store(true, Ordering::Release);
        self.poke();
    }

    /// Says that something in the mirror could not be read: the next look, which
    /// comes at once, reads everything, and makes the mirror anew if it must.
    pub fn suspect(&self) {
        self.wants.content.store(true, Ordering::Release);
        self.poke();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.waker.wants.end.store(true, Ordering::Release);
        self.poke();
    }
}

impl Follower {
    /// Starts to follow. The first state that [`SourceState::asked`] comes as soon as
    /// the remote was reached or not.
    ///
    /// Fails only where no thread can be started.
    pub fn start(follow: Follow) -> io::Result<Self> {
        let (publish, state) = watch::channel(SourceState::unknown(clock::now()));
        let (sender, due) = mpsc::sync_channel(WAKES);
        let waker = Waker {
            wakes: sender,
            wants: Arc::default(),
        };
        let mirror = Mirror::new(&follow.data_dir, follow.remote, &follow.branch);
        let path = mirror.path().to_owned();
        if !follow.once {
            let (fetched, publish) = (mirror.clone(), publish.clone());
            std::thread::Builder::new()
                .name("source-first".to_owned())
                .spawn(move || go_on_with(&fetched, &publish))?;
        }
        let looker = Looker {
            mirror,
            publish,
            poll_interval: follow.poll_interval,
            once: follow.once,
            failures: 0,
            refs: None,
            waker: waker.clone(),
            again: &[],
        };
        std::thread::Builder::new()
            .name("source".to_owned())
            .spawn(move || looker.run(&due))?;
        Ok(Self {
            state,
            waker,
            mirror: path,
        })
    }

    /// The latest state; changes only when head or problem do.
    pub fn state(&self) -> watch::Receiver<SourceState> {
        self.state.clone()
    }

    /// What makes it look at once, for a webhook.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Looks at once.
    pub fn poke(&self) {
        self.waker.poke();
    }

    /// The bare repository in which the commits are.
    pub fn mirror_path(&self) -> &Path {
        &self.mirror
    }
}

struct Looker {
    mirror: Mirror,
    publish: watch::Sender<SourceState>,
    poll_interval: Duration,
    once: bool,
    failures: u32,
    refs: Option<RefsWatch>,
    waker: Waker,
    /// When to look again for what was hinted at.
    again: &'static [Duration],
}

impl Looker {
    fn run(mut self, due: &Receiver<()>) {
        while !self.waker.wants.end.load(Ordering::Acquire) {
            self.watch_refs();
            if self.waker.wants.hinted.swap(false, Ordering::AcqRel) {
                self.again = &AFTER_HINT;
            }
            let before = self.head();
            let mut wait = self.look();
            if self.head() != before {
                self.again = &[];
            }
            if let [soon, later @ ..] = self.again {
                wait = wait.min(*soon);
                self.again = later;
            }
            // A timeout is the next poll. The waker that is kept here keeps the
            // channel open.
            if due.recv_timeout(wait).is_ok() {
                std::thread::sleep(SETTLE);
                let _ = due.try_recv();
            }
        }
    }

    fn head(&self) -> Option<Revision> {
        let state = self.publish.borrow();
        state.head.as_ref().map(|head| head.revision.clone())
    }

    /// Before the look, so that a commit made during it is heard of.
    fn watch_refs(&mut self) {
        if self.refs.is_none()
            && let Some(path) = self.mirror.remote().url.local_path()
        {
            let waker = self.waker.clone();
            self.refs = RefsWatch::start(path, move || waker.poke());
        }
    }

    /// One look at the remote; gives the time until the next.
    fn look(&mut self) -> Duration {
        let check = if self.waker.wants.content.swap(false, Ordering::AcqRel) {
            Check::Content
        } else {
            Check::Presence
        };
        let seen = self.mirror.update(check);
        match seen.and_then(|head| self.describe(&head)) {
            Ok(head) => {
                self.failures = 0;
                self.tell(Some(head), None);
                jittered(self.poll_interval)
            }
            Err(problem) => self.fail(problem),
        }
    }

    fn describe(&self, head: &Revision) -> Result<SourceCommit, SourceProblem> {
        described(&self.mirror, head)
    }

    fn fail(&mut self, problem: SourceProblem) -> Duration {
        let wait = if problem.answered() {
            self.failures = 0;
            self.poll_interval
        } else {
            // The repository may have been moved away: its watch is of no use then.
            self.refs = None;
            self.failures = self.failures.saturating_add(1);
            backoff(self.failures, self.poll_interval).max(problem.pause())
        };
        // After a restart with the remote away, what was enforced before still is.
        let known = self.publish.borrow().head.is_some();
        let head = if known { None } else { last_good(&self.mirror) };
        self.tell(head, Some(problem));
        jittered(wait)
    }

    fn tell(&self, head: Option<SourceCommit>, problem: Option<SourceProblem>) {
        let before = self.publish.borrow().clone();
        let news = |state: &mut SourceState| state.take(head, problem, clock::now());
        if self.publish.send_if_modified(news) {
            log(&self.mirror, &before, &self.publish.borrow(), self.once);
        }
    }
}

fn described(mirror: &Mirror, head: &Revision) -> Result<SourceCommit, SourceProblem> {
    checkout::commit(mirror.path(), head).map_err(|error| SourceProblem::Corrupt {
        url: mirror.remote().url.to_string(),
        reason: error.to_string(),
    })
}

fn last_good(mirror: &Mirror) -> Option<SourceCommit> {
    described(mirror, &mirror.head()?).ok()
}

/// Has what was fetched in an earlier life enforced where the repository takes its time.
fn go_on_with(mirror: &Mirror, publish: &watch::Sender<SourceState>) {
    std::thread::sleep(FIRST_LOOK);
    if publish.borrow().asked() {
        return;
    }
    let Some(head) = last_good(mirror) else {
        return;
    };
    let (repository, revision) = (&mirror.remote().url, head.revision.clone());
    if publish.send_if_modified(|state| state.begin_with(head)) {
        warn!(%repository, %revision, "the repository does not answer yet; what was fetched of it before is gone on with");
    }
}

/// Says what changed, once.
fn log(mirror: &Mirror, before: &SourceState, now: &SourceState, once: bool) {
    let repository = &mirror.remote().url;
    let stays = now.head.as_ref().map(|head| head.revision.to_string());
    if let Some(problem) = &now.problem {
        if before.problem.as_ref() != Some(problem) && !once {
            warn!(%repository, %problem, stays, "no newer commit can be had; it is tried again until it can");
        }
        return;
    }
    if let Some(problem) = &before.problem {
        info!(%repository, %problem, "the repository can be followed again");
    }
    if let Some(head) = &now.head
        && before.head.as_ref() != Some(head)
    {
        let (revision, subject) = (&head.revision, &head.subject);
        info!(%repository, %revision, subject, "new commit");
        if let Some(old) = &before.head
            && mirror.rewritten(&old.revision, revision)
        {
            warn!(%repository, old = %old.revision, new = %revision, "the branch's history was rewritten");
        }
    }
}

fn backoff(failures: u32, poll_interval: Duration) -> Duration {
    let longest = poll_interval.clamp(FIRST_RETRY, LAST_RETRY);
    grown((FIRST_RETRY, longest), failures.saturating_sub(1))
}

/// Give or take a tenth, so that many agents don't ask at once. The standard
/// library's hash seed is random enough for that.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 2_001;
    let factor = u32::try_from(9_000 + random).expect("at most 11,000");
    wait.saturating_mul(factor) / 10_000
}

#[cfg(test)]
mod tests;
