//! Until when an agent may believe that the Lease is its own. A process that was stopped and
//! goes on finds what it was about to send before it hears that the Lease is lost.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::runtime::lock::lock;

/// An instant that is put off as long as a Lease is renewed.
#[derive(Debug, Clone)]
pub struct Fence(Arc<Mutex<Instant>>);

impl Fence {
    pub(super) fn until(end: Instant) -> Self {
        Self(Arc::new(Mutex::new(end)))
    }

    pub(super) fn put_off(&self, end: Instant) {
        *lock(&self.0) = end;
    }

    pub(super) fn is_over(&self) -> bool {
        *lock(&self.0) <= Instant::now()
    }
}
