//! Deletes, each of one object as it was seen.

use kube::core::params::{DeleteParams, Preconditions, PropagationPolicy};

use super::answer;
use super::cluster::Cluster;
use super::error::ApiError;
use super::path::{path, segment};
use crate::model::{Live, ObjectId};

/// How a delete went.
#[derive(Debug, Clone, PartialEq)]
pub enum Deletion {
    /// It is under way: finalizers or a grace period keep the object as it is here.
    Accepted(Box<Live>),
    /// The object is gone.
    Gone,
}

impl Cluster {
    /// Deletes exactly the object that was seen: same uid and resourceVersion.
    /// [`ApiError::Conflict`] if it is another one by now, or has changed.
    pub async fn delete(&self, id: &ObjectId, seen: &Live) -> Result<Deletion, ApiError> {
        let resource = self.resource(&id.kind, None).await?;
        let params = only(seen);
        let request = || path(&resource, id.namespace.as_ref()).delete(&segment(&id.name), &params);
        match self.write(id, request).await {
            // A Status, or for some kinds (Service, ServiceAccount) the object as it was.
            Ok(body) => {
                let live = answer::of_deleted(id, seen.uid(), body)?;
                let under_way = live.filter(Live::terminating);
                Ok(under_way.map_or(Deletion::Gone, |live| Deletion::Accepted(Box::new(live))))
            }
            Err(error) if error.denies(id) => Ok(Deletion::Gone),
            Err(error) => Err(error),
        }
    }
}

/// What a delete of an object asks for: of this very one, as it was seen.
fn only(seen: &Live) -> DeleteParams {
    DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions {
            uid: Some(seen.uid().to_owned()),
            resource_version: Some(seen.resource_version().to_owned()),
        }),
        ..DeleteParams::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_delete_is_of_the_very_object_that_was_seen() {
        let seen = Live::new(json!({"metadata": {"uid": "u", "resourceVersion": "7"}}));
        let asked = json!(only(&seen));
        assert_eq!(
            asked["preconditions"],
            json!({"uid": "u", "resourceVersion": "7"})
        );
    }
}
