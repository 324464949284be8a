//! An object that the record has no more: with which entry it left, and by which commit.

use serde::Serialize;

use super::{Commit, Told};
use crate::plan::Action;
use crate::record::{Departed, Event};
use crate::source::{self, Checkout};

/// How an object left the record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deleted {
    #[serde(flatten)]
    pub(super) told: Told,
    /// The commit that took it away, where one did.
    pub(super) commit: Option<Commit>,
    /// Whether it stayed where it was, and was only let go.
    pub(super) let_go: bool,
}

/// How an object left the record with an entry. That somebody deleted it in the cluster was
/// no commit's doing.
pub(super) fn deleted(departed: &Departed, checkout: &Checkout) -> Deleted {
    let entry = &departed.entry;
    let facts = entry.facts.as_ref();
    let facts =
        facts.filter(|facts| matches!(facts.event, Some(Event::Sync | Event::Prune | Event::Left)));
    let revision = facts.and_then(|facts| facts.revision.as_ref());
    // A shallow clone may not have it.
    let commit = revision.and_then(|it| source::commit(&checkout.repository, it).ok());
    Deleted {
        told: Told::of(entry, None),
        commit: commit.map(|commit| Commit::of(commit, false)),
        let_go: is_let_go(departed),
    }
}

/// Whether the entry with which an object left the record says that it was let go.
pub(super) fn is_let_go(departed: &Departed) -> bool {
    let (object, let_go) = (departed.object.to_string(), Action::Detach.to_string());
    let mut named = departed.entry.objects().into_iter();
    named.any(|named| named.object == object && named.action == let_go)
}
