//! What can't be read is unknown, and nothing else: what is elsewhere is pruned, and what may
//! still be there is kept in sight and told.

use std::time::Duration;

use serde_json::json;

use super::kinds_that_are_missing::definition;
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::stage::Stage;
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(name: &str, more: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{more}}}\ndata: {{a: one}}\n")
}

fn inventory(stage: &Stage) -> String {
    let parent = format!("{}.shop", stage.environment);
    let found = stage
        .cluster
        .get(&["-n", &stage.inventories, "configmap", &parent]);
    found.map_or_else(String::new, |found| {
        found["metadata"]["annotations"].to_string()
    })
}

#[test]
fn a_namespace_without_rights_hinders_no_prune_elsewhere() {
    let mut stage = Stage::new("unread-rights", AGENT);
    let namespace = stage.namespace.clone();
    let closed = stage.cluster.namespace("unread-closed");
    stage
        .cluster
        .kubectl(&["create", "namespace", &stage.inventories]);
    stage.kubectl(&["create", "serviceaccount", "agent"]);
    let bindings: String = [&namespace, &stage.inventories]
        .map(|place| {
            format!(
                "---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: agent, namespace: {place}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: ServiceAccount, name: agent, namespace: {namespace}}}]
"
            )
        })
        .concat();
    stage.cluster.kubectl_apply(&bindings);
    let outside = config_map("outside", &format!(", namespace: {closed}"));
    for name in ["one", "two"] {
        let path = format!("shop/{name}.yaml");
        stage.repository.write(&path, &config_map(name, ""));
    }
    stage.repository.write("shop/outside.yaml", &outside);
    stage.configure(&[("shop", "maxPrune: {count: 100, percent: 100}")]);
    let kubeconfig = stage.cluster.kubeconfig_for_account(&namespace, "agent");
    stage.start_as(stage.invocation().kubeconfig(kubeconfig));
    let message = stage.until_state("shop", "Blocked");
    assert!(message.contains("outside"), "{message}");
    stage.until("the namespace to be on the inventory", |stage| {
        let seen = inventory(stage);
        if seen.contains(&closed) {
            Ok(())
        } else {
            Err(seen)
        }
    });
    stage.remove(&["shop/outside.yaml", "shop/two.yaml"]);
    stage.until_gone("configmap", "two");
    stage.until("the inventory to be narrowed", |stage| {
        let seen = inventory(stage);
        if seen.contains(&closed) {
            Err(seen)
        } else {
            Ok(())
        }
    });
    stage.until_state("shop", "Synced");
    assert_eq!(stage.get("configmap", "one")["data"]["a"], "one");
}

/// Takes the API of a group away, or gives it back.
fn point(stage: &Stage, group: &str, service: &serde_json::Value, managed: &str) {
    let patch = json!({
        "metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": managed}},
        "spec": {"service": service, "insecureSkipTLSVerify": !service.is_null()},
    });
    let name = format!("v1.{group}");
    let patch = patch.to_string();
    let words = ["patch", "apiservice", &name, "--type=merge", "-p", &patch];
    stage.cluster.kubectl(&words);
}

#[test]
fn a_kind_whose_api_is_away_is_not_empty() {
    const GROUP: &str = "away.example";
    let options = Options {
        nodes: 0,
        ..Options::default()
    };
    let cluster = ControlPlane::start(&options).unwrap();
    let mut stage = Stage::on(&cluster, "unread-away", AGENT);
    cluster.kubectl_apply(&definition(GROUP));
    let thing = format!("apiVersion: {GROUP}/v1\nkind: Thing\nmetadata: {{name: left}}\n");
    stage.repository.write("shop/left.yaml", &thing);
    for name in ["one", "two"] {
        let path = format!("shop/{name}.yaml");
        stage.repository.write(&path, &config_map(name, ""));
    }
    let revision = stage.configure(&[("shop", "maxPrune: {count: 100, percent: 100}")]);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.daemon().terminate(Duration::from_secs(30));
    point(
        &stage,
        GROUP,
        &json!({"namespace": "default", "name": "nowhere", "port": 443}),
        "false",
    );
    wait_seeing(
        "the API to be away",
        Duration::from_mins(1),
        || match cluster.try_kubectl(&["get", "--raw", &format!("/apis/{GROUP}/v1")]) {
            Err(_) => Ok(()),
            Ok(told) => Err(told),
        },
    );
    stage.remove(&["shop/left.yaml", "shop/two.yaml"]);
    stage.start();
    stage.until_gone("configmap", "two");
    let message = stage.until_state("shop", "Blocked");
    assert!(message.contains("Thing"), "{message}");
    assert!(message.contains("left"), "{message}");
    assert!(message.contains("does not answer"), "{message}");
    let seen = inventory(&stage);
    assert!(seen.contains(GROUP), "{seen}");
    point(&stage, GROUP, &serde_json::Value::Null, "onstart");
    wait_seeing("the API to be back", Duration::from_mins(1), || {
        cluster
            .try_kubectl(&["get", "--raw", &format!("/apis/{GROUP}/v1")])
            .map_err(|error| format!("{error:#}"))
    });
    stage.until("the object that left to be pruned", |stage| {
        let namespace = &stage.namespace;
        let path = format!("/apis/{GROUP}/v1/namespaces/{namespace}/things/left");
        match cluster.try_kubectl(&["get", "--raw", &path]) {
            Err(error) if format!("{error:#}").contains("NotFound") => Ok(()),
            told => Err(format!("{told:?}")),
        }
    });
    stage.until_state("shop", "Synced");
    let seen = inventory(&stage);
    assert!(!seen.contains(GROUP), "{seen}");
}
