//! `agent health`: the health of what kubectl prints, without a cluster.

use std::fs;

use serde_json::{Value, json};

use crate::support::agent::{Agent, Ran};

const OBJECTS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, generation: 2}
spec: {replicas: 2}
status:
  observedGeneration: 2
  replicas: 2
  updatedReplicas: 2
  readyReplicas: 1
  availableReplicas: 1
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: settings, namespace: shop}
- apiVersion: example.com/v1
  kind: Widget
  metadata: {name: big}
  status: {conditions: [{type: Ready, status: \"False\", reason: Broken, message: no oil}]}
";

fn health(text: &str, arguments: &[&str]) -> Ran {
    let agent = Agent::new(env!("CARGO_BIN_EXE_agent"))
        .args(["health"])
        .args(arguments);
    fs::write(agent.home().join("objects"), text).unwrap();
    agent.args(["-f", "objects"]).run()
}

#[test]
fn each_object_is_told() {
    let ran = health(OBJECTS, &[]);
    insta::assert_snapshot!(ran.stdout, @r"
    OBJECT                   HEALTH      MESSAGE
    Deployment shop/web      InProgress  1 of 2 replicas available
    ConfigMap shop/settings  Current     nothing to wait for
    Widget.example.com big   InProgress  Broken: no oil
    ");
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn json_is_an_array_of_exactly_these_fields() {
    let ran = health(OBJECTS, &["-o", "json"]);
    let objects: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(objects.len(), 3);
    let settings = json!({
        "group": "", "kind": "ConfigMap", "namespace": "shop", "name": "settings",
        "health": "Current", "message": objects[1]["message"],
    });
    assert_eq!(objects[1], settings);
    assert_eq!(objects[2]["namespace"], "");
}

#[test]
fn a_list_in_json_is_read_and_all_current_is_0() {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}},
    ]});
    let ran = health(&format!("{list:#}"), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let none = health(
        "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": []}",
        &[],
    );
    assert_eq!((none.stdout.as_str(), none.code), ("no objects\n", Some(0)));
}

#[test]
fn what_holds_no_object_is_an_error() {
    let mut said = String::new();
    for text in ["", "a: 1\n", "---\n- b\n", "a: [\n", "{\"a\": \n"] {
        let ran = health(text, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{text:?}");
        said.push_str(&ran.stderr);
    }
    insta::assert_snapshot!(said, @r"
    error: objects holds no objects: it is empty
    error: objects:1: not an object of Kubernetes: kind or metadata.name is missing
    error: objects:2: not an object of Kubernetes: kind or metadata.name is missing
    error: objects:1:4: unclosed bracket '['
    error: objects:1:1: unclosed bracket '{'
    ");
}
