//! What is live is told by watches: what they cost, what interrupts them, and what they
//! do where the rights or the server allow less.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rustix::process::Signal;

use crate::support::audit::{AuditEvent, AuditPosition};
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::parts::Part;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::{unique, wait_seeing};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// One object of each of four kinds.
const ALL: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: config}
data: {a: one}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'web:1'}]}
";
const KINDS: [&str; 4] = ["configmaps", "services", "serviceaccounts", "deployments"];

fn plane(flags: &[&str]) -> ControlPlane {
    let options = Options {
        nodes: 0,
        api_server_flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        ..Options::default()
    };
    ControlPlane::start(&options).unwrap()
}

/// What agents have asked for since then.
fn asked(cluster: &ControlPlane, since: AuditPosition) -> Vec<AuditEvent> {
    let mut events = cluster.audit_since(since);
    events.retain(|event| event.user_agent.starts_with("gitops-agent/"));
    events
}

/// Lists of what carries an ApplySet's label, by resource.
fn lists(events: &[AuditEvent], is: impl Fn(&AuditEvent) -> bool) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let ours = events.iter().filter(|event| {
        event.uri.contains("labelSelector=applyset.kubernetes.io") && event.stage != "Panic"
    });
    for event in ours.filter(|event| is(event)) {
        *counts.entry(event.object.resource.clone()).or_insert(0) += 1;
    }
    counts
}

fn streamed(event: &AuditEvent) -> bool {
    let begins = event.stage == "ResponseStarted" || event.response.code >= 400;
    event.uri.contains("sendInitialEvents=true") && begins
}

fn paged(event: &AuditEvent) -> bool {
    event.verb == "list"
}

fn revert_a_drift(stage: &mut Stage) {
    let before = stage.entries_on("revert drift").len();
    stage.kubectl(&[
        "patch",
        "configmap",
        "config",
        "-p",
        r#"{"data":{"a":"other"}}"#,
    ]);
    stage.until("the drift to be reverted", |stage| {
        let reverted = stage.entries_on("revert drift").len() > before;
        let live = stage.get("configmap", "config")["data"]["a"].clone();
        if reverted && live == "one" {
            Ok(())
        } else {
            Err(live.to_string())
        }
    });
}

#[test]
fn lists_are_streamed_and_had_anew_as_often_as_is_said() {
    let cluster = plane(&[]);
    let mut stage = Stage::on(&cluster, "relist", AGENT);
    stage.repository.write("shop/all.yaml", ALL);
    let revision = stage.configure(&[("shop", "")]);
    let begin = cluster.audit_position();
    let invocation = stage.invocation();
    stage.start_as(invocation.args(["--relist-interval", "0s"]));
    stage.until_synced("shop", &revision);
    let events = asked(&cluster, begin);
    assert_eq!(lists(&events, paged), BTreeMap::new());
    assert_eq!(
        lists(&events, streamed),
        KINDS.map(|kind| (kind.to_owned(), 1)).into()
    );
    revert_a_drift(&mut stage);
    stage.daemon().kill();

    let entries = stage.entries().len();
    let begin = cluster.audit_position();
    let invocation = stage.invocation();
    stage.start_as(invocation.args(["--relist-interval", "3s"]));
    let counts = stage.until("each kind to be listed twice", |stage| {
        let counts = lists(&asked(stage.cluster, begin), paged);
        if KINDS
            .iter()
            .all(|&kind| counts.get(kind).is_some_and(|&count| count >= 2))
        {
            Ok(counts)
        } else {
            Err(format!("{counts:?}"))
        }
    });
    // Each waits between 2.25 and 3.75 seconds: no kind is asked for much more often.
    assert!(counts.values().all(|&count| count <= 4), "{counts:?}");
    revert_a_drift(&mut stage);
    stage.assert_consistent();
    assert_eq!(stage.entries().len(), entries + 2);
}

#[test]
fn comparing_again_asks_for_nothing() {
    let cluster = plane(&[]);
    let mut stage = Stage::on(&cluster, "compare", AGENT);
    stage.repository.write("shop/all.yaml", ALL);
    let revision = stage.configure(&[("shop", "")]);
    let invocation = stage.invocation();
    stage.start_as(
        invocation
            .args(["--compare-interval", "200ms", "--relist-interval", "0s"])
            .env("RUST_LOG", "info,agent=debug"),
    );
    stage.until_synced("shop", &revision);
    let rounds = || stage.log().matches("comparing all units again").count();
    let until = |count| {
        wait_seeing("the rounds", PATIENCE, || {
            let seen = rounds();
            if seen >= count { Ok(()) } else { Err(seen) }
        });
    };
    until(rounds() + 3);
    let (begin, entries) = (cluster.audit_position(), stage.entries().len());
    until(rounds() + 10);
    let events = asked(&cluster, begin);
    assert!(events.is_empty(), "{events:#?}");
    assert_eq!(stage.entries().len(), entries);
}

