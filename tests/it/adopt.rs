//! What kubectl has applied before is taken over as it is, nothing recreated.

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'web:1', ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: one}
";
const OBJECTS: [(&str, &str); 3] = [
    ("deployment", "web"),
    ("service", "web"),
    ("configmap", "settings"),
];

fn adopts(name: &str, applied: &[&str], extra: &str) {
    let mut stage = Stage::new(name, AGENT);
    let words = [
        &["-n", &stage.namespace, "apply"][..],
        applied,
        &["-f", "-"],
    ]
    .concat();
    stage
        .cluster
        .kubectl_with(&words, &WEB.replace("a: one", extra))
        .unwrap();
    stage.cluster.wait_for_rollout(&stage.namespace, "web");
    let uids = OBJECTS.map(|(kind, name)| stage.uid(kind, name));

    stage
        .repository
        .write("agent.yaml", &stage.configuration(&[("shop", "")]));
    stage.repository.write("shop/web.yaml", WEB);
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let namespace = &stage.namespace;
    for object in [
        format!("Deployment {namespace}/web"),
        format!("Service {namespace}/web"),
        format!("ConfigMap {namespace}/settings"),
    ] {
        assert!(
            ran.stdout.contains(&format!("adopt {object}")),
            "{}",
            ran.stdout
        );
    }

    let revision = stage.commit("Start", &[]);
    stage.start();
    stage.until_synced("shop", &revision);
    assert_eq!(OBJECTS.map(|(kind, name)| stage.uid(kind, name)), uids);
    assert_eq!(stage.get("configmap", "settings")["data"]["a"], "one");
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    let entry = stage.until_entry("sync shop to ");
    assert!(entry.subject.ends_with(": 3 adopted"), "{}", entry.subject);
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(stage.entries().len(), 1, "{:#?}", stage.entries());

    // From now on they are the unit's like any other.
    let web = WEB.split("---\n").take(2).collect::<Vec<_>>().join("---\n");
    stage.commit("Without settings", &[("shop/web.yaml", &web)]);
    stage.until_gone("configmap", "settings");
}

#[test]
fn what_was_applied_on_the_client_side() {
    adopts("client", &[], "a: one");
}

#[test]
fn what_was_applied_on_the_server_side() {
    adopts("server", &["--server-side"], "a: one");
}

#[test]
fn what_was_applied_with_other_values() {
    adopts(
        "other",
        &["--server-side", "--field-manager=somebody"],
        "a: theirs",
    );
}

#[test]
fn conflicts_fail_leaves_them_alone() {
    let mut stage = Stage::new("conflict", AGENT);
    stage.kubectl_apply(&WEB.replace("a: one", "a: theirs"), "somebody");
    stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", "conflicts: fail")]),
            ),
            ("shop/web.yaml", WEB),
        ],
    );
    stage.start();
    let message = stage.until_state("shop", "Blocked");
    let told = r#"the unit says `conflicts: fail`, and data.a: "theirs" (set by somebody"#;
    assert!(message.contains(told), "{message}");
    assert_eq!(stage.get("configmap", "settings")["data"]["a"], "theirs");
    stage.configure(&[("shop", "conflicts: take")]);
    stage.until_state("shop", "Synced");
    assert_eq!(stage.get("configmap", "settings")["data"]["a"], "one");
}
