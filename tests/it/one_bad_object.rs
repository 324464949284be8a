//! One bad object blocks itself and what depends on it, and nothing else; it is named
//! with its place and the server's words, and the commit that fixes it works at once.

use std::fmt::Write as _;

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n---\n")
}

/// 49 good objects, the bad one as the 20th of 50, and one that depends on it.
fn files(stage: &Stage, bad: &str, id: &str) -> (String, String, usize) {
    let mut all = String::new();
    let mut line = 0;
    for number in 0..50 {
        if number == 20 {
            line = all.lines().count() + 1;
            let _ = write!(all, "{bad}\n---\n");
        } else {
            all += &config_map(&format!("good-{number}"));
        }
    }
    let namespace = &stage.namespace;
    let dependent = format!(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: dependent
  annotations: {{config.kubernetes.io/depends-on: {}}}
",
        id.replace("{namespace}", namespace)
    );
    (all, dependent, line)
}

/// What there is of the 49 good ones.
fn good(stage: &Stage) -> usize {
    let names = stage.kubectl(&["get", "configmaps", "-oname"]);
    names
        .lines()
        .filter(|name| name.starts_with("configmap/good-"))
        .count()
}

/// The unit is Blocked, and every place where people look says by what, where and why.
fn expect_one_bad(stage: &mut Stage, object: &str, line: usize, words: &str) {
    let message = stage.until_state("shop", "Blocked");
    assert_eq!(good(stage), 49, "{message}");
    let named = format!("{object} (shop/all.yaml:{line}): ");
    assert!(
        message.starts_with(&named) && message.contains(words),
        "{message}"
    );
    assert_eq!(
        message.lines().count(),
        1,
        "only the bad one is named: {message}"
    );
    assert!(stage.get("configmap", "dependent").is_null());

    let entry = stage.until_entry("sync shop to ");
    assert!(
        entry.message.contains(&named) && entry.message.contains(words),
        "{}",
        entry.message
    );
    let log = stage.log();
    let told = |line: &str| line.contains(&named) && line.contains(&words.replace('"', "\\\""));
    assert!(log.lines().any(told), "{log}");
    assert_eq!(stage.agent(&["status"]).run().code, Some(1));
}

fn expect_fixed(stage: &mut Stage, revision: &str) {
    // Far below the wait after which a refused object is tried again.
    stage.until_synced("shop", revision);
    assert!(!stage.get("configmap", "dependent").is_null());
    let created = |kind, name| {
        stage.get(kind, name)["metadata"]["creationTimestamp"]
            .as_str()
            .map(str::to_owned)
    };
    assert!(created("configmap", "dependent") >= created("configmap", "bad"));
    assert_eq!(stage.diff(&[]).code, Some(0));
    assert_eq!(stage.agent(&["status"]).run().code, Some(0));
}

#[test]
fn an_invalid_object_blocks_itself_and_its_dependents() {
    let mut stage = Stage::new("invalid", AGENT);
    let bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndata: {\"not a key\": b}";
    let (all, dependent, line) = files(&stage, bad, "/namespaces/{namespace}/ConfigMap/bad");
    stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            ("shop/all.yaml", &all),
            ("shop/dependent.yaml", &dependent),
        ],
    );
    stage.start();
    let object = format!("ConfigMap {}/bad", stage.namespace);
    expect_one_bad(&mut stage, &object, line, "Invalid value: \"not a key\"");

    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("Invalid value: \"not a key\""),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains(&format!("{object} to be applied")),
        "{}",
        ran.stdout
    );

    let revision = stage.commit(
        "Fix it",
        &[("shop/all.yaml", &all.replace("not a key", "key"))],
    );
    expect_fixed(&mut stage, &revision);
}

#[test]
fn an_object_that_admission_denies_blocks_itself_and_its_dependents() {
    let mut stage = Stage::new("denied", AGENT);
    let namespace = stage.namespace.clone();
    stage.cluster.kubectl_apply(&format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {namespace}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}
    resourceRules:
      - {{apiGroups: [''], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}}
  validations:
    - {{expression: '!has(object.data) || !(\"forbidden\" in object.data)', message: no forbidden fruit here}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {namespace}}}
spec: {{policyName: {namespace}, validationActions: [Deny]}}
"
    ));
    let tried = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tried}\ndata: {forbidden: b}";
    let words = [
        "-n",
        &namespace,
        "apply",
        "--server-side",
        "--dry-run=server",
        "-f",
        "-",
    ];
    crate::support::wait::wait(
        "the policy to be in force",
        crate::support::stage::PATIENCE,
        || {
            stage
                .cluster
                .kubectl_with(&words, tried)
                .is_err()
                .then_some(())
        },
    );

    let bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndata: {forbidden: b}";
    let (all, dependent, line) = files(&stage, bad, "/namespaces/{namespace}/ConfigMap/bad");
    stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            ("shop/all.yaml", &all),
            ("shop/dependent.yaml", &dependent),
        ],
    );
    stage.start();
    let object = format!("ConfigMap {namespace}/bad");
    expect_one_bad(&mut stage, &object, line, "no forbidden fruit here");
    let revision = stage.commit(
        "Fix it",
        &[("shop/all.yaml", &all.replace("forbidden", "allowed"))],
    );
    expect_fixed(&mut stage, &revision);
}

#[test]
fn an_object_of_an_unknown_kind_blocks_itself_and_its_dependents() {
    let mut stage = Stage::new("unknown", AGENT);
    let bad = "apiVersion: nobody.example.com/v1\nkind: Riddle\nmetadata: {name: bad}";
    let (all, dependent, line) = files(
        &stage,
        bad,
        "nobody.example.com/namespaces/{namespace}/Riddle/bad",
    );
    stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            ("shop/all.yaml", &all),
            ("shop/dependent.yaml", &dependent),
        ],
    );
    stage.start();
    let object = format!("Riddle.nobody.example.com {}/bad", stage.namespace);
    let words = "the cluster has no kind Riddle.nobody.example.com; is its CustomResourceDefinition installed?";
    expect_one_bad(&mut stage, &object, line, words);

    let fixed = all.replace(bad, config_map("bad").trim_end_matches("---\n"));
    let dependent = dependent
        .replace("nobody.example.com/", "/")
        .replace("Riddle", "ConfigMap");
    let revision = stage.commit(
        "Fix it",
        &[
            ("shop/all.yaml", &fixed),
            ("shop/dependent.yaml", &dependent),
        ],
    );
    expect_fixed(&mut stage, &revision);
}
