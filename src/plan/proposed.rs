//! Drift that is kept while people decide about it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::subject::Subject;
use super::types::{Action, Step};
use crate::model::{Digest, holds_secret};

/// What is known of proposals to keep drift.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposals {
    /// Drift of which people have said, by closing the proposal, that it is not to stay.
    pub refused: BTreeSet<Digest>,
}

/// What a drift is known by: the object, each field with both values, and who did it when;
/// of one that is gone, when that was seen. The same change made again is another.
pub fn drift_digest(step: &Step) -> Digest {
    let object = step.object.to_string();
    Digest::of_json(&match &step.gone {
        Some(gone) => json!([object, "gone", gone.since]),
        None => json!([object, step.fields]),
    })
}

/// When the drift was done: of several fields, the first.
fn drifted_at(step: &Step) -> Option<Timestamp> {
    if let Some(gone) = &step.gone {
        return Some(gone.since);
    }
    let actors = step.fields.iter().filter_map(|field| field.actor());
    actors.filter_map(|actor| actor.time.parse().ok()).min()
}

/// Until when a proposal keeps a drift.
pub fn kept_until(step: &Step, keep_for: Option<Duration>) -> Option<Timestamp> {
    Some(drifted_at(step)? + keep_for?)
}

/// Why drift is put back although the unit says `drift: propose`; `None` where it is kept.
pub(super) fn put_back(subject: &Subject<'_>, step: &Step) -> Option<&'static str> {
    if holds_secret(&step.object) {
        Some("what is in a Secret is never proposed")
    } else if !matches!(step.action, Action::Change | Action::Adopt) {
        Some("it has to be deleted and created again for that")
    } else if subject.proposals.refused.contains(&drift_digest(step)) {
        Some("the proposal to keep it was closed")
    } else if kept_until(step, subject.unit.keep_for).is_some_and(|until| until <= subject.now) {
        Some("it was proposed, and `keepFor` is over")
    } else {
        None
    }
}
