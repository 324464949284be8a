//! The threads that commit the record's entries and push them: one each, so that a remote
//! that does not answer keeps no entry from the disk.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::journal::InRemote;
use super::noting::Noting;
use super::unwritten::Unwritten;
use crate::model::{EnvironmentName, chain};
use crate::record::{Entry, PushError, RecordBranch};
use crate::runtime::backoff::grown;
use crate::runtime::lock::lock;

/// The wait after a failed push, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The same after an entry could not be written. Each try costs next to nothing.
const WRITE_BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The least time between two pushes: what comes meanwhile goes along with the second.
const APART: Duration = Duration::from_millis(200);

/// How long the thread sleeps when nothing is due.
const IDLE: Duration = Duration::from_hours(1);

/// How many of the entries that are lost with the process are named.
const NAMED: usize = 50;

/// Where the threads tell how they are doing.
pub(super) struct Told<F> {
    /// Takes the number of entries that are here alone.
    pub(super) queued: F,
    /// How many entries are on the disk.
    pub(super) written: watch::Sender<u64>,
    /// How much the record's repository has.
    pub(super) reached: watch::Sender<InRemote>,
    /// What keeps entries from where they belong.
    pub(super) trouble: watch::Sender<Trouble>,
    /// How many entries were written, and how many wait in memory. Held while it is told, so
    /// that what is newer is told last.
    pub(super) counted: Mutex<Counted>,
}

/// What the thread that pushes is woken for.
#[derive(Debug, Clone, Copy)]
pub(super) enum News {
    /// Entries were written.
    Entries,
    /// It is time to look whether the record's repository has all that it had.
    Look,
}

/// How many entries the thread that writes has had.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    written: u64,
    unwritten: u64,
}

/// How many entries are here alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    /// On the disk.
    pub(super) written: usize,
    /// In memory.
    pub(super) unwritten: usize,
}

/// What keeps entries from where they belong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// How many are in memory alone, and why.
    pub unwritten: Option<(u64, String)>,
    /// Why those that are written can't be pushed.
    pub unpushed: Option<String>,
}

impl Trouble {
    /// In a line; nothing where there is none.
    pub fn text(&self) -> Option<String> {
        match (&self.unwritten, &self.unpushed) {
            (Some((1, why)), _) => Some(format!(
                "1 entry of the record cannot be written and is kept in memory: {why}"
            )),
            (Some((count, why)), _) => Some(format!(
                "{count} entries of the record cannot be written and are kept in memory: {why}"
            )),
            (None, Some(why)) => Some(format!("the record waits to be pushed: {why}")),
            (None, None) => None,
        }
    }
}

