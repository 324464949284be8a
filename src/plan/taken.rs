//! What else is gone when an object is deleted: its own settings say so, or the owner
//! references of others.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{GroupKind, Live, ObjectId};

/// Objects whose deletion deletes more than themselves, or data, each by the uid of an
/// object that owns it and whose deletion deletes it.
pub type Dependents = BTreeMap<String, ObjectId>;

/// Kinds whose deletion deletes more than themselves, or data.
pub fn takes_others_along(kind: &GroupKind) -> bool {
    matches!(
        (&*kind.group, &*kind.kind),
        (
            "",
            "Namespace" | "PersistentVolume" | "PersistentVolumeClaim"
        ) | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

/// Why deleting a live object takes others or data along, if it does.
pub(super) fn takes_along(id: &ObjectId, live: &Live, dependents: &Dependents) -> Option<String> {
    let at = |path: &str| live.body.pointer(path).and_then(Value::as_str);
    let kind = &id.kind;
    if kind.group.is_empty()
        && kind.kind == "PersistentVolume"
        && at("/spec/persistentVolumeReclaimPolicy") == Some("Delete")
    {
        return Some(
            "deleting it deletes the data on it, as its `persistentVolumeReclaimPolicy` says"
                .to_owned(),
        );
    }
    if takes_others_along(kind) {
        return Some(format!(
            "deleting a {} takes everything in it along",
            kind.kind
        ));
    }
    let claims = at("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted");
    if claims == Some("Delete") {
        return Some(format!(
            "deleting a {} deletes its PersistentVolumeClaims and the data on them, as its `persistentVolumeClaimRetentionPolicy` says",
            kind.kind
        ));
    }
    let other = dependents.get(live.uid())?;
    Some(format!("deleting it deletes {other}, which it owns"))
}
