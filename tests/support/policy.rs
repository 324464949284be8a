//! Admission policies of the tests.

/// A binding that has a `ValidatingAdmissionPolicy` deny what it is for in a namespace.
pub fn denying(name: &str, policy: &str, namespace: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec:
  policyName: {policy}
  validationActions: [Deny]
  matchResources:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}
"
    )
}
