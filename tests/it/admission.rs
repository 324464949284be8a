//! What an admission makes of a declared value is told as that: not as somebody's deed, not
//! again and again, and not for longer than it is so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::audit::AuditPosition;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;
use crate::support::webhook;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// A ConfigMap of which an admission has a say, as soon as there is one.
fn config_map(name: &str, nonce: &str, other: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{nonce: '{nonce}', other: {other}}}\n"
    )
}

/// Another value at each write.
fn another(_: &Value) -> Value {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    json!([{"op": "replace", "path": "/data/nonce", "value": format!("number-{count}")}])
}

const HAS_NONCE: &str = "has(object.data) && 'nonce' in object.data";

fn rules() -> Value {
    json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}])
}

/// Has a webhook change the stage's `ConfigMaps` that have a nonce.
fn add_webhook(stage: &Stage) {
    let client = webhook::serve(stage.cluster, another).unwrap();
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": stage.namespace},
        "webhooks": [{
            "name": "nonce.example.com",
            "clientConfig": client,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}},
            "matchConditions": [{"name": "nonce", "expression": HAS_NONCE}],
            "rules": rules(),
        }],
    });
    stage.cluster.kubectl_apply(&configuration.to_string());
    until_answered(stage, |nonce| nonce != "probe");
}

/// Has a policy set the nonce of the stage's `ConfigMaps` to 9.
fn add_policy(stage: &Stage) {
    for object in policy(stage) {
        stage.cluster.kubectl_apply(&object.to_string());
    }
    until_answered(stage, |nonce| nonce == "9");
}

/// That policy and its binding.
fn policy(stage: &Stage) -> [Value; 2] {
    let patch = r#"[JSONPatch{op: "replace", path: "/data/nonce", value: "9"}]"#;
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": stage.namespace},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}},
                "resourceRules": rules(),
            },
            "matchConditions": [{"name": "nonce", "expression": HAS_NONCE}],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": stage.namespace},
        "spec": {"policyName": stage.namespace},
    });
    [policy, binding]
}

/// Waits until the API server gives a nonce like this to what is created: it learns of what
/// is in force by a watch.
fn until_answered(stage: &Stage, so: impl Fn(&str) -> bool) {
    let probe = config_map("probe", "probe", "one");
    wait_seeing("the admission to be in force, or gone", PATIENCE, || {
        let answer = stage.as_created(&probe);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let nonce = answer["data"]["nonce"].as_str().unwrap_or_default();
        if so(nonce) {
            Ok(())
        } else {
            Err(nonce.to_owned())
        }
    });
}

fn remove(stage: &Stage, kinds: &[&str]) {
    for kind in kinds {
        stage.cluster.kubectl(&["delete", kind, &stage.namespace]);
    }
    until_answered(stage, |nonce| nonce == "probe");
}

fn synced(name: &str, before: impl Fn(&Stage)) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    before(&stage);
    let configuration = stage.configuration(&[("shop", ""), ("fence", "")]);
    let files = [
        ("agent.yaml", configuration.as_str()),
        ("shop/nonce.yaml", &config_map("nonce", "1", "one")),
        (
            "fence/fence.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fence}\ndata: {a: one}\n",
        ),
    ];
    let revision = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("fence", &revision);
    stage
}

/// Waits until everything that was done before is behind the agent.
fn pass_the_fence(stage: &mut Stage) {
    let before = stage.entries_on("revert drift on ConfigMap").len();
    stage.kubectl(&[
        "patch",
        "configmap",
        "fence",
        "--type=merge",
        "-p",
        r#"{"data":{"a":"two"}}"#,
    ]);
    stage.until("the fence to be put back", |stage| {
        let told = stage.entries_on("revert drift on ConfigMap").len();
        if told > before {
            Ok(())
        } else {
            Err(told.to_string())
        }
    });
}

/// How often an agent has asked for or written something of the object, but for reading it.
fn patches(stage: &Stage, since: AuditPosition) -> usize {
    let events = stage.cluster.audit_since(since).into_iter();
    let patches = events.filter(|event| {
        event.verb == "patch"
            && event.stage == "ResponseComplete"
            && event.object.name == "nonce"
            && event.object.namespace == stage.namespace
            && event.user_agent.starts_with("gitops-agent/")
    });
    patches.count()
}

fn assert_nobody_did_it(stage: &Stage) {
    for entry in stage.entries() {
        let drift = entry.trailer("Event").as_deref() == Some("drift");
        assert!(
            !drift || entry.message.contains("/fence"),
            "{}",
            entry.message
        );
    }
}

