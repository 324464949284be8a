//! What the API server refuses is told and left alone for a while, whatever was asked of it
//! and whatever it has against it; and what is wrong with one object is no outage.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::support::audit::AuditPosition;
use crate::support::control_plane::ControlPlane;
use crate::support::policy::denying;
use crate::support::programs::{Program, Programs};
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// How long is counted, and how often one and the same may be asked meanwhile.
const WINDOW: Duration = Duration::from_secs(20);
const MOST: usize = 6;

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
}

/// How often an agent has asked for a change since then, by verb, object and answer.
fn refused(stage: &Stage, since: AuditPosition) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in stage.cluster.audit_since(since) {
        let refused = event.response.code >= 400 && !matches!(&*event.verb, "get" | "list");
        if refused && event.object.namespace == stage.namespace {
            let object = &event.object;
            let line = format!("{} {} {}", event.verb, object.resource, object.name);
            *counts.entry(line).or_default() += 1;
        }
    }
    counts
}

/// Refuses one operation on what is named `kept-…`, and on what is in a namespace.
fn policy(stage: &Stage, operation: &str) -> String {
    let (name, namespace) = (
        format!("{}-{}", stage.namespace, operation.to_lowercase()),
        &stage.namespace,
    );
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {{apiGroups: [''], apiVersions: [v1], operations: [{operation}], resources: [configmaps]}}
  matchConditions:
  - {{name: kept, expression: \"request.name.startsWith('kept-')\"}}
  validations:
  - {{expression: 'false', message: 'kept by policy, {operation}'}}
---
{}",
        denying(&name, &name, namespace)
    )
}

/// Waits until a policy is in force, which takes the API server a moment.
fn enforce(stage: &Stage, operation: &str) {
    stage.cluster.kubectl_apply(&policy(stage, operation));
    let probe = format!("kept-probe-{}", operation.to_lowercase());
    crate::support::wait::wait("the policy to be in force", Duration::from_secs(30), || {
        let namespaced = |words: &[&str]| {
            let all = [&["-n", &stage.namespace][..], words].concat();
            stage.cluster.try_kubectl(&all)
        };
        // Neither changes anything.
        let told = match operation {
            "DELETE" => {
                let _ = namespaced(&["create", "configmap", &probe]);
                namespaced(&["delete", "configmap", &probe, "--dry-run=server"])
            }
            _ => namespaced(&["create", "configmap", &probe, "--dry-run=server"]),
        };
        told.is_err_and(|error| format!("{error:#}").contains("kept by policy"))
            .then_some(())
    });
}

/// Takes the policy against an operation away.
fn withdraw(stage: &Stage, operation: &str) {
    let name = format!("{}-{}", stage.namespace, operation.to_lowercase());
    for kind in [
        "validatingadmissionpolicybinding",
        "validatingadmissionpolicy",
    ] {
        stage.cluster.kubectl(&["delete", kind, &name]);
    }
}

/// Takes the policy against deletions away, and waits until the API server has noticed: it
/// goes on refusing for a moment.
fn allow(stage: &Stage, kept: &str) {
    withdraw(stage, "DELETE");
    crate::support::wait::wait(
        "the policy to be out of force",
        Duration::from_secs(30),
        || {
            let namespace = ["-n", &stage.namespace];
            let probe = ["delete", "configmap", kept, "--dry-run=server"];
            let told = stage
                .cluster
                .try_kubectl(&[&namespace[..], &probe].concat());
            told.is_ok().then_some(())
        },
    );
}

fn assert_few(stage: &Stage, since: AuditPosition) {
    let counts = refused(stage, since);
    println!("{counts:#?}");
    assert!(!counts.is_empty(), "nothing was refused");
    assert!(counts.values().all(|count| *count <= MOST), "{counts:#?}");
}

#[test]
fn a_refused_delete_is_told_and_not_sent_again_and_again() {
    let mut stage = Stage::new("kept", AGENT);
    stage
        .repository
        .write("shop/stays.yaml", &config_map("stays", "one"));
    stage
        .repository
        .write("shop/kept.yaml", &config_map("kept-one", "one"));
    stage
        .repository
        .write("gone/kept.yaml", &config_map("kept-two", "one"));
    let revision = stage.configure(&[("shop", ""), ("gone", "")]);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("gone", &revision);
    enforce(&stage, "DELETE");

    // One that left its unit, and one whose unit left the configuration.
    let begin = stage.cluster.audit_position();
    stage.repository.remove("shop/kept.yaml");
    stage.configure(&[("shop", "")]);
    let message = stage.until_state("shop", "Blocked");
    assert!(message.contains("kept-one"), "{message}");
    assert!(message.contains("deleting it was refused"), "{message}");
    assert!(message.contains("kept by policy"), "{message}");
    stage.until_state("gone", "Blocked");
    let log = stage.log();
    assert!(log.contains("deleting it was refused"), "{log}");

    // Other objects of the unit are looked after, and each event wakes it.
    for number in 0..5 {
        let patch = json!({"data": {"a": format!("theirs {number}")}}).to_string();
        stage.kubectl(&["patch", "configmap", "stays", "--type=merge", "-p", &patch]);
        stage.until("the drift to be reverted", |stage| {
            let live = stage.get("configmap", "stays")["data"]["a"].clone();
            if live == "one" {
                Ok(())
            } else {
                Err(live.to_string())
            }
        });
    }
    sleep(WINDOW);
    assert_few(&stage, begin);

    // A commit is a new reason to try.
    allow(&stage, "kept-one");
    stage.commit("Again", &[("shop/stays.yaml", &config_map("stays", "two"))]);
    stage.until_gone("configmap", "kept-one");
    stage.until_state("shop", "Synced");
    // What nobody touches is tried again by itself.
    stage.until_gone("configmap", "kept-two");
}

#[test]
fn whatever_is_refused_is_asked_a_few_times() {
    let cluster = ControlPlane::shared();
    let mut stage = Stage::new("refused", AGENT);
    let immutable = "apiVersion: v1
kind: ConfigMap
metadata: {name: fixed}
immutable: true
data: {a: one}
";
    let files = [
        ("changes/fixed.yaml", immutable.to_owned()),
        ("changes/open.yaml", config_map("open", "one")),
        ("policy/open.yaml", config_map("open-too", "one")),
        ("quota/open.yaml", config_map("open-three", "one")),
    ];
    for (path, text) in &files {
        stage.repository.write(path, text);
    }
    let units = [("changes", ""), ("policy", ""), ("quota", "")];
    let revision = stage.configure(&units);
    stage.start();
    for (unit, _) in units {
        stage.until_synced(unit, &revision);
    }
    enforce(&stage, "CREATE");
    let quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: none}\nspec: {hard: {count/secrets: '0'}}\n";
    cluster
        .kubectl_with(
            &["-n", &stage.namespace, "apply", "--server-side", "-f", "-"],
            quota,
        )
        .unwrap();
    crate::support::wait::wait("the quota to count", Duration::from_secs(30), || {
        let live = stage.get("resourcequota", "none");
        live["status"]["hard"].is_object().then_some(())
    });

    let begin = cluster.audit_position();
    stage.repository.remove("policy/open.yaml");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: one}\n";
    stage.commit(
        "Refused",
        &[
            ("changes/fixed.yaml", &immutable.replace("one", "two")),
            ("policy/kept.yaml", &config_map("kept-new", "one")),
            ("quota/secret.yaml", secret),
        ],
    );
    for (unit, words) in [
        ("changes", "immutable"),
        ("policy", "kept by policy"),
        ("quota", "exceeded quota"),
    ] {
        let message = stage.until_state(unit, "Blocked");
        assert!(message.contains(words), "{message}");
        assert!(message.contains(".yaml:"), "{message}");
    }
    let held = format!(
        "ConfigMap {0}/open-too is to be deleted, and waits for ConfigMap {0}/kept-new to be applied",
        stage.namespace
    );
    let message = stage.until_state("policy", "Blocked");
    assert!(message.contains(&held), "{message}");
    sleep(WINDOW);
    assert_few(&stage, begin);

    // Once nothing is in the way any more, all of it is done by itself.
    stage.kubectl(&["delete", "resourcequota", "none"]);
    withdraw(&stage, "CREATE");
    stage.until_state("quota", "Synced");
    stage.until_state("policy", "Synced");
    stage.until_gone("configmap", "open-too");
}

