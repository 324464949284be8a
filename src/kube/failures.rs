//! How long a watch waits after failures in a row.

use std::time::Duration;

use super::error::{ApiError, Retry};
use crate::runtime::backoff::grown;
use crate::runtime::random;

/// The wait after a first failure, and the longest one, doubled in between.
pub(super) type Waits = (Duration, Duration);
/// The server is away. The longest is short, since drift is to be seen soon after the server
/// is back.
pub(super) const AWAY: Waits = (Duration::from_millis(500), Duration::from_secs(3));
/// A right is missing.
pub(super) const REFUSED: Waits = (Duration::from_secs(2), Duration::from_secs(30));
/// A right is missing that can be done without, or there is more than is taken in.
pub(super) const NEEDLESS: Waits = (Duration::from_secs(30), Duration::from_mins(10));

/// Failures of a watch in a row. kube's own backoff begins anew with each attempt to
/// list, so that it never grows where listing is what fails.
#[derive(Default)]
pub(super) struct Failures {
    count: u32,
    pub(super) last: Option<ApiError>,
}

impl Failures {
    /// Counts one, and says how long to wait: not as long as all others that failed at
    /// the same time, and no less than the server asks for.
    pub(super) fn wait(&mut self, error: &ApiError, waits: Waits) -> Duration {
        let wait = grown(waits, self.count);
        self.count += 1;
        self.last = Some(error.clone());
        let asked = match error.retry() {
            Retry::After(after) => after.unwrap_or_default(),
            Retry::WhenInputsChange => Duration::ZERO,
        };
        (wait / 2).max(asked) + random::up_to(wait / 2)
    }
}
