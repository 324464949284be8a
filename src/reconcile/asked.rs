//! What the API server makes of a declared object, where managedFields alone do not tell:
//! had by a dry run, or from its answer to an apply.

use std::collections::BTreeSet;

use serde_json::Value;

use super::compared::{Made, key_of};
use super::pass::Context;
use crate::fields::{self, Difference, Doubt, Hold, Verdict};
use crate::kube::{ApiError, ApplyMode, Conflicts};
use crate::model::{Desired, Digest, FIELD_MANAGER, Live, ObjectId};
use crate::runtime::clock;

/// An object that only the API server can tell to be as desired.
pub(super) struct Doubtful {
    pub(super) id: ObjectId,
    pub(super) live: Live,
    pub(super) differences: Vec<Difference>,
}

/// Live at the fields in question, and what stands for the comparison.
pub(super) fn compared(context: &Context, desired: &Desired, live: &Live) -> (Value, String) {
    let owned = fields::owned(live, FIELD_MANAGER);
    let projected = fields::project_desired_paths(live, desired, &owned);
    let compared = key_of(desired, &Digest::of_json(&projected), &context.key);
    (projected, compared)
}

/// What an apply would do, by a dry-run of it.
pub(super) async fn answer<'a>(
    context: &Context,
    desired: &'a Desired,
    doubtful: Doubtful,
) -> (&'a Desired, Live, Verdict) {
    let Doubtful {
        live, differences, ..
    } = doubtful;
    let (projected, compared) = compared(context, desired, &live);
    let owned = fields::owned(&live, FIELD_MANAGER);
    let answer = context
        .cluster
        .apply(desired, ApplyMode::DryRun, Conflicts::Take)
        .await;
    let result = match answer {
        Ok(result) => result,
        Err(ApiError::Forbidden(_)) => return (desired, live, Verdict::Maybe(differences)),
        // It would be refused: the apply will tell.
        Err(_) => return (desired, live, Verdict::Drifted(differences)),
    };
    // Elsewhere a controller may have been at work since live was seen.
    let now = clock::now();
    let made = if fields::project_desired_paths(&result, desired, &owned) == projected {
        Made::of(&differences, Hold::Steady, now)
    } else if would_not_help(desired, &differences, &result) {
        Made::of(&differences, Hold::Changing, now)
    } else {
        return (desired, live, Verdict::Drifted(differences));
    };
    context.compared.know(&desired.id, compared, made, now);
    (desired, live, made.verdict(differences))
}

/// Whether an apply would leave each field that differs with yet another value.
fn would_not_help(desired: &Desired, differences: &[Difference], result: &Live) -> bool {
    let after = fields::compare(desired, result);
    let after: BTreeSet<&str> = after
        .differences()
        .iter()
        .filter(|one| one.is_answered())
        .map(|one| &*one.path)
        .collect();
    let told = differences
        .iter()
        .filter(|one| one.doubt != Some(Doubt::Spelling));
    !after.is_empty() && { told }.all(|one| one.is_answered() && after.contains(&*one.path))
}

/// Takes in what the API server has made of an apply. Another value than the declared one
/// may be another at each write: that is asked.
pub(super) fn learn(context: &Context, desired: &Desired, live: &Live) {
    let Verdict::Maybe(differences) = fields::compare(desired, live) else {
        return;
    };
    if differences.iter().any(Difference::is_another_value) {
        return;
    }
    let (_, compared) = compared(context, desired, live);
    let now = clock::now();
    let made = Made::of(&differences, Hold::Steady, now);
    context.compared.know(&desired.id, compared, made, now);
}