#[test]
fn a_server_that_streams_no_lists_gives_pages() {
    let cluster = plane(&["--feature-gates=WatchList=false"]);
    let mut stage = Stage::on(&cluster, "paged", AGENT);
    stage.repository.write("shop/all.yaml", ALL);
    let begin = cluster.audit_position();
    let revision = stage.configure(&[("shop", "")]);
    stage.start();
    stage.until_synced("shop", &revision);
    revert_a_drift(&mut stage);
    let events = asked(&cluster, begin);
    assert_eq!(
        lists(&events, paged),
        KINDS.map(|kind| (kind.to_owned(), 1)).into()
    );

    // What is watched later is not tried again.
    let begin = cluster.audit_position();
    let role =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: web}\nrules: []\n";
    let revision = stage.commit("Add a kind", &[("shop/role.yaml", role)]);
    stage.until_synced("shop", &revision);
    let events = asked(&cluster, begin);
    assert_eq!(lists(&events, streamed), BTreeMap::new());
    assert_eq!(lists(&events, paged), [("roles".to_owned(), 1)].into());
    stage.assert_consistent();
}

fn restart(cluster: &ControlPlane) {
    cluster.kill(Part::ApiServer);
    cluster.start_part(Part::ApiServer);
}

#[test]
fn a_place_that_the_server_has_forgotten_costs_one_list_for_each_kind() {
    let cluster = plane(&[]);
    let mut stage = Stage::on(&cluster, "expired", AGENT);
    stage.repository.write("shop/all.yaml", ALL);
    let revision = stage.configure(&[("shop", "")]);
    stage.start();
    stage.until_synced("shop", &revision);
    revert_a_drift(&mut stage);

    // A server that has just started knows nothing of what was before. What a watch has been
    // told last may be the newest there is (by a bookmark), so that only what is written
    // after it has been cut off is certain to be newer.
    for number in 0..2 {
        let begin = cluster.audit_position();
        stage.daemon().signal(Signal::STOP);
        restart(&cluster);
        let meanwhile = format!(r#"{{"data":{{"a":"meanwhile {number}"}}}}"#);
        stage.kubectl(&["patch", "configmap", "config", "-p", &meanwhile]);
        cluster.kubectl(&["create", "namespace", &unique("more")]);
        restart(&cluster);
        stage.daemon().signal(Signal::CONT);
        stage.until("all kinds to be listed again", |stage| {
            let counts = lists(&asked(stage.cluster, begin), streamed);
            if counts.len() == KINDS.len() {
                Ok(())
            } else {
                Err(format!("{counts:?}"))
            }
        });
        stage.until("what was done meanwhile to be reverted", |stage| {
            let live = stage.get("configmap", "config")["data"]["a"].clone();
            if live == "one" {
                Ok(())
            } else {
                Err(live.to_string())
            }
        });
        revert_a_drift(&mut stage);
        let events = asked(&cluster, begin);
        let counts = lists(&events, |event| {
            (streamed(event) || paged(event)) && event.response.code < 400
        });
        // One that is taken and cut off while the server starts is asked for once more.
        assert!(counts.values().all(|count| *count <= 2), "{counts:?}");
        assert_eq!(counts.len(), KINDS.len(), "{counts:?}");
        assert!(events.len() < 60, "{} requests", events.len());
    }
    stage.assert_consistent();
}

const ROLE: &str = "rules:
- {apiGroups: ['', apps], resources: ['*'], verbs: [get, list, watch, create, patch, delete]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, watch, create, patch]}
";

/// Lets the agent's account do everything in a namespace, and nothing elsewhere.
fn allow(cluster: &ControlPlane, home: &str, namespace: &str) {
    let mut text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: agent, namespace: {namespace}}}
{ROLE}---
"
    );
    writeln!(
        text,
        "apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: agent, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: agent}}
subjects: [{{kind: ServiceAccount, name: agent, namespace: {home}}}]"
    )
    .unwrap();
    cluster.kubectl_apply(&text);
}

