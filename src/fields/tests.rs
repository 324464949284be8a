#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::model::{Desired, FIELD_MANAGER, GroupKind, Live, ObjectId, Origin};

mod kept;
mod others;
mod people;
mod properties;

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    title: String,
    #[serde(default)]
    group: String,
    #[serde(default = "thing")]
    kind: String,
    desired: Value,
    live: Value,
    verdict: String,
    #[serde(default)]
    differences: Vec<String>,
}

fn thing() -> String {
    "Thing".to_owned()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a test writes the body down in place"
)]
fn desired(group: &str, kind: &str, body: Value) -> Desired {
    let id = ObjectId::new(
        GroupKind::new(group, kind).unwrap(),
        None,
        crate::model::Name::known("c"),
    );
    let origin = Origin {
        path: "c.yaml".to_owned(),
        line: 1,
    };
    Desired::new(id, &body, origin)
}

fn described(difference: &Difference) -> String {
    let text = match &difference.kind {
        Kind::Changed { live, desired } => {
            format!("changed {} {live} -> {desired}", difference.path)
        }
        Kind::Missing { desired } => format!("missing {} {desired}", difference.path),
        Kind::NotOwned => format!("not owned {}", difference.path),
        Kind::Extra { live: Some(live) } => format!("extra {} {live}", difference.path),
        Kind::Extra { live: None } => format!("extra {}", difference.path),
        Kind::Reordered => format!("reordered {}", difference.path),
        Kind::Unclear => format!("unclear {}", difference.path),
    };
    let doubt = difference.doubt.map(|doubt| format!(" ({doubt:?})"));
    let owner = difference
        .owner
        .as_ref()
        .map(|owner| format!(" by {}", owner.name));
    text + &doubt.unwrap_or_default() + &owner.unwrap_or_default()
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Clean => "Clean",
        Verdict::Maybe(_) => "Maybe",
        Verdict::Drifted(_) => "Drifted",
        Verdict::Overruled(..) => "Overruled",
    }
}

#[test]
fn the_table_of_comparisons_holds() {
    let cases: Vec<Case> =
        serde_yaml::from_str(include_str!("../../testdata/fields/compare.yaml")).unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let desired = desired(&case.group, &case.kind, case.desired);
        let verdict = compare(&desired, &Live::new(case.live));
        let differences: Vec<String> = verdict.differences().iter().map(described).collect();
        if word(&verdict) != case.verdict || differences != case.differences {
            wrong.push(format!(
                "{}: {} {differences:#?}\n  expected {} {:#?}",
                case.title,
                word(&verdict),
                case.verdict,
                case.differences
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A Deployment as the API server returns it after we applied three containers'
/// worth of it and `kubectl` set an environment variable.
fn deployment() -> Live {
    Live::new(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "5",
            "labels": {"app": "web"},
            "annotations": {"deployment.kubernetes.io/revision": "1", "note": "hi", "ours/x": "1"},
            "managedFields": [
                {"manager": "gitops-agent", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
                 "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:app": {}}, "f:annotations": {"f:ours/x": {}}},
                    "f:spec": {"f:selector": {}, "f:template": {"f:spec": {"f:containers": {
                        "k:{\"name\":\"b\"}": {".": {}, "f:name": {}, "f:image": {},
                            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                            "f:resources": {"f:limits": {"f:cpu": {}}}},
                        "k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}}},
                {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1", "subresource": "status",
                 "time": "2026-01-03T00:00:00Z",
                 "fieldsV1": {"f:metadata": {"f:annotations": {".": {}, "f:deployment.kubernetes.io/revision": {}}}, "f:status": {"f:replicas": {}}}},
                {"manager": "kubectl-scale", "operation": "Update", "apiVersion": "apps/v1", "subresource": "scale",
                 "time": "2026-01-02T01:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-02T00:00:00Z",
                 "fieldsV1": {
                    "f:metadata": {"f:annotations": {"f:note": {}, "f:gone": {}}, "f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {"f:selector": {}, "f:template": {"f:spec": {"f:containers": {
                        "k:{\"name\":\"a\"}": {"f:env": {".": {}, "k:{\"name\":\"X\"}": {".": {}, "f:name": {}, "f:value": {}}},
                            "f:livenessProbe": {".": {}, "f:periodSeconds": {}}}}}}}}}
            ]},
        "spec": {
            "replicas": 5, "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"dnsPolicy": "ClusterFirst", "containers": [
                {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}], "livenessProbe": {"periodSeconds": 3}},
                {"name": "b", "image": "b:1", "ports": [{"containerPort": 80, "protocol": "TCP"}],
                 "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}, "terminationMessagePath": "/dev/log"}]}}},
        "status": {"replicas": 1}
    }))
}

fn deployment_desired() -> Desired {
    desired(
        "apps",
        "Deployment",
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "annotations": {"ours/x": "1"}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": [
                {"name": "b", "image": "b:2", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1000m"}}},
                {"name": "a", "image": "a:1"}]}}}
        }),
    )
}

#[test]
fn owners_are_told_with_what_they_own() {
    let live = deployment();
    let owners = owners(&live);
    assert_eq!(owners.len(), 4);
    assert_eq!(owners[2].subresource, "scale");
    assert_eq!(
        owners[2].manager.to_string(),
        "kubectl-scale (Update) at 2026-01-02T01:00:00Z"
    );
    assert!(
        owners[2]
            .fields
            .field("spec")
            .unwrap()
            .field("replicas")
            .is_some()
    );
    assert_eq!(owned(&live, FIELD_MANAGER), owners[0].fields);
    assert!(owned(&live, "nobody").is_empty());
}

#[test]
fn a_projection_holds_what_is_owned_in_live_order() {
    let live = deployment();
    assert_eq!(
        project(&live, &owned(&live, FIELD_MANAGER)),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "annotations": {"ours/x": "1"}},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": [
                {"name": "a", "image": "a:1"},
                {"name": "b", "image": "b:1", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1"}}}]}}}
        })
    );
}

#[test]
fn a_projection_for_a_diff_differs_from_desired_where_live_does() {
    let (live, desired) = (deployment(), deployment_desired());
    let shown = project_desired_paths(&live, &desired, &owned(&live, FIELD_MANAGER));
    let mut expected = desired.body();
    expected["spec"]["replicas"] = json!(5);
    expected["spec"]["template"]["spec"]["containers"][0]["image"] = json!("b:1");
    assert_ne!(shown, expected, "the projection is in live's order");
    // `1` is shown as desired's `1000m`: the diff is not about spelling.
    assert_eq!(aligned(&desired, &shown), expected);
}

#[test]
fn a_projection_reads_string_data_back() {
    let desired = desired(
        "",
        "Secret",
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}, "stringData": {"a": "new"}}),
    );
    let live = Live::new(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}, "data": {"a": "b2xk", "b": "eA=="}
    }));
    assert_eq!(
        project_desired_paths(&live, &desired, &FieldSet::default()),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}, "stringData": {"a": "old"}})
    );
}

#[test]
fn elements_that_are_none_are_refused() {
    let parse = |fields: Value| FieldSet::parse(&fields);
    assert_eq!(
        parse(json!({"x:a": {}})),
        Err(FieldSetError::Element("x:a".to_owned()))
    );
    assert_eq!(
        parse(json!({"k:{": {}})),
        Err(FieldSetError::Element("k:{".to_owned()))
    );
    assert_eq!(parse(json!({"f:a": 1})), Err(FieldSetError::Shape));
    assert!(parse(json!({"f:a": {"i:0": {}, "v:1": {}}})).is_ok());
    assert!(parse(json!({"é": {}})).is_err());
}
