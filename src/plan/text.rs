//! The two sides of a difference as people read them.

use serde_json::Value;
use similar::TextDiff;

use super::types::{Cause, FieldChange, Step};
use crate::fields::{self, Difference, Doubt, Kind};
use crate::model::{
    Desired, DigestKey, FIELD_MANAGER, Json, Live, Manager, ObjectId, PART_OF, cut, cut_lines,
    mask_secret, shown, shows_secret, yaml,
};

/// Longest value that is shown in a line of text.
const SHOWN: usize = 120;

/// An object with the values of a Secret digested.
pub(super) fn masked(id: &ObjectId, object: &Value, key: &DigestKey) -> Value {
    if shows_secret(id, object) {
        mask_secret(object, key)
    } else {
        object.clone()
    }
}

/// An object as people declare it: that a member of the inventory is labelled goes
/// without saying.
pub(super) fn without_label(mut object: Value) -> Value {
    if let Some(Value::Object(labels)) = object.pointer_mut("/metadata/labels") {
        labels.remove(PART_OF);
        if labels.is_empty()
            && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("labels");
        }
    }
    object
}

/// Live at the fields that desired names or that we own, lists in desired's order.
pub(super) fn live_side(desired: &Desired, live: &Live, key: &DigestKey) -> Value {
    let owned = fields::owned(live, FIELD_MANAGER);
    let projection = fields::project_desired_paths(live, desired, &owned);
    masked(&desired.id, &fields::aligned(desired, &projection), key)
}

/// Live at the fields that desired names or that we own, as it is: what the record keeps,
/// whoever owns a field by now.
pub fn recorded_side(desired: &Desired, live: &Live, key: &DigestKey) -> Value {
    let owned = fields::owned(live, FIELD_MANAGER);
    masked(
        &desired.id,
        &fields::project_desired_paths(live, desired, &owned),
        key,
    )
}

/// Live at the fields that we own.
pub(super) fn owned_side(id: &ObjectId, live: &Live, key: &DigestKey) -> Value {
    masked(
        id,
        &fields::project(live, &fields::owned(live, FIELD_MANAGER)),
        key,
    )
}

/// The differences that are worth telling. Those that are one of spelling alone are left
/// out beside others: they are not why the object is applied. Of drift only what is
/// certain is told: a value that we own and that is another was rewritten by the server
/// itself, where a webhook does that, and nobody has touched it. Nor is what can't be lined
/// up, and is of somebody who has no part in what can.
pub(super) fn told(differences: &[Difference], cause: Cause) -> Vec<&Difference> {
    let spelling = |difference: &Difference| difference.doubt == Some(Doubt::Spelling);
    let certain = |difference: &Difference| match difference.doubt {
        None => true,
        Some(Doubt::Zero | Doubt::Guessed) => difference.owner.is_some(),
        Some(_) => false,
    };
    let only_certain = cause == Cause::Drift && differences.iter().any(certain);
    let only_spelling = differences.iter().all(spelling);
    let mut told: Vec<&Difference> = differences
        .iter()
        .filter(|difference| match (only_certain, only_spelling) {
            (true, _) => certain(difference),
            (false, only) => only || !spelling(difference),
        })
        .collect();
    let clear = |difference: &&&Difference| difference.kind != Kind::Unclear;
    let by: Vec<Option<&Manager>> = told
        .iter()
        .filter(clear)
        .map(|clear| clear.owner.as_ref())
        .collect();
    if cause == Cause::Drift && !by.is_empty() {
        told.retain(|it| it.kind != Kind::Unclear || by.contains(&it.owner.as_ref()));
    }
    told
}

/// The first of a number of things, and how many more there are.
pub fn first_of<T: ToString>(things: impl ExactSizeIterator<Item = T>, most: usize) -> String {
    let more = things.len().saturating_sub(most);
    let first: Vec<String> = things.take(most).map(|it| it.to_string()).collect();
    let first = first.join(", ");
    if more > 0 {
        format!("{first}, and {more} more")
    } else {
        first
    }
}

/// Differences as text.
pub(super) fn fields(differences: &[&Difference]) -> Vec<FieldChange> {
    differences.iter().map(|one| field(one)).collect()
}

/// Values of Secrets are redacted already.
fn field(difference: &Difference) -> FieldChange {
    let shown = |value: &Value| Some(short(value));
    let (from, to) = match &difference.kind {
        Kind::Changed { live, desired } => (shown(live), shown(desired)),
        Kind::Missing { desired } => (None, shown(desired)),
        Kind::Extra { live } => (live.as_ref().and_then(shown), None),
        Kind::NotOwned => (Some("not ours".to_owned()), Some("ours".to_owned())),
        Kind::Reordered => (
            Some("in another order".to_owned()),
            Some("in order".to_owned()),
        ),
        Kind::Unclear => (Some("not clear".to_owned()), Some("as desired".to_owned())),
    };
    FieldChange {
        path: difference.path.clone(),
        from,
        to,
        owner: difference.owner.clone(),
    }
}

/// A value in a line of text.
pub fn short(value: &Value) -> String {
    let text = value.to_string();
    shown(&cut(&text, SHOWN)).into_owned()
}

/// A unified diff of a step's two sides, its lines cut; empty if both are alike.
pub fn diff(step: &Step) -> String {
    let side = |value: &Option<Json>| {
        value
            .as_ref()
            .map(|side| yaml(&side.value()))
            .unwrap_or_default()
    };
    let (before, after) = (side(&step.before), side(&step.after));
    if before == after {
        return String::new();
    }
    let diff = TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(3)
        .header("live", "desired")
        .to_string();
    cut_lines(&diff)
}
