//! A label is a claim that anybody can make: controllers copy it, people set it, and
//! inventories can be made up. What the agent has not applied itself it never deletes.

use serde_json::Value;

use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const PART_OF: &str = "applyset.kubernetes.io/part-of";
const OURS: &str = "gitops-agent";

/// A Service whose slices and Endpoints the control plane makes, and one for which the
/// unit declares them.
const NET: &str = "apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{port: 5432}]}
";
const SLICE: &str = "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{port: 5432}]
endpoints: [{addresses: [10.9.9.9]}]
";
const ENDPOINTS: &str = "apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets: [{addresses: [{ip: 10.9.9.8}], ports: [{port: 5432}]}]
";

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n")
}

fn labelled(kind: &str, name: &str, apply_set: &str) -> String {
    format!(
        "apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, labels: {{{PART_OF}: {apply_set}}}}}\n"
    )
}

/// The ApplySet of the unit that has put an object there.
fn apply_set(object: &Value) -> String {
    let label = &object["metadata"]["labels"][PART_OF];
    label.as_str().expect("it is labelled").to_owned()
}

fn until_logged(stage: &Stage<'_>, words: &str) {
    wait_seeing(words, PATIENCE, || {
        let log = stage.log();
        let told = log.contains(words);
        told.then_some(()).ok_or(log)
    });
}

/// Applies as somebody who calls himself so, in another namespace.
fn apply_in(stage: &Stage<'_>, namespace: &str, yaml: &str, manager: &str) {
    let manager = format!("--field-manager={manager}");
    let words = [
        "-n",
        namespace,
        "apply",
        "--server-side",
        &manager,
        "-f",
        "-",
    ];
    stage.cluster.kubectl_with(&words, yaml).unwrap();
}

/// The only unit leaves, which has to be approved.
fn take_the_unit_away(stage: &mut Stage<'_>) {
    let configuration = stage.configuration(&[]);
    let configuration = configuration.replace("units:\n", "units: []\n");
    stage.commit("Take it away", &[("agent.yaml", &configuration)]);
    let message = stage.until_state("shop", "Blocked");
    let approval = message
        .split('`')
        .find(|it| it.starts_with("Approve-Plan: "));
    let approval = approval.unwrap_or_else(|| panic!("no approval in {message}"));
    stage.commit(&format!("Let it go\n\n{approval}"), &[]);
}

#[test]
fn what_a_controller_labels_stays() {
    let mut stage = Stage::new("copied", AGENT);
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("net", "")])),
            ("net/services.yaml", NET),
            ("net/slice.yaml", SLICE),
            ("net/endpoints.yaml", ENDPOINTS),
        ],
    );
    stage.start();
    stage.until_synced("net", &revision);
    let of_web = |stage: &Stage<'_>, kind: &str| {
        let found = stage
            .cluster
            .get(&["-n", &stage.namespace, kind, "-l", PART_OF]);
        let found = found.unwrap()["items"].as_array().unwrap().clone();
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
        let web = found.iter().filter(|it| name(it).starts_with("web"));
        web.map(uid).collect::<Vec<String>>()
    };
    let copies = stage.until("the control plane's copies of the label", |stage| {
        let copies = ["endpointslices", "endpoints"].map(|kind| of_web(stage, kind));
        let there = copies.iter().all(|uids| uids.len() == 1);
        if there {
            Ok(copies)
        } else {
            Err(format!("{copies:?}"))
        }
    });

    let position = stage.cluster.audit_position();
    let revision = stage.commit(
        "Change something",
        &[("net/services.yaml", &NET.replace("port: 80", "port: 81"))],
    );
    stage.until_synced("net", &revision);
    let mut writes = stage.cluster.audit_since(position);
    writes.retain(|it| it.is_write() && it.stage == "ResponseComplete");
    writes.retain(|it| it.user_agent.starts_with("gitops-agent/"));
    writes.retain(|it| [&stage.namespace, &stage.inventories].contains(&&it.object.namespace));
    writes.retain(|it| it.object.resource != "leases");
    let writes: Vec<String> = writes
        .iter()
        .map(|it| format!("{} {}", it.verb, it.object.name))
        .collect();
    assert_eq!(
        writes,
        ["patch web"],
        "an object that is only changed costs one request"
    );
    stage.remove(&["net/slice.yaml", "net/endpoints.yaml"]);
    stage.until_gone("endpointslice", "db-1");
    stage.until_gone("endpoints", "db");
    stage.until_state("net", "Synced");
    until_logged(&stage, "that the agent has not applied");
    let now = ["endpointslices", "endpoints"].map(|kind| of_web(&stage, kind));
    assert_eq!(now, copies);
    let mut deletes = stage.deletes();
    deletes.sort();
    assert_eq!(deletes, ["db", "db-1"]);
    assert_eq!(stage.entries_on("revert").len(), 0);
    assert_eq!(
        stage
            .log()
            .matches("that the agent has not applied")
            .count(),
        1
    );
    let diff = stage.diff(&[]);
    assert_eq!(diff.code, Some(0), "{}", diff.stdout);
}

