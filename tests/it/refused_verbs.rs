//! Every verb of the agent's against what may refuse it: it is told in the status, by object,
//! and asked a few times.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::support::audit::AuditPosition;
use crate::support::policy::denying;
use crate::support::stage::Stage;
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const WINDOW: Duration = Duration::from_secs(20);
const MOST: usize = 6;
const DETACH: &str = "annotations: {client.lifecycle.config.k8s.io/deletion: detach}";

/// The units, each with what is done to its one object, and with more settings.
const UNITS: [(&str, &str); 6] = [
    ("create", ""),
    ("change", ""),
    ("delete", ""),
    ("detach", ""),
    ("clear", "foreignFields: revert"),
    ("replace", "replace: true"),
];

/// What is refused of the other objects.
#[derive(Clone, Copy)]
enum Others {
    /// Nothing.
    Writable,
    /// Everything too.
    Refused,
}

fn config_map(name: &str, more: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, {more}}}\ndata: {{a: {value}}}\n"
    )
}

fn kept(unit: &str, value: &str) -> String {
    let name = format!("kept-{unit}");
    match unit {
        "detach" => config_map(&name, DETACH, value),
        "replace" => format!("{}immutable: true\n", config_map(&name, "", value)),
        _ => config_map(&name, "", value),
    }
}

/// An account of its own for the agent, which may do everything.
fn account(stage: &Stage) -> String {
    let name = format!("{}-agent", stage.namespace);
    stage.kubectl(&["create", "serviceaccount", "agent"]);
    let bound = format!("--serviceaccount={}:agent", stage.namespace);
    let admin = [
        "create",
        "clusterrolebinding",
        &name,
        "--clusterrole=cluster-admin",
        &bound,
    ];
    stage.cluster.kubectl(&admin);
    format!("system:serviceaccount:{}:agent", stage.namespace)
}

/// Starts an agent under its account, with each unit synced but for the one to be created.
fn synced(stage: &mut Stage) {
    for (unit, _) in UNITS {
        let open = config_map(&format!("open-{unit}"), "", "one");
        stage.repository.write(&format!("{unit}/open.yaml"), &open);
        if unit != "create" {
            stage
                .repository
                .write(&format!("{unit}/kept.yaml"), &kept(unit, "one"));
        }
    }
    let revision = stage.configure(&UNITS);
    let kubeconfig = stage
        .cluster
        .kubeconfig_for_account(&stage.namespace, "agent");
    stage.start_as(stage.invocation().kubeconfig(kubeconfig));
    for (unit, _) in UNITS {
        stage.until_synced(unit, &revision);
    }
}

/// Asks for everything that is refused by now, and counts.
fn assert_told_and_few(stage: &mut Stage, words: &str, others: Others) {
    let begin = stage.cluster.audit_position();
    stage.repository.remove("delete/kept.yaml");
    stage.repository.remove("detach/kept.yaml");
    for unit in ["create", "change", "replace"] {
        stage
            .repository
            .write(&format!("{unit}/kept.yaml"), &kept(unit, "two"));
    }
    stage.commit("Have it refused", &[]);
    let foreign = json!({"data": {"theirs": "added"}}).to_string();
    stage.kubectl(&[
        "patch",
        "configmap",
        "kept-clear",
        "--type=merge",
        "-p",
        &foreign,
    ]);
    for (unit, _) in UNITS {
        let message = stage.until_state(unit, "Blocked");
        println!("{unit}: {message}");
        let told = message.contains(&format!("kept-{unit}")) && message.contains(words);
        assert!(told, "{unit}: {message}");
    }
    // Other objects are looked after, and each event wakes their units.
    let rounds = match others {
        Others::Writable => 4,
        Others::Refused => 0,
    };
    for number in 0..rounds {
        for (unit, _) in UNITS {
            let patch = json!({"data": {"a": format!("theirs {number}")}}).to_string();
            let name = format!("open-{unit}");
            stage.kubectl(&["patch", "configmap", &name, "--type=merge", "-p", &patch]);
        }
        stage.until("drift to be put back", |stage| {
            let drifted = UNITS.iter().map(|(unit, _)| {
                let live = stage.get("configmap", &format!("open-{unit}"));
                live["data"]["a"].as_str().unwrap_or_default().to_owned()
            });
            let drifted: Vec<String> = drifted.filter(|value| value != "one").collect();
            if drifted.is_empty() {
                Ok(())
            } else {
                Err(drifted.join(", "))
            }
        });
    }
    sleep(WINDOW);
    let counts = refused(stage, begin);
    println!("{counts:#?}");
    for (unit, _) in UNITS {
        let name = format!("kept-{unit}");
        let count: usize = counts
            .iter()
            .filter(|(line, _)| line.ends_with(&name))
            .map(|(_, count)| count)
            .sum();
        assert!((1..=MOST).contains(&count), "{name}: {counts:#?}");
    }
}

