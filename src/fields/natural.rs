//! The values that fields of built-in kinds have when nobody sets them. Whoever creates
//! an object by other means than an apply is said to own all of them.

use serde_json::{Map, Value, json};

use super::builtin::is_default;

/// Values that stand for nothing said, by field, wherever in a built-in kind it stands.
/// One that was set to this on purpose makes no difference either
/// (k8s.io/kubernetes/pkg/apis/*/v1/defaults.go).
const NATURAL: [(&str, &[&str]); 53] = [
    // Pods.
    ("dnsPolicy", &["ClusterFirst"]),
    ("restartPolicy", &["Always"]),
    ("schedulerName", &["default-scheduler"]),
    ("terminationGracePeriodSeconds", &["30"]),
    ("enableServiceLinks", &["true"]),
    ("terminationMessagePath", &["/dev/termination-log"]),
    ("terminationMessagePolicy", &["File"]),
    ("preemptionPolicy", &["PreemptLowerPriority"]),
    ("failureThreshold", &["3"]),
    ("periodSeconds", &["10"]),
    ("successThreshold", &["1"]),
    ("timeoutSeconds", &["1"]),
    ("scheme", &["HTTP"]),
    ("protocol", &["TCP"]),
    ("defaultMode", &["420"]),
    ("nodeAffinityPolicy", &["Honor"]),
    ("nodeTaintsPolicy", &["Ignore"]),
    ("expirationSeconds", &["3600"]),
    ("serviceAccount", &["default"]),
    ("serviceAccountName", &["default"]),
    // Workloads.
    ("replicas", &["1"]),
    ("revisionHistoryLimit", &["10"]),
    ("progressDeadlineSeconds", &["600"]),
    ("partition", &["0"]),
    ("podManagementPolicy", &["OrderedReady"]),
    ("whenDeleted", &["Retain"]),
    ("whenScaled", &["Retain"]),
    ("backoffLimit", &["6"]),
    ("completions", &["1"]),
    ("parallelism", &["1"]),
    ("completionMode", &["NonIndexed"]),
    ("suspend", &["false"]),
    ("manualSelector", &["false"]),
    ("podReplacementPolicy", &["TerminatingOrFailed"]),
    ("concurrencyPolicy", &["Allow"]),
    ("failedJobsHistoryLimit", &["1"]),
    ("successfulJobsHistoryLimit", &["3"]),
    ("minReplicas", &["1"]),
    ("targetCPUUtilizationPercentage", &["80"]),
    // Services and the network.
    ("sessionAffinity", &["None"]),
    ("internalTrafficPolicy", &["Cluster"]),
    ("externalTrafficPolicy", &["Cluster"]),
    ("ipFamilyPolicy", &["SingleStack"]),
    ("allocateLoadBalancerNodePorts", &["true"]),
    // Storage.
    ("volumeMode", &["Filesystem"]),
    ("reclaimPolicy", &["Delete"]),
    ("volumeBindingMode", &["Immediate"]),
    ("persistentVolumeReclaimPolicy", &["Retain"]),
    // Admission and CRDs.
    ("failurePolicy", &["Fail"]),
    ("matchPolicy", &["Equivalent"]),
    ("reinvocationPolicy", &["Never"]),
    ("scope", &["*"]),
    ("strategy", &["None"]),
];

/// `type`, which means something else in each place.
const TYPES: [(&str, &str); 6] = [
    ("strategy", "RollingUpdate"),
    ("updateStrategy", "RollingUpdate"),
    ("spec", "ClusterIP"),
    ("hostPath", ""),
    ("scaleDown", ""),
    ("", "Opaque"),
];

/// Whether a field of a built-in kind is as if nobody had set it. `parent` is the name
/// of the field that it stands in, `around` the map.
pub(super) fn is_natural(parent: &str, field: &str, value: &Value, around: &Value) -> bool {
    if field == "policyTypes" {
        let egress = json!(["Ingress", "Egress"]);
        return *value == json!(["Ingress"]) || around.get("egress").is_some() && *value == egress;
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => return map.is_empty(),
        Value::Array(items) => return items.is_empty(),
        Value::Null => return true,
        other => other.to_string(),
    };
    match field {
        "type" => TYPES.contains(&(parent, text.as_str())),
        "imagePullPolicy" => text == pull_policy(around),
        "serviceAccount" if around.get("serviceAccountName") == Some(value) => true,
        "targetPort" => around.get("port") == Some(value),
        // Of a Deployment and of a DaemonSet.
        "maxSurge" | "maxUnavailable" => {
            *around == json!({"maxSurge": "25%", "maxUnavailable": "25%"})
                || *around == json!({"maxSurge": 0, "maxUnavailable": 1})
        }
        "timeoutSeconds" if parent == "webhooks" => text == "10",
        "apiVersion" | "apiGroup" => is_default(parent, field, value),
        _ => NATURAL
            .iter()
            .any(|(name, values)| *name == field && values.contains(&text.as_str())),
    }
}

/// Of a container (core/v1 `SetDefaults_Container`).
fn pull_policy(container: &Value) -> &'static str {
    let image = container
        .get("image")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    let latest = !name.contains([':', '@']) || name.ends_with(":latest");
    if latest { "Always" } else { "IfNotPresent" }
}

/// The labels and annotations that the API server, controllers or network plugins put on
/// objects in whoever's name. A name that ends with `/` stands for all that begin so.
const MARKS: [&str; 14] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubernetes.io/metadata.name",
    "deployment.kubernetes.io/",
    "deprecated.daemonset.template.generation",
    "autoscaling.alpha.kubernetes.io/",
    "control-plane.alpha.kubernetes.io/leader",
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
    "volume.beta.kubernetes.io/",
    "batch.kubernetes.io/",
    "k8s.v1.cni.cncf.io/",
    "cni.projectcalico.org/",
    "k8s.ovn.org/",
    "openshift.io/sa.scc.",
];

/// Whether a label or annotation is one of these.
pub(super) fn is_mark(name: &str) -> bool {
    MARKS.iter().any(|mark| {
        let open = mark.ends_with(['/', '.']);
        name == *mark || open && name.starts_with(mark)
    })
}

/// What kubectl and Argo CD were given when they applied the object on the client side.
pub(super) fn last_applied(metadata: Option<&Map<String, Value>>) -> Option<Value> {
    let annotations = metadata?.get("annotations")?;
    let text = annotations.get("kubectl.kubernetes.io/last-applied-configuration")?;
    serde_json::from_str(text.as_str()?).ok()
}
