//! Desired × live × inventory × policy → [`Plan`]. Pure and total: what can't be
//! decided is a step that is blocked, and each step carries the reason that a person
//! reads. `agent diff` prints this value and the daemon executes it.

mod apply;
mod build;
mod foreign;
mod gone;
mod guard;
mod leaving;
mod lockout;
mod matching;
mod order;
mod overruled;
mod proposed;
mod prune;
mod subject;
mod taken;
#[cfg(test)]
mod tests;
mod text;
mod types;

pub use build::plan;
pub use foreign::ignored_in_vain;
pub use gone::{Deletions, Gone, never_left};
pub use guard::{Approvals, Granted, Limits};
pub use leaving::{Budget, Extent, Lately, Leaver, Leaving, Question};
pub use lockout::{Kept, Upkeep, is_admission};
pub use order::{Dependencies, DependencyError, dependencies, foreign, rank};
pub use overruled::Overruled;
pub use proposed::{Proposals, drift_digest, kept_until};
pub use prune::{detached, held_back};
pub use subject::{
    AsDesired, Baseline, Members, Neighbours, Observation, Refusal, Refused, Seen, Subject,
};
pub use taken::{Dependents, takes_others_along};
pub use text::{diff, first_of, recorded_side, short};
pub use types::{
    Action, Blocked, Cause, Checked, FieldChange, ForeignField, Plan, Proposed, Standing, Step,
};
