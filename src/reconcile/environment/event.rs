//! What the tasks of an environment come to, and come back with.

use super::inventories::Known;
use super::lineage::{Depth, Descent};
use super::reading::{Reading, Unread};
use crate::kube::{ApiError, Removal};
use crate::model::{SourceCommit, UnitName};
use crate::reconcile::declare::RenderCache;
use crate::reconcile::pass::{Outcome, PlanInput, Planned};
use crate::source::Roots;
use tokio_util::sync::CancellationToken;

/// What a task of the environment came to.
pub(super) enum Event {
    /// A revision was read.
    Declared {
        source: Box<SourceCommit>,
        purpose: Purpose,
        result: Result<Reading, Unread>,
        cache: Box<RenderCache>,
    },
    /// A revision that was read, and where its history begins.
    Descended {
        read: Box<Descent>,
        depth: Depth,
        roots: Result<Roots, String>,
    },
    /// A pass over a unit has found drift that is to be put back.
    Found {
        unit: UnitName,
        input: Box<PlanInput>,
        planned: Box<Planned>,
        cancel: CancellationToken,
    },
    /// A pass over a unit has ended.
    Passed {
        unit: UnitName,
        outcome: Box<Outcome>,
    },
    /// The inventories were asked for.
    Inventories(Known),
    /// A retired unit's inventory was to be deleted.
    Removed {
        unit: UnitName,
        result: Result<Removal, ApiError>,
    },
}

/// Why a revision is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is the newest.
    Head,
    /// It is the recorded one, and the newest can't be used.
    Fallback,
}
