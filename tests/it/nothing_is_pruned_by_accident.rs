//! What can't be read, rendered or was not meant is never taken for "to be deleted".

use std::time::Duration;

use serde_json::Value;

use crate::support::programs::{Program, Programs};
use crate::support::stage::{PATIENCE, Stage, asked_for};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
}

/// Units `shop` (a, b, c) and `fence` (fence), both synced.
fn shop(name: &str, more: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    let text = stage.configuration(&[("shop", more), ("fence", "")]);
    let objects =
        ["a", "b", "c"].map(|name| (format!("shop/{name}.yaml"), config_map(name, "one")));
    let mut files: Vec<(&str, &str)> = objects
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let fence = config_map("fence", "one");
    files.extend([
        ("agent.yaml", text.as_str()),
        ("fence/fence.yaml", fence.as_str()),
    ]);
    let revision = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("fence", &revision);
    stage
}

/// Waits until something that came later has been done: the revert of a drift.
fn pass_the_fence(stage: &mut Stage) {
    stage.kubectl(&[
        "patch",
        "configmap",
        "fence",
        "--type=merge",
        "-p",
        r#"{"data":{"a":"other"}}"#,
    ]);
    stage.until("the fence's drift to be reverted", |stage| {
        let seen = stage.get("configmap", "fence");
        if seen["data"]["a"] == "other" {
            Err(seen.to_string())
        } else {
            Ok(())
        }
    });
}

fn expect_all_there(stage: &mut Stage, names: &[&str]) {
    pass_the_fence(stage);
    for name in names {
        assert!(!stage.uid("configmap", name).is_empty(), "{name} is gone");
    }
    assert_eq!(stage.deletes(), [] as [&str; 0]);
}

fn digest(message: &str) -> String {
    asked_for(message).expect(message)
}

fn approve(stage: &Stage, digest: &str) -> String {
    stage.commit(&format!("Let it go\n\nApprove-Plan: {digest}"), &[])
}

#[test]
fn an_emptied_directory_prunes_nothing() {
    let mut stage = shop("emptied", "");
    stage.repository.write("shop/.gitkeep", "");
    stage.remove(&["shop/a.yaml", "shop/b.yaml", "shop/c.yaml"]);
    let message = stage.until_state("shop", "Blocked");
    let why = "the unit has become empty; to take it away, remove it from agent.yaml";
    assert_eq!(message.matches(why).count(), 1, "{message}");
    assert!(message.starts_with("3 objects are not pruned"), "{message}");
    expect_all_there(&mut stage, &["a", "b", "c"]);

    let revision = stage.commit(
        "Two are back",
        &[
            ("shop/a.yaml", &config_map("a", "one")),
            ("shop/b.yaml", &config_map("b", "one")),
        ],
    );
    stage.until_gone("configmap", "c");
    stage.until_synced("shop", &revision);
    assert_eq!(stage.deletes(), ["c"]);
}

#[test]
fn a_removed_directory_prunes_nothing() {
    let mut stage = shop("removed", "");
    stage.remove(&["shop"]);
    let error = stage.until("the error to be told", |stage| {
        let status = stage.status();
        let told = status["error"]
            .as_str()
            .or(status["units"]["shop"]["message"].as_str());
        told.filter(|text| text.contains("shop"))
            .map(str::to_owned)
            .ok_or(status.to_string())
    });
    assert!(error.contains("agent.yaml:5"), "{error}");
    expect_all_there(&mut stage, &["a", "b", "c"]);

    stage.commit(
        "Take the unit away too",
        &[("agent.yaml", &stage.configuration(&[("fence", "")]))],
    );
    for name in ["a", "b", "c"] {
        stage.until_gone("configmap", name);
    }
}

