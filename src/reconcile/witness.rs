//! Keeps in the cluster how much was deleted lately, ahead of each deletion.

use jiff::Timestamp;
use tokio::sync::Mutex;
use tracing::warn;

use super::membership::Carriers;
use super::pass::{Context, PlanInput};
use crate::kube::{ApiError, Inventory, TallyParent, Testimony};
use crate::model::{LATELY, Tally};
use crate::runtime::clock;

/// What the cluster says of what was deleted lately. One request at a time writes it, so
/// that what is older never overwrites what is newer, and one may speak for many units.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Option<Tally>>);

/// Where the tally of a pass's environment is.
pub(super) fn parent(context: &Context) -> TallyParent {
    TallyParent {
        namespace: context.namespace.clone(),
        environment: context.environment.clone(),
    }
}

/// Has the cluster know of everything that counts, also of what is about to be deleted.
///
/// # Errors
/// When it can't be written: then nothing may be deleted.
pub(super) async fn testify(context: &Context) -> Result<(), ApiError> {
    let mut written = context.witness.0.lock().await;
    let wanted = context.spent.tally(clock::now());
    if written.as_ref().is_some_and(|it| it.covers(&wanted)) {
        return Ok(());
    }
    let testimony = Testimony {
        at: clock::now(),
        tally: wanted,
        doomed: context.spent.doomed(),
    };
    let parent = parent(context);
    parent
        .write(&context.cluster, &testimony, &context.key)
        .await?;
    *written = Some(testimony.tally);
    Ok(())
}

/// How it stands with what is known of the last hour when an environment's task begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// The record says it.
    Recorded,
    /// Nothing does, and there is something that could have been deleted from.
    Lost,
    /// There is nothing that it could be known of.
    Nothing,
}

impl Known {
    /// By what the record has, and by the inventories.
    pub(super) fn by<'a>(
        recorded: bool,
        inventories: impl IntoIterator<Item = &'a Inventory>,
    ) -> Self {
        let mut inventories = inventories.into_iter();
        // A list that can't be believed was of something.
        let applied = inventories.any(|it| it.lost.is_some() || !it.applied.is_empty());
        match (recorded, applied) {
            (true, _) => Self::Recorded,
            (false, true) => Self::Lost,
            (false, false) => Self::Nothing,
        }
    }
}

/// Takes note where this seems to be the first agent of an environment, and finds what one
/// before it has applied: everything that it knew is lost, and so is what it has deleted.
///
/// # Errors
/// When it can't be written that nothing is known.
pub(super) async fn notice(
    context: &Context,
    input: &PlanInput,
    carriers: &Carriers,
) -> Result<(), ApiError> {
    let found = input.inventory.applied.is_empty() && !carriers.owned.is_empty();
    if !found || !context.spent.ends_beginning() {
        return Ok(());
    }
    warn!(environment = %context.environment, unit = %input.unit.name, "an agent before this one has applied what is here, and neither its record nor what it kept in the cluster is left: every deletion has to be approved for an hour");
    context.spent.forget(clock::now());
    testify(context).await
}

/// Whether nobody knows what was deleted within the last hour: what the cluster says was
/// written before it, and tells nothing of it, where nobody else can tell that nothing was.
pub(super) fn is_lost(testimony: Option<&Testimony>, known: Known, now: Timestamp) -> bool {
    let speaks = testimony.is_some_and(|testimony| testimony.at + LATELY > now);
    known == Known::Lost && !speaks
}

/// Takes in what the cluster says of the last hour. Where it says nothing and nobody else
/// does, the hour counts as used up: what was deleted may not be forgotten by taking away
/// who remembers it.
///
/// # Errors
/// When it can't be told, or can't be written that nothing is known.
pub(super) async fn recall(
    context: &Context,
    testimony: Option<Testimony>,
    known: Known,
) -> Result<(), ApiError> {
    let now = clock::now();
    if is_lost(testimony.as_ref(), known, now) {
        context.spent.forget(now);
    }
    if testimony.is_none() && known == Known::Nothing {
        context.spent.begin();
    }
    if let Some(Testimony { tally, doomed, .. }) = testimony {
        context.spent.recall(&tally);
        context.spent.recall_doomed(doomed);
        *context.witness.0.lock().await = Some(tally);
    }
    testify(context).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_old_word_that_nothing_was_deleted_is_not_believed_alone() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("an instant");
        let written = |at: &str| Testimony {
            at: at.parse().expect("an instant"),
            tally: Tally::default(),
            doomed: BTreeSet::new(),
        };
        let (old, new) = (
            written("2026-11-21T11:00:00Z"),
            written("2026-11-21T11:00:01Z"),
        );
        assert!(is_lost(Some(&old), Known::Lost, now));
        assert!(is_lost(None, Known::Lost, now));
        assert!(!is_lost(Some(&new), Known::Lost, now));
        assert!(!is_lost(Some(&old), Known::Recorded, now));
        assert!(!is_lost(None, Known::Nothing, now));
    }
}
