//! `agent diff`: the daemon's plan on a laptop, with nothing but read rights.

use std::fs;

use crate::support::git::git;
use crate::support::stage::{PATIENCE, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: web:1
          resources: {requests: {cpu: 1000m, memory: 1024Mi}}
";

const PASSWORD: &str = "apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hunter-seven}
";

/// A unit that is synced, by an agent that has ended.
fn synced(name: &str) -> Stage<'static> {
    let stage = Stage::new(name, AGENT);
    let configuration = stage.configuration(&[("shop", "allowPlainSecrets: true")]);
    stage.commit(
        "Start",
        &[
            ("agent.yaml", &configuration),
            ("shop/web.yaml", WEB),
            ("shop/login.yaml", PASSWORD),
        ],
    );
    let ran = stage.invocation().args(["--once"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    stage
}

#[test]
fn tells_by_its_exit_code_whether_something_differs() {
    let stage = synced("diff-code");
    let same = stage.diff(&[]);
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(
        same.stdout.contains("no difference, 2 objects as declared"),
        "{same:?}"
    );

    // The working tree counts, committed or not.
    let changed = WEB.replace("web:1", "web:2");
    stage.repository.write("shop/web.yaml", &changed);
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for line in [
        "-      - image: web:1",
        "+      - image: web:2",
        "1 to change; 1 as declared",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {ran:?}");
    }
    assert!(!ran.stdout.contains("cpu: \"1\""), "{ran:?}");
    let ran = stage.diff(&["--revision", "HEAD"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");

    stage.repository.write("shop/web.yaml", "a: [\n");
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stdout.contains("shop/web.yaml:1:4"), "{ran:?}");
}

#[test]
fn a_namespace_that_is_neither_there_nor_declared_is_told() {
    let stage = synced("diff-homeless");
    let (missing, declared) = (
        format!("{}-missing", stage.namespace),
        format!("{}-declared", stage.namespace),
    );
    let object = |namespace: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: {namespace}}}\n")
    };
    let home = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {declared}}}\n");
    let files = &stage.repository;
    files.write("shop/missing.yaml", &object(&missing));
    files.write("shop/declared.yaml", &object(&declared));
    files.write("shop/home.yaml", &home);
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let told = format!("the namespace {missing} is not there, and no unit declares it");
    assert_eq!(
        ran.stdout.matches("and no unit declares it").count(),
        1,
        "{ran:?}"
    );
    for words in [
        told,
        format!("kubectl create namespace {missing}"),
        "1 blocked".to_owned(),
    ] {
        assert!(ran.stdout.contains(&words), "{words}: {ran:?}");
    }
}

