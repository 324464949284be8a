//! What the cluster itself makes of what is declared is no drift: it is neither told nor
//! written again.

use serde_json::{Value, json};

use crate::support::audit::AuditPosition;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;
use crate::support::webhook;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: web:1
        env: [{name: ONE, value: one}]
        resources: {requests: {cpu: 100m}}
";
const FENCE: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: fence}
data: {a: one}
";

/// A unit `shop` with these files, and one to tell by that everything before was seen.
fn synced(stage: &mut Stage, files: &[(&str, &str)]) -> AuditPosition {
    let configuration = stage.configuration(&[("shop", ""), ("fence", "")]);
    let mut all = vec![("agent.yaml", &*configuration), ("fence/fence.yaml", FENCE)];
    all.extend(files);
    let revision = stage.commit("Start", &all);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("fence", &revision);
    stage.cluster.audit_position()
}

/// Waits until the agent has seen everything that was done before.
fn pass_the_fence(stage: &mut Stage, value: &str) {
    let patch = format!(r#"{{"data":{{"a":"{value}"}}}}"#);
    stage.kubectl(&["patch", "configmap", "fence", "--type=merge", "-p", &patch]);
    let told = format!("\"one\" -> \"{value}\"");
    stage.until("the fence's drift to be recorded and reverted", |stage| {
        let entries = stage.entries();
        let at = entries
            .iter()
            .position(|entry| entry.message.contains(&told));
        let mut after = entries[at.ok_or("not found yet")?..].iter();
        let reverted = after.any(|entry| entry.subject.contains("revert drift on ConfigMap"));
        reverted
            .then_some(())
            .ok_or_else(|| "not reverted yet".to_owned())
    });
}

/// Nothing but the fence was written since then or is told as drift, and `agent diff`
/// agrees; a server's dry-run may have been asked for, so many times at most.
fn assert_left_alone(stage: &Stage, since: AuditPosition, dry_runs: usize) {
    let writes: Vec<String> = stage
        .writes_since(since)
        .into_iter()
        .filter(|event| event.object.name != "fence")
        .map(|event| format!("{} {}", event.verb, event.uri))
        .collect();
    assert!(writes.is_empty(), "{writes:#?}");
    let asked = stage
        .cluster
        .audit_since(since)
        .into_iter()
        .filter(|event| {
            event.is_dry_run()
                && event.object.namespace == stage.namespace
                && event.user_agent.starts_with("gitops-agent/")
        });
    let asked: Vec<String> = asked.map(|event| event.uri).collect();
    assert!(asked.len() <= dry_runs, "{asked:#?}");
    let drift: Vec<String> = stage
        .entries()
        .into_iter()
        .filter(|entry| entry.trailer("Cause").as_deref() == Some("drift"))
        .filter(|entry| entry.trailer("Unit").as_deref() == Some("shop"))
        .map(|entry| entry.message)
        .collect();
    assert!(drift.is_empty(), "{drift:#?}");
    assert_eq!(stage.unit("shop")["state"], "Synced");
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// A restart asks anew what only the server knows, and finds the same.
fn assert_left_alone_after_a_restart(stage: &mut Stage, dry_runs: usize) {
    let since = stage.cluster.audit_position();
    stage.daemon().restart();
    pass_the_fence(stage, "restarted");
    assert_left_alone(stage, since, dry_runs);
}

#[test]
fn a_deployment_that_an_autoscaler_scales() {
    const AUTOSCALER: &str = "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 6
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}
";
    let mut stage = Stage::new("autoscaled", AGENT);
    let since = synced(
        &mut stage,
        &[("shop/web.yaml", WEB), ("shop/autoscaler.yaml", AUTOSCALER)],
    );
    let replicas = |stage: &Stage| stage.get("deployment", "web")["spec"]["replicas"].clone();
    // It has no metrics to go by, but a least number.
    stage.until("the autoscaler to scale", |stage| match replicas(stage) {
        Value::Number(two) if two == 2.into() => Ok(()),
        other => Err(other.to_string()),
    });
    stage.cluster.wait_for_rollout(&stage.namespace, "web");
    // As it does with metrics: by the subresource, under its controller's name.
    for replicas in [5, 3] {
        let patch = json!({"spec": {"replicas": replicas}}).to_string();
        let scale = [
            "patch",
            "deployment",
            "web",
            "--subresource=scale",
            "--type=merge",
        ];
        let manager = ["--field-manager=kube-controller-manager", "-p", &patch];
        stage.kubectl(&[&scale[..], &manager].concat());
        stage.cluster.wait_for_rollout(&stage.namespace, "web");
    }
    pass_the_fence(&mut stage, "scaled");
    assert_left_alone(&stage, since, 0);
    assert_eq!(replicas(&stage), 3);
    assert_left_alone_after_a_restart(&mut stage, 0);
    assert_eq!(replicas(&stage), 3);
}

/// Takes images from a mirror, and adds a container and a label, as meshes and policies do.
fn mutate(object: &Value) -> Value {
    let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
    let image = image.as_str().unwrap_or_default();
    let mirrored = format!(
        "mirror.example.com/{}",
        image.trim_start_matches("mirror.example.com/")
    );
    let mut patch = vec![
        json!({"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": mirrored}),
    ];
    let containers = object["spec"]["template"]["spec"]["containers"].as_array();
    if containers.is_some_and(|all| all.len() == 1) {
        let proxy = json!({"name": "proxy", "image": "proxy:1"});
        patch
            .push(json!({"op": "add", "path": "/spec/template/spec/containers/-", "value": proxy}));
        patch.push(
            json!({"op": "add", "path": "/spec/template/metadata/labels/mesh", "value": "on"}),
        );
    }
    json!(patch)
}

/// The API server learns of a webhook by a watch.
fn until_in_force(stage: &Stage) {
    wait_seeing("the webhook to be called", PATIENCE, || {
        let answer = stage.as_created(WEB);
        if answer.contains("mirror.example.com") {
            Ok(())
        } else {
            Err(answer)
        }
    });
}

#[test]
fn a_pod_template_that_a_webhook_rewrites() {
    let mut stage = Stage::new("mutated", AGENT);
    let client = webhook::serve(stage.cluster, mutate).unwrap();
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": stage.namespace},
        "webhooks": [{
            "name": "mutate.example.com",
            "clientConfig": client,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "reinvocationPolicy": "IfNeeded",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}},
            "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}],
        }],
    });
    stage.cluster.kubectl_apply(&configuration.to_string());
    until_in_force(&stage);
    let since = synced(&mut stage, &[("shop/web.yaml", WEB)]);
    let template = |stage: &Stage| stage.get("deployment", "web")["spec"]["template"].clone();
    assert_eq!(
        template(&stage)["spec"]["containers"][0]["image"],
        "mirror.example.com/web:1"
    );
    assert_eq!(template(&stage)["spec"]["containers"][1]["name"], "proxy");
    stage.cluster.wait_for_rollout(&stage.namespace, "web");
    pass_the_fence(&mut stage, "mutated");
    assert_left_alone(&stage, since, 1);
    assert_left_alone_after_a_restart(&mut stage, 1);

    // What is declared anew gets through all the same.
    let next = WEB.replace("web:1", "web:2");
    let revision = stage.commit("Two", &[("shop/web.yaml", &next)]);
    stage.until_synced("shop", &revision);
    assert_eq!(
        template(&stage)["spec"]["containers"][0]["image"],
        "mirror.example.com/web:2"
    );
    let since = stage.cluster.audit_position();
    pass_the_fence(&mut stage, "again");
    assert_left_alone(&stage, since, 1);
}

