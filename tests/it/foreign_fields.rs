//! What others add to an object, where the repository says nothing: shown, removed or
//! allowed, as the unit says, and never taken for drift.

use serde_json::{Value, json};

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'web:1', env: [{name: ONE, value: one}]}]}
";
const SECRET: &str = "apiVersion: v1
kind: Secret
metadata: {name: token}
stringData: {a: one}
";
const CONTAINER: &str = "/spec/template/spec/containers/0";

fn synced(name: &str, more: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    let more = format!("allowPlainSecrets: true, {more}");
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", &more)])),
            ("shop/web.yaml", WEB),
            ("shop/token.yaml", SECRET),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    stage
}

/// Adds an environment variable, an annotation and a Secret's entry; scales.
fn add(stage: &Stage<'_>) {
    stage.kubectl(&["set", "env", "deployment/web", "TWO=two"]);
    stage.kubectl(&["annotate", "deployment", "web", "example.com/note=hi"]);
    let entry = r#"{"data":{"b":"aGlkZGVu"}}"#;
    stage.kubectl(&["patch", "secret", "token", "--type=merge", "-p", entry]);
    stage.kubectl(&["scale", "deployment", "web", "--replicas=2"]);
}

fn paths(stage: &Stage<'_>) -> Vec<String> {
    let ran = stage.diff(&["-o", "json"]);
    assert_eq!(ran.code, Some(0), "no drift: {}", ran.stdout);
    let shown: Value = serde_json::from_str(&ran.stdout).unwrap();
    let foreign = shown[0]["units"][0]["foreign"].as_array().unwrap().iter();
    foreign
        .map(|one| {
            format!(
                "{} {}",
                one["path"].as_str().unwrap(),
                one["manager"]["name"]
            )
        })
        .collect()
}

fn subjects(stage: &Stage<'_>) -> Vec<String> {
    stage.entries().into_iter().map(|it| it.subject).collect()
}

#[test]
fn report_shows_them_apart_from_drift_and_tells_of_them_once() {
    let mut stage = synced("report", "");
    let namespace = stage.namespace.clone();
    add(&stage);
    stage.until("all to be told", |stage| {
        let file = stage.recorded("shop/foreign.yaml").unwrap_or_default();
        match ["TWO", "example.com/note", "data.b"].map(|it| file.contains(it)) {
            [true, true, true] => Ok(()),
            _ => Err(file),
        }
    });
    assert_eq!(
        paths(&stage),
        [
            r#"data.b "kubectl-patch""#,
            r#"metadata.annotations["example.com/note"] "kubectl-annotate""#,
            r#"spec.template.spec.containers[name=main].env[name=TWO] "kubectl-set""#,
        ]
    );
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    for told in [
        "fields of others",
        &format!("Deployment {namespace}/web"),
        r#"metadata.annotations["example.com/note"]: "hi", set by kubectl-annotate (Update) at 20"#,
        r#"data.b: "[redacted]", set by kubectl-patch (Update) at 20"#,
        "no difference, 2 objects as declared; 3 fields of others",
    ] {
        assert!(ran.stdout.contains(told), "{told}\n{}", ran.stdout);
    }
    assert_eq!(stage.agent(&["status"]).run().code, Some(0));

    let entries = stage.entries();
    let found = format!("found fields of kubectl-set on Deployment {namespace}/web");
    let entry = stage
        .entries_on(&found)
        .pop()
        .unwrap_or_else(|| panic!("{entries:#?}"));
    let line = r#"env[name=TWO]: {"name":"TWO","value":"two"}, set by kubectl-set (Update) at 20"#;
    assert!(entry.message.contains(line), "{}", entry.message);
    assert_eq!(entry.trailer("Cause").as_deref(), Some("foreign"));
    assert_eq!(entry.trailer("Actor").as_deref(), Some("kubectl-set"));
    for hidden in ["aGlkZGVu", "hidden"] {
        let log = stage.repository.log_as(&stage.branch(), "%B");
        assert!(!log.iter().any(|text| text.contains(hidden)));
    }

    // Another value of the same field is no news, and neither is a restart.
    let before = subjects(&stage);
    stage.kubectl(&[
        "annotate",
        "deployment",
        "web",
        "--overwrite",
        "example.com/note=ho",
    ]);
    stage.daemon().restart();
    stage.kubectl(&["annotate", "deployment", "web", "example.com/note-"]);
    stage.until("the note to be gone from the record", |stage| {
        let file = stage.recorded("shop/foreign.yaml").unwrap_or_default();
        if file.contains("note") {
            Err(file)
        } else {
            Ok(())
        }
    });
    let after = subjects(&stage);
    assert_eq!(after.len(), before.len() + 1, "{after:#?}");
    stage.assert_continuous();
}

