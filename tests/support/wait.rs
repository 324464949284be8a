//! Waiting for a condition, never for a time.

use std::fmt::Display;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits until `condition` gives something.
///
/// # Panics
/// When it hasn't within `patience`, with `what` was waited for.
pub fn wait<T>(what: &str, patience: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    wait_seeing(what, patience, || condition().ok_or("nothing"))
}

/// Waits until `condition` is `Ok`; its `Err` says what is seen instead.
///
/// # Panics
/// When it isn't within `patience`, with `what` was waited for and what was seen last.
pub fn wait_seeing<T, S: Display>(
    what: &str,
    patience: Duration,
    condition: impl FnMut() -> Result<T, S>,
) -> T {
    poll(patience, condition)
        .unwrap_or_else(|seen| panic!("waited {patience:?} for {what}; seen at the end: {seen}"))
}

/// As [`wait_seeing`], for callers that don't want to panic.
pub fn poll<T, S>(patience: Duration, mut condition: impl FnMut() -> Result<T, S>) -> Result<T, S> {
    let deadline = Instant::now() + patience;
    loop {
        match condition() {
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(50)),
            outcome => return outcome,
        }
    }
}

/// A name that no other test and no other run uses, fit for a namespace.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{:x}-{number}", std::process::id())
}
