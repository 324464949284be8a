//! Fields of others, and what is taken off them.
#![expect(
    clippy::needless_pass_by_value,
    reason = "what json! makes is handed over"
)]

use serde_json::{Value, json};

use super::{deployment, deployment_desired, desired};
use crate::fields::*;
use crate::model::{Desired, FIELD_MANAGER, Live};

/// A ConfigMap that we apply with `data.a`, and what others own of it.
fn shared(entries: Value) -> (Desired, Live) {
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    let mut live = body.clone();
    live["data"]["b"] = json!("2");
    live["metadata"]["annotations"] = json!({
        "kubectl.kubernetes.io/last-applied-configuration": "{}", "example.com/x": "y"});
    live["metadata"]["finalizers"] = json!(["example.com/f"]);
    live["metadata"]["resourceVersion"] = json!("7");
    let mut all = vec![entry(
        FIELD_MANAGER,
        "Apply",
        "",
        json!({"f:data": {"f:a": {}}}),
    )];
    all.extend(entries.as_array().unwrap().clone());
    live["metadata"]["managedFields"] = json!(all);
    (desired("", "ConfigMap", body), Live::new(live))
}

fn entry(manager: &str, operation: &str, subresource: &str, fields: Value) -> Value {
    json!({"manager": manager, "operation": operation, "subresource": subresource,
        "apiVersion": "v1", "time": "2026-01-02T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields})
}

fn told(others: &Others) -> Vec<String> {
    let told = |one: &Foreign| format!("{} {} by {}", one.path, one.value, one.manager.name);
    others.foreign.iter().map(told).collect()
}

fn names(others: &Others) -> Vec<&str> {
    others
        .sharing
        .iter()
        .map(|manager| &*manager.name)
        .collect()
}

#[test]
fn fields_that_others_have_added_are_named_apart_from_drift() {
    let others = others(&deployment_desired(), &deployment());
    assert_eq!(
        told(&others),
        [
            "metadata.annotations.note \"hi\" by kubectl-edit",
            "spec.template.spec.containers[name=a].env [{\"name\":\"X\",\"value\":\"1\"}] by kubectl-edit",
            "spec.template.spec.containers[name=a].livenessProbe {\"periodSeconds\":3} by kubectl-edit",
        ]
    );
    assert_eq!(
        names(&others),
        ["kubectl-edit"],
        "it owns metadata.labels.app"
    );
}

#[test]
fn controllers_subresources_and_we_ourselves_are_no_others() {
    let fields = json!({"f:data": {"f:b": {}}});
    for (manager, operation, subresource, foreign) in [
        ("kubectl-edit", "Update", "", true),
        ("mallory", "Apply", "", true),
        ("mallory", "Update", "scale", false),
        ("kube-controller-manager", "Update", "", false),
        ("aws-cloud-controller-manager", "Update", "", false),
        (FIELD_MANAGER, "Update", "", false),
    ] {
        let (desired, live) = shared(json!([entry(
            manager,
            operation,
            subresource,
            fields.clone()
        )]));
        let found = told(&others(&desired, &live));
        assert_eq!(found.len(), usize::from(foreign), "{manager}: {found:?}");
    }
}

#[test]
fn marks_finalizers_and_what_nobody_would_miss_are_not_foreign() {
    let fields = json!({
        "f:metadata": {
            "f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}},
            "f:finalizers": {".": {}, "v:\"example.com/f\"": {}}},
        "f:data": {".": {}, "f:gone": {}}});
    let (desired, live) = shared(json!([entry("somebody", "Update", "", fields)]));
    assert_eq!(others(&desired, &live), Others::default());

    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "c"}, "spec": {}});
    let mut live = body.clone();
    live["spec"] = json!({"progressDeadlineSeconds": 600, "revisionHistoryLimit": 3,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}});
    live["metadata"]["managedFields"] = json!([entry(
        "kubectl-create",
        "Update",
        "",
        json!({"f:spec": {"f:progressDeadlineSeconds": {}, "f:revisionHistoryLimit": {},
            "f:strategy": {".": {}, "f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}}}})
    )]);
    let deployment = super::desired("apps", "Deployment", body);
    let found = told(&others(&deployment, &Live::new(live)));
    assert_eq!(found, ["spec.revisionHistoryLimit 3 by kubectl-create"]);
}

#[test]
fn what_a_client_side_apply_was_not_given_it_has_not_set() {
    let body = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "c"}, "spec": {"a": 1}});
    let mut live = body.clone();
    live["spec"] = json!({"a": 1, "b": 2, "default": 3});
    live["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": "{\"spec\":{\"a\":1,\"b\":2}}"});
    let fields = json!({"f:spec": {".": {}, "f:a": {}, "f:b": {}, "f:default": {}}});
    let found = |manager: &str| {
        let mut live = live.clone();
        live["metadata"]["managedFields"] = json!([entry(manager, "Update", "", fields.clone())]);
        let desired = desired("example.com", "Widget", body.clone());
        told(&others(&desired, &Live::new(live)))
    };
    assert_eq!(
        found("kubectl-client-side-apply"),
        ["spec.b 2 by kubectl-client-side-apply"]
    );
    assert_eq!(
        found("helm"),
        ["spec.b 2 by helm", "spec.default 3 by helm"]
    );
}

