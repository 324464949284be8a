//! Passes that do something, apart from those that only look: whoever ends waits for the
//! first alone.

use tokio::sync::watch;

/// How many passes do something.
#[derive(Debug, Default)]
pub struct Acting(watch::Sender<usize>);

/// One that does, until it is dropped.
pub(super) struct Act<'a>(&'a Acting);

impl Acting {
    /// A pass begins to.
    pub(super) fn begin(&self) -> Act<'_> {
        self.0.send_modify(|count| *count += 1);
        Act(self)
    }

    /// Waits until none does.
    pub(super) async fn none(&self) {
        // The sender is here.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Act<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
