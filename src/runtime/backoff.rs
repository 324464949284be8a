//! Waits that grow.

use std::time::Duration;

/// The wait after so many failures in a row: doubled each time, from the first to the
/// longest.
pub fn grown((first, longest): (Duration, Duration), failures: u32) -> Duration {
    first.saturating_mul(1 << failures.min(16)).min(longest)
}