/// Commits each entry as it comes, and has it pushed. A disk that takes nothing is tried again
/// and again; entries are kept in memory meanwhile.
pub(super) fn write<F: Fn(Queued)>(
    environment: &EnvironmentName,
    branch: RecordBranch,
    inbox: &Receiver<Entry>,
    told: &Told<F>,
    news: &SyncSender<News>,
) {
    let mut writing = Writing {
        environment,
        branch,
        told,
        news,
        unwritten: Unwritten::new(environment),
        tries: Tries::new(),
    };
    loop {
        match inbox.recv_timeout(writing.patience()) {
            Ok(entry) => {
                writing.unwritten.take(entry);
                for entry in inbox.try_iter() {
                    writing.unwritten.take(entry);
                }
                if writing.tries.failures == 0 {
                    writing.append();
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if writing.unwritten.count() > 0 && writing.tries.is_due() {
            writing.append();
        }
    }
    writing.append();
    writing.tell_lost();
}

/// Pushes what was committed, at once and together what comes meanwhile. A remote that is
/// away, or does not answer, is tried again and again; entries go on being committed.
pub(super) fn push<F: Fn(Queued)>(
    environment: &EnvironmentName,
    branch: RecordBranch,
    news: &Receiver<News>,
    noting: Noting,
    told: &Told<F>,
) {
    // What the last process pushed may lack its notes.
    noting.wake();
    let mut pushing = Pushing {
        environment,
        branch,
        told,
        tries: Tries::new(),
    };
    let mut ends = false;
    while !ends {
        let queued = told.tell(&pushing.branch);
        match news.recv_timeout(pushing.patience(queued)) {
            Ok(News::Look) if queued == 0 => pushing.look(),
            Ok(News::Look | News::Entries) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => ends = true,
        }
        let due = ends || pushing.tries.is_due();
        // A push may take long, or hang.
        if told.tell(&pushing.branch) > 0 && due && pushing.push() {
            noting.wake();
        }
    }
    told.tell(&pushing.branch);
    noting.end();
}

impl<F: Fn(Queued)> Told<F> {
    /// Tells how many entries are here alone; gives those that are written.
    fn tell(&self, branch: &RecordBranch) -> usize {
        let counted = lock(&self.counted);
        let queued = branch.queued();
        (self.queued)(Queued {
            written: queued,
            unwritten: usize::try_from(counted.unwritten).unwrap_or(usize::MAX),
        });
        if queued == 0 {
            let (entries, tip) = (counted.written, branch.tip());
            self.reached.send_replace(InRemote { entries, tip });
        }
        queued
    }
}

struct Writing<'a, F> {
    environment: &'a EnvironmentName,
    branch: RecordBranch,
    told: &'a Told<F>,
    news: &'a SyncSender<News>,
    unwritten: Unwritten,
    tries: Tries,
}

struct Pushing<'a, F> {
    environment: &'a EnvironmentName,
    branch: RecordBranch,
    told: &'a Told<F>,
    tries: Tries,
}

/// Failures in a row, and when to try again.
struct Tries {
    failures: u32,
    next: Instant,
}

impl Tries {
    fn new() -> Self {
        Self {
            failures: 0,
            next: Instant::now(),
        }
    }

    fn wait(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    fn is_due(&self) -> bool {
        self.next <= Instant::now()
    }

    fn fail(&mut self, backoff: (Duration, Duration)) {
        self.next = Instant::now() + grown(backoff, self.failures);
        self.failures += 1;
    }

    fn succeed(&mut self, apart: Duration) {
        self.next = Instant::now() + apart;
        self.failures = 0;
    }
}

impl<F: Fn(Queued)> Writing<'_, F> {
    fn patience(&self) -> Duration {
        match self.unwritten.count() {
            0 => IDLE,
            _ => self.tries.wait(),
        }
    }

    /// Said once when it begins to fail, and once when it is over.
    fn append(&mut self) {
        let environment = self.environment;
        let branch = &mut self.branch;
        let written = self.unwritten.write(|entry| branch.append(entry).map(drop));
        let count = self.unwritten.count();
        let why = match written {
            Ok(()) => {
                if self.tries.failures > 0 {
                    info!(%environment, "the record's entries are written again");
                }
                self.tries.succeed(Duration::ZERO);
                None
            }
            Err(error) => {
                let error = chain(&error);
                if self.tries.failures == 0 {
                    warn!(%environment, count, error, "entries of the record cannot be written; they are kept in memory, and it is tried again");
                }
                self.tries.fail(WRITE_BACKOFF);
                Some((count, error))
            }
        };
        *lock(&self.told.counted) = Counted {
            written: self.unwritten.written(),
            unwritten: count,
        };
        self.told.written.send_replace(self.unwritten.written());
        self.told.tell(&self.branch);
        // Full: it is awake already. Ended: it has panicked, and said so.
        let _ = self.news.try_send(News::Entries);
        self.told.trouble.send_if_modified(|trouble| {
            std::mem::replace(&mut trouble.unwritten, why.clone()) != why
        });
    }

    /// The log is the last place that can have them.
    fn tell_lost(&self) {
        let (environment, count) = (self.environment, self.unwritten.count());
        if count == 0 {
            return;
        }
        error!(%environment, count, "entries of the record could not be written and end with the process");
        for entry in self.unwritten.subjects().take(NAMED) {
            error!(%environment, entry, "not recorded");
        }
    }
}

impl<F: Fn(Queued)> Pushing<'_, F> {
    fn patience(&self, queued: usize) -> Duration {
        match queued {
            0 => IDLE,
            _ => self.tries.wait(),
        }
    }

    /// Takes in what the record's repository has, in case somebody took entries away: they
    /// wait to be pushed then. Where it is away, whoever pushes next says so.
    fn look(&mut self) {
        let environment = self.environment;
        if let Err(error) = self.branch.refresh() {
            debug!(%environment, error = %chain(&error), "the remote's record cannot be read");
        }
    }

    /// Whether that worked. Said once when it begins to fail, and once when it is over.
    fn push(&mut self) -> bool {
        let environment = self.environment;
        let why = match self.branch.push() {
            Ok(_) => {
                if self.tries.failures > 0 {
                    info!(%environment, "the record is pushed again");
                }
                self.tries.succeed(APART);
                None
            }
            Err(error) => Some(self.unpushed(&error)),
        };
        self.told.trouble.send_if_modified(|trouble| {
            std::mem::replace(&mut trouble.unpushed, why.clone()) != why
        });
        why.is_none()
    }

    fn unpushed(&mut self, error: &PushError) -> String {
        let (environment, error) = (self.environment, chain(error));
        if self.tries.failures == 0 {
            let queued = self.branch.queued();
            warn!(%environment, queued, error, "the record waits to be pushed, and is tried again");
        }
        self.tries.fail(BACKOFF);
        error
    }
}
