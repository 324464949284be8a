//! Whose ApplySet is whose: an object's label names it by a hash, and the parents in the
//! agent's namespace tell which environment and unit that is.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::error::ApiError;
use super::inventory::{ENVIRONMENT, ID, KIND, UNIT};
use crate::model::{Claim, Live, Namespace};

/// The units of all environments whose inventories are in a namespace, by the ids of their
/// ApplySets.
///
/// # Errors
/// Those of the list.
pub async fn claims(
    cluster: &Cluster,
    namespace: &Namespace,
) -> Result<BTreeMap<String, Claim>, ApiError> {
    let resource = cluster.resource(&KIND, Some("v1")).await?;
    let mut claims = BTreeMap::new();
    cluster
        .list(&resource, Some(namespace), Some(ID), |_, parent| {
            claims.extend(read(&parent));
        })
        .await?;
    Ok(claims)
}

fn read(parent: &Live) -> Option<(String, Claim)> {
    let claim = Claim {
        environment: parent.label(ENVIRONMENT)?.parse().ok()?,
        unit: parent.label(UNIT)?.parse().ok()?,
    };
    Some((parent.label(ID)?.to_owned(), claim))
}
