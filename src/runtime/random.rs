//! The one place that asks for randomness.

/// 32 random bytes from the system.
///
/// # Panics
/// When the system has none to give, which no key should be made without.
pub fn bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
