//! Locks around plain data.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks it. A panic of another holder leaves plain data behind, usable as it is.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
