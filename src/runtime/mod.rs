//! What the process needs of its surroundings: the clock, outside programs,
//! shutdown, the admin endpoints.

pub mod admin;
pub mod backoff;
pub mod clock;
pub mod exec;
pub mod files;
pub mod listener;
pub mod lock;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod net;
pub mod random;
pub mod shutdown;
