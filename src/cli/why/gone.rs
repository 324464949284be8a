//! An object that the record has no more: with which entry it left, and by which commit.

use serde::Serialize;

use super::{Commit, Told};
use crate::record::{Event, Recorded};
use crate::source::{self, Checkout};

/// How an object left the record.
#[derive(Debug, Serialize)]
pub(super) struct Deleted {
    #[serde(flatten)]
    pub(super) told: Told,
    /// The commit that took it away, where one did.
    pub(super) commit: Option<Commit>,
}

/// How an object left the record with an entry. That somebody deleted it in the cluster was
/// no commit's doing.
pub(super) fn deleted(entry: &Recorded, checkout: &Checkout) -> Deleted {
    let facts = entry.facts.as_ref();
    let facts =
        facts.filter(|facts| matches!(facts.event, Some(Event::Sync | Event::Prune | Event::Left)));
    let revision = facts.and_then(|facts| facts.revision.as_ref());
    // A shallow clone may not have it.
    let commit = revision.and_then(|it| source::commit(&checkout.repository, it).ok());
    Deleted {
        told: Told::of(entry, None),
        commit: commit.map(|commit| Commit::of(commit, false)),
    }
}
