//! What somebody does to what is declared is found, told, and put back or shown; what
//! concerns nobody is no drift.

use crate::support::stage::{Entry, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const PART_OF: &str = "applyset.kubernetes.io/part-of";

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: web:1
        env:
        - {name: ONE, value: one}
        - {name: TWO, value: two}
        resources:
          requests: {cpu: 1000m, memory: 1024Mi}
";
const SETTINGS: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: one, b: one}
";

fn synced(name: &str, more: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", more), ("fence", "")]),
            ),
            ("shop/web.yaml", WEB),
            ("shop/settings.yaml", SETTINGS),
            ("fence/fence.yaml", &SETTINGS.replace("settings", "fence")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("fence", &revision);
    stage
}

/// Waits until a later drift has been reverted, and its two entries are there.
fn pass_the_fence(stage: &mut Stage, value: &str) {
    let patch = format!(r#"{{"data":{{"a":"{value}"}}}}"#);
    stage.kubectl(&["patch", "configmap", "fence", "--type=merge", "-p", &patch]);
    stage.until("the fence's drift to be recorded", |stage| {
        let entries = stage.entries();
        let told = |entry: &Entry| entry.message.contains(&format!("-> \"{value}\""));
        let at = entries.iter().position(told).ok_or("not found yet")?;
        let mut after = entries[at..].iter();
        let reverted = after.any(|entry| entry.subject.contains("revert drift on ConfigMap"));
        if reverted {
            Ok(())
        } else {
            Err("not reverted yet".to_owned())
        }
    });
}

fn about_shop(stage: &Stage) -> Vec<Entry> {
    let mut entries = stage.entries();
    entries.retain(|entry| entry.trailer("Unit").as_deref() == Some("shop"));
    entries
}

/// Somebody does something; it is put back, and two entries tell both.
fn expect_reverted(
    stage: &mut Stage,
    found: &str,
    actor: Option<&str>,
    field: &str,
    act: impl Fn(&Stage),
    back: impl Fn(&Stage) -> bool,
) {
    let before = about_shop(stage).len();
    act(stage);
    stage.until(&format!("{found}, and its revert"), |stage| {
        let entries = about_shop(stage);
        if entries.len() >= before + 2 && back(stage) {
            Ok(())
        } else {
            let subjects: Vec<&str> = entries.iter().map(|entry| &*entry.subject).collect();
            Err(subjects.join("\n"))
        }
    });
    let entries = about_shop(stage);
    let [one, two] = &entries[before..] else {
        panic!("more than two entries: {:#?}", &entries[before..]);
    };
    let environment = &stage.environment;
    assert_eq!(
        one.subject,
        format!(
            "{environment}: {}{found}",
            actor.map_or("somebody".to_owned(), str::to_owned)
        )
    );
    assert!(one.message.contains(field), "{}", one.message);
    assert_eq!(one.trailer("Cause").as_deref(), Some("drift"));
    assert_eq!(one.trailer("Actor").as_deref(), actor);
    if let Some(actor) = actor {
        assert!(
            one.author.starts_with(&format!("{actor} <")),
            "{}",
            one.author
        );
    }
    assert!(two.author.starts_with("gitops-agent <"), "{}", two.author);
    let put_back = ["revert drift on ", "create "].map(|start| format!("{environment}: {start}"));
    assert!(
        put_back.iter().any(|start| two.subject.starts_with(start)),
        "{}",
        two.subject
    );
    assert_eq!(two.trailer("Cause").as_deref(), Some("drift"));
    stage.until_state("shop", "Synced");
}

fn patch(stage: &Stage, kind: &str, name: &str, patch: &str) {
    stage.kubectl(&["patch", kind, name, "--type=json", "-p", patch]);
}

#[test]
fn what_is_changed_removed_or_deleted_is_put_back() {
    let mut stage = synced("revert", "");
    let namespace = stage.namespace.clone();
    let web = format!(" changed Deployment {namespace}/web");
    let container = "/spec/template/spec/containers/0";
    let at = |pointer: &str, value: &str| {
        let (pointer, value) = (pointer.to_owned(), value.to_owned());
        move |stage: &Stage| {
            stage
                .get("deployment", "web")
                .pointer(&pointer)
                .is_some_and(|live| *live == *value)
        }
    };

    // kubectl scale.
    expect_reverted(
        &mut stage,
        &web,
        Some("kubectl"),
        "spec.replicas: 2 -> 5, set by kubectl (Update)",
        |stage| drop(stage.kubectl(&["scale", "deployment", "web", "--replicas=5"])),
        |stage| stage.get("deployment", "web")["spec"]["replicas"] == 2,
    );
    // kubectl set image.
    expect_reverted(
        &mut stage,
        &web,
        Some("kubectl-set"),
        r#"spec.template.spec.containers[name=main].image: "web:1" -> "web:2", set by kubectl-set (Update) at 20"#,
        |stage| drop(stage.kubectl(&["set", "image", "deployment/web", "main=web:2"])),
        at(&format!("{container}/image"), "web:1"),
    );
    // An item of a list.
    expect_reverted(
        &mut stage,
        &web,
        Some("kubectl-patch"),
        r#"env[name=TWO].value: "two" -> "other""#,
        |stage| {
            let change =
                format!(r#"[{{"op":"replace","path":"{container}/env/1/value","value":"other"}}]"#);
            patch(stage, "deployment", "web", &change);
        },
        at(&format!("{container}/env/1/value"), "two"),
    );
    // An item and a field removed: nobody owns what is not there.
    expect_reverted(
        &mut stage,
        &web,
        None,
        "env[name=ONE]",
        |stage| {
            patch(
                stage,
                "deployment",
                "web",
                &format!(r#"[{{"op":"remove","path":"{container}/env/0"}}]"#),
            );
        },
        |stage| {
            stage
                .get("deployment", "web")
                .pointer(&format!("{container}/env"))
                .is_some_and(|env| env.as_array().unwrap().len() == 2)
        },
    );
    expect_reverted(
        &mut stage,
        &format!(" changed ConfigMap {namespace}/settings"),
        None,
        r#"data.b: "one" -> (none)"#,
        |stage| {
            patch(
                stage,
                "configmap",
                "settings",
                r#"[{"op":"remove","path":"/data/b"}]"#,
            );
        },
        |stage| stage.get("configmap", "settings")["data"]["b"] == "one",
    );
    // The label by which the agent finds its objects.
    expect_reverted(
        &mut stage,
        &format!(" changed ConfigMap {namespace}/settings"),
        None,
        PART_OF,
        |stage| drop(stage.kubectl(&["label", "configmap", "settings", &format!("{PART_OF}-")])),
        |stage| !stage.get("configmap", "settings")["metadata"]["labels"][PART_OF].is_null(),
    );
    // The object.
    expect_reverted(
        &mut stage,
        &format!(" deleted ConfigMap {namespace}/settings"),
        None,
        "deleted ConfigMap",
        |stage| drop(stage.kubectl(&["delete", "configmap", "settings"])),
        |stage| !stage.get("configmap", "settings").is_null(),
    );
}

#[test]
fn report_keeps_what_somebody_did_and_shows_it() {
    let mut stage = synced("report", "drift: report");
    let namespace = stage.namespace.clone();
    let before = about_shop(&stage).len();
    stage.kubectl(&["scale", "deployment", "web", "--replicas=5"]);
    let message = stage.until_state("shop", "Drifted");
    let told = format!("Deployment {namespace}/web: spec.replicas: ");
    assert!(
        message.contains(&told) && message.contains("set by kubectl"),
        "{message}"
    );
    pass_the_fence(&mut stage, "first");
    stage.kubectl(&["delete", "configmap", "settings"]);
    let message = stage.until("the deletion to be shown", |stage| {
        let message = stage.unit("shop")["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if message.contains("settings") {
            Ok(message)
        } else {
            Err(message)
        }
    });
    assert!(
        message.contains(&format!(
            "ConfigMap {namespace}/settings: somebody deleted it"
        )),
        "{message}"
    );
    pass_the_fence(&mut stage, "second");

    assert_eq!(stage.get("deployment", "web")["spec"]["replicas"], 5);
    assert!(stage.get("configmap", "settings").is_null());
    let entries = about_shop(&stage);
    let told = |what: &str| {
        entries[before..]
            .iter()
            .filter(|entry| entry.subject.contains(what))
            .count()
    };
    assert_eq!(
        told(&format!("kubectl changed Deployment {namespace}/web")),
        1,
        "{entries:#?}"
    );
    assert_eq!(
        told(&format!("somebody deleted ConfigMap {namespace}/settings")),
        1,
        "{entries:#?}"
    );
    assert_eq!(told("revert"), 0);
    // The record shows what is live.
    let web = stage
        .recorded(&format!("shop/{namespace}/Deployment.apps/web.yaml"))
        .unwrap();
    assert!(web.contains("replicas: 5"), "{web}");
    assert!(
        stage
            .recorded(&format!("shop/{namespace}/ConfigMap/settings.yaml"))
            .is_none()
    );

    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout.contains("-  replicas: 5") && ran.stdout.contains("+  replicas: 2"),
        "{}",
        ran.stdout
    );
    let ran = stage.agent(&["status"]).run();
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("Drifted"), "{}", ran.stdout);

    // A commit is a decision: what it changes is applied.
    stage.commit(
        "Four",
        &[("shop/web.yaml", &WEB.replace("replicas: 2", "replicas: 4"))],
    );
    stage.until("4 replicas", |stage| {
        let seen = stage.get("deployment", "web")["spec"]["replicas"].clone();
        if seen == 4 {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
}

#[test]
fn nothing_is_invented() {
    let mut stage = synced("invented", "");
    let before = about_shop(&stage).len();
    let began = stage.cluster.audit_position();
    stage.kubectl(&["annotate", "deployment", "web", "example.com/note=hello"]);
    stage.kubectl(&["label", "deployment", "web", "team=blue"]);
    stage.kubectl(&[
        "patch",
        "deployment",
        "web",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"collisionCount":3}}"#,
    ]);
    stage.kubectl(&[
        "annotate",
        "configmap",
        "settings",
        "example.com/note=hello",
    ]);
    // As an autoscaler of memory would: a field that the repository doesn't declare.
    let revision = stage.commit(
        "No replicas",
        &[("shop/web.yaml", &WEB.replace("  replicas: 2\n", ""))],
    );
    stage.until_synced("shop", &revision);
    let commits = about_shop(&stage).len();
    for replicas in ["3", "1", "2"] {
        stage.kubectl(&[
            "scale",
            "deployment",
            "web",
            &format!("--replicas={replicas}"),
        ]);
        stage.cluster.wait_for_rollout(&stage.namespace, "web");
    }
    pass_the_fence(&mut stage, "first");
    let entries = about_shop(&stage);
    let drift: Vec<_> = entries[before..]
        .iter()
        .filter(|entry| entry.trailer("Cause").as_deref() == Some("drift"))
        .collect();
    assert!(drift.is_empty(), "{drift:#?}");
    let later: Vec<_> = entries[commits..]
        .iter()
        .map(|entry| &entry.subject)
        .collect();
    assert!(later.is_empty(), "{later:?}");
    assert_eq!(stage.get("deployment", "web")["spec"]["replicas"], 2);
    assert_eq!(
        stage.get("deployment", "web")["metadata"]["labels"]["team"],
        "blue"
    );
    assert_eq!(
        stage.get("configmap", "settings")["metadata"]["annotations"]["example.com/note"],
        "hello"
    );
    let writes: Vec<String> = stage
        .writes_since(began)
        .into_iter()
        .map(|it| it.object.name)
        .filter(|name| name != "fence" && name != "web")
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(stage.diff(&[]).code, Some(0), "{}", stage.diff(&[]).stdout);
}

#[test]
fn a_difference_in_spelling_is_none() {
    let mut stage = synced("spelling", "");
    let ran = stage.diff(&[]);
    assert_eq!(
        (ran.code, ran.stdout.contains("change")),
        (Some(0), false),
        "{}",
        ran.stdout
    );
    let before = about_shop(&stage).len();
    // Somebody writes the same in other words.
    stage.kubectl(&["patch", "deployment", "web", "--type=strategic", "-p",
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"main","resources":{"requests":{"cpu":"1","memory":"1Gi"}}}]}}}}"#]);
    stage.daemon().restart();
    pass_the_fence(&mut stage, "first");
    let drift: Vec<_> = about_shop(&stage)
        .into_iter()
        .skip(before)
        .map(|entry| entry.message)
        .collect();
    assert!(drift.is_empty(), "{drift:#?}");
    assert_eq!(stage.diff(&[]).code, Some(0));
    let requests = stage
        .get("deployment", "web")
        .pointer("/spec/template/spec/containers/0/resources/requests")
        .cloned();
    assert_eq!(
        requests.unwrap(),
        serde_json::json!({"cpu": "1", "memory": "1Gi"})
    );
}

