//! What the process needs of its surroundings: the clock, outside programs,
//! shutdown, the admin endpoints.

pub mod admin;
pub mod backoff;
pub mod clock;
pub mod exec;
pub mod lock;
pub mod memory;
pub mod metrics;
pub mod random;
pub mod shutdown;