#[test]
fn rights_in_one_namespace_are_enough_for_what_is_in_it() {
    let cluster = ControlPlane::shared();
    let mut stage = Stage::new("inside", AGENT);
    let (home, namespace) = (stage.inventories.clone(), stage.namespace.clone());
    cluster.kubectl(&["create", "namespace", &home]);
    cluster.kubectl(&["-n", &home, "create", "serviceaccount", "agent"]);
    allow(cluster, &home, &home);
    allow(cluster, &home, &namespace);
    let other = cluster.namespace("outside");
    let config = |name: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: one}}\n")
    };
    let elsewhere = config("there").replace(
        "{name: there}",
        &format!("{{name: there, namespace: {other}}}"),
    );
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", ""), ("mixed", "")]),
            ),
            ("shop/all.yaml", ALL),
            ("shop/goes.yaml", &config("goes")),
            ("mixed/here.yaml", &config("here")),
            ("mixed/there.yaml", &elsewhere),
        ],
    );
    let begin = cluster.audit_position();
    let invocation = stage.invocation();
    stage.start_as(invocation.kubeconfig(cluster.kubeconfig_for_account(&home, "agent")));

    // Sync, drift and prune.
    stage.until_synced("shop", &revision);
    revert_a_drift(&mut stage);
    let revision = stage.remove(&["shop/goes.yaml"]);
    stage.until_synced("shop", &revision);
    assert_eq!(stage.get("configmap", "goes"), serde_json::Value::Null);
    assert_eq!(stage.deletes(), ["goes"]);

    // What is elsewhere is blocked, by name, and nothing else is.
    let message = stage.until_state("mixed", "Blocked");
    assert!(
        message.contains(&format!("ConfigMap {other}/there")),
        "{message}"
    );
    assert!(message.contains("configmaps is forbidden"), "{message}");
    assert!(!message.contains("/here"), "{message}");
    assert!(stage.get("configmap", "here").is_object());

    // No right is tried for again and again.
    let user = format!("system:serviceaccount:{home}:agent");
    let mut events = cluster.audit_since(begin);
    events.retain(|event| event.user.username == user && event.response.code == 403);
    let asked: Vec<&str> = events.iter().map(|event| &*event.uri).collect();
    assert!(events.len() < 30, "{asked:#?}");

    allow(cluster, &home, &other);
    stage.until_state("mixed", "Synced");
}

fn flags(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: flags.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Flag, singular: flag, plural: flags}}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object}}}}
"
    )
}

#[test]
fn a_kind_goes_and_comes_with_its_definition() {
    let cluster = plane(&[]);
    let mut stage = Stage::on(&cluster, "kinds", AGENT);
    let group = "kinds.example.com";
    let flag = format!("apiVersion: {group}/v1\nkind: Flag\nmetadata: {{name: bright}}\n");
    cluster.kubectl_apply(&flags(group));
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all"]);
    stage.repository.write("shop/flag.yaml", &flag);
    stage.repository.write("web/all.yaml", ALL);
    let revision = stage.configure(&[("shop", ""), ("web", "")]);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("web", &revision);

    for _ in 0..2 {
        let begin = cluster.audit_position();
        cluster.kubectl(&["delete", "crd", &format!("flags.{group}")]);
        stage.until("the unit to miss its kind", |stage| {
            let seen = stage.unit("shop").to_string();
            if seen.contains("has no kind Flag") {
                Ok(())
            } else {
                Err(seen)
            }
        });
        revert_a_drift_in(&mut stage, "web");
        cluster.kubectl_apply(&flags(group));
        stage.until("the object to be there again", |stage| {
            let there = stage.get(&format!("flags.{group}"), "bright").is_object();
            let seen = stage.unit("shop").to_string();
            if there && seen.contains("Synced") {
                Ok(())
            } else {
                Err(seen)
            }
        });
        let discovery: Vec<String> = asked(&cluster, begin)
            .into_iter()
            .filter(|event| event.object.resource.is_empty())
            .map(|event| event.uri)
            .collect();
        assert!(discovery.len() <= 30, "{discovery:#?}");
    }
    let log = stage.log();
    assert!(log.matches("watch failed").count() < 10, "{log}");
}

fn revert_a_drift_in(stage: &mut Stage, unit: &str) {
    revert_a_drift(stage);
    stage.until_state(unit, "Synced");
}

#[test]
fn an_object_that_another_apply_set_lets_go_is_adopted_at_once() {
    const PART_OF: &str = "applyset.kubernetes.io/part-of";
    let mut stage = Stage::new("released", AGENT);
    let theirs = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: config, labels: {{{PART_OF}: applyset-theirs-v1}}}}\ndata: {{a: theirs}}\n"
    );
    stage.kubectl_apply(&theirs, "theirs");
    stage.repository.write("shop/all.yaml", ALL);
    stage.configure(&[("shop", "")]);
    stage.start();
    let message = stage.until_state("shop", "Blocked");
    assert!(message.contains("belongs to another ApplySet"), "{message}");
    stage.kubectl(&["label", "configmap", "config", &format!("{PART_OF}-")]);
    stage.until_state("shop", "Synced");
    assert_eq!(stage.get("configmap", "config")["data"]["a"], "one");
}
