//! What people are told on the forge: what a pull request would do before it is merged,
//! how far a revision is after that, and what was changed in the cluster and could be
//! kept.
//!
//! Tasks of their own, so that a forge that is slow or away holds up nothing. What they
//! write is a projection: after a restart they look what is there, and write only what is
//! not.

mod markdown;
mod previews;
mod proposals;
mod prospect;
mod statuses;
mod text;

#[cfg(test)]
mod tests;

pub use previews::{Memory, Previewer};
pub use proposals::{Memory as ProposerMemory, Proposer};
pub use prospect::{Known, Planner, foresee};
pub use statuses::Teller;
pub use text::{Hindrance, Occasion, Prospect, context, sections, statuses};

use std::time::Duration;

use jiff::Timestamp;

use crate::forge::{ForgeError, Retry};
use crate::runtime::backoff::grown;

/// What marks the comment that says what merging would do.
pub const PREVIEW: &str = "preview";

/// The wait after a first failure, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(5));

/// How long to wait after so many failures in a row.
fn patience(error: &ForgeError, failures: u32, now: Timestamp) -> Duration {
    let grown = grown(BACKOFF, failures);
    match error.retry() {
        Retry::Soon => grown,
        Retry::At(until) => Duration::try_from(until.duration_since(now))
            .unwrap_or_default()
            .max(BACKOFF.0),
        Retry::WhenInputsChange => grown.max(Duration::from_mins(1)),
    }
}

/// Work that takes the disk, the network or the processor, on a thread for such.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
