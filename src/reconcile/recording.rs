//! The thread that commits the record's entries and pushes them.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};

use super::journal::InRemote;
use super::noting::Noting;
use crate::model::{EnvironmentName, chain};
use crate::record::{Entry, PushError, RecordBranch};
use crate::runtime::backoff::grown;

/// The wait after a failed push, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The least time between two pushes: what comes meanwhile goes along with the second.
const APART: Duration = Duration::from_millis(200);

/// Commits each entry as it comes, and pushes when no more are waiting. A remote that
/// is away is tried again and again; entries go on being committed meanwhile.
pub(super) fn write(
    environment: &EnvironmentName,
    mut branch: RecordBranch,
    inbox: &Receiver<Entry>,
    (noting, reached): (&Noting, &watch::Sender<InRemote>),
    told: impl Fn(usize),
) {
    // What the last process pushed may lack its notes.
    noting.wake();
    let (mut failures, mut entries) = (0_u32, 0_u64);
    let mut next = Instant::now();
    loop {
        let queued = branch.queued();
        told(queued);
        if queued == 0 {
            let tip = branch.tip();
            reached.send_replace(InRemote { entries, tip });
        }
        let patience = if queued == 0 {
            Duration::from_hours(1)
        } else {
            next.saturating_duration_since(Instant::now())
        };
        match inbox.recv_timeout(patience) {
            Ok(entry) => {
                append(environment, &mut branch, &entry);
                entries += 1;
                while let Ok(entry) = inbox.try_recv() {
                    append(environment, &mut branch, &entry);
                    entries += 1;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                if push(environment, &mut branch, failures).is_ok() {
                    noting.wake();
                }
                told(branch.queued());
                return;
            }
        }
        if branch.queued() == 0 || Instant::now() < next {
            continue;
        }
        told(branch.queued());
        if push(environment, &mut branch, failures).is_ok() {
            noting.wake();
            failures = 0;
            next = Instant::now() + APART;
        } else {
            next = Instant::now() + grown(BACKOFF, failures);
            failures += 1;
        }
    }
}

fn append(environment: &EnvironmentName, branch: &mut RecordBranch, entry: &Entry) {
    if let Err(error) = branch.append(entry) {
        warn!(%environment, error = %chain(&error), entry = entry.subject, "an entry could not be kept");
    }
}

/// Said once when it begins, and once when it is over.
fn push(
    environment: &EnvironmentName,
    branch: &mut RecordBranch,
    failures: u32,
) -> Result<(), PushError> {
    match branch.push() {
        Ok(_) => {
            if failures > 0 {
                info!(%environment, "the record is pushed again");
            }
            Ok(())
        }
        Err(error) => {
            if failures == 0 {
                let queued = branch.queued();
                warn!(%environment, queued, error = %chain(&error), "the record waits to be pushed, and is tried again");
            }
            Err(error)
        }
    }
}