#[test]
fn a_render_that_fails_half_way_prunes_nothing() {
    let mut stage = shop("half", "");
    stage.repository.remove("shop/a.yaml");
    stage.commit(
        "Break it",
        &[
            (
                "shop/b.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b\n",
            ),
            ("shop/c.yaml", &config_map("c", "two")),
        ],
    );
    let message = stage.until_state("shop", "Failed");
    assert!(message.starts_with("shop/b.yaml:"), "{message}");
    expect_all_there(&mut stage, &["a", "b", "c"]);
    assert_eq!(
        stage.get("configmap", "c")["data"]["a"],
        "one",
        "half of a unit is not applied"
    );

    // The last good state is enforced meanwhile.
    stage.kubectl(&["delete", "configmap", "a"]);
    stage.until("a to be there again", |stage| {
        if stage.get("configmap", "a").is_null() {
            Err("it is gone".to_owned())
        } else {
            Ok(())
        }
    });

    let revision = stage.commit("Fix it", &[("shop/b.yaml", &config_map("b", "two"))]);
    stage.until_synced("shop", &revision);
    stage.until_gone("configmap", "a");
    assert_eq!(stage.deletes(), ["a"]);
    assert_eq!(stage.get("configmap", "c")["data"]["a"], "two");
}

#[test]
fn a_kustomization_that_fails_prunes_nothing() {
    let kustomize = Programs::build(&[Program::Kustomize])
        .unwrap()
        .path(Program::Kustomize)
        .to_owned();
    let mut stage = Stage::new("kustomize", AGENT);
    let kustomization = "resources: [a.yaml, b.yaml]\n";
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", ""), ("fence", "")]),
            ),
            ("shop/kustomization.yaml", kustomization),
            ("shop/a.yaml", &config_map("a", "one")),
            ("shop/b.yaml", &config_map("b", "one")),
            ("fence/fence.yaml", &config_map("fence", "one")),
        ],
    );
    stage.start_as(stage.invocation().with_program(&kustomize));
    stage.until_synced("shop", &revision);

    // kustomize itself finds this one.
    stage.repository.remove("shop/a.yaml");
    let broken = "resources: [b.yaml]\npatches:\n- target: {kind: ConfigMap, name: b}\n  patch: '[{op: remove, path: /nothing}]'\n";
    stage.commit("Break it", &[("shop/kustomization.yaml", broken)]);
    let message = stage.until_state("shop", "Failed");
    assert!(
        message.starts_with("shop") && message.contains("nothing"),
        "{message}"
    );
    expect_all_there(&mut stage, &["a", "b"]);

    let revision = stage.commit(
        "Fix it",
        &[("shop/kustomization.yaml", "resources: [b.yaml]\n")],
    );
    stage.until_synced("shop", &revision);
    assert_eq!(stage.deletes(), ["a"]);
}

#[test]
fn an_inventory_that_says_nothing_prunes_nothing() {
    let mut stage = shop("inventory", "");
    stage.daemon().terminate(PATIENCE);
    let parent = format!("{}.shop", stage.environment);
    let inventories = stage.inventories.clone();
    let kinds = "applyset.kubernetes.io/contains-group-kinds";
    let annotate = |stage: &Stage, change: &str| {
        let change = format!("{kinds}{change}");
        stage.cluster.kubectl(&[
            "-n",
            &inventories,
            "annotate",
            "configmap",
            &parent,
            &change,
        ]);
    };
    annotate(&stage, "-");
    let revision = stage.remove(&["shop/a.yaml"]);
    stage.daemon().restart();
    let message = stage.until_state("shop", "Blocked");
    assert!(
        message.contains(&format!(
            "the inventory in ConfigMap {parent} cannot be read"
        )),
        "{message}"
    );
    assert!(
        message.contains("restore it, or delete the ConfigMap to start an empty inventory"),
        "{message}"
    );
    for name in ["a", "b", "c"] {
        assert!(!stage.uid("configmap", name).is_empty(), "{name} is gone");
    }
    assert_eq!(stage.deletes(), [] as [&str; 0]);

    annotate(&stage, "=ConfigMap");
    stage.until_gone("configmap", "a");
    stage.until_synced("shop", &revision);
    assert_eq!(stage.deletes(), ["a"]);
}

