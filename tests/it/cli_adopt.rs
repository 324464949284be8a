//! What people did in the cluster is written into the files, clean and in its place.

use std::fs;

use crate::support::programs::{Program, Programs};
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const WEB: &str = "# The shop's front.
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1 # for now
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: web:1.0   # pinned
        env:
        - {name: A, value: \"1\"}
        - {name: B, value: \"2\"}
";

/// What `kubectl create deployment` sets.
const CREATED: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    app: web
spec:
  replicas: 2
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
      - name: web
        image: web:1
";

fn read(stage: &Stage<'_>, path: &str) -> String {
    fs::read_to_string(stage.repository.work().join(path)).unwrap()
}

/// The names of the `ReplicaSet`s of `web`.
fn replica_sets(stage: &Stage<'_>) -> Vec<String> {
    let names = stage.kubectl(&["get", "replicasets", "-o", "name"]);
    names.lines().map(str::to_owned).collect()
}

#[test]
fn drift_is_written_where_it_belongs() {
    let mut stage = Stage::new("adopt-drift", AGENT);
    let configuration = stage.configuration(&[("shop", "drift: report")]);
    let secret = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: one}\n";
    let files = [
        ("agent.yaml", &*configuration),
        ("shop/web.yaml", WEB),
        ("shop/settings.yaml", secret),
    ];
    let revision = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &revision);
    let unchanged = stage.agent(&["adopt", "--drift"]).run();
    assert_eq!(unchanged.code, Some(0), "{}", unchanged.stderr);
    assert_eq!(
        unchanged.stdout,
        "nothing was changed in the cluster by others\n"
    );

    stage.kubectl(&["set", "image", "deployment/web", "main=web:1.1"]);
    stage.kubectl(&["scale", "deployment/web", "--replicas=2"]);
    // A value that only the working tree has is no drift.
    stage
        .repository
        .write("shop/settings.yaml", &secret.replace("one", "two"));
    stage.until_state("shop", "Drifted");
    let ran = stage.agent(&["adopt", "--drift", "--unit", "shop"]).run();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let wanted = WEB
        .replace("replicas: 1 #", "replicas: 2 #")
        .replace("web:1.0  ", "web:1.1  ");
    assert_eq!(read(&stage, "shop/web.yaml"), wanted);
    assert_eq!(
        read(&stage, "shop/settings.yaml"),
        secret.replace("one", "two")
    );
    assert!(
        ran.stdout
            .contains("-        image: web:1.0   # pinned\n+        image: web:1.1   # pinned"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("git add shop/web.yaml && git commit"),
        "{}",
        ran.stdout
    );

    let before = replica_sets(&stage);
    let revision = stage.commit("Adopt", &[]);
    stage.until_synced("shop", &revision);
    assert_eq!(replica_sets(&stage), before);
    assert_eq!(stage.get("deployment", "web")["spec"]["replicas"], 2);
}

#[test]
fn what_was_deleted_is_declared_no_more_but_for_what_is_hardly_meant() {
    let mut stage = Stage::new("adopt-deleted", AGENT);
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: password}\nstringData: {a: one}\n";
    let two = format!("# both\n\n{}---\n{}", map("one"), map("two"));
    let configuration = stage.configuration(&[("shop", "drift: report, allowPlainSecrets: true")]);
    let files = [
        ("agent.yaml", &*configuration),
        ("shop/two.yaml", &two),
        ("shop/three.yaml", &map("three")),
        ("shop/password.yaml", secret),
    ];
    let revision = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.kubectl(&[
        "delete",
        "configmap/one",
        "configmap/three",
        "secret/password",
    ]);
    stage.until("the deletions to be told", |stage| {
        let message = stage.unit("shop")["message"].to_string();
        if message.matches("somebody deleted it").count() == 3 {
            Ok(())
        } else {
            Err(message)
        }
    });
    let ran = stage.agent(&["adopt", "--drift"]).run();
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    let unknown =
        "3 objects of shop are not there, and whether somebody deleted them only the record tells";
    assert!(ran.stderr.contains(unknown), "{}", ran.stderr);
    stage.repository.git(&["fetch"]);
    let ran = stage.agent(&["adopt", "--drift"]).run();
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        read(&stage, "shop/two.yaml"),
        format!("# both\n\n{}", map("two"))
    );
    assert!(!stage.repository.work().join("shop/three.yaml").exists());
    assert_eq!(read(&stage, "shop/password.yaml"), secret);
    for words in [
        "ConfigMap NS/one: deleted\n",
        "--- a/shop/three.yaml\n+++ /dev/null\n",
    ] {
        let words = words.replace("NS", &stage.namespace);
        assert!(ran.stdout.contains(&words), "{words}: {}", ran.stdout);
    }
    let why = "was deleted, and is declared as before: what becomes of a Secret is never proposed";
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    let revision = stage.commit("Adopt", &[]);
    stage.until_looked_at(&revision);
    assert!(stage.get("configmap", "one").is_null());
}

