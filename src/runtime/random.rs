//! The one place that asks for randomness.

use std::time::Duration;

/// 32 random bytes from the system.
///
/// # Panics
/// When the system has none to give, which no key should be made without.
pub fn bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// A random time up to a longest one, so that many don't do the same at once.
pub fn up_to(longest: Duration) -> Duration {
    let bytes = bytes();
    let share = f64::from(u16::from_le_bytes([bytes[0], bytes[1]])) / f64::from(u16::MAX);
    longest.mul_f64(share)
}