#[test]
fn what_the_server_makes_nothing_of_is_no_outage() {
    let mut stage = Stage::new("faulted", AGENT);
    let objects = [
        (
            "secret",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: odd}\ndata: {key: '%%%'}\n",
        ),
        (
            "service",
            "apiVersion: v1\nkind: Service\nmetadata: {name: odd}\nspec: {ports: [{port: 80, targetPort: 1.5}]}\n",
        ),
        (
            "lease",
            "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: odd}\nspec: {renewTime: yesterday}\n",
        ),
        (
            "pod",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: odd}\nspec: {containers: [{name: a, image: 'a:1', resources: {limits: {memory: 512Mib}}}]}\n",
        ),
    ];
    for (unit, text) in objects {
        let both = format!(
            "{text}---\n{}",
            config_map(&format!("beside-{unit}"), "one")
        );
        stage
            .repository
            .write(&format!("{unit}/objects.yaml"), &both);
    }
    let begin = stage.cluster.audit_position();
    stage.configure(&objects.map(|(unit, _)| (unit, "allowPlainSecrets: true")));
    stage.start();
    for (unit, _) in objects {
        let message = stage.until_state(unit, "Blocked");
        println!("{unit}: {message}");
        assert!(message.contains("objects.yaml:1"), "{message}");
        assert!(!message.contains("not available"), "{message}");
        // The others of its unit go on.
        let beside = format!("beside-{unit}");
        assert!(stage.get("configmap", &beside).is_object(), "{unit}");
    }
    assert!(!stage.log().contains("not available"), "{}", stage.log());
    sleep(WINDOW);
    assert_few(&stage, begin);

    // `--once` ends, and diff says the same.
    stage.daemon().terminate(Duration::from_secs(30));
    let once = stage.agent(&["run", "--repo", stage.repository.url(), "--once"]);
    let data = once.home().join("data");
    let ran = once
        .args(["--environment", &stage.environment, "--data-dir"])
        .args([data])
        .env("AGENT_IDENTITY", &stage.environment)
        .run();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let told = stage.diff(&[]);
    assert!(told.stdout.contains("blocked"), "{told:?}");
}