#[test]
fn revert_removes_exactly_them() {
    let mut stage = synced("revert-foreign", "foreignFields: revert");
    let namespace = stage.namespace.clone();
    let before = subjects(&stage).len();
    stage.kubectl(&["scale", "deployment", "web", "--replicas=2"]);
    stage.kubectl(&["set", "env", "deployment/web", "TWO=two"]);
    stage.until("it to be removed", |stage| {
        let web = stage.get("deployment", "web");
        let env = web.pointer(&format!("{CONTAINER}/env")).cloned();
        let told = subjects(stage).len() == before + 2;
        if told && env == Some(json!([{"name": "ONE", "value": "one"}])) {
            Ok(())
        } else {
            Err(format!("{env:?} {:#?}", subjects(stage)))
        }
    });
    let entries = stage.entries();
    let [found, removed] = &entries[before..] else {
        panic!("{entries:#?}");
    };
    let environment = &stage.environment;
    assert_eq!(
        found.subject,
        format!("{environment}: kubectl-set changed Deployment {namespace}/web")
    );
    assert_eq!(
        removed.subject,
        format!("{environment}: remove fields of others from Deployment {namespace}/web")
    );
    for entry in [found, removed] {
        assert_eq!(entry.trailer("Cause").as_deref(), Some("drift"));
        assert_eq!(entry.trailer("Actor").as_deref(), Some("kubectl-set"));
    }
    assert_eq!(stage.get("deployment", "web")["spec"]["replicas"], 2);

    // Together with drift of the same object.
    let patch = r#"[{"op": "add", "path": "/spec/template/spec/containers/0/env/0", "value": {"name": "THREE", "value": "3"}},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:2"}]"#;
    stage.kubectl(&["patch", "deployment", "web", "--type=json", "-p", patch]);
    stage.until("both to be put back", |stage| {
        let web = stage.get("deployment", "web");
        let container = web.pointer(CONTAINER).cloned().unwrap_or_default();
        let env = container["env"] == json!([{"name": "ONE", "value": "one"}]);
        let told = subjects(stage).len() == before + 4;
        if env && told && container["image"] == "web:1" {
            Ok(())
        } else {
            Err(format!("{container:#} {:#?}", subjects(stage)))
        }
    });
    assert_eq!(paths(&stage), [] as [&str; 0]);
    assert_eq!(stage.recorded("shop/foreign.yaml"), None);
    stage.assert_continuous();
}

#[test]
fn what_is_ignored_or_allowed_is_left_and_not_told() {
    let rules = "foreignFields: revert, ignore: [\
        {kind: Deployment, name: w*, path: 'spec.template.spec.containers[*].env'}, \
        {path: 'metadata.annotations[\"example.com/*\"]'}, {kind: Secret, path: data}, \
        {kind: Deployment.apps, path: spec.selector.matchLabels.app}]";
    let mut stage = synced("ignore", rules);
    let before = subjects(&stage);
    add(&stage);
    stage.kubectl(&["annotate", "deployment", "web", "other=x"]);
    stage.until("what is not ignored to be removed", |stage| {
        let web = stage.get("deployment", "web");
        let told = subjects(stage).len() == before.len() + 2;
        let annotations = &web["metadata"]["annotations"];
        if told && annotations["other"] == Value::Null {
            Ok(())
        } else {
            Err(annotations.to_string())
        }
    });
    let web = stage.get("deployment", "web");
    assert_eq!(web["metadata"]["annotations"]["example.com/note"], "hi");
    let env = web.pointer(&format!("{CONTAINER}/env")).unwrap();
    assert_eq!(env.as_array().unwrap().len(), 2, "{env}");
    assert_eq!(paths(&stage), [] as [&str; 0]);
    let ran = stage.diff(&[]);
    let warning = format!(
        "agent.yaml:5: `ignore` names spec.selector.matchLabels.app, which is declared by Deployment {}/web (shop/web.yaml:1): what is declared is applied; to leave it to others, take it out of Git",
        stage.namespace
    );
    assert!(ran.stderr.contains(&warning), "{}", ran.stderr);

    stage.configure(&[("shop", "allowPlainSecrets: true, foreignFields: allow")]);
    stage.kubectl(&["annotate", "deployment", "web", "other=x"]);
    let revision = stage.commit(
        "Two",
        &[("shop/web.yaml", &WEB.replace("value: one", "value: two"))],
    );
    stage.until_synced("shop", &revision);
    assert_eq!(
        stage.get("deployment", "web")["metadata"]["annotations"]["other"],
        "x"
    );
    assert_eq!(paths(&stage), [] as [&str; 0]);
}