#[test]
fn of_a_kind_that_may_not_be_listed_nothing_is_pruned() {
    let mut stage = shop("unlisted", "");
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    let revision = stage.commit("Add a Service", &[("shop/web.yaml", service)]);
    stage.until_synced("shop", &revision);
    stage.daemon().terminate(PATIENCE);

    let namespace = stage.namespace.clone();
    let account = format!("agent-{namespace}");
    let role = |resources: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {account}}}
rules:
- {{apiGroups: [''], resources: [{resources}], verbs: ['*']}}
- {{apiGroups: [coordination.k8s.io], resources: [leases], verbs: ['*']}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {account}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {account}}}
subjects: [{{kind: ServiceAccount, name: agent, namespace: {namespace}}}]
"
        )
    };
    stage.kubectl(&["create", "serviceaccount", "agent"]);
    stage.kubectl_apply(&role("configmaps, secrets, namespaces"), "test");
    let kubeconfig = stage
        .cluster
        .kubeconfig_for_account(&stage.namespace, "agent");
    stage.remove(&["shop/web.yaml", "shop/a.yaml"]);
    stage.start_as(stage.invocation().kubeconfig(&kubeconfig));
    let message = stage.until_state("shop", "Blocked");
    assert!(
        message.contains("/web: live cannot be read") && message.contains("services is forbidden"),
        "{message}"
    );
    stage.until_gone("configmap", "a");
    pass_the_fence(&mut stage);
    assert!(!stage.uid("service", "web").is_empty());
    assert_eq!(stage.deletes(), ["a"]);

    stage.kubectl_apply(&role("configmaps, secrets, namespaces, services"), "test");
    stage.until_gone("service", "web");
    stage.until_state("shop", "Synced");
}

#[test]
fn a_unit_whose_neighbour_failed_to_render_prunes_nothing() {
    let mut stage = shop("neighbour", "");
    let uid = stage.uid("configmap", "a");
    stage.repository.remove("shop/a.yaml");
    let broken = config_map("a", "one").replace("metadata: {name: a}", "metadata: {name: a");
    stage.commit("Move a, and break it", &[("fence/a.yaml", &broken)]);
    let message = stage.until_state("shop", "Blocked");
    assert!(
        message.contains("the unit fence could not be rendered, and it may have moved there"),
        "{message}"
    );
    stage.until_state("fence", "Failed");
    expect_all_there(&mut stage, &["a", "b", "c"]);

    let revision = stage.commit("Fix it", &[("fence/a.yaml", &config_map("a", "one"))]);
    stage.until_synced("fence", &revision);
    stage.until_state("shop", "Synced");
    assert_eq!(stage.uid("configmap", "a"), uid);
    assert_eq!(stage.deletes(), [] as [&str; 0]);
}

