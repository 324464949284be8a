//! Each object is compared in the version that it is declared in, and a version that is not
//! served is the affair of who declares it.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::support::control_plane::ControlPlane;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(version: &str, name: &str) -> String {
    format!(
        "apiVersion: {version}\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: one}}\n"
    )
}

fn autoscaler(version: &str, name: &str) -> String {
    let target = match version {
        "v1" => "targetCPUUtilizationPercentage: 60".to_owned(),
        _ => "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]".to_owned(),
    };
    format!(
        "apiVersion: autoscaling/{version}
kind: HorizontalPodAutoscaler
metadata: {{name: {name}}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}
  minReplicas: 1
  maxReplicas: 3
  {target}
"
    )
}

#[test]
fn a_version_that_is_not_served_blocks_its_object_alone() {
    let mut stage = Stage::new("unserved", AGENT);
    let files = [
        ("good/a.yaml", config_map("v1", "a")),
        ("good/b.yaml", config_map("v1", "b")),
        ("odd/c.yaml", config_map("v1", "c")),
        ("odd/d.yaml", config_map("v1", "d")),
    ];
    for (path, text) in &files {
        stage.repository.write(path, text);
    }
    stage
        .repository
        .write("scaled/hpa.yaml", &autoscaler("v2", "web"));
    let revision = stage.configure(&[("good", ""), ("odd", ""), ("scaled", "")]);
    stage.start();
    stage.until_synced("good", &revision);

    stage.repository.write("odd/d.yaml", &config_map("v2", "d"));
    stage
        .repository
        .write("scaled/hpa.yaml", &autoscaler("v2beta2", "web"));
    stage.commit("A version that is not served", &[]);
    let message = stage.until_state("odd", "Blocked");
    assert!(message.contains("d.yaml:1"), "{message}");
    let words = "v2 of ConfigMap is not served; the cluster has v1";
    assert!(message.contains(words), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    let message = stage.until_state("scaled", "Blocked");
    let words =
        "autoscaling/v2beta2 of HorizontalPodAutoscaler is no longer served; the cluster has v2";
    assert!(message.contains(words), "{message}");
    assert!(!message.contains("CustomResourceDefinition"), "{message}");

    // Everything else of the kind is looked after: in its own unit, and in others.
    stage.kubectl(&["delete", "configmap", "a", "c"]);
    for name in ["a", "c"] {
        stage.until(&format!("{name} to be there again"), |stage| {
            let seen = stage.get("configmap", name);
            if seen.is_object() {
                Ok(())
            } else {
                Err(stage.status().to_string())
            }
        });
    }
    stage.repository.remove("good/b.yaml");
    stage.commit("Remove", &[]);
    stage.until_gone("configmap", "b");

    let told = stage.diff(&[]);
    assert!(
        told.stdout.contains("v2 of ConfigMap is not served"),
        "{told:?}"
    );
    stage.repository.write("odd/d.yaml", &config_map("v1", "d"));
    stage
        .repository
        .write("scaled/hpa.yaml", &autoscaler("v2", "web"));
    stage.commit("Mend", &[]);
    stage.until_state("odd", "Synced");
    stage.until_state("scaled", "Synced");
}

#[test]
fn two_versions_of_a_kind_are_both_as_declared() {
    let cluster = ControlPlane::shared();
    let mut stage = Stage::new("two-versions", AGENT);
    for (path, version, name) in [
        ("both/one.yaml", "v1", "one"),
        ("both/two.yaml", "v2", "two"),
        ("both/three.yaml", "v2", "three"),
        ("first/four.yaml", "v1", "four"),
    ] {
        stage.repository.write(path, &autoscaler(version, name));
    }
    let revision = stage.configure(&[("both", ""), ("first", "")]);
    stage.start();
    for unit in ["both", "first"] {
        stage.until_synced(unit, &revision);
    }

    // At rest nothing is asked.
    let (begin, entries) = (cluster.audit_position(), stage.entries().len());
    sleep(Duration::from_secs(5));
    let asked: Vec<String> = cluster
        .audit_since(begin)
        .into_iter()
        .filter(|event| event.user_agent.starts_with("gitops-agent/"))
        .filter(|event| event.object.namespace == stage.namespace)
        .map(|event| format!("{} {}", event.verb, event.uri))
        .collect();
    assert!(asked.is_empty(), "{asked:#?}");
    assert_eq!(stage.entries().len(), entries);

    // Drift is put back in each, and told by whom and where in the declared version.
    for name in ["one", "two", "four"] {
        let patch = json!({"spec": {"maxReplicas": 9}}).to_string();
        stage.kubectl(&["patch", "hpa", name, "--type=merge", "-p", &patch]);
        stage.until(&format!("{name} to be put back"), |stage| {
            let live = stage.get("hpa", name)["spec"]["maxReplicas"].clone();
            if live == 3 {
                Ok(())
            } else {
                Err(live.to_string())
            }
        });
    }
    stage.until("each revert to be told", |stage| {
        let told = stage.entries_on("revert drift").len();
        if told == 3 {
            Ok(())
        } else {
            Err(told.to_string())
        }
    });
    for unit in ["both", "first"] {
        stage.until_state(unit, "Synced");
    }
    // The record has each in the version that it is declared in, and tells nothing else.
    let entries = stage.entries();
    for entry in &entries {
        assert!(!entry.subject.contains("as it is live"), "{entries:#?}");
        for (path, version) in [("one", 1), ("two", 2), ("three", 2)] {
            let path = format!(
                "both/{}/HorizontalPodAutoscaler.autoscaling/{path}.yaml",
                stage.namespace
            );
            // The first entry may be the other unit's.
            let Some(file) = stage.repository.show(&entry.hash, &path) else {
                continue;
            };
            let expected = format!("apiVersion: autoscaling/v{version}");
            assert!(file.contains(&expected), "{}: {file}", entry.subject);
        }
    }
    // What others write besides is no drift.
    stage.kubectl(&["annotate", "hpa", "one", "example.com/note=hello"]);
    sleep(Duration::from_secs(2));
    let contended = stage.log().contains("contended");
    assert!(!contended, "{}", stage.log());
    let told = stage.diff(&[]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains("no difference"), "{told:?}");
}

/// A CRD whose newer version is served, and whose older one may be.
fn definition(first_is_served: bool) -> String {
    let schema =
        "schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}";
    let second_is_stored = !first_is_served;
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: things.retired.example}}
spec:
  group: retired.example
  scope: Namespaced
  names: {{kind: Thing, plural: things}}
  versions:
  - {{name: v1, served: {first_is_served}, storage: {first_is_served}, {schema}}}
  - {{name: v2, served: true, storage: {second_is_stored}, {schema}}}
