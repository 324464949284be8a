//! The one place that asks what time it is.

use jiff::Timestamp;

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that the others are told to ask"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}