#[test]
fn more_than_max_prune_waits_for_an_approval_of_exactly_that_plan() {
    let mut stage = shop("max", "maxPrune: {count: 1}");
    let revision = stage.commit("Add one", &[("shop/d.yaml", &config_map("d", "one"))]);
    stage.until_synced("shop", &revision);
    stage.remove(&["shop/a.yaml", "shop/b.yaml"]);
    let message = stage.until_state("shop", "Blocked");
    assert!(
        message.contains("2 of the unit's 4 objects would be deleted at once"),
        "{message}"
    );
    let first = digest(&message);
    // What a person sees beforehand is what is approved.
    let ran = stage.diff(&[]);
    assert!(ran.stdout.contains(&first), "{}", ran.stdout);
    expect_all_there(&mut stage, &["a", "b", "c", "d"]);

    // Another one leaves: this is not what is approved.
    stage.remove(&["shop/d.yaml"]);
    let second = stage.until("another digest", |stage| {
        let seen = digest(stage.unit("shop")["message"].as_str().unwrap_or_default());
        if seen == first { Err(seen) } else { Ok(seen) }
    });
    let revision = approve(&stage, &first);
    stage.until_looked_at(&revision);
    expect_all_there(&mut stage, &["a", "b", "c", "d"]);
    assert_eq!(stage.unit("shop")["state"], "Blocked");
    let trouble = |text: &str, what: &str| {
        let (start, end) = (
            format!("the `Approve-Plan: {text}` of commit "),
            format!(" {what}"),
        );
        let waits = format!("shop waits for `Approve-Plan: {second}`");
        move |seen: &str| seen.starts_with(&start) && seen.contains(&end) && seen.contains(&waits)
    };
    let told = |stage: &mut Stage, is_told: &dyn Fn(&str) -> bool| {
        stage.until("the vain approval to be told", |stage| {
            let status = stage.status();
            let warning = status["warning"].as_str().unwrap_or_default();
            let told = is_told(warning);
            told.then(|| warning.to_owned()).ok_or(status.to_string())
        })
    };
    let warning = told(
        &mut stage,
        &trouble(&first, "names no plan that waits for approval"),
    );
    let log = stage.log();
    let warned = log.lines().filter(|line| line.contains("WARN"));
    assert_eq!(warned.filter(|line| line.contains(&warning)).count(), 1);
    approve(&stage, &second[..40]);
    told(&mut stage, &trouble(&second[..40], "is not a digest"));

    let approval = approve(&stage, &second);
    stage.until_gone("configmap", "a");
    stage.until_gone("configmap", "b");
    stage.until_gone("configmap", "d");
    stage.until_state("shop", "Synced");
    let mut deletes = stage.deletes();
    deletes.sort();
    assert_eq!(deletes, ["a", "b", "d"]);
    // Who approved it is told with it.
    let mut entries = stage.entries().into_iter();
    let entry = entries.find(|entry| entry.subject.ends_with(": 3 pruned"));
    let entry = entry.expect("an entry of the deletion");
    assert_eq!(entry.trailer("Approval"), Some(approval));
    let whose = entry.trailer("Approved-By").unwrap_or_default();
    assert!(whose.ends_with('>') && whose.contains(" <"), "{whose}");
    let lines = stage.agent(&["history", "shop"]).run();
    assert!(
        lines.stdout.contains(&format!("approved by {whose} with ")),
        "{lines:?}"
    );
    stage.until("the warning to be over", |stage| {
        let status = stage.status();
        status
            .get("warning")
            .is_none_or(Value::is_null)
            .then_some(())
            .ok_or(status.to_string())
    });

    // An approval is not one for the next time.
    stage.commit(
        "Again",
        &[
            ("shop/a.yaml", &config_map("a", "one")),
            ("shop/b.yaml", &config_map("b", "one")),
        ],
    );
    stage.until("a and b to be there", |stage| {
        let there =
            !stage.get("configmap", "a").is_null() && !stage.get("configmap", "b").is_null();
        if there {
            Ok(())
        } else {
            Err(stage.status().to_string())
        }
    });
    stage.until_state("shop", "Synced");
    stage.remove(&["shop/a.yaml", "shop/b.yaml"]);
    stage.until_state("shop", "Blocked");
}

#[test]
fn a_namespace_a_crd_and_a_claim_wait_for_an_approval() {
    let mut stage = shop("precious", "");
    let own = format!("{}-inner", stage.namespace);
    let group = format!("{}.example.com", stage.namespace);
    let volume = format!("{}-volume", stage.namespace);
    let storage = "capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /nowhere}, storageClassName: ''";
    stage.kubectl_apply(
        &format!("apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {volume}}}\nspec: {{{storage}}}\n"),
        "test",
    );
    let claim = format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: claim}}\nspec: {{accessModes: [ReadWriteOnce], \
         storageClassName: '', volumeName: {volume}, resources: {{requests: {{storage: 1Gi}}}}}}\n"
    );
    let crd = format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.{group}}}
spec:
  group: {group}
  names: {{kind: Widget, plural: widgets}}
  scope: Namespaced
  versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}]
