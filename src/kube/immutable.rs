//! Whether a change was refused because of a field that can't be changed.
//!
//! Each kind says so in words of its own, and a CRD in any. What they have in common: the
//! same content is taken as a new object. So where the words are not among those that are
//! known, the API server is asked that.

use kube::core::Status;
use serde_json::json;

use super::cluster::{ApplyMode, Cluster, Conflicts};
use super::error::ApiError;
use crate::model::{Desired, Digest, ObjectId};

/// The words of Kubernetes' own validation.
const WORDS: [&str; 5] = [
    "is immutable",
    "updates to statefulset spec for fields other than",
    "may not change once set",
    "may not be changed in an update",
    "cannot change roleRef",
];

/// Whether a field that can't be changed is all that the server objects to: with any
/// other objection, the object would be refused as a new one as well.
pub(super) fn says_immutable(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut causes = causes.map(|cause| cause.message.as_str()).peekable();
    if causes.peek().is_none() {
        return names_immutable(&status.message);
    }
    causes.all(names_immutable)
}

fn names_immutable(text: &str) -> bool {
    WORDS.iter().any(|words| text.contains(words))
}

impl Cluster {
    /// What the refusal of a change to an object that is there comes to: one that a new
    /// object with the same content would not meet is of a field that can't be changed.
    pub async fn refused_change(&self, desired: &Desired, error: ApiError) -> ApiError {
        match error {
            ApiError::Invalid {
                message,
                immutable: false,
            } => ApiError::Invalid {
                immutable: self.takes_anew(desired).await && self.refuses(desired).await,
                message,
            },
            other => other,
        }
    }

    /// Whether the server still refuses the change. It doesn't where a value was given up by
    /// another object meanwhile, so that a new object was taken for that reason.
    async fn refuses(&self, desired: &Desired) -> bool {
        let again = self.apply(desired, ApplyMode::DryRun, Conflicts::Take);
        matches!(again.await, Err(ApiError::Invalid { .. }))
    }

    /// Whether the server would take the object under another name. Where it can't be asked
    /// that, it is not known to.
    async fn takes_anew(&self, desired: &Desired) -> bool {
        let digest = Digest::of_bytes(desired.id.to_string().as_bytes()).to_string();
        let digest = digest.rsplit(':').next().unwrap_or_default();
        let name = format!("gitops-agent-{}", digest.get(..16).unwrap_or(digest));
        let mut body = desired.body();
        body["metadata"]["name"] = json!(name);
        let Ok(name) = name.parse() else {
            return false;
        };
        let id = ObjectId::new(desired.id.kind.clone(), desired.id.namespace.clone(), name);
        let other = Desired::new(id, &body, desired.origin.clone());
        let taken = self.apply(&other, ApplyMode::DryRun, Conflicts::Take).await;
        taken.is_ok()
    }
}