/// Puts the label on objects in each of the namespaces, as kubectl and as the agent.
fn forge(stage: &Stage<'_>, namespaces: &[String], set: &str) {
    for namespace in namespaces {
        for kind in ["ConfigMap", "Secret"] {
            apply_in(stage, namespace, &labelled(kind, "theirs", set), "kubectl");
            apply_in(stage, namespace, &labelled(kind, "as-ours", set), OURS);
        }
    }
}

fn take_labels_off(stage: &Stage<'_>, namespaces: &[String]) {
    for namespace in namespaces {
        let off = format!("{PART_OF}-");
        stage.cluster.kubectl(&[
            "-n",
            namespace,
            "label",
            "configmap,secret",
            "as-ours",
            &off,
        ]);
    }
}

#[test]
fn a_forged_label_makes_no_member() {
    let mut stage = Stage::new("forged", AGENT);
    let other = stage.cluster.namespace("forged-elsewhere");
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", "allowPlainSecrets: true, maxPrune: {count: 9}")]),
            ),
            ("shop/a.yaml", &config_map("a")),
            ("shop/b.yaml", &config_map("b")),
            (
                "shop/s.yaml",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
            ),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    let set = apply_set(&stage.get("configmap", "a"));
    let namespaces = [stage.namespace.clone(), other.clone()];
    forge(&stage, &namespaces, &set);
    let uids = |stage: &Stage<'_>| {
        let all = namespaces.iter().flat_map(|namespace| {
            ["configmap", "secret"].into_iter().flat_map(move |kind| {
                ["theirs", "as-ours"].map(|name| ["-n", namespace, kind, name])
            })
        });
        let uid = |words: [&str; 4]| stage.cluster.get(&words).unwrap()["metadata"]["uid"].clone();
        all.map(uid).collect::<Vec<Value>>()
    };
    let before = uids(&stage);
    let message = stage.until("what looks like ours to be told", |stage| {
        let unit = stage.unit("shop");
        let message = unit["message"].as_str().unwrap_or_default().to_owned();
        let some = message.contains("/as-ours is kept");
        if some && unit["state"] == "Synced" {
            Ok(message)
        } else {
            Err(unit.to_string())
        }
    });
    assert!(message.contains("`agent adopt`"), "{message}");
    assert!(!message.contains("theirs"), "{message}");

    let revision = stage.commit(
        "Change b",
        &[("shop/b.yaml", &config_map("b").replace("a: b", "a: c"))],
    );
    stage.until_synced("shop", &revision);
    let diff = stage.diff(&[]);
    assert_eq!(diff.code, Some(0), "{}", diff.stdout);
    assert!(diff.stdout.contains("as-ours is kept"), "{}", diff.stdout);
    let status = stage
        .agent(&["status", "-v", "--environment", &stage.environment])
        .run();
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    let told = [
        ("/theirs has its label", 4),
        ("/as-ours is not on the list", 4),
    ];
    for (what, times) in told {
        assert_eq!(
            status.stdout.matches(what).count(),
            times,
            "{}",
            status.stdout
        );
    }
    // A start anew sees it all for the first time.
    stage.daemon().kill();
    stage.daemon().restart();
    stage.remove(&["shop/a.yaml", "shop/s.yaml"]);
    stage.until_gone("configmap", "a");
    stage.until_gone("secret", "s");
    stage.until_state("shop", "Synced");
    assert_eq!(uids(&stage), before);

    // The whole unit leaves: what is left over keeps its inventory in sight.
    take_the_unit_away(&mut stage);
    stage.until_gone("configmap", "b");
    let message = stage.until_state("shop", "Synced");
    assert!(message.contains("as-ours is kept"), "{message}");
    assert_eq!(uids(&stage), before);
    let mut deletes = stage.deletes();
    deletes.sort();
    assert_eq!(deletes, ["a", "b", "s"]);
    take_labels_off(&stage, &namespaces);
    stage.until_entry("shop left the environment");
    assert_eq!(uids(&stage), before);
}

