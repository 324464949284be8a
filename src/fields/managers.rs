//! Who the others are: controllers whose writes are their job, and tools that deployed
//! an object before us.

use super::owners::Entry;
use crate::model::FIELD_MANAGER;

/// Managers that are part of Kubernetes or of what a cluster runs on, and whose
/// writes to the objects of others are their job.
const KNOWN_CONTROLLERS: [&str; 17] = [
    "kube-controller-manager",
    "kube-scheduler",
    "kube-apiserver",
    "kubelet",
    "kwok",
    "cloud-controller-manager",
    "cluster-autoscaler",
    "cert-manager-cainjector",
    "vpa-updater",
    "vpa-recommender",
    "cilium-agent",
    "cilium-operator",
    "calico-node",
    "calico-kube-controllers",
    "multus",
    "ovnkube",
    "service-ca-operator",
];

/// Tools that deploy whole objects. Where one has applied what we apply now, it owns
/// the same fields, and none would go when it leaves Git.
const DEPLOYERS: [&str; 11] = [
    // What the API server writes for an object that had no managedFields at all.
    "before-first-apply",
    "helm",
    "Helm",
    "helm-controller",
    "kustomize-controller",
    "flux",
    "argocd-controller",
    "argocd-application-controller",
    "Terraform",
    "HashiCorp",
    "kapp",
];

/// Deployers that say in an annotation what exactly they were given.
const CLIENT_SIDE: [&str; 4] = [
    "kubectl-client-side-apply",
    "kubectl-create",
    "argocd-controller",
    "argocd-application-controller",
];

/// What the owner of an entry is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It is ours. As an `Update` it holds what webhooks made of our requests.
    Ours,
    /// It writes where it is meant to: a controller, or anybody through a subresource,
    /// such as an autoscaler through `scale`.
    Controller,
    /// It has deployed the object before, or still does by hand.
    Deployer,
    /// Anybody else.
    Somebody,
}

/// What the owner of an entry is to us.
pub(super) fn role(entry: Entry<'_>) -> Role {
    let name = entry.text("manager");
    if name == FIELD_MANAGER {
        Role::Ours
    } else if !entry.text("subresource").is_empty()
        || KNOWN_CONTROLLERS.contains(&name)
        || name.ends_with("-cloud-controller-manager")
    {
        Role::Controller
    } else if DEPLOYERS.contains(&name) || name == "kubectl" || name.starts_with("kubectl-") {
        Role::Deployer
    } else {
        Role::Somebody
    }
}

/// Whether the owner says in `last-applied-configuration` what it was given.
pub(super) fn is_client_side(entry: Entry<'_>) -> bool {
    entry.text("operation") == "Update" && CLIENT_SIDE.contains(&entry.text("manager"))
}
