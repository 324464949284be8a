//! Which cluster it is.

use super::cluster::Cluster;
use super::error::ApiError;
use crate::model::{GroupKind, Name, ObjectId};

/// The namespace that every cluster has, and none has twice.
const HOME: Name = Name::known("kube-system");
const KIND: GroupKind = GroupKind::known("", "Namespace");

/// The uid of the namespace `kube-system`, which tells a cluster from any other; `None`
/// where it may not be read.
///
/// # Errors
/// When the API server can't be asked.
pub async fn cluster_uid(cluster: &Cluster) -> Result<Option<String>, ApiError> {
    let home = ObjectId::new(KIND, None, HOME);
    match cluster.get(&home, None).await {
        Ok(found) => Ok(found.map(|home| home.uid().to_owned())),
        Err(ApiError::Forbidden(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
