//! What people have set of an object that nobody declares.

use serde_json::json;

use super::*;

fn people(live: Value) -> Option<Value> {
    set_by_people(&Live::new(live))
}

#[test]
fn what_was_created_is_kept_without_defaults_and_controllers() {
    let live = serde_json::from_str(
        r#"{
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 2,
            "labels": {"app": "web"}, "annotations": {"deployment.kubernetes.io/revision": "1"},
            "managedFields": [
                {"manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {"f:progressDeadlineSeconds": {}, "f:replicas": {}, "f:selector": {}, "f:strategy": {"f:type": {},
                        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}},
                        "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {
                            "f:dnsPolicy": {}, "f:containers": {"k:{\"name\":\"main\"}": {".": {}, "f:name": {}, "f:image": {},
                                "f:imagePullPolicy": {}, "f:resources": {}, "f:ports": {".": {},
                                    "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}}}}}}}}},
                {"manager": "kubectl-scale", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1", "subresource": "status",
                    "fieldsV1": {"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}, "f:status": {"f:replicas": {}}}}
            ]},
        "spec": {"replicas": 3, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": "web"}, "creationTimestamp": null}, "spec": {
                "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
                "containers": [{"name": "main", "image": "web:1", "imagePullPolicy": "IfNotPresent", "resources": {},
                    "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}}},
        "status": {"replicas": 3}
    }"#,
    )
    .unwrap();
    let wanted = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                "containers": [{"name": "main", "image": "web:1", "ports": [{"containerPort": 80}]}]}}},
    });
    assert_eq!(people(live), Some(wanted));
}

#[test]
fn of_what_was_applied_on_the_client_side_just_that_is_kept() {
    let given = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "annotations": {}},
        "spec": {"ports": [{"port": 80, "protocol": "TCP"}], "selector": {"app": "web"}}});
    let live = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": given.to_string()},
            "managedFields": [{"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1", "fieldsV1": {
                "f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}}},
                "f:spec": {"f:internalTrafficPolicy": {}, "f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}":
                    {".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}}, "f:selector": {}, "f:sessionAffinity": {}, "f:type": {}}}}]},
        "spec": {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "internalTrafficPolicy": "Cluster",
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}], "selector": {"app": "web"}, "type": "ClusterIP"},
    });
    let wanted = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}});
    assert_eq!(people(live), Some(wanted));
}

#[test]
fn what_two_have_set_of_a_list_is_told_by_its_keys() {
    let owner = |name: &str, protocol: &str, field: &str| {
        let key = format!("k:{{\"port\":53,\"protocol\":\"{protocol}\"}}");
        json!({"manager": name, "operation": "Update", "apiVersion": "v1", "fieldsV1":
            {"f:spec": {"f:ports": {key: {".": {}, "f:port": {}, field: {}}}}}})
    };
    let live = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns", "namespace": "shop",
            "managedFields": [owner("one", "TCP", "f:name"), owner("other", "UDP", "f:protocol"), owner("third", "TCP", "f:targetPort")]},
        "spec": {"ports": [{"name": "dns", "port": 53, "protocol": "TCP", "targetPort": 5353}, {"port": 53, "protocol": "UDP"}]}});
    let wanted = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns", "namespace": "shop"},
        "spec": {"ports": [{"name": "dns", "port": 53, "targetPort": 5353}, {"port": 53, "protocol": "UDP"}]}});
    assert_eq!(people(live), Some(wanted));
}

#[test]
fn what_only_controllers_have_written_is_nobodys() {
    let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt", "managedFields": [
        {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:x": {}}}}]},
        "data": {"x": "y"}});
    assert_eq!(people(live), None);
}
