//! Admission policies and webhooks that would have the API server refuse what the agent
//! writes for itself: without its Lease it does nothing any more, and so could not take
//! them away again either.
//!
//! What can't be decided counts as if it matched: who is asked once too often says so in
//! one commit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::matching::{matches_any, means};
use crate::model::{ADMISSION, Desired, Namespace, ObjectId};

/// What the agent writes for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// The namespace that it is in.
    pub namespace: Option<Namespace>,
    /// That namespace's labels; `None` where they can't be read.
    pub labels: Option<BTreeMap<String, String>>,
    /// The objects.
    pub objects: Vec<Kept>,
}

/// An object that the agent writes for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The object.
    pub id: ObjectId,
    /// Its version in the API.
    pub version: &'static str,
    /// What its kind is called in paths.
    pub resource: &'static str,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Whether an object can refuse what others write, or give it other values.
pub fn is_admission(id: &ObjectId) -> bool {
    id.kind.group == *ADMISSION
}

/// What of its own the agent could not write any more once an object is as declared, if
/// there is any and it can as long as the object is as it is live. `unit` is all that is
/// declared beside it.
pub(super) fn locks_out(
    desired: &Desired,
    live: Option<&Value>,
    unit: &BTreeMap<ObjectId, Desired>,
    upkeep: &Upkeep,
) -> Option<String> {
    if !is_admission(&desired.id) {
        return None;
    }
    let refused = refused(&desired.id, &desired.body(), unit, upkeep);
    let before = live.map(|live| self::refused(&desired.id, live, unit, upkeep));
    let before = before.unwrap_or_default();
    let news: Vec<String> = refused
        .difference(&before)
        .map(ToString::to_string)
        .collect();
    (!news.is_empty()).then(|| {
        format!(
            "it could have the API server refuse what the agent writes for itself, and so end its work: {}. Keep the namespace of these out of it (`namespaceSelector`), or approve it",
            news.join(", ")
        )
    })
}

/// What an object could refuse.
fn refused<'a>(
    id: &ObjectId,
    body: &Value,
    unit: &BTreeMap<ObjectId, Desired>,
    upkeep: &'a Upkeep,
) -> BTreeSet<&'a ObjectId> {
    let hit = |kept: &&Kept| match &*id.kind.kind {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            webhooks(body, kept, upkeep)
        }
        "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => {
            policy(body, kept, upkeep) && is_bound(id, unit, kept, upkeep)
        }
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            binding(body, kept, upkeep) && has_policy(id, body, unit, kept, upkeep)
        }
        _ => false,
    };
    let hits = upkeep.objects.iter().filter(hit);
    hits.map(|kept| &kept.id).collect()
}

/// A webhook that says no is nobody's guess; one that can't be asked is as good as one that
/// does, unless it is to be passed over then.
fn webhooks(body: &Value, kept: &Kept, upkeep: &Upkeep) -> bool {
    let webhooks = body.get("webhooks").and_then(Value::as_array);
    webhooks.into_iter().flatten().any(|webhook| {
        let fails = webhook.get("failurePolicy").and_then(Value::as_str) != Some("Ignore");
        fails && matches_any(webhook, "rules", kept, upkeep) && conditions(webhook, kept)
    })
}

fn policy(body: &Value, kept: &Kept, upkeep: &Upkeep) -> bool {
    let Some(spec) = body.get("spec") else {
        return false;
    };
    let rules = spec.get("matchConstraints");
    let all_true = || {
        let validations = spec.get("validations").and_then(Value::as_array);
        validations.is_some_and(|all| all.iter().all(|one| means(one, kept) == Some(true)))
    };
    rules.is_some_and(|rules| matches_any(rules, "resourceRules", kept, upkeep))
        && conditions(spec, kept)
        && !all_true()
}

fn binding(body: &Value, kept: &Kept, upkeep: &Upkeep) -> bool {
    let spec = body.get("spec");
    let actions = spec.and_then(|spec| spec.get("validationActions")?.as_array());
    let denies = actions.is_none_or(|actions| actions.iter().any(|action| action == "Deny"));
    let resources = spec.and_then(|spec| spec.get("matchResources"));
    // Without rules of its own it is for all that its policy is for.
    let matches = resources.is_none_or(|it| matches_any(it, "resourceRules", kept, upkeep));
    denies && matches
}

/// Whether all conditions may hold.
fn conditions(within: &Value, kept: &Kept) -> bool {
    let conditions = within.get("matchConditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.all(|condition| means(condition, kept) != Some(false))
}

/// Whether a binding is declared with the policy that puts it in force for the object; one
/// that is declared elsewhere may.
fn is_bound(
    policy: &ObjectId,
    unit: &BTreeMap<ObjectId, Desired>,
    kept: &Kept,
    upkeep: &Upkeep,
) -> bool {
    let kind = format!("{}Binding", policy.kind.kind);
    let bindings = unit.values().filter(|it| is_admission(&it.id));
    let mut bindings = bindings
        .filter(|binding| binding.id.kind.kind == *kind)
        .map(Desired::body)
        .filter(|body| body.pointer("/spec/policyName") == Some(&policy.name.as_str().into()))
        .peekable();
    bindings.peek().is_none() || bindings.any(|body| binding(&body, kept, upkeep))
}

/// Whether the policy of a binding is for the object; one that is declared elsewhere may be.
fn has_policy(
    id: &ObjectId,
    body: &Value,
    unit: &BTreeMap<ObjectId, Desired>,
    kept: &Kept,
    upkeep: &Upkeep,
) -> bool {
    let name = body.pointer("/spec/policyName").and_then(Value::as_str);
    let kind = id.kind.kind.as_str().strip_suffix("Binding");
    let mut policies = unit.values().filter(|it| is_admission(&it.id));
    let declared =
        policies.find(|it| Some(&*it.id.kind.kind) == kind && Some(it.id.name.as_str()) == name);
    declared.is_none_or(|declared| policy(&declared.body(), kept, upkeep))
}