#[test]
fn an_object_is_declared_as_a_person_would_have_written_it() {
    let mut stage = Stage::new("adopt-object", AGENT);
    let namespace = stage.namespace.clone();
    let configuration = stage.configuration(&[("shop", ""), ("plain", "")]);
    let kustomization = "# The shop.\nresources:\n- settings.yaml # first\n\nlabels: []\n";
    let settings = |namespace: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: {namespace}}}\n"
        )
    };
    let files = [
        ("agent.yaml", &*configuration),
        ("shop/kustomization.yaml", kustomization),
        ("shop/settings.yaml", &settings(&namespace)),
        ("plain/.keep", ""),
    ];
    let revision = stage.commit("Start", &files);
    let programs = Programs::build(&[Program::Kustomize]).unwrap();
    let kustomize = programs.path(Program::Kustomize);
    let invocation = stage.invocation().env("AGENT_KUSTOMIZE", kustomize);
    stage.start_as(invocation);
    stage.until_synced("shop", &revision);

    stage.kubectl(&[
        "create",
        "deployment",
        "web",
        "--image=web:1",
        "--replicas=2",
    ]);
    stage.kubectl(&["create", "configmap", "extra", "--from-literal=on=0644"]);
    stage.kubectl(&[
        "create",
        "secret",
        "generic",
        "password",
        "--from-literal=a=b",
    ]);
    stage.cluster.wait_for_rollout(&namespace, "web");
    let (uid, sets) = (stage.uid("deployment", "web"), replica_sets(&stage));
    let adopt = |stage: &Stage<'_>, object: &str, unit: &str| {
        stage
            .agent(&["adopt", &object.replace("NS", &namespace), "--unit", unit])
            .env("AGENT_KUSTOMIZE", kustomize)
            .run()
    };
    let ran = adopt(&stage, "deployment/NS/web", "shop");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        read(&stage, "shop/kustomization.yaml"),
        kustomization.replace("# first\n", "# first\n- deployment-web.yaml\n")
    );
    assert_eq!(read(&stage, "shop/deployment-web.yaml"), CREATED);
    let ran = adopt(&stage, "ConfigMap/NS/extra", "plain");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        read(&stage, "plain/configmap-extra.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra\ndata:\n  \"on\": \"0644\"\n"
    );
    for (object, why) in [
        ("Secret/NS/password", "its values would stand in Git"),
        (
            "ConfigMap/NS/settings",
            "is declared already, by shop in shop/settings.yaml:1",
        ),
        ("ConfigMap/NS/kube-root-ca.crt", "nobody but controllers"),
        ("ReplicaSet/NS/SET", "is made and kept by Deployment web"),
        ("ConfigMap/NS/none", "the cluster has no ConfigMap"),
        ("Gadget/NS/none", "the cluster knows no kind Gadget"),
        ("ConfigMap/none", "is named as Kind/namespace/name"),
    ] {
        let set = sets[0].rsplit('/').next().unwrap();
        let ran = adopt(&stage, &object.replace("SET", set), "plain");
        assert_eq!(ran.code, Some(2), "{}", ran.stdout);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
        assert!(!ran.stderr.contains("Yg=="), "{}", ran.stderr);
    }

    let revision = stage.commit("Adopt", &[]);
    stage.until_synced("shop", &revision);
    stage.until_synced("plain", &revision);
    assert_eq!(
        (stage.uid("deployment", "web"), replica_sets(&stage)),
        (uid, sets)
    );
    let ran = stage
        .agent(&["diff", "--environment", &stage.environment])
        .env("AGENT_KUSTOMIZE", kustomize)
        .run();
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
}