/// Who owns fields of an object, by kubectl's leave.
fn owners(stage: &Stage, kind: &str, name: &str) -> Vec<String> {
    let object = stage.kubectl(&["get", kind, name, "-ojson", "--show-managed-fields"]);
    let object: serde_json::Value = serde_json::from_str(&object).unwrap();
    let entries = object["metadata"]["managedFields"].as_array().cloned();
    let names = entries.into_iter().flatten();
    names
        .map(|entry| entry["manager"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn ownership_is_taken_back(name: &str, policy: &str) {
    let mut stage = synced(name, policy);
    let before = stage.entries().len();
    let reset = r#"[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]"#;
    patch(&stage, "configmap", "settings", reset);
    stage.until("the agent alone to own the object", |stage| {
        match owners(stage, "configmap", "settings") {
            owners if owners == ["gitops-agent"] => Ok(()),
            owners => Err(format!("{owners:?} {}", stage.status())),
        }
    });
    pass_the_fence(&mut stage, "after");
    let about: Vec<Entry> = about_shop(&stage);
    let all = stage.entries();
    assert_eq!(all.len(), before + 2, "the fence's alone: {about:#?}");
    assert_eq!(stage.unit("shop")["state"], "Synced");
    assert_eq!(stage.diff(&[]).code, Some(0));
}

#[test]
fn ownership_lost_with_every_value_as_declared_is_taken_back_without_a_word() {
    ownership_is_taken_back("owner", "");
}

#[test]
fn ownership_is_no_drift_that_is_reported() {
    ownership_is_taken_back("owner-report", "drift: report");
}

/// What is declared as empty, and owned as a whole, is put back as anything else.
#[test]
fn a_map_that_is_declared_as_empty_is_put_back() {
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny}\nspec: {podSelector: {}, policyTypes: [Ingress]}\n";
    let mut stage = Stage::new("empty-map", AGENT);
    stage.repository.write("shop/deny.yaml", policy);
    let revision = stage.configure(&[("shop", "")]);
    stage.start();
    stage.until_synced("shop", &revision);
    for round in 1..=2 {
        let patch = r#"{"spec":{"podSelector":{"matchLabels":{"app":"web"}}}}"#;
        let by = "--field-manager=alice";
        stage.kubectl(&[
            "patch",
            "networkpolicy",
            "deny",
            "--type=merge",
            by,
            "-p",
            patch,
        ]);
        stage.until("it to be put back and told", |stage| {
            let live = stage.get("networkpolicy", "deny")["spec"]["podSelector"].clone();
            let told = [
                "alice changed NetworkPolicy",
                "revert drift on NetworkPolicy",
            ];
            let told = told.map(|words| stage.entries_on(words).len());
            let back = live.as_object().is_none_or(serde_json::Map::is_empty);
            let seen = format!("{live} {told:?}");
            if back && told == [round, round] {
                Ok(())
            } else {
                Err(seen)
            }
        });
    }
    stage.assert_consistent();
}