#[test]
fn names_the_owner_of_a_field_and_no_secret() {
    let stage = synced("diff-owner");
    let patch = r#"{"spec":{"replicas":5}}"#;
    stage.kubectl(&[
        "patch",
        "deployment",
        "web",
        "--field-manager=anna",
        "-p",
        patch,
    ]);
    let encoded = "b3RoZXI=";
    let patch = format!(r#"{{"data":{{"password":"{encoded}"}}}}"#);
    stage.kubectl(&["patch", "secret", "login", "-p", &patch]);
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("spec.replicas: 5 (set by anna"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("change Secret"), "{ran:?}");
    assert!(ran.stdout.contains("-  password: hmac:"), "{ran:?}");
    let json = stage.diff(&["-o", "json"]);
    for text in [&ran.stdout, &ran.stderr, &json.stdout, &json.stderr] {
        for secret in ["hunter-seven", "aHVudGVyLXNldmVu", encoded, "other"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[test]
fn needs_only_read_rights() {
    let stage = synced("diff-read");
    let account = &stage.namespace;
    stage.kubectl(&["create", "serviceaccount", "reader"]);
    stage.kubectl(&[
        "create",
        "clusterrole",
        account,
        "--verb=get,list,watch",
        "--resource=*.*",
    ]);
    let bound = format!("--serviceaccount={account}:reader");
    let role = format!("--clusterrole={account}");
    stage.kubectl(&["create", "clusterrolebinding", account, &role, &bound]);
    let kubeconfig = stage.cluster.kubeconfig_for_account(account, "reader");
    let diff = || {
        let diff = stage.agent(&["diff", "--environment", &stage.environment]);
        diff.kubeconfig(&kubeconfig).run()
    };
    // What the daemon found out about spellings need not be asked again.
    let ran = diff();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    stage
        .repository
        .write("shop/web.yaml", &WEB.replace("replicas: 2", "replicas: 3"));
    let ran = diff();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("+  replicas: 3"), "{ran:?}");
    assert!(
        ran.stdout
            .contains("PATCH for a server dry-run is not granted"),
        "{ran:?}"
    );
}

#[test]
fn says_what_it_may_not_look_at() {
    let stage = synced("diff-blind");
    stage.kubectl(&["create", "serviceaccount", "nobody"]);
    let kubeconfig = stage
        .cluster
        .kubeconfig_for_account(&stage.namespace, "nobody");
    let diff = stage.agent(&["diff", "--environment", &stage.environment]);
    let ran = diff.kubeconfig(&kubeconfig).run();
    assert_eq!(ran.code, Some(2), "it can't be told: {ran:?}");
    assert!(
        ran.stdout.contains("cannot be compared: Deployment"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("forbidden"), "{ran:?}");
    assert!(!ran.stdout.contains("create"), "{ran:?}");
}

#[test]
fn takes_a_directory_without_any_configuration() {
    let stage = Stage::new("diff-plain", AGENT);
    let directory = stage.repository.work().join("manifests");
    let text = WEB.replace(
        "{name: web}",
        &format!("{{name: web, namespace: {}}}", stage.namespace),
    );
    stage.repository.write("manifests/web.yaml", &text);
    let ran = stage.agent(&["diff"]).args([&directory]).run();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("1 to create; 0 as declared"), "{ran:?}");
    let cause = "create Deployment";
    assert!(ran.stdout.contains(cause), "{ran:?}");
}

#[test]
fn plans_again_when_a_file_is_saved() {
    let stage = synced("diff-watch");
    let watching = stage.agent(&["diff", "--watch", "--environment", &stage.environment]);
    let mut watching = watching.start();
    let log = |text: &str, log: String| if log.contains(text) { Ok(()) } else { Err(log) };
    let path = watching.home().join("daemon.log");
    let read = || fs::read_to_string(&path).unwrap_or_default();
    watching.wait("the first plan", PATIENCE, || log("watching", read()));
    stage
        .repository
        .write("shop/web.yaml", &WEB.replace("replicas: 2", "replicas: 4"));
    watching.wait("the next plan", PATIENCE, || log("+  replicas: 4", read()));
}

#[test]
fn calls_drift_what_the_daemon_would() {
    let stage = Stage::new("diff-drift", AGENT);
    let configuration = stage.configuration(&[("shop", "drift: report"), ("other", "")]);
    let other = WEB.replace("{name: web}", "{name: other}");
    stage.commit(
        "Start",
        &[
            ("agent.yaml", &configuration),
            ("shop/web.yaml", WEB),
            ("other/web.yaml", &other),
        ],
    );
    let ran = stage.invocation().args(["--once"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    stage.repository.git(&["fetch", "-q"]);
    stage.kubectl(&["scale", "deployment", "web", "--replicas=5"]);
    stage.kubectl(&["scale", "deployment", "other", "--replicas=5"]);
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for words in [
        "live has drifted; left as it is, since the `drift` of the unit is not `revert`",
        "1 to change, 1 to leave drifted; 0 as declared",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {ran:?}");
    }
    // Only what lies in a directory.
    let directory = stage.repository.work().join("shop");
    let ran = stage.diff(&[directory.to_str().unwrap()]);
    assert!(
        ran.stdout.contains(": 1 to leave drifted; 0 as declared"),
        "{ran:?}"
    );
}

#[test]
fn says_what_an_immutable_field_would_need() {
    let stage = synced("diff-immutable");
    let moved = WEB.replace("app: web", "app: web, tier: front");
    stage.repository.write("shop/web.yaml", &moved);
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("blocked"), "{ran:?}");
    assert!(
        ran.stdout.contains("set `replace: true` on the unit"),
        "{ran:?}"
    );
    let configuration = stage.configuration(&[("shop", "allowPlainSecrets: true, replace: true")]);
    stage.repository.write("agent.yaml", &configuration);
    let ran = stage.diff(&[]);
    assert!(ran.stdout.contains("1 to replace"), "{ran:?}");
}

#[test]
fn what_a_sparse_checkout_has_not_checked_out_is_not_deleted() {
    let stage = synced("diff-sparse");
    let text = stage.configuration(&[("shop", "allowPlainSecrets: true"), ("base", "")]);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    stage.commit("Another", &[("agent.yaml", &text), ("base/a.yaml", map)]);
    let ran = stage.invocation().args(["--once"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let work = stage.repository.work();
    git(&work, &["sparse-checkout", "set", "base"]);
    assert!(!work.join("shop").exists());
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("no difference, 3 objects as declared"),
        "{ran:?}"
    );
    // What somebody deletes there is deleted.
    stage.repository.remove("base/a.yaml");
    stage.repository.write("base/.gitkeep", "");
    let ran = stage.diff(&[]);
    assert!(ran.stdout.contains("ConfigMap"), "{ran:?}");
}