/// How often an agent has asked for a change in vain since then, by verb and object.
fn refused(stage: &Stage, since: AuditPosition) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in stage.cluster.audit_since(since) {
        let ours = event.user_agent.starts_with("gitops-agent/")
            && event.object.namespace == stage.namespace;
        if ours && event.response.code >= 400 && !matches!(&*event.verb, "get" | "list" | "watch") {
            let line = format!("{} {}", event.verb, event.object.name);
            *counts.entry(line).or_default() += 1;
        }
    }
    counts
}

#[test]
fn by_an_admission_policy() {
    let mut stage = Stage::new("verbs-policy", AGENT);
    let user = account(&stage);
    synced(&mut stage);
    let name = format!("{}-verbs", stage.namespace);
    // A replacement is refused where it deletes; before that the change is, as immutable.
    stage.cluster.kubectl_apply(&format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    resourceRules:
    - {{apiGroups: [''], apiVersions: [v1], operations: [CREATE, UPDATE, DELETE], resources: [configmaps]}}
  matchConditions:
  - {{name: agent, expression: \"request.userInfo.username == '{user}'\"}}
  - {{name: kept, expression: \"request.name.startsWith('kept-')\"}}
  - {{name: replaced, expression: \"request.operation == 'DELETE' || request.name != 'kept-replace'\"}}
  validations:
  - {{expression: 'false', message: 'kept by policy'}}
---
{}",
        denying(&name, &name, &stage.namespace)
    ));
    wait_seeing("the policy to be in force", Duration::from_secs(30), || {
        let probe = [
            "delete",
            "configmap",
            "kept-delete",
            "--dry-run=server",
            "--as",
            &user,
        ];
        let all = [&["-n", &stage.namespace][..], &probe].concat();
        match stage.cluster.try_kubectl(&all) {
            Err(error) if format!("{error:#}").contains("kept by policy") => Ok(()),
            told => Err(format!("{told:?}")),
        }
    });
    assert_told_and_few(&mut stage, "kept by policy", Others::Writable);
}

#[test]
fn by_missing_rights() {
    let mut stage = Stage::new("verbs-rights", AGENT);
    let user = account(&stage);
    synced(&mut stage);
    let (namespace, inventories) = (&stage.namespace, &stage.inventories);
    let name = format!("{namespace}-agent");
    // It may see everything, keep its own, and change what is to be replaced.
    stage.cluster.kubectl_apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {name}-sees}}
rules:
- {{apiGroups: ['*'], resources: ['*'], verbs: [get, list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {name}-sees}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}-sees}}
subjects: [{{kind: ServiceAccount, name: agent, namespace: {namespace}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: agent, namespace: {inventories}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: ServiceAccount, name: agent, namespace: {namespace}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: replace, namespace: {namespace}}}
rules:
- {{apiGroups: [''], resources: [configmaps], resourceNames: [kept-replace], verbs: [patch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: replace, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: replace}}
subjects: [{{kind: ServiceAccount, name: agent, namespace: {namespace}}}]
"
    ));
    stage
        .cluster
        .kubectl(&["delete", "clusterrolebinding", &name]);
    wait_seeing("the rights to be gone", Duration::from_secs(30), || {
        let may = |verb: &str, object: &str| {
            let all = [
                "-n", namespace, "auth", "can-i", verb, object, "--as", &user,
            ];
            stage.cluster.try_kubectl(&all).is_ok()
        };
        let gone =
            !may("patch", "configmaps/kept-change") && !may("delete", "configmaps/kept-delete");
        let kept = may("patch", "configmaps/kept-replace");
        if gone && kept {
            Ok(())
        } else {
            Err(format!("gone: {gone}, kept: {kept}"))
        }
    });
    assert_told_and_few(&mut stage, "forbidden", Others::Refused);
}