#[test]
fn an_object_whose_definition_fills_it_in() {
    let mut stage = Stage::new("defaulted", AGENT);
    let group = format!("{}.example.com", stage.namespace);
    let definition = DEFINITION.replace("GROUP", &group);
    let widget = WIDGET.replace("GROUP", &group);
    let since = synced(
        &mut stage,
        &[
            ("shop/definition.yaml", &definition),
            ("shop/widget.yaml", &widget),
        ],
    );
    let live = stage.get(&format!("widgets.{group}"), "one");
    assert_eq!(live["spec"]["colour"], "red", "{live}");
    assert_eq!(live["spec"]["parts"][0]["count"], 1, "{live}");
    assert_eq!(live["spec"]["open"], json!({"kept": true}), "{live}");
    pass_the_fence(&mut stage, "defaulted");
    assert_left_alone(&stage, since, 1);
    assert_left_alone_after_a_restart(&mut stage, 1);

    // Another default comes with another definition; the object declares none.
    let revision = stage.commit(
        "Blue",
        &[(
            "shop/definition.yaml",
            &definition.replace("default: red", "default: blue"),
        )],
    );
    stage.until_synced("shop", &revision);
    let since = stage.cluster.audit_position();
    stage.kubectl(&[
        "annotate",
        &format!("widgets.{group}/one"),
        "example.com/note=hello",
    ]);
    pass_the_fence(&mut stage, "blue");
    assert_left_alone(&stage, since, 1);
}

