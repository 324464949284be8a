//! The agent's own objects where the cluster's admission refuses them: who does that, and
//! what ends it.

use serde_json::Value;
use tracing::debug;

use super::admission::{Admitter, Policy};
use super::cluster::Cluster;
use super::error::ApiError;
use crate::model::{ADMISSION, GroupKind, ObjectId};

/// What people are told where admission keeps the agent from writing an object of its own;
/// `None` where something else does.
pub(super) async fn barred(cluster: &Cluster, id: &ObjectId, error: &ApiError) -> Option<String> {
    let (ApiError::Denied(message) | ApiError::Unavailable(message)) = error else {
        return None;
    };
    let (who, command) = match Admitter::of(message)? {
        Admitter::Validating(policy) => through("ValidatingAdmissionPolicy", &policy),
        Admitter::Mutating(policy) => through("MutatingAdmissionPolicy", &policy),
        Admitter::Webhook(name) | Admitter::AwayWebhook(name) => webhook(cluster, &name).await,
    };
    Some(format!(
        "{who} keeps the agent from writing {id}, which it can't do without: {message}. It goes on by itself once that is over; to end it: `{command}`"
    ))
}

/// The error of a write of an object of the agent's own, with who has refused it.
pub(super) async fn named(cluster: &Cluster, id: &ObjectId, error: ApiError) -> ApiError {
    match (barred(cluster, id, &error).await, error) {
        (Some(why), ApiError::Denied(_)) => ApiError::Denied(why),
        (Some(why), ApiError::Unavailable(_)) => ApiError::Unavailable(why),
        (_, error) => error,
    }
}

fn through(kind: &str, policy: &Policy) -> (String, String) {
    let (name, resource) = (&policy.name, kind.to_lowercase());
    match &policy.binding {
        Some(binding) => (
            format!("the {kind} {name}, in force by its binding {binding},"),
            format!("kubectl delete {resource}binding {binding}"),
        ),
        None => (
            format!("the {kind} {name}"),
            format!("kubectl delete {resource} {name}"),
        ),
    }
}

/// A webhook says its own name and not that of the configuration which it is in.
async fn webhook(cluster: &Cluster, name: &str) -> (String, String) {
    for kind in [
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
    ] {
        match configuration(cluster, GroupKind::known(ADMISSION, kind), name).await {
            Ok(Some(found)) => {
                let resource = kind.to_lowercase();
                return (
                    format!("the webhook {name} of the {kind} {found}"),
                    format!("kubectl delete {resource} {found}"),
                );
            }
            Ok(None) => {}
            Err(error) => debug!(kind, %error, "the webhooks can't be read"),
        }
    }
    (
        format!("the admission webhook {name}"),
        "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations -o custom-columns=KIND:.kind,NAME:.metadata.name,WEBHOOKS:.webhooks[*].name".to_owned(),
    )
}

async fn configuration(
    cluster: &Cluster,
    kind: GroupKind,
    webhook: &str,
) -> Result<Option<String>, ApiError> {
    let resource = cluster.resource(&kind, None).await?;
    let mut found = None;
    let has = |body: &Value| {
        let webhooks = body.get("webhooks").and_then(Value::as_array);
        let mut webhooks = webhooks.into_iter().flatten();
        webhooks.any(|one| one.get("name").and_then(Value::as_str) == Some(webhook))
    };
    cluster
        .list(&resource, None, None, |id, live| {
            if has(&live.body) {
                found = Some(id.name.to_string());
            }
        })
        .await?;
    Ok(found)
}
