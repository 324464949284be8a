//! What desired would be, were it what is live.

use serde_json::json;

use super::*;

/// An object that we have applied, of which somebody changed fields since.
fn drifted(kind: (&str, &str), body: Value, live: Value) -> Value {
    kept(
        &desired(kind.0, kind.1, body),
        &Live::new(live),
        Absence::Removed,
    )
}

fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": fields})
}

const DEPLOYMENT: (&str, &str) = ("apps", "Deployment");

#[test]
fn only_what_differs_is_taken() {
    let body = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "c", "labels": {"a": "b"}},
        "spec": {"replicas": 2, "paused": false, "template": {"spec": {"containers": [
            {"name": "one", "image": "x:1", "resources": {"limits": {"cpu": "1000m"}}, "args": ["a"]},
            {"name": "two", "image": "y:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        ]}}},
    });
    let container = |name: &str, rest: Value| json!({format!("k:{{\"name\":\"{name}\"}}"): rest});
    let mut containers = container(
        "one",
        json!({".": {}, "f:name": {}, "f:resources": {"f:limits": {"f:cpu": {}}}}),
    );
    let two = container(
        "two",
        json!({".": {}, "f:name": {}, "f:image": {}, "f:env": {
        "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}},
        "k:{\"name\":\"B\"}": {".": {}, "f:name": {}, "f:value": {}}}}),
    );
    containers
        .as_object_mut()
        .unwrap()
        .extend(two.as_object().unwrap().clone());
    let ours = json!({"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:template": {"f:spec": {"f:containers": containers}}}});
    let theirs = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers":
        container("one", json!({"f:image": {}, "f:args": {}}))}}}});
    let live = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "c", "uid": "u", "labels": {"a": "b", "other": "x"}, "managedFields": [
            entry(FIELD_MANAGER, "Apply", &ours), entry("kubectl-edit", "Update", &theirs)]},
        "spec": {"replicas": 5, "progressDeadlineSeconds": 600, "template": {"spec": {"dnsPolicy": "ClusterFirst", "containers": [
            {"name": "two", "image": "y:1", "imagePullPolicy": "IfNotPresent", "env": [{"name": "A", "value": "1"}]},
            {"name": "one", "image": "x:2", "resources": {"limits": {"cpu": "1"}}, "args": ["a", "b"]},
            {"name": "injected", "image": "z"},
        ]}}},
        "status": {"replicas": 5},
    });
    let mut wanted = body.clone();
    wanted["spec"]["replicas"] = json!(5);
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = json!("x:2");
    wanted["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["a", "b"]);
    wanted["spec"]["template"]["spec"]["containers"][1]["env"] =
        json!([{"name": "A", "value": "1"}]);
    assert_eq!(drifted(DEPLOYMENT, body, live), wanted);
}

#[test]
fn defaults_within_what_is_owned_as_a_whole_stay_out() {
    let body = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "c"},
        "subjects": [{"kind": "User", "name": "ada"}, {"kind": "User", "name": "bob"}]});
    let subject =
        |name: &str| json!({"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"});
    let live = |subjects: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "c", "managedFields": [entry("kubectl-edit", "Update", &json!({"f:subjects": {}}))]},
        "subjects": subjects})
    };
    let kind = ("rbac.authorization.k8s.io", "RoleBinding");
    let same = drifted(
        kind,
        body.clone(),
        live(json!([subject("ada"), subject("bob")])),
    );
    assert_eq!(same, body);
    let more = drifted(
        kind,
        body.clone(),
        live(json!([subject("ada"), subject("bob"), subject("eve")])),
    );
    let mut wanted = body;
    wanted["subjects"]
        .as_array_mut()
        .unwrap()
        .push(json!({"kind": "User", "name": "eve"}));
    assert_eq!(more, wanted);
}

#[test]
fn what_we_own_or_never_applied_is_no_drift() {
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"},
        "data": {"ours": "new", "theirs": "old", "added": "x"}});
    let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "managedFields": [
            entry(FIELD_MANAGER, "Apply", &json!({"f:data": {"f:ours": {}}})),
            entry("kubectl-edit", "Update", &json!({"f:data": {"f:theirs": {}}}))]},
        "data": {"ours": "old", "theirs": "new"}});
    let found = |absence| {
        let live = Live::new(live.clone());
        kept(&desired("", "ConfigMap", body.clone()), &live, absence)["data"].clone()
    };
    let both = json!({"ours": "new", "theirs": "new", "added": "x"});
    assert_eq!(found(Absence::Unexplained), both);
    assert_eq!(
        found(Absence::Removed),
        json!({"ours": "new", "theirs": "new"})
    );
}