"
    )
}

fn thing(version: &str, name: &str) -> String {
    format!(
        "apiVersion: retired.example/{version}\nkind: Thing\nmetadata: {{name: {name}}}\nspec: {{size: 1}}\n"
    )
}

fn size(stage: &Stage<'_>, name: &str) -> serde_json::Value {
    stage.get("things.v2.retired.example", name)["spec"]["size"].clone()
}

fn resize(stage: &Stage<'_>, name: &str) {
    let (kind, patch) = ("things.v2.retired.example", r#"{"spec":{"size":9}}"#);
    stage.kubectl(&[
        "patch",
        kind,
        name,
        "--field-manager=fred",
        "--type=merge",
        "-p",
        patch,
    ]);
}

#[test]
fn a_version_that_stops_being_served_takes_no_object_for_gone() {
    let cluster = ControlPlane::shared();
    cluster.kubectl_apply(&definition(true));
    let mut stage = Stage::new("retired", AGENT);
    for (path, version, name) in [
        ("old/one.yaml", "v1", "one"),
        ("old/two.yaml", "v1", "two"),
        ("new/three.yaml", "v2", "three"),
    ] {
        stage.repository.write(path, &thing(version, name));
    }
    let revision = stage.configure(&[("new", ""), ("old", "")]);
    stage.start();
    for unit in ["new", "old"] {
        stage.until_synced(unit, &revision);
    }

    cluster.kubectl_apply(&definition(false));
    resize(&stage, "one");
    let message = stage.until_state("old", "Blocked");
    let words = "retired.example/v1 of Thing is no longer served; the cluster has v2";
    assert!(message.contains(words), "{message}");
    let told = stage.diff(&[]);
    assert!(told.stdout.contains(words), "{told:?}");
    wait_seeing("the served version to be watched", PATIENCE, || {
        let log = stage.log();
        let moved = log.contains("is not served any more; another one is watched");
        moved.then_some(()).ok_or(log)
    });
    resize(&stage, "two");
    // What is declared in the version that is served is looked after.
    resize(&stage, "three");
    stage.until("three to be put back", |stage| match size(stage, "three") {
        size if size == 1 => Ok(()),
        size => Err(size.to_string()),
    });
    let deleted = stage.entries_on("deleted");
    assert!(deleted.is_empty(), "{deleted:#?}");
    assert_eq!(stage.unit("old")["state"], "Blocked");
    assert_eq!(size(&stage, "one"), 9);

    for name in ["one", "two"] {
        let path = format!("old/{name}.yaml");
        stage.repository.write(&path, &thing("v2", name));
    }
    let revision = stage.commit("Move on", &[]);
    stage.until_synced("old", &revision);
    assert_eq!(size(&stage, "one"), 1);
    let told = stage.until_entry("sync old");
    let fred = told.message.matches("spec.size: 9 (set by fred").count();
    assert_eq!(fred, 2, "{}", told.message);
}
