//! The thread that writes notes on source commits, beside the one that pushes the record:
//! notes that can't be pushed hold nothing up.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::model::{EnvironmentName, chain};
use crate::record::PushedNotes;
use crate::runtime::backoff::grown;

/// The wait after a failure, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// The least time between two pushes. In a storm of entries many are told by one.
const APART: Duration = Duration::from_secs(2);
/// How long the end of the process waits for notes that are on their way.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread, from the side of the record's.
pub(super) struct Noting {
    news: SyncSender<()>,
    ended: Receiver<()>,
}

impl Noting {
    /// Starts it.
    pub(super) fn start(
        environment: &EnvironmentName,
        notes: PushedNotes,
    ) -> std::io::Result<Self> {
        // One that waits is enough: what it leads to sees all that came before.
        let (news, inbox) = sync_channel(1);
        let (over, ended) = sync_channel::<()>(1);
        let name = environment.clone();
        std::thread::Builder::new()
            .name(format!("notes-{environment}"))
            .spawn(move || {
                work(&name, notes, &inbox);
                drop(over);
            })?;
        Ok(Self { news, ended })
    }

    /// The record has news.
    pub(super) fn wake(&self) {
        // Full: it is awake already. Ended: it has panicked, and said so.
        let _ = self.news.try_send(());
    }

    /// Ends it after what is on its way. What it leaves undone is done by the next process.
    pub(super) fn end(self) {
        drop(self.news);
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

fn work(environment: &EnvironmentName, mut notes: PushedNotes, inbox: &Receiver<()>) {
    let (mut failures, mut next) = (0_u32, Instant::now());
    loop {
        let woken = if failures == 0 {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            inbox.recv_timeout(grown(BACKOFF, failures))
        };
        if woken == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        // More news go along; the end of the process does not wait.
        while let Some(wait) = next.checked_duration_since(Instant::now())
            && inbox.recv_timeout(wait).is_ok()
        {}
        match notes.push() {
            Ok(()) => {
                if failures > 0 {
                    info!(%environment, "the notes are pushed again");
                }
                failures = 0;
                next = Instant::now() + APART;
            }
            Err(error) => {
                let error = chain(&error);
                if failures == 0 {
                    warn!(%environment, error, "the notes on source commits wait, and are tried again; the record is not held up");
                } else {
                    debug!(%environment, error, "the notes still wait");
                }
                failures += 1;
            }
        }
    }
}
