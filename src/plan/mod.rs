//! Desired × live × inventory × policy → [`Plan`]. Pure and total: what can't be
//! decided is a step that is blocked, and each step carries the reason that a person
//! reads. `agent diff` prints this value and the daemon executes it.

mod apply;
mod build;
mod foreign;
mod gone;
mod guard;
mod order;
mod proposed;
mod prune;
mod subject;
#[cfg(test)]
mod tests;
mod text;
mod types;

pub use build::plan;
pub use foreign::ignored_in_vain;
pub use gone::{Deletions, Gone, never_left};
pub use guard::{Approvals, Granted};
pub use order::{Dependencies, DependencyError, dependencies, foreign, rank};
pub use proposed::{Proposals, drift_digest, kept_until};
pub use subject::{AsDesired, Baseline, Members, Neighbours, Observation, Refusal, Seen, Subject};
pub use text::{diff, recorded_side, short};
pub use types::{
    Action, Blocked, Cause, Checked, FieldChange, ForeignField, Plan, Proposed, Standing, Step,
};