/// What nobody knows the shape of is compared as JSON, whole.
#[test]
fn a_field_of_free_form() {
    let mut stage = Stage::new("freeform", AGENT);
    let group = format!("{}.example.com", stage.namespace);
    let definition = FREE.replace("GROUP", &group);
    let since = synced(
        &mut stage,
        &[
            ("shop/definition.yaml", &definition),
            ("shop/chart.yaml", &CHART.replace("GROUP", &group)),
            ("shop/revision.yaml", REVISION),
        ],
    );
    let live = stage.get("controllerrevision", "one");
    assert_eq!(
        live["data"]["spec"]["list"],
        json!([1, {"a": []}]),
        "{live}"
    );
    pass_the_fence(&mut stage, "free");
    assert_left_alone(&stage, since, 1);
    let patches = stage.writes().into_iter();
    let patches = patches.filter(|event| event.object.resource == "controllerrevisions");
    assert_eq!(patches.count(), 1);
    assert_left_alone_after_a_restart(&mut stage, 1);

    let chart = format!("charts.{group}");
    let patch = r#"{"values":{"deep":{"list":[2]}}}"#;
    stage.kubectl(&[
        "patch",
        &chart,
        "one",
        "--type=merge",
        "--field-manager=anna",
        "-p",
        patch,
    ]);
    stage.until_entry("anna changed Chart");
    stage.until("it to be put back", |stage| {
        let live = stage.get(&chart, "one")["values"]["deep"]["list"].clone();
        if live == json!([1, {"b": ""}]) {
            Ok(())
        } else {
            Err(live.to_string())
        }
    });

    // Who added something before has no part in what another changes.
    let more = r#"{"values":{"map":{"extra":1}}}"#;
    let adder = "--field-manager=adder";
    stage.kubectl(&["patch", &chart, "one", "--type=merge", adder, "-p", more]);
    stage.until_entry("found fields of adder on Chart");
    let changed = r#"{"values":{"map":{"key":"two"}}}"#;
    let other = "--field-manager=otto";
    stage.kubectl(&["patch", &chart, "one", "--type=merge", other, "-p", changed]);
    let entry = stage.until_entry("otto changed Chart");
    assert!(!entry.message.contains("extra"), "{}", entry.message);
    assert_eq!(entry.trailer("Actor").as_deref(), Some("otto"));
}

const FREE: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: charts.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {plural: charts, singular: chart, kind: Chart, listKind: ChartList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          values: {type: object, x-kubernetes-preserve-unknown-fields: true}
          template: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}
          any: {x-kubernetes-preserve-unknown-fields: true}
";
const CHART: &str = "apiVersion: GROUP/v1
kind: Chart
metadata: {name: one}
values: {deep: {list: [1, {b: ''}], none: {}, empty: []}, map: {key: one}, cpu: 1000m}
template: {apiVersion: v1, kind: ConfigMap, metadata: {name: inner}, data: {a: '1'}}
any: [1, [2, {three: 3}], text]
";
const REVISION: &str = "apiVersion: apps/v1
kind: ControllerRevision
metadata: {name: one}
revision: 1
data: {spec: {list: [1, {a: []}], zero: 0, text: ''}, kind: Anything}
";

/// A create would drop it silently; it is refused, once, instead of being missed for ever.
#[test]
fn a_field_that_the_definition_does_not_know() {
    let mut stage = Stage::new("undefined", AGENT);
    let group = format!("{}.example.com", stage.namespace);
    let definition = DEFINITION.replace("GROUP", &group);
    let widget = WIDGET.replace("GROUP", &group);
    synced(
        &mut stage,
        &[
            ("shop/definition.yaml", &definition),
            ("shop/widget.yaml", &widget),
        ],
    );
    let unknown = widget.replace("size: 3", "unheard: of");
    stage.commit("Unheard", &[("shop/widget.yaml", &unknown)]);
    let message = stage.until_state("shop", "Blocked");
    assert!(message.contains(".spec.unheard"), "{message}");
    let since = stage.cluster.audit_position();
    pass_the_fence(&mut stage, "blocked");
    let mut writes = stage.writes_since(since);
    writes.retain(|event| event.object.name != "fence");
    assert!(writes.is_empty(), "{writes:#?}");
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains(".spec.unheard"), "{ran:?}");
    let revision = stage.commit(
        "Known",
        &[("shop/widget.yaml", &widget.replace("size: 3", "size: 4"))],
    );
    stage.until_synced("shop", &revision);
}

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer}
              colour: {type: string, default: red}
              note: {type: string, nullable: true, default: none}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name, side]
                items:
                  type: object
                  required: [name]
                  properties:
                    name: {type: string}
                    side: {type: string, default: left}
                    count: {type: integer, default: 1}
              open: {type: object, x-kubernetes-preserve-unknown-fields: true}
";
const WIDGET: &str = "apiVersion: GROUP/v1
kind: Widget
metadata: {name: one}
spec:
  size: 3
  parts: [{name: door}, {name: door, side: right, count: 2}]
  open: {kept: true}
";