#[test]
fn values_of_a_secret_are_not_told() {
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}, "data": {"a": "eA=="}});
    let mut live = body.clone();
    live["data"]["b"] = json!("c2VjcmV0");
    live["metadata"]["annotations"] = json!({"tool/original": "c2VjcmV0"});
    live["metadata"]["labels"] = json!({"app": "web"});
    live["metadata"]["managedFields"] = json!([entry(
        "mallory",
        "Update",
        "",
        json!({"f:data": {"f:b": {}}, "f:metadata": {"f:annotations": {"f:tool/original": {}}, "f:labels": {"f:app": {}}}})
    )]);
    let desired = desired("", "Secret", body);
    assert_eq!(
        told(&others(&desired, &Live::new(live))),
        [
            "data.b \"[redacted]\" by mallory",
            "metadata.annotations[\"tool/original\"] \"[redacted]\" by mallory",
            "metadata.labels.app \"web\" by mallory",
        ]
    );
}

#[test]
fn a_deployer_keeps_what_is_foreign_and_nothing_of_ours() {
    let fields = json!({
        "f:metadata": {"f:annotations": {".": {}, "f:example.com/x": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}}},
        "f:data": {".": {}, "f:a": {}, "f:b": {}}});
    let only_ours = json!({"f:data": {"f:a": {}}});
    let (desired, live) = shared(json!([
        entry("helm", "Update", "", fields.clone()),
        entry("kubectl", "Apply", "", only_ours.clone()),
        entry("mallory", "Apply", "", only_ours),
    ]));
    assert_eq!(names(&others(&desired, &live)), ["helm", "kubectl"]);
    let patch = clear(&desired, &live, &[], Sharing::End).unwrap();
    let mut left = fields;
    left["f:data"] = json!({".": {}, "f:b": {}});
    let before = &live.body["metadata"]["managedFields"];
    assert_eq!(
        patch,
        json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "replace", "path": "/metadata/managedFields", "value": [
                before[0], entry("helm", "Update", "", left), before[3]]},
        ])
    );
    assert_eq!(clear(&desired, &live, &[], Sharing::Leave), None);
    let (desired, live) = shared(json!([entry(
        "helm",
        "Update",
        "",
        json!({"f:data": {"f:b": {}}})
    )]));
    assert_eq!(
        clear(&desired, &live, &[], Sharing::End),
        None,
        "only foreign"
    );
}

#[test]
fn an_item_of_ours_is_nobody_elses_whatever_they_have_in_it() {
    let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"},
        "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let mut live = body.clone();
    live["spec"]["containers"][0]["env"] = json!([{"name": "X"}]);
    let env = json!({"f:env": {".": {}, "k:{\"name\":\"X\"}": {".": {}, "f:name": {}}}});
    let mut item = env.clone();
    for name in [".", "f:name", "f:image"] {
        item[name] = json!({});
    }
    let containers =
        |item: &Value| json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": item}}});
    let ours = containers(&json!({".": {}, "f:name": {}, "f:image": {}}));
    live["metadata"]["managedFields"] = json!([
        entry(FIELD_MANAGER, "Apply", "", ours),
        entry("helm", "Update", "", containers(&item)),
    ]);
    let (desired, live) = (desired("", "Pod", body), Live::new(live));
    let patch = clear(&desired, &live, &[], Sharing::End).unwrap();
    let left = &patch[1]["value"][1]["fieldsV1"];
    assert_eq!(*left, containers(&env));
}

#[test]
fn items_are_removed_from_the_last_to_the_first() {
    let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"},
        "spec": {"containers": [{"name": "b", "image": "b"}]}});
    let mut live = body.clone();
    live["spec"]["containers"] = json!([
        {"name": "a", "image": "a"}, {"name": "b", "image": "b", "env": [{"name": "X"}]}, {"name": "c", "image": "c"}]);
    live["metadata"]["annotations"] = json!({"a/b": "x"});
    live["metadata"]["managedFields"] = json!([
        entry(
            FIELD_MANAGER,
            "Apply",
            "",
            json!({"f:spec": {"f:containers": {"k:{\"name\":\"b\"}": {".": {}, "f:name": {}, "f:image": {}}}}})
        ),
        entry(
            "mallory",
            "Update",
            "",
            json!({
            "f:metadata": {"f:annotations": {".": {}, "f:a/b": {}}},
            "f:spec": {"f:containers": {
                "k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:image": {}},
                "k:{\"name\":\"b\"}": {"f:env": {".": {}, "k:{\"name\":\"X\"}": {".": {}, "f:name": {}}}},
                "k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}}}}})
        )
    ]);
    let (desired, live) = (desired("", "Pod", body), Live::new(live));
    let all: Vec<String> = others(&desired, &live)
        .foreign
        .into_iter()
        .map(|one| one.path)
        .collect();
    assert_eq!(
        all,
        [
            "metadata.annotations[\"a/b\"]",
            "spec.containers[name=a]",
            "spec.containers[name=b].env",
            "spec.containers[name=c]",
        ]
    );
    let removed = |remove: &[String]| -> Vec<String> {
        let patch = clear(&desired, &live, remove, Sharing::Leave).unwrap();
        patch.as_array().unwrap()[2..]
            .iter()
            .map(|op| op["path"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        removed(&all),
        [
            "/spec/containers/2",
            "/spec/containers/1/env",
            "/spec/containers/0",
            "/metadata/annotations/a~1b",
        ]
    );
    assert_eq!(removed(&all[2..3]), ["/spec/containers/1/env"]);
    let entries = &clear(&desired, &live, &all, Sharing::Leave).unwrap()[1]["value"];
    assert_eq!(entries.as_array().unwrap().len(), 1, "{entries}");
}
