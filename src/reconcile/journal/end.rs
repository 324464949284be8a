//! How far entries are on their way, and the end of a record's threads.

use std::time::Duration;

use futures::future;
use tracing::warn;

use super::Journal;
use crate::runtime::shutdown::Stop;

/// How long after the process was asked to end the record's repository may take, and how
/// long it may take in any case. What was entered before is usually there by then.
const SENT: Duration = Duration::from_millis(3_800);
const LEAST: Duration = Duration::from_secs(2);
/// How long a disk that does not answer is waited for.
const WRITTEN: Duration = Duration::from_secs(2);

impl Journal {
    /// Waits until what was entered by now is on the disk, which takes milliseconds, or is
    /// known to be kept in memory.
    pub(in crate::reconcile) fn written(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut on_disk, mut trouble) = (self.on_disk.clone(), self.trouble.clone());
        let entered = self.entered;
        async move {
            tokio::select! {
                // Either ends with the thread that writes, which has said why.
                _ = on_disk.wait_for(|written| *written >= entered) => {}
                _ = trouble.wait_for(|trouble| trouble.unwritten.is_some()) => {}
                () = tokio::time::sleep(WRITTEN) => {}
            }
        }
    }

    /// Waits until the remote has every entry.
    ///
    /// # Errors
    /// The number of entries that wait still when the time is over.
    pub async fn pushed(&self, limit: Duration) -> Result<(), usize> {
        let mut unpushed = self.unpushed.clone();
        let wait = unpushed.wait_for(|count| *count == 0);
        match tokio::time::timeout(limit, wait).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(*self.unpushed.borrow()),
        }
    }

    /// Ends the thread after what was entered is on disk and was sent, with its notes. At
    /// the end of the process a repository that does not answer is not waited for: the
    /// entries wait in the data directory for the next process.
    pub async fn close(mut self, stop: &Stop) {
        drop((self.entries.take(), self.news.take()));
        let Some(writer) = self.writer.take() else {
            return;
        };
        let environment = &self.environment;
        tokio::select! {
            ended = tokio::task::spawn_blocking(|| writer.join()) => {
                if !matches!(ended, Ok(Ok(()))) {
                    warn!(%environment, "the record's thread panicked");
                }
            }
            _ = future::join(stop.asked_for(SENT), tokio::time::sleep(LEAST)) => {}
        }
        let (all, branch) = (*self.unpushed.borrow(), &self.branch);
        let in_memory = self.trouble.borrow().unwritten.as_ref().map(|it| it.0);
        let in_memory = in_memory.and_then(|count| usize::try_from(count).ok());
        let count = all.saturating_sub(in_memory.unwrap_or_default());
        if count > 0 {
            warn!(%environment, count, branch, "entries could not be pushed; they wait in the data directory, from where the next agent that has it pushes them");
        }
    }
}
