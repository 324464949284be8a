//! Whether an environment is served, by its Lease.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::cluster::Cluster;
use super::error::ApiError;
use super::lease;
use crate::model::{EnvironmentName, Namespace};

/// Who serves an environment now, where its inventories are in this namespace; `None` where
/// nobody does.
///
/// # Errors
/// Those of the request.
pub async fn served_by(
    cluster: &Cluster,
    namespace: &Namespace,
    environment: &EnvironmentName,
    now: Timestamp,
) -> Result<Option<String>, ApiError> {
    let live = cluster
        .get(&lease::id(namespace, environment), None)
        .await?;
    Ok(live.and_then(|live| held(&live.body, now).map(str::to_owned)))
}

/// Who holds a Lease now.
fn held(lease: &Value, now: Timestamp) -> Option<&str> {
    let spec = lease.get("spec")?;
    let holder = spec.get("holderIdentity")?.as_str()?;
    let renewed: Timestamp = spec.get("renewTime")?.as_str()?.parse().ok()?;
    let lasts = spec.get("leaseDurationSeconds")?.as_i64()?;
    let over = renewed + SignedDuration::from_secs(lasts);
    (!holder.is_empty() && over > now).then_some(holder)
}
