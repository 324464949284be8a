//! The pass and its schedule: one task for each environment.

mod along;
mod compared;
mod contend;
mod declare;
mod declared;
mod dry_run;
mod environment;
mod execute;
mod journal;
mod noting;
mod observe;
mod pass;
mod planned;
mod recorded;
mod recording;
mod standing;
mod unit;

pub use along::{WentAlong, went_along};
pub use compared::Compared;
pub use declare::{Labels, RenderCache, Tools, declare};
pub use declared::{Declared, DeclaredUnit, UnitDesired};
pub use dry_run::{AtHand, PlanEnvironment, plan_environment};
pub use environment::{Deed, DriftedObject, Drifts, OpenProposals, Proposing, UnitDrift};
pub use environment::{Ending, Environment, Options, Progress, RunMode, Window, ready};
pub use journal::{InRemote, Journal, JournalOptions};
pub use pass::{Context, PlanInput, plan_unit};
pub use planned::{PlannedEnvironment, counted};
pub use recorded::{PlanRecorded, plan_recorded};
