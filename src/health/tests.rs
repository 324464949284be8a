#![expect(clippy::unwrap_used, reason = "a test may panic")]

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Health, Status, health, report};

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    title: String,
    object: Value,
    health: Status,
    message: String,
}

fn now() -> Timestamp {
    "2026-01-01T00:01:00Z".parse().unwrap()
}

#[test]
fn the_tables_of_health_hold() {
    let tables = [
        include_str!("../../testdata/health/workloads.yaml"),
        include_str!("../../testdata/health/pods.yaml"),
        include_str!("../../testdata/health/others.yaml"),
        include_str!("../../testdata/health/custom.yaml"),
    ];
    let mut count = 0;
    for table in tables {
        for case in serde_yaml::from_str::<Vec<Case>>(table).unwrap() {
            let expected = Health {
                status: case.health,
                message: case.message,
            };
            assert_eq!(health(&case.object, now()), expected, "{}", case.title);
            count += 1;
        }
    }
    assert!(count > 60, "{count} cases");
}

#[test]
fn a_report_has_a_line_for_each_object() {
    let documents = [
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}}),
        Value::Null,
        json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}]}),
    ];
    assert_eq!(
        serde_json::to_value(report(&documents, now())).unwrap(),
        json!([
            {"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web",
             "health": "InProgress", "message": "0 of 1 replicas created"},
            {"group": "", "kind": "Namespace", "namespace": "", "name": "shop",
             "health": "Current", "message": "active"},
        ])
    );
}

#[test]
fn a_namespace_says_what_it_waits_for_while_it_is_deleted() {
    let remaining = "Some resources are remaining: configmaps. has 1 resource instances";
    let held = "Some content in the namespace has finalizers remaining: example.com/a in 1 resource instances";
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"finalizers": ["kubernetes", "example.com/billing"]},
        "status": {"phase": "Terminating", "conditions": [
            {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "fine"},
            {"type": "NamespaceContentRemaining", "status": "True", "message": remaining},
            {"type": "NamespaceFinalizersRemaining", "status": "True", "message": held}]}});
    let found = health(&namespace, now());
    assert_eq!(found.status, Status::Terminating);
    assert_eq!(
        found.message,
        format!("being deleted, waits for example.com/billing; {remaining}; {held}")
    );
}

#[test]
fn an_absent_object_is_not_found() {
    assert_eq!(Health::not_found().status, Status::NotFound);
    assert_eq!(format!("{:>9}", Status::NotFound), " NotFound");
}
