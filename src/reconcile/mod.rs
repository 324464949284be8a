//! The pass and its schedule: one task for each environment.

mod along;
mod asked;
mod budget;
mod compared;
mod contend;
mod declare;
mod declared;
mod dry_run;
mod environment;
mod execute;
mod journal;
mod left_alone;
mod leftovers;
mod limit;
mod listing;
mod lists;
mod membership;
mod noting;
mod observe;
mod others;
mod overruled;
mod pass;
mod patience;
mod pinned;
mod places;
mod planned;
mod recorded;
mod recording;
mod refused;
mod standing;
mod ties;
mod tried;
mod unit;
mod unread;
mod unwritten;
mod upkeep;
mod witness;

pub use along::{WentAlong, went_along};
pub use budget::{Roster, Spent};
pub use compared::Compared;
pub use declare::{Labels, RenderCache, Tools, declare};
pub use declared::{Declared, DeclaredUnit, UnitDesired};
pub use dry_run::{AtHand, PlanEnvironment, plan_environment};
pub use environment::{Deed, DriftedObject, Drifts, OpenProposals, Proposing, UnitDrift};
pub use environment::{
    Ending, Environment, Followed, Met, Options, Progress, RunMode, Window, ready,
};
pub use journal::{InRemote, Journal, JournalOptions};
pub use lists::Lists;
pub use others::Others;
pub use pass::{Context, PlanInput, plan_unit};
pub use planned::{PlannedEnvironment, counted};
pub use recorded::{PlanRecorded, plan_recorded};
pub use recording::Trouble;
pub use ties::recorded_elsewhere;
pub use witness::Witness;