#[test]
fn another_value_at_each_write_is_told_once_as_what_it_is() {
    let mut stage = synced("nonce", add_webhook);
    let message = stage.until_state("shop", "Blocked");
    let object = format!("ConfigMap {}/nonce", stage.namespace);
    let told = format!(
        "{object} (shop/nonce.yaml:1): contended by admission: data.nonce, declared as \"1\", is given another value at each write"
    );
    assert_eq!(message, told);
    pass_the_fence(&mut stage);
    assert!(
        patches(&stage, stage.began()) <= 4,
        "{}",
        patches(&stage, stage.began())
    );
    let contended = format!("{object} is contended by admission");
    let entry = stage.until_entry(&contended);
    assert!(
        entry.message.contains("  data.nonce: \"1\" -> \"number-"),
        "{}",
        entry.message
    );
    assert_eq!(entry.trailer("Cause").as_deref(), Some("contended"));
    assert_eq!(entry.trailer("Actor"), None);

    // What else is declared gets through, and that it goes on is no news.
    let since = stage.cluster.audit_position();
    stage.commit(
        "Two",
        &[("shop/nonce.yaml", &config_map("nonce", "1", "two"))],
    );
    stage.until("the rest to be applied", |stage| {
        let other = stage.get("configmap", "nonce")["data"]["other"].clone();
        if other == "two" {
            Ok(())
        } else {
            Err(other.to_string())
        }
    });
    pass_the_fence(&mut stage);
    stage.daemon().restart();
    pass_the_fence(&mut stage);
    assert!(patches(&stage, since) <= 6, "{}", patches(&stage, since));
    assert_eq!(
        stage.entries_on(&contended).len(),
        1,
        "{:#?}",
        stage.entries()
    );
    assert_nobody_did_it(&stage);
    let ran = stage.diff(&[]);
    assert!(
        ran.stdout.contains("contended by admission: data.nonce"),
        "{ran:?}"
    );

    remove(&stage, &["mutatingwebhookconfiguration"]);
    let revision = stage.commit(
        "Three",
        &[("shop/nonce.yaml", &config_map("nonce", "3", "two"))],
    );
    stage.until_synced("shop", &revision);
    stage.until_entry(&format!("{object} is no longer contended by admission"));
    assert_eq!(stage.get("configmap", "nonce")["data"]["nonce"], "3");
}

#[test]
fn the_same_value_is_told_and_put_right_when_the_policy_is_gone() {
    let mut stage = synced("policy", |_| ());
    stage.until_state("shop", "Synced");
    let object = format!("ConfigMap {}/nonce", stage.namespace);
    let live = |stage: &Stage| stage.get("configmap", "nonce")["data"]["nonce"].clone();
    assert_eq!(live(&stage), "1");
    add_policy(&stage);
    let revision = stage.commit(
        "Two",
        &[("shop/nonce.yaml", &config_map("nonce", "1", "two"))],
    );
    stage.until_synced("shop", &revision);
    assert_eq!(live(&stage), "9");
    let overruled = format!("{object} is overruled by admission");
    let entry = stage.until_entry(&overruled);
    assert!(
        entry.message.contains("  data.nonce: \"1\" -> \"9\""),
        "{}",
        entry.message
    );
    let told = format!(
        "{object} (shop/nonce.yaml:1): overruled by admission: data.nonce is declared as \"1\", and the API server makes \"9\" of it"
    );
    assert_eq!(stage.unit("shop")["message"], *told);
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains(&told), "{ran:?}");
    let since = stage.cluster.audit_position();
    stage.daemon().restart();
    pass_the_fence(&mut stage);
    assert!(patches(&stage, since) <= 1, "{}", patches(&stage, since));
    assert_eq!(
        stage.entries_on(&overruled).len(),
        1,
        "{:#?}",
        stage.entries()
    );

    remove(
        &stage,
        &["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"],
    );
    assert_eq!(live(&stage), "9");
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("-  nonce: '9'") || ran.stdout.contains("-  nonce: \"9\""),
        "{ran:?}"
    );
    // Nobody tells the agent that the policy is gone: it asks again, within half a minute.
    stage.until("it to be put right", |stage| {
        let live = live(stage);
        if live == "1" {
            Ok(())
        } else {
            Err(live.to_string())
        }
    });
    stage.until("nothing more to be said of it", |stage| {
        let seen = stage.unit("shop");
        let said = seen["message"].as_str().unwrap_or_default().is_empty();
        if said && seen["state"] == "Synced" {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
    assert_nobody_did_it(&stage);
}

#[test]
fn a_value_is_put_right_at_once_when_the_agent_itself_takes_the_policy_away() {
    let mut stage = synced("own-policy", |_| ());
    let [policy, binding] = policy(&stage);
    let units = stage.configuration(&[("shop", ""), ("fence", ""), ("policies", "")]);
    let (policy, binding) = (policy.to_string(), binding.to_string());
    let files = [
        ("agent.yaml", units.as_str()),
        ("policies/policy.yaml", &policy),
        ("policies/binding.yaml", &binding),
    ];
    let revision = stage.commit("Add a policy", &files);
    stage.until_synced("policies", &revision);
    until_answered(&stage, |nonce| nonce == "9");
    let two = config_map("nonce", "1", "two");
    let revision = stage.commit("Two", &[("shop/nonce.yaml", &two)]);
    stage.until_synced("shop", &revision);
    let object = format!("ConfigMap {}/nonce", stage.namespace);
    stage.until_entry(&format!("{object} is overruled by admission"));

    let began = Instant::now();
    stage.repository.remove("policies/binding.yaml");
    stage.commit("Bind nothing", &[]);
    stage.until("it to be put right", |stage| {
        let nonce = stage.get("configmap", "nonce")["data"]["nonce"].clone();
        if nonce == "1" {
            Ok(())
        } else {
            Err(nonce.to_string())
        }
    });
    stage.until_entry(&format!("{object} is no longer overruled by admission"));
    let took = began.elapsed();
    println!("put right after {took:?}");
    assert!(took < Duration::from_secs(25), "{took:?}");
    assert_nobody_did_it(&stage);
}
