//! What kubectl, Helm, Flux or Argo CD has applied is adopted without a change, and is
//! from then on as if the agent had made it: what leaves Git leaves the cluster.

use serde_json::Value;

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web, tier: front}, annotations: {example.com/note: hi}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: web:1
        ports: [{containerPort: 80}]
        env: [{name: ONE, value: one}, {name: TWO, value: two}]
        readinessProbe: {httpGet: {path: /, port: 80}}
      - {name: side, image: 'side:1', resources: {limits: {cpu: 100m}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: a, port: 80}, {name: b, port: 81}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: one, b: two}
";
const OBJECTS: [(&str, &str); 3] = [
    ("deployment", "web"),
    ("service", "web"),
    ("configmap", "settings"),
];

/// Each of these is in `WEB`, and leaves it.
const LESS: [(&str, &str); 6] = [
    (", tier: front", ""),
    (", annotations: {example.com/note: hi}", ""),
    (", {name: TWO, value: two}", ""),
    (
        "      - {name: side, image: 'side:1', resources: {limits: {cpu: 100m}}}\n",
        "",
    ),
    (", {name: b, port: 81}", ""),
    (", b: two", ""),
];

/// Somebody's kubectl makes the objects with these words; the agent adopts them.
fn adopted(name: &str, words: &[&str], manager: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    let words = [&["-n", &stage.namespace][..], words, &["-f", "-"]].concat();
    stage.cluster.kubectl_with(&words, WEB).unwrap();
    stage.cluster.wait_for_rollout(&stage.namespace, "web");
    let before = OBJECTS.map(|(kind, name)| told(&stage.get(kind, name)));

    stage
        .repository
        .write("agent.yaml", &stage.configuration(&[("shop", "")]));
    stage.repository.write("shop/web.yaml", WEB);
    let ran = stage.diff(&[]);
    let reason = format!("it exists, applied by {manager}");
    let adopting = ran.stdout.matches(&reason).count();
    assert_eq!(adopting, 3, "{reason}\n{}", ran.stdout);
    assert!(!ran.stdout.contains("fields of others"), "{}", ran.stdout);

    let revision = stage.commit("Start", &[]);
    stage.start();
    stage.until_synced("shop", &revision);
    let after = OBJECTS.map(|(kind, name)| told(&stage.get(kind, name)));
    assert_eq!(after, before, "uid, generation and values");
    let sets = stage.kubectl(&["get", "replicasets", "-oname"]);
    assert_eq!(sets.lines().count(), 1, "no roll-out: {sets}");
    let ran = stage.diff(&["-o", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    let shown: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(shown[0]["units"][0]["foreign"], serde_json::json!([]));
    assert_eq!(stage.entries().len(), 1, "{:#?}", stage.entries());
    stage
}

/// What makes a difference to people and controllers.
fn told(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for name in ["resourceVersion", "labels"] {
        metadata.remove(name);
    }
    object.as_object_mut().unwrap().remove("status");
    object
}

fn what_leaves_git_goes(stage: &mut Stage<'static>) {
    let mut less = WEB.to_owned();
    for (what, with) in LESS {
        assert!(less.contains(what), "{what}");
        less = less.replace(what, with);
    }
    let revision = stage.commit("Less", &[("shop/web.yaml", &less)]);
    stage.until_synced("shop", &revision);
    let web = stage.get("deployment", "web");
    assert_eq!(web["metadata"]["labels"]["tier"], Value::Null);
    assert_eq!(
        web["metadata"]["annotations"]["example.com/note"],
        Value::Null
    );
    let containers = &web["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().unwrap().len(), 1, "{containers:#}");
    let env = &containers[0]["env"];
    assert_eq!(env.as_array().unwrap().len(), 1, "{env:#}");
    let ports = &stage.get("service", "web")["spec"]["ports"];
    assert_eq!(ports.as_array().unwrap().len(), 1, "{ports:#}");
    let data = &stage.get("configmap", "settings")["data"];
    assert_eq!(*data, serde_json::json!({"a": "one"}));
    assert_eq!(stage.diff(&[]).code, Some(0));
}

#[test]
fn from_kubectl_apply() {
    let manager = "kubectl-client-side-apply (Update) at 20";
    what_leaves_git_goes(&mut adopted("kubectl", &["apply"], manager));
}

#[test]
fn from_kubectl_create() {
    let manager = "kubectl-create (Update) at 20";
    what_leaves_git_goes(&mut adopted("create", &["create"], manager));
}

#[test]
fn from_kubectl_apply_on_the_server_side() {
    let words = ["apply", "--server-side"];
    what_leaves_git_goes(&mut adopted("server", &words, "kubectl (Apply) at 20"));
}

#[test]
fn from_helm() {
    let words = ["create", "--field-manager=helm"];
    what_leaves_git_goes(&mut adopted("helm", &words, "helm (Update) at 20"));
}

#[test]
fn from_flux() {
    let words = [
        "apply",
        "--server-side",
        "--field-manager=kustomize-controller",
    ];
    let manager = "kustomize-controller (Apply) at 20";
    what_leaves_git_goes(&mut adopted("flux", &words, manager));
}

#[test]
fn from_argo_cd() {
    let words = ["apply", "--field-manager=argocd-controller"];
    let manager = "argocd-controller (Update) at 20";
    what_leaves_git_goes(&mut adopted("argo", &words, manager));
}

/// A tool that applies what is the agent's already co-owns it: quietly ended.
#[test]
fn from_whom_applies_the_same_later() {
    let mut stage = adopted("later", &["apply", "--server-side"], "kubectl (Apply)");
    stage.kubectl_apply(WEB, "kubectl");
    stage.until("kubectl to own nothing", |stage| {
        let words = [
            "get",
            "deployment",
            "web",
            "-ojson",
            "--show-managed-fields",
        ];
        let web: Value = serde_json::from_str(&stage.kubectl(&words)).unwrap();
        let entries = web["metadata"]["managedFields"].as_array().unwrap();
        let kubectl = entries.iter().find(|entry| entry["manager"] == "kubectl");
        let left = kubectl.map(|entry| entry["fieldsV1"].to_string());
        left.map_or(Ok(()), Err)
    });
    what_leaves_git_goes(&mut stage);
    let mut entries = stage.entries();
    // A roll-out that takes its time is told of as well.
    entries.retain(|entry| entry.trailer("Cause").as_deref() != Some("health"));
    assert_eq!(entries.len(), 2, "{entries:#?}");
}