#[test]
fn a_status_that_is_declared_is_told_to_be_in_vain() {
    let mut stage = Stage::new("in-vain", AGENT);
    let of = |name: &str, status: &str| {
        let text = config_map(name, "one");
        format!("{text}status: {status}\n")
    };
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}",
        of("listed", "{phase: Done}")
            .trim_end()
            .replace('\n', "\n  ")
    );
    let empty = of("empty", "{conditions: [], accepted: {kind: ''}}");
    stage
        .repository
        .write("shop/a.yaml", &of("a", "{replicas: 3}"));
    stage.repository.write("shop/list.yaml", &list);
    stage.repository.write("shop/empty.yaml", &empty);
    let built = "resources: [it.yaml]\n";
    stage.repository.write("built/kustomization.yaml", built);
    stage
        .repository
        .write("built/it.yaml", &of("built", "{replicas: 3}"));
    let revision = stage.configure(&[("shop", ""), ("built", "")]);
    let words = "status is not applied";
    let programs = Programs::build(&[Program::Kustomize]).unwrap();
    let kustomize = programs.path(Program::Kustomize);
    let validated = stage.agent(&["validate"]).with_program(kustomize).run();
    assert_eq!(validated.code, Some(0), "{validated:?}");
    let told = [&*validated.stdout, &*validated.stderr].concat();
    for place in ["shop/a.yaml:5", "shop/list.yaml:8", "built/it.yaml:1"] {
        let told = told
            .lines()
            .any(|line| line.contains(place) && line.contains(words));
        assert!(told, "{place}: {validated:?}");
    }
    assert!(!told.contains("empty.yaml"), "{told}");

    stage.start_as(stage.invocation().with_program(kustomize));
    for (unit, places) in [
        ("shop", &["a.yaml:5", "list.yaml:8"][..]),
        ("built", &["it.yaml:1"]),
    ] {
        stage.until_synced(unit, &revision);
        let message = stage.unit(unit)["message"].to_string();
        for place in places {
            assert!(
                message.contains(place) && message.contains(words),
                "{message}"
            );
        }
    }
    let entry = stage.until_entry("sync shop");
    println!("{}", entry.message);
    assert!(stage.log().contains("a.yaml:5"), "{}", stage.log());
    let diff = stage.agent(&["diff", "--environment", &stage.environment]);
    assert_eq!(diff.with_program(kustomize).run().code, Some(0));
}
