//! The key for digests of Secrets' values: kept in the cluster, so that the record says
//! the same after a restart with an empty disk.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tracing::info;

use super::cluster::Cluster;
use super::error::ApiError;
use crate::model::{DigestKey, GroupKind, Live, Name, Namespace, ObjectId};
use crate::runtime::random;

/// The Secret in the agent's namespace that holds the key.
pub(super) const SECRET: &str = "gitops-agent-digest-key";
pub(super) const KIND: GroupKind = GroupKind::known("", "Secret");
const HOME: GroupKind = GroupKind::known("", "Namespace");

/// The agent's key, made at its first start. The namespace is made as well where it is
/// missing, which happens only outside a cluster: a Pod's exists, and may be all that it
/// has rights in.
pub async fn digest_key(cluster: &Cluster, namespace: &Namespace) -> Result<DigestKey, ApiError> {
    if let Some(key) = known_digest_key(cluster, namespace).await? {
        return Ok(key);
    }
    let id = id(namespace);
    let home = ObjectId::new(HOME, None, namespace.clone().into());
    let missing = match cluster.get(&home, None).await {
        Ok(home) => home.is_none(),
        Err(ApiError::Forbidden(_)) => false,
        Err(error) => return Err(error),
    };
    if missing {
        let body =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        cluster.create_or_get(&home, &body).await?;
        info!(
            "the namespace {namespace} is not there, and is made: the agent keeps its inventories in it (--namespace names another)"
        );
    }
    let body = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": namespace},
        "data": {"key": STANDARD.encode(random::bytes())},
    });
    read(&cluster.create_or_get(&id, &body).await?)
}

/// The agent's key, if it has one already.
pub async fn known_digest_key(
    cluster: &Cluster,
    namespace: &Namespace,
) -> Result<Option<DigestKey>, ApiError> {
    let secret = cluster.get(&id(namespace), None).await?;
    secret.as_ref().map(read).transpose()
}

pub(super) fn id(namespace: &Namespace) -> ObjectId {
    ObjectId::new(KIND, Some(namespace.clone()), Name::known(SECRET))
}

fn read(secret: &Live) -> Result<DigestKey, ApiError> {
    let text = secret
        .body
        .pointer("/data/key")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let bytes = STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map(DigestKey::new).ok_or_else(|| {
        ApiError::Rejected(format!(
            "the Secret {SECRET} does not hold a key of 32 bytes; delete it to have a new one made"
        ))
    })
}
