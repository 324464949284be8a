//! How long the API server is left alone when it asks for that (`Retry-After`). Pure.
//!
//! Whoever answers may ask for a day: by mistake, or to have the agent do nothing while
//! somebody else does something. So it is heeded up to a minute.

use std::time::Duration;

/// The longest that is heeded.
const MOST: Duration = Duration::from_mins(1);
/// What is longer than this is told to people, and not waited for in the middle of a pass.
const LONG: Duration = Duration::from_secs(10);

/// As long as it is heeded.
pub(super) fn heeded(asked: Duration) -> Duration {
    asked.min(MOST)
}

/// Whether it is longer than people expect.
pub(super) fn is_long(asked: Duration) -> bool {
    asked > LONG
}
