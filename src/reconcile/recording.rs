//! The thread that commits the record's entries and pushes them.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{error, info, warn};

use super::journal::InRemote;
use super::noting::Noting;
use super::unwritten::Unwritten;
use crate::model::{EnvironmentName, chain};
use crate::record::{Entry, PushError, RecordBranch};
use crate::runtime::backoff::grown;

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

/// Where the thread tells how it is doing.
pub(super) struct Told<F> {
    /// Takes the number of entries that are here alone.
    pub(super) queued: F,
    /// How much the record's repository has.
    pub(super) reached: watch::Sender<InRemote>,
    /// What keeps entries from where they belong.
    pub(super) trouble: watch::Sender<Trouble>,
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

/// Commits each entry as it comes, and pushes when no more are waiting. A remote that
/// is away is tried again and again; entries go on being committed meanwhile. So is a disk
/// that takes nothing; entries are kept in memory meanwhile.
pub(super) fn write<F: Fn(Queued)>(
    environment: &EnvironmentName,
    branch: RecordBranch,
    inbox: &Receiver<Entry>,
    noting: &Noting,
    told: Told<F>,
) {
    // What the last process pushed may lack its notes.
    noting.wake();
    let mut recording = Recording {
        environment,
        branch,
        told,
        unwritten: Unwritten::new(environment),
        writing: Tries::new(),
        pushing: Tries::new(),
    };
    loop {
        let queued = recording.tell();
        match inbox.recv_timeout(recording.patience(queued)) {
            Ok(entry) => {
                recording.unwritten.take(entry);
                for entry in inbox.try_iter() {
                    recording.unwritten.take(entry);
                }
                if recording.writing.failures == 0 {
                    recording.append();
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if recording.unwritten.count() > 0 && recording.writing.is_due() {
            recording.append();
        }
        // A push may take long, or hang.
        let queued = recording.tell();
        if queued > 0 && recording.pushing.is_due() && recording.push() {
            noting.wake();
        }
    }
    recording.append();
    recording.tell();
    if recording.push() {
        noting.wake();
    }
    recording.tell();
    recording.tell_lost();
}

struct Recording<'a, F> {
    environment: &'a EnvironmentName,
    branch: RecordBranch,
    told: Told<F>,
    unwritten: Unwritten,
    writing: Tries,
    pushing: Tries,
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

impl<F: Fn(Queued)> Recording<'_, F> {
    /// Tells how many entries are here alone; gives those that are written.
    fn tell(&self) -> usize {
        let queued = self.branch.queued();
        (self.told.queued)(Queued {
            written: queued,
            unwritten: usize::try_from(self.unwritten.count()).unwrap_or(usize::MAX),
        });
        if queued == 0 {
            let (entries, tip) = (self.unwritten.written(), self.branch.tip());
            self.told.reached.send_replace(InRemote { entries, tip });
        }
        queued
    }

    fn patience(&self, queued: usize) -> Duration {
        let push = (queued > 0).then_some(self.pushing.next);
        let write = (self.unwritten.count() > 0).then_some(self.writing.next);
        let next = push.into_iter().chain(write).min();
        next.map_or(IDLE, |next| next.saturating_duration_since(Instant::now()))
    }

    /// Said once when it begins to fail, and once when it is over.
    fn append(&mut self) {
        let environment = self.environment;
        let branch = &mut self.branch;
        let written = self.unwritten.write(|entry| branch.append(entry).map(drop));
        let count = self.unwritten.count();
        let why = match written {
            Ok(()) => {
                if self.writing.failures > 0 {
                    info!(%environment, "the record's entries are written again");
                }
                self.writing.succeed(Duration::ZERO);
                None
            }
            Err(error) => {
                let error = chain(&error);
                if self.writing.failures == 0 {
                    warn!(%environment, count, error, "entries of the record cannot be written; they are kept in memory, and it is tried again");
                }
                self.writing.fail(WRITE_BACKOFF);
                Some((count, error))
            }
        };
        self.told.trouble.send_if_modified(|trouble| {
            std::mem::replace(&mut trouble.unwritten, why.clone()) != why
        });
    }

    /// Whether that worked. Said once when it begins to fail, and once when it is over.
    fn push(&mut self) -> bool {
        let environment = self.environment;
        let why = match self.branch.push() {
            Ok(_) => {
                if self.pushing.failures > 0 {
                    info!(%environment, "the record is pushed again");
                }
                self.pushing.succeed(APART);
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
        if self.pushing.failures == 0 {
            let queued = self.branch.queued();
            warn!(%environment, queued, error, "the record waits to be pushed, and is tried again");
        }
        self.pushing.fail(BACKOFF);
        error
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
