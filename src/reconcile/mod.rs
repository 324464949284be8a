//! The pass and its schedule: one task for each environment.

mod compared;
mod contend;
mod declare;
mod dry_run;
mod environment;
mod execute;
mod journal;
mod observe;
mod pass;
mod unit;

pub use compared::Compared;
pub use declare::{Declared, DeclaredUnit, Labels, RenderCache, Tools, UnitDesired, declare};
pub use dry_run::{PlanEnvironment, PlannedEnvironment, plan_environment};
pub use environment::{Ending, Environment, Options, RunMode, ready};
pub use journal::{Journal, JournalOptions};
pub use pass::{PlanInput, plan_unit};