"
    );
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {own}}}\n");
    let inside =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: inside, namespace: {own}}}\n");
    let paths = [
        "shop/claim.yaml",
        "shop/crd.yaml",
        "shop/namespace.yaml",
        "shop/inside.yaml",
    ];
    let texts = [&claim, &crd, &namespace, &inside];
    let files: Vec<(&str, &str)> = paths.into_iter().zip(texts.map(String::as_str)).collect();
    let revision = stage.commit("Add what is precious", &files);
    stage.until_synced("shop", &revision);

    stage.remove(&paths);
    let message = stage.until_state("shop", "Blocked");
    for object in [
        format!("PersistentVolumeClaim {}/claim", stage.namespace),
        format!("CustomResourceDefinition widgets.{group}"),
        format!("Namespace {own}"),
    ] {
        let kind = object.split(' ').next().unwrap();
        let why = format!(
            "{object} is not pruned: deleting a {kind} takes everything in it along; to approve, push a commit"
        );
        assert!(message.contains(&why), "{message}");
    }
    let there = |stage: &Stage| {
        let claim = !stage.get("pvc", "claim").is_null();
        let crd = stage
            .cluster
            .get(&["crd", &format!("widgets.{group}")])
            .is_some();
        let namespace = stage.cluster.get(&["namespace", &own]);
        (
            claim,
            crd,
            namespace.is_some_and(|it| it["metadata"]["deletionTimestamp"] == Value::Null),
        )
    };
    expect_all_there(&mut stage, &["a", "b", "c"]);
    assert_eq!(there(&stage), (true, true, true));

    // One approval is enough for all of it, though it goes away in several steps.
    approve(&stage, &digest(&message));
    stage.until("all of it to go", |stage| match there(stage) {
        (false, false, false) => Ok(()),
        seen => Err(format!("{seen:?} {}", stage.status())),
    });
    stage.until_state("shop", "Synced");
    stage.kubectl(&["delete", "persistentvolume", &volume, "--wait=false"]);
}

#[test]
fn prune_false_keeps() {
    let mut stage = shop("keep", "prune: false");
    let revision = stage.remove(&["shop/a.yaml"]);
    stage.until_synced("shop", &revision);
    expect_all_there(&mut stage, &["a", "b", "c"]);
    assert_eq!(stage.diff(&[]).code, Some(0));

    // The unit's last words hold when it is taken away itself.
    stage.commit(
        "Take the unit away",
        &[("agent.yaml", &stage.configuration(&[("fence", "")]))],
    );
    stage.until_entry("shop left the environment");
    expect_all_there(&mut stage, &["a", "b", "c"]);
}

#[test]
fn a_unit_taken_out_of_the_configuration_leaves_nothing_behind() {
    let mut stage = shop("retired", "");
    let parent = format!("{}.shop", stage.environment);
    let inventory = |stage: &Stage| {
        stage
            .cluster
            .get(&["-n", &stage.inventories, "configmap", &parent])
    };
    assert!(inventory(&stage).is_some());
    stage.commit(
        "Take the unit away",
        &[("agent.yaml", &stage.configuration(&[("fence", "")]))],
    );
    for name in ["a", "b", "c"] {
        stage.until_gone("configmap", name);
    }
    stage.until("the inventory to go", |stage| {
        inventory(stage).map_or(Ok(()), |seen| Err(seen.to_string()))
    });
    stage.until("the record to have no file of it", |stage| {
        let files = stage.recorded_files();
        let left: Vec<&String> = files
            .iter()
            .filter(|path| path.starts_with("shop/"))
            .collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
    assert!(stage.unit("shop").is_null());
    let namespace = &stage.namespace;
    assert!(
        stage
            .recorded(&format!("fence/{namespace}/ConfigMap/fence.yaml"))
            .is_some()
    );
    pass_the_fence(&mut stage);
    let code = stage.daemon().terminate(Duration::from_secs(30)).code();
    assert_eq!(code, Some(0));
}