/// A namespace's own finalizers change by its end alone: the server writes down who asked
/// for others and keeps what was there.
#[test]
fn what_nobody_can_take_off_is_not_tried() {
    let mut stage = Stage::new("finalized", AGENT);
    let name = format!("{}-own", stage.namespace);
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
    let configuration = stage.configuration(&[("shop", "foreignFields: revert")]);
    let files = [
        ("agent.yaml", configuration.as_str()),
        ("shop/namespace.yaml", &namespace),
    ];
    let revision = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &revision);
    let before = subjects(&stage).len();
    let finalizers = r#"{"spec": {"finalizers": ["kubernetes", "example.com/mine"]}}"#;
    stage.kubectl(&[
        "patch",
        "namespace",
        &name,
        "--type=merge",
        "-p",
        finalizers,
    ]);
    let words = ["get", "namespace", &name, "-oyaml", "--show-managed-fields"];
    let live = stage.kubectl(&words);
    assert!(live.contains("manager: kubectl-patch"), "{live}");
    stage.kubectl(&["annotate", "namespace", &name, "example.com/note=x"]);
    stage.until("what can be taken off to be", |stage| {
        let told = subjects(stage).len() >= before + 2;
        let live = stage.cluster.get(&["namespace", &name]).unwrap_or_default();
        let note = live["metadata"]["annotations"]["example.com/note"].clone();
        if told && note == Value::Null {
            Ok(())
        } else {
            Err(note.to_string())
        }
    });
    let entries = stage.entries();
    for entry in &entries[before..] {
        assert!(!entry.message.contains("finalizers"), "{}", entry.message);
    }
    assert_eq!(entries.len(), before + 2, "{entries:#?}");
}

#[test]
fn what_stands_in_an_item_that_left_git_goes_with_it() {
    let mut stage = synced("orphan", "");
    let side = "image: 'web:1', env: [{name: ONE, value: one}]}, {name: side, image: 'side:1'}";
    let both = WEB.replace("image: 'web:1', env: [{name: ONE, value: one}]}", side);
    let revision = stage.commit("Two containers", &[("shop/web.yaml", &both)]);
    stage.until_synced("shop", &revision);
    stage.kubectl(&["set", "env", "deployment/web", "-c=side", "TWO=two"]);
    stage.until_entry("found fields of kubectl-set on Deployment ");
    goes(&mut stage);
}

#[test]
fn so_does_what_the_one_had_in_it_who_made_the_object() {
    let mut stage = Stage::new("made", AGENT);
    let side = "env: [{name: ONE, value: one}]}, {name: side, image: 'side:1'}]";
    let both = WEB.replace("env: [{name: ONE, value: one}]}]", side);
    let more = both.replace("'side:1'}", "'side:1', env: [{name: TWO, value: two}]}");
    let words = [
        "-n",
        &stage.namespace,
        "create",
        "--field-manager=helm",
        "-f",
        "-",
    ];
    stage.cluster.kubectl_with(&words, &more).unwrap();
    let agent = stage.configuration(&[("shop", "")]);
    let revision = stage.commit("Start", &[("agent.yaml", &agent), ("shop/web.yaml", &both)]);
    stage.start();
    stage.until_synced("shop", &revision);
    let entry = stage.until_entry("found fields of helm on Deployment ");
    let told = "  spec.template.spec.containers[name=side].env: [{\"name\":\"TWO\",\"value\":\"two\"}], set by helm (Update) at 20";
    let lines: Vec<&str> = entry
        .message
        .lines()
        .filter(|it| it.starts_with("  "))
        .collect();
    assert!(
        lines.len() == 1 && lines[0].starts_with(told),
        "{}",
        entry.message
    );
    goes(&mut stage);
}

/// The container that is called side.
fn goes(stage: &mut Stage<'static>) {
    let revision = stage.commit("One container", &[("shop/web.yaml", WEB)]);
    stage.until_synced("shop", &revision);
    let web = stage.get("deployment", "web");
    let containers = &web["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().unwrap().len(), 1, "{containers:#}");
    assert_eq!(paths(stage), [] as [&str; 0]);
    assert_eq!(stage.recorded("shop/foreign.yaml"), None);
}