#[test]
fn a_made_up_inventory_deletes_nothing() {
    let mut stage = Stage::new("madeup", AGENT);
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            ("shop/a.yaml", &config_map("a")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    // All that can be copied of the real one is, for a unit that never was.
    let inventories = stage.inventories.clone();
    let ours = ["-n", &inventories, "configmap"];
    let real = stage
        .cluster
        .get(&[&ours[..], &[&format!("{}.shop", stage.environment)]].concat());
    let mut real = real.unwrap();
    let name = format!("{}.ghost", stage.environment);
    let metadata = &real["metadata"];
    let mut copy = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": real["data"],
        "metadata": {"name": name, "labels": metadata["labels"], "annotations": metadata["annotations"]},
    });
    copy["metadata"]["labels"]["gitops-agent.dev/unit"] = "ghost".into();
    let set = "applyset-ghost-v1";
    copy["metadata"]["labels"]["applyset.kubernetes.io/id"] = set.into();
    apply_in(&stage, &stage.inventories, &copy.to_string(), OURS);
    let victim = |set: &str| labelled("ConfigMap", "victim", set);
    stage.kubectl_apply(&victim(set), OURS);
    let uid = stage.uid("configmap", "victim");

    stage.daemon().kill();
    stage.daemon().restart();
    let told = "that neither the repository nor the record has ever had";
    until_logged(&stage, told);
    let revision = stage.commit(
        "Change a",
        &[("shop/a.yaml", &config_map("a").replace("a: b", "a: c"))],
    );
    stage.until_synced("shop", &revision);
    assert_eq!(stage.log().matches(told).count(), 1);
    let diff = stage.diff(&[]);
    assert!(!diff.stdout.contains("prune"), "{}", diff.stdout);
    // Nor is a copy of the real one under another name; both are told.
    let mut double = copy.clone();
    double["metadata"]["name"] = format!("{}-of-shop", stage.environment).into();
    double["metadata"]["labels"]["gitops-agent.dev/unit"] = "shop".into();
    apply_in(&stage, &stage.inventories, &double.to_string(), OURS);
    let status = stage
        .agent(&["status", "-v", "--environment", &stage.environment])
        .run();
    let told = format!(
        "-of-shop calls itself its inventory, which is ConfigMap {}.shop",
        stage.environment
    );
    assert!(status.stdout.contains(&told), "{}", status.stdout);
    assert_eq!(stage.uid("configmap", "victim"), uid);
    assert!(stage.cluster.get(&[&ours[..], &[&name]].concat()).is_some());
    assert_eq!(stage.deletes(), [] as [&str; 0]);

    // A list that somebody has changed is no list: what is declared gets onto a new one.
    stage.daemon().kill();
    let list = real["data"]["applied"].as_str().unwrap().to_owned();
    real["data"]["applied"] = format!("{}AAAA", &list[..list.len() - 4]).into();
    real["metadata"]["managedFields"] = Value::Null;
    real["metadata"]["resourceVersion"] = Value::Null;
    stage
        .cluster
        .kubectl_with(
            &["-n", &stage.inventories, "replace", "-f", "-"],
            &real.to_string(),
        )
        .unwrap();
    stage.daemon().restart();
    let revision = stage.commit("Add b", &[("shop/b.yaml", &config_map("b"))]);
    stage.until_synced("shop", &revision);
    assert!(
        stage.log().contains("and is not believed"),
        "{}",
        stage.log()
    );
    stage.remove(&["shop/a.yaml"]);
    stage.until_gone("configmap", "a");
}

