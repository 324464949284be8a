//! The Kubernetes API: connect, discover, watch, observe, dry-run, apply, delete.
//! Input and output only; what to do is decided elsewhere.

mod cluster;
mod definitions;
mod discovery;
mod error;
mod inventory;
mod key;
mod lease;
mod observe;
mod pace;
mod packed;
mod turns;
mod view;
mod watch;
mod watches;
mod wire;

pub use cluster::{Access, ApplyMode, Cluster, Conflicts, Deletion, connect, version_of};
pub use discovery::Resource;
pub use error::{ApiError, Retry};
pub use inventory::{Inventory, InventoryParent, parent_name};
pub use key::{digest_key, known_digest_key};
pub use lease::{Lease, Term};
pub use observe::{Finding, find};
pub use view::LiveView;
pub use watches::WatchState;
