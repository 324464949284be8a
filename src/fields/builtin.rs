//! What has to be known of the API server beyond managedFields.

use serde_json::{Value, json};

use crate::model::GroupKind;

/// Metadata that SSA never takes from the one who applies
/// (apimachinery/pkg/util/managedfields/internal/stripmeta.go).
pub(super) const STRIPPED: [&str; 6] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "generation",
    "managedFields",
];

/// API groups served by Kubernetes itself, whose Go types drop empty lists.
const BUILTIN: [&str; 20] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Whether Kubernetes itself serves the group.
pub(super) fn is_builtin(group: &str) -> bool {
    BUILTIN.contains(&group)
}

/// Whether a map of a built-in kind is one whose entries have owners of their own. `data` of
/// another kind than these is of free form (a `RawExtension`), and owned as a whole.
pub(super) fn is_granular(kind: &GroupKind, path: &[&str]) -> bool {
    let core = |names: &[&str]| kind.group.is_empty() && names.contains(&&*kind.kind);
    match path {
        ["data"] => core(&["ConfigMap", "Secret"]),
        ["binaryData"] => core(&["ConfigMap"]),
        ["spec"] | ["metadata", "labels" | "annotations"] => is_builtin(&kind.group),
        _ => false,
    }
}

/// Whether a field inside a value that is owned as a whole is one that a built-in
/// type's defaults put there, so that an apply without it comes out the same. Only
/// those that nearly every cluster's manifests leave out; each spares a dry-run.
pub(super) fn is_default(parent: &str, field: &str, value: &Value) -> bool {
    match (parent, field) {
        // core/v1 defaults.go
        ("fieldRef" | "volumeClaimTemplates", "apiVersion") => value == "v1",
        ("volumeClaimTemplates", "kind") => value == "PersistentVolumeClaim",
        ("volumeClaimTemplates", "status") => *value == json!({"phase": "Pending"}),
        ("spec", "volumeMode") => value == "Filesystem",
        // networking/v1 and discovery/v1 defaults.go
        ("ports", "protocol") => value == "TCP",
        // rbac/v1 defaults.go
        ("subjects", "apiGroup") => value == "rbac.authorization.k8s.io",
        // admissionregistration/v1 defaults.go
        ("rules", "scope") => value == "*",
        _ => false,
    }
}
