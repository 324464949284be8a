//! What happened, as commits on the branch `live/<environment>`: their text and
//! tree (pure), and the branch that takes them.

pub mod branch;
mod compact;
pub mod entry;
pub mod foreign;
mod local;
mod outcome;
pub mod path;
mod signature;
pub mod status;
pub mod status_files;
mod store;
pub mod story;
pub mod text;
mod theirs;
pub mod view;

pub use branch::{RecordBranch, content_id};
pub use entry::Entry;
pub use outcome::{Below, PushError, Pushed, RecordError};
pub use text::README;
pub use view::{RecordView, ViewError, environments_in_repository, environments_of_remote, fetch};

use crate::model::EnvironmentName;

/// The branch that records an environment.
pub fn branch_name(environment: &EnvironmentName) -> String {
    format!("live/{environment}")
}
