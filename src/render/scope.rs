//! Which objects have a namespace, and with it what each one is called in a cluster.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::Value;

use super::{Manifest, RenderErrors, Rendered};
use crate::config::{Problem, Problems};
use crate::model::{Desired, GroupKind, Namespace, ObjectId, Origin};

/// Whether objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One for the whole cluster.
    Cluster,
    /// One in each namespace.
    Namespaced,
}

/// All that a unit declares, by identity. Made from a complete render only, so what is
/// not in it has left the repository.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DesiredSet {
    objects: BTreeMap<ObjectId, Desired>,
}

impl DesiredSet {
    /// The objects.
    pub fn objects(&self) -> &BTreeMap<ObjectId, Desired> {
        &self.objects
    }

    /// The objects themselves.
    pub fn into_objects(self) -> BTreeMap<ObjectId, Desired> {
        self.objects
    }

    /// For tests of what comes after rendering.
    #[cfg(test)]
    pub(crate) fn of(objects: impl IntoIterator<Item = Desired>) -> Self {
        let objects = objects.into_iter().map(|it| (it.id.clone(), it));
        Self {
            objects: objects.collect(),
        }
    }
}

/// Where objects lie that nobody gives a namespace.
const DEFAULT: Namespace = Namespace::known("default");

/// Gives each object its identity: the unit's namespace (else `default`) where it needs
/// one and names none, no namespace where it can't have one. Two objects that come to
/// the same identity are an error that names both places. A kind that `scope` does not
/// know is taken for a namespaced one. `finish` has the last word on each object.
pub fn resolve_scope(
    rendered: &Rendered,
    namespace: Option<&Namespace>,
    scope: &dyn Fn(&GroupKind) -> Option<Scope>,
    finish: &dyn Fn(&ObjectId, &mut Value),
) -> Result<DesiredSet, RenderErrors> {
    let mut objects = BTreeMap::new();
    let mut problems = Problems::default();
    for manifest in &rendered.manifests {
        let scope = scope(&manifest.kind).unwrap_or(Scope::Namespaced);
        let desired = resolve(manifest, namespace.unwrap_or(&DEFAULT), scope, finish);
        match objects.entry(desired.id.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(desired);
            }
            Entry::Occupied(entry) => problems.push(twice(entry.get(), &desired.origin)),
        }
    }
    if problems.is_empty() {
        Ok(DesiredSet { objects })
    } else {
        Err(problems.into())
    }
}

fn resolve(
    manifest: &Manifest,
    namespace: &Namespace,
    scope: Scope,
    finish: &dyn Fn(&ObjectId, &mut Value),
) -> Desired {
    let namespace = match scope {
        Scope::Cluster => None,
        Scope::Namespaced => Some(manifest.namespace.as_ref().unwrap_or(namespace).clone()),
    };
    let mut body = manifest.body();
    if let Some(Value::Object(metadata)) = body.get_mut("metadata") {
        match &namespace {
            Some(namespace) => metadata.insert("namespace".to_owned(), namespace.as_str().into()),
            None => metadata.remove("namespace"),
        };
    }
    let id = ObjectId::new(manifest.kind.clone(), namespace, manifest.name.clone());
    finish(&id, &mut body);
    Desired::new(id, &body, manifest.origin.clone())
}

fn twice(first: &Desired, second: &Origin) -> Problem {
    let message = format!("{} is declared already at {}", first.id, first.origin);
    Problem {
        line: second.line,
        ..Problem::in_file(&second.path, message)
    }
}

/// The scopes of the kinds that custom resource definitions among the manifests define.
pub fn scopes_of_crds(manifests: &[Manifest]) -> BTreeMap<GroupKind, Scope> {
    let crds = manifests.iter().filter(|it| {
        it.kind
            .is("apiextensions.k8s.io", "CustomResourceDefinition")
    });
    let defined = |crd: &Manifest| {
        let body = crd.body();
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
        let scope = match text("/spec/scope")? {
            "Cluster" => Scope::Cluster,
            _ => Scope::Namespaced,
        };
        let kind = GroupKind::new(text("/spec/group")?, text("/spec/names/kind")?);
        Some((kind.ok()?, scope))
    };
    crds.filter_map(defined).collect()
}

/// The scope of a kind that Kubernetes itself brings; `None` for every other, which
/// only a cluster (or a definition in the repository) can tell.
pub fn builtin_scope(kind: &GroupKind) -> Option<Scope> {
    let (_, cluster) = BUILTIN.iter().find(|(group, _)| kind.group == *group)?;
    if cluster.contains(&kind.kind.as_str()) {
        Some(Scope::Cluster)
    } else {
        Some(Scope::Namespaced)
    }
}

/// The groups of Kubernetes (`kubectl api-resources`, of 1.36 and of what older ones
/// still have), and in each the kinds that have no namespace.
const BUILTIN: [(&str, &[&str]); 24] = [
    (
        "",
        &["ComponentStatus", "Namespace", "Node", "PersistentVolume"],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("apps", &[]),
    (
        "authentication.k8s.io",
        &["SelfSubjectReview", "TokenReview"],
    ),
    (
        "authorization.k8s.io",
        &[
            "SelfSubjectAccessReview",
            "SelfSubjectRulesReview",
            "SubjectAccessReview",
        ],
    ),
    ("autoscaling", &[]),
    ("batch", &[]),
    (
        "certificates.k8s.io",
        &["CertificateSigningRequest", "ClusterTrustBundle"],
    ),
    ("coordination.k8s.io", &[]),
    ("discovery.k8s.io", &[]),
    ("events.k8s.io", &[]),
    ("extensions", &["PodSecurityPolicy"]),
    (
        "flowcontrol.apiserver.k8s.io",
        &["FlowSchema", "PriorityLevelConfiguration"],
    ),
    ("internal.apiserver.k8s.io", &["StorageVersion"]),
    (
        "networking.k8s.io",
        &["IPAddress", "IngressClass", "ServiceCIDR"],
    ),
    ("node.k8s.io", &["RuntimeClass"]),
    ("policy", &["PodSecurityPolicy"]),
    (
        "rbac.authorization.k8s.io",
        &["ClusterRole", "ClusterRoleBinding"],
    ),
    (
        "resource.k8s.io",
        &[
            "DeviceClass",
            "DeviceTaintRule",
            "ResourcePoolStatusRequest",
            "ResourceSlice",
        ],
    ),
    ("scheduling.k8s.io", &["PriorityClass"]),
    (
        "storage.k8s.io",
        &[
            "CSIDriver",
            "CSINode",
            "StorageClass",
            "VolumeAttachment",
            "VolumeAttributesClass",
        ],
    ),
    ("storagemigration.k8s.io", &["StorageVersionMigration"]),
];