/// Events are served by two groups, and each is the same object.
#[test]
fn a_declared_object_under_another_group_is_the_same() {
    let mut stage = Stage::new("groups", AGENT);
    let namespace = stage.namespace.clone();
    let core = format!(
        "apiVersion: v1
kind: Event
metadata: {{name: told}}
involvedObject: {{kind: Namespace, name: {namespace}, namespace: {namespace}}}
reason: Declared
message: hello
type: Normal
firstTimestamp: '2026-11-21T10:00:00Z'
lastTimestamp: '2026-11-21T10:00:00Z'
reportingComponent: example.com/test
reportingInstance: test-1
action: Telling
"
    );
    let newer = format!(
        "apiVersion: events.k8s.io/v1
kind: Event
metadata: {{name: told}}
regarding: {{kind: Namespace, name: {namespace}, namespace: {namespace}}}
reason: Declared
note: hello
type: Normal
action: Telling
eventTime: null
deprecatedFirstTimestamp: '2026-11-21T10:00:00Z'
deprecatedLastTimestamp: '2026-11-21T10:00:00Z'
reportingController: example.com/test
reportingInstance: test-1
"
    );
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", ""), ("other", "")]),
            ),
            ("shop/event.yaml", &core),
            ("shop/a.yaml", &config_map("a")),
            ("other/b.yaml", &config_map("b")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("other", &revision);
    let uid = stage.uid("event", "told");
    // Under another group, and then in another unit and under the first one again.
    for (to, event) in [("shop/event.yaml", &newer), ("other/event.yaml", &core)] {
        for path in ["shop/event.yaml", "other/event.yaml"] {
            if stage.repository.work().join(path).exists() {
                stage.repository.remove(path);
            }
        }
        let revision = stage.commit("Say it otherwise", &[(to, event)]);
        let unit = to.split('/').next().unwrap();
        stage.until_synced(unit, &revision);
        stage.until_looked_at(&revision);
        let diff = stage.diff(&[]);
        assert_eq!(diff.code, Some(0), "{}", diff.stdout);
        assert_eq!(stage.uid("event", "told"), uid);
    }
    stage.daemon().kill();
    stage.daemon().restart();
    let revision = stage.commit(
        "Change a",
        &[("shop/a.yaml", &config_map("a").replace("a: b", "a: c"))],
    );
    stage.until_synced("shop", &revision);
    assert_eq!(stage.uid("event", "told"), uid);
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    let told: Vec<String> = stage.entries().into_iter().map(|it| it.message).collect();
    assert!(!told.iter().any(|it| it.contains("deleted")), "{told:#?}");
    // It is still ours, and goes when it leaves.
    stage.remove(&["other/event.yaml"]);
    stage.until_gone("event", "told");
}

#[test]
fn what_something_else_controls_is_not_pruned() {
    let mut stage = Stage::new("controlled", AGENT);
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", "maxPrune: {count: 5}")]),
            ),
            ("shop/a.yaml", &config_map("a")),
            ("shop/b.yaml", &config_map("b")),
            ("shop/c.yaml", &config_map("c")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    stage.kubectl(&["create", "configmap", "operator"]);
    let uid = stage.uid("configmap", "operator");
    let patch = format!(
        r#"{{"metadata":{{"ownerReferences":[{{"apiVersion":"v1","kind":"ConfigMap","name":"operator","uid":"{uid}","controller":true}}]}}}}"#
    );
    stage.kubectl(&["patch", "configmap", "a", "--type=merge", "-p", &patch]);
    let uid = stage.uid("configmap", "a");
    stage.remove(&["shop/a.yaml", "shop/b.yaml"]);
    stage.until_gone("configmap", "b");
    let message = stage.until("it to be told", |stage| {
        let seen = stage.unit("shop");
        let message = seen["message"].as_str().unwrap_or_default();
        let told = message.contains("belongs to ConfigMap operator");
        if told {
            Ok(message.to_owned())
        } else {
            Err(seen.to_string())
        }
    });
    assert!(
        message.contains(&format!("ConfigMap {}/a is kept", stage.namespace)),
        "{message}"
    );
    assert_eq!(stage.uid("configmap", "a"), uid);
    assert_eq!(stage.deletes(), ["b"]);
}

/// What the label says afterwards is what somebody made of it: the object is ours still.
#[test]
fn a_label_that_was_overwritten_is_put_back() {
    let mut stage = Stage::new("overwritten", AGENT);
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", ""), ("next", "")]),
            ),
            ("shop/a.yaml", &config_map("a")),
            ("next/b.yaml", &config_map("b")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("next", &revision);
    let (ours, next) = (
        apply_set(&stage.get("configmap", "a")),
        apply_set(&stage.get("configmap", "b")),
    );
    let uid = stage.uid("configmap", "a");
    for to in ["applyset-of-somebody-v1", next.as_str()] {
        let label = format!("{PART_OF}={to}");
        stage.kubectl(&["label", "--overwrite", "configmap", "a", &label]);
        stage.kubectl(&[
            "patch",
            "configmap",
            "a",
            "-p",
            r#"{"data":{"a":"edited"}}"#,
        ]);
        stage.until("label and value to be put back", |stage| {
            let seen = stage.get("configmap", "a");
            let back = seen["metadata"]["labels"][PART_OF] == *ours && seen["data"]["a"] == "b";
            if back { Ok(()) } else { Err(seen.to_string()) }
        });
        stage.until_state("shop", "Synced");
    }
    stage.until("what was done to the label to be told", |stage| {
        let reverts = stage.entries_on("revert drift on ConfigMap");
        let told = reverts.iter().any(|it| it.message.contains(PART_OF));
        told.then_some(())
            .ok_or_else(|| format!("{:#?}", stage.entries()))
    });
    assert_eq!(stage.uid("configmap", "a"), uid);
    assert_eq!(stage.deletes(), [] as [&str; 0]);
}
