//! `agent why` names the line that sets a field, whoever set it, and who moved it live.

use serde_json::Value;

use crate::support::agent::Agent;
use crate::support::git::{Repository, git};
use crate::support::programs::{Program, Programs};
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const AGENT_YAML: &str = "\
version: 1
environments:
  staging:
    units:
      - {name: plain, path: plain, namespace: shop}
      - {name: web, path: overlay}
";

const PLAIN: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {key: one}
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: b}
    data:
      key: one
      # told twice
      other: two
";

const BASE: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  paused: true
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers:
        - name: web
          image: example.com:5000/web
          args: [serve]
        - name: log
          image: example.com/log:1
";

const OVERLAY: &str = "\
resources: [../base]
namespace: shop
namePrefix: my-
commonAnnotations:
  team: a
images:
  - name: example.com:5000/web
    newTag: v2
replicas:
  - name: web
    count: 3
patches:
  - path: args.yaml
  - target: {kind: Deployment, name: web}
    patch: |-
      - op: replace
        path: /spec/template/spec/serviceAccountName
        value: other
  - patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: web}
      spec:
        minReadySeconds: 7
configMapGenerator:
  - name: settings
    literals: [a=b, mode=fast]
generatorOptions: {disableNameSuffixHash: true}
";

const ARGS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
        - name: web
          args: [serve, --fast]
";

fn sample() -> Repository {
    Repository::with(&[
        ("agent.yaml", AGENT_YAML),
        ("plain/all.yaml", PLAIN),
        ("base/web.yaml", BASE),
        ("base/kustomization.yaml", "resources: [web.yaml]\n"),
        ("overlay/kustomization.yaml", OVERLAY),
        ("overlay/args.yaml", ARGS),
    ])
}

fn why(repository: &Repository, words: &[&str]) -> (Option<i32>, String, String) {
    let kustomize = Programs::build(&[Program::Kustomize]).unwrap();
    let agent = Agent::new(AGENT).with_program(kustomize.path(Program::Kustomize));
    let agent = agent.directory(repository.work());
    let ran = agent.args([&["why"], words].concat()).run();
    (ran.code, ran.stdout, ran.stderr)
}

fn json(repository: &Repository, words: &[&str]) -> Value {
    let (code, stdout, stderr) = why(repository, &[words, &["-o", "json"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of places")]
fn the_line_that_sets_a_field_is_named() {
    let repository = sample();
    let web = "Deployment/shop/my-web";
    let overlay = "overlay/kustomization.yaml";
    let line = |text: &str, wanted: &str| {
        let found = text.lines().position(|line| line.contains(wanted));
        found.unwrap() as u64 + 1
    };
    let container =
        |name: &str, field: &str| format!("spec.template.spec.containers[name={name}].{field}");
    let (image, log, args) = (
        container("web", "image"),
        container("log", "image"),
        container("web", "args"),
    );
    let cases: &[(&str, &str, &str, u64, &str)] = &[
        (
            "ConfigMap/shop/a",
            "data.key",
            "plain/all.yaml",
            4,
            "manifest",
        ),
        (
            "ConfigMap/shop/b",
            "data.key",
            "plain/all.yaml",
            13,
            "manifest",
        ),
        (
            "ConfigMap/shop/b",
            "data.other",
            "plain/all.yaml",
            15,
            "manifest",
        ),
        (
            "ConfigMap/shop/b",
            "metadata.namespace",
            "plain/all.yaml",
            9,
            "object",
        ),
        (
            web,
            "spec.paused",
            "base/web.yaml",
            line(BASE, "paused"),
            "manifest",
        ),
        (web, &log, "base/web.yaml", line(BASE, "log:1"), "manifest"),
        (web, &image, overlay, line(OVERLAY, "newTag"), "images"),
        (
            web,
            "spec.replicas",
            overlay,
            line(OVERLAY, "count"),
            "replicas",
        ),
        (web, &args, "overlay/args.yaml", line(ARGS, "args"), "patch"),
        (
            web,
            "spec.template.spec.serviceAccountName",
            overlay,
            line(OVERLAY, "value: other"),
            "patch",
        ),
        (
            web,
            "spec.minReadySeconds",
            overlay,
            line(OVERLAY, "minReady"),
            "patch",
        ),
        (
            web,
            "metadata.annotations.team",
            overlay,
            line(OVERLAY, "team"),
            "commonAnnotations",
        ),
        (
            web,
            "metadata.namespace",
            overlay,
            line(OVERLAY, "namespace"),
            "namespace",
        ),
        (
            "ConfigMap/shop/my-settings",
            "data.mode",
            overlay,
            line(OVERLAY, "mode=fast"),
            "configMapGenerator",
        ),
    ];
    for (object, field, path, line, by) in cases {
        let answers = json(&repository, &[object, field]);
        let declared = &answers[0]["declared"];
        let found = (&declared["path"], &declared["line"], &declared["by"]);
        assert_eq!(
            found,
            (&Value::from(*path), &(*line).into(), &(*by).into()),
            "{object} {field}: {declared}"
        );
    }
}

#[test]
fn who_set_it_is_told_from_the_history_of_that_line() {
    let repository = sample();
    let grace = repository.commit_as(
        "Grace Hopper <grace@example.com>",
        "Run five of them",
        &[(
            "overlay/kustomization.yaml",
            &OVERLAY.replace("count: 3", "count: 5"),
        )],
    );
    let above = OVERLAY.replace("count: 3", "count: 5");
    let above = format!("# Ours.\n{above}");
    repository.commit("Say whose it is", &[("overlay/kustomization.yaml", &above)]);
    let (code, text, stderr) = why(&repository, &["deployment/shop/my-web", "spec.replicas"]);
    assert_eq!(code, Some(0), "{stderr}");
    let expected = [
        "staging: Deployment shop/my-web spec.replicas",
        "declared   5",
        "overlay/kustomization.yaml:12 by replicas, unit web",
        &format!("{} by Grace Hopper at 20", &grace[..8]),
        ": Run five of them",
        "not known: no cluster to talk to",
        "none in the record",
    ];
    for part in expected {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(stderr.contains("without a record"), "{stderr}");
    let declared = &json(
        &repository,
        &[
            "Deployment/shop/my-web",
            "spec.replicas",
            "--revision",
            "HEAD~2",
        ],
    )[0]["declared"];
    assert_eq!(declared["value"], 3);
    assert_eq!(declared["commit"]["author"], "Ada Lovelace");

    for (words, said) in [
        (
            &["Deployment/shop/nothing"][..],
            "declares no Deployment shop/nothing",
        ),
        (&["Deployment"], "names no object"),
        (
            &["Deployment/shop/my-web", "/spec/replicas"],
            "is a JSON pointer",
        ),
        (&["Deployment/shop/my-web", "--revision", "nope"], "nope"),
    ] {
        let (code, _, stderr) = why(&repository, words);
        assert_eq!(code, Some(2), "{words:?}");
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn who_owns_it_live_and_when_it_drifted() {
    let mut stage = Stage::new("why", AGENT);
    let namespace = stage.namespace.clone();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: one, b: two}\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {p: hush-hush}\n";
    let service = "apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: web, port: 80, targetPort: 8080}, {name: more, port: 90, targetPort: 9090}]}
";
    let settings = [("shop", "drift: report, allowPlainSecrets: true")];
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&settings)),
            ("shop/a.yaml", map),
            ("shop/s.yaml", secret),
            ("shop/web.yaml", service),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    let object = format!("ConfigMap/{namespace}/a");
    let ask = |stage: &Stage, words: &[&str]| {
        let ran = stage.agent(&[&["why"], words].concat()).run();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    };
    let text = ask(&stage, &[&object, "data.a"]);
    assert!(
        text.contains("live       \"one\", owned by gitops-agent (Apply) at 20"),
        "{text}"
    );
    assert!(text.contains("none in the record"), "{text}");
    stage.kubectl(&[
        "patch",
        "configmap",
        "a",
        "--type=merge",
        "--field-manager=mallory",
        "-p",
        r#"{"data":{"a":"three"}}"#,
    ]);
    stage.until_entry("mallory changed ");
    let text = ask(&stage, &[&object, "data.a"]);
    for part in [
        "declared   \"one\"\n             shop/a.yaml:4, unit shop",
        "live       \"three\", owned by mallory (Update) at 20",
        "not as declared",
        "by mallory: \"one\" -> \"three\", set by mallory (Update)",
        "mallory changed ConfigMap",
        "sync shop to",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Another field of it has not drifted.
    let text = ask(&stage, &[&object, "data.b"]);
    assert!(text.contains("none in the record"), "{text}");
    // The item of a list by its place.
    let patch = r#"[{"op": "replace", "path": "/spec/ports/1/targetPort", "value": 9091}]"#;
    let words = ["patch", "service", "web", "--type=json", "-p", patch];
    stage.kubectl(&[&words[..], &["--field-manager=eve"]].concat());
    stage.until_entry("eve changed ");
    let service = format!("Service/{namespace}/web");
    let text = ask(&stage, &[&service, "spec.ports[1].targetPort"]);
    assert!(
        text.contains("by eve: 9090 -> 9091, set by eve (Update)"),
        "{text}"
    );
    let text = ask(&stage, &[&service, "spec.ports[0].targetPort"]);
    assert!(text.contains("none in the record"), "{text}");
    // Without the cluster, what the record has.
    let ran = stage
        .agent(&["why", &object, "data.a"])
        .env("KUBECONFIG", "/there/is/none")
        .run();
    assert!(
        ran.stdout
            .contains("not known: no cluster to talk to: KUBECONFIG names no file"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("recorded   \"three\", as of the last entry"),
        "{}",
        ran.stdout
    );
    // And no secret.
    let object = format!("Secret/{namespace}/s");
    for field in ["stringData.p", "data.p"] {
        let text = ask(&stage, &[&object, field]);
        assert!(!text.contains("hush") && !text.contains("aHVz"), "{text}");
        let text = ask(&stage, &[&object, field, "-o", "json"]);
        assert!(!text.contains("hush") && !text.contains("aHVz"), "{text}");
    }
    // What can't be read is no answer that it is nowhere.
    stage.commit("Break it", &[("shop/a.yaml", "kind: ConfigMap\ndata: [\n")]);
    stage.until_state("shop", "Failed");
    let text = ask(&stage, &[&format!("ConfigMap/{namespace}/a"), "data.a"]);
    assert!(
        text.contains(
            "declared   can't be told, since this can't be rendered:\n             shop/a.yaml:2:"
        ),
        "{text}"
    );
    let ran = stage.agent(&["why", "ConfigMap/elsewhere/a"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr
            .contains("declares ConfigMap elsewhere/a can't be told")
            && ran.stderr.contains("shop/a.yaml:2:"),
        "{ran:?}"
    );
}

#[test]
fn an_object_that_is_gone_is_told_with_the_commit_that_took_it_away() {
    let mut stage = Stage::new("why-gone", AGENT);
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let configuration = stage.configuration(&[("shop", ""), ("web", "")]);
    let files = [
        ("agent.yaml", configuration.as_str()),
        ("shop/a.yaml", &map("a")),
        ("shop/b.yaml", &map("b")),
        ("web/c.yaml", &map("c")),
    ];
    let revision = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("web", &revision);
    stage.repository.remove("shop/b.yaml");
    let author = "Grace Hopper <grace@example.com>";
    let taken = stage.repository.commit_as(author, "Take b away", &[]);
    stage.until_gone("configmap", "b");
    stage.until_synced("shop", &taken);
    // What comes after has nothing to do with it.
    let later = stage.commit("Another", &[("web/d.yaml", &map("d"))]);
    stage.until_synced("web", &later);

    let object = format!("ConfigMap/{}/b", stage.namespace);
    let ran = stage.agent(&["why", &object]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for words in [
        "declared   nowhere at this commit".to_owned(),
        "not known: the cluster has no such object".to_owned(),
        "deleted    20".to_owned(),
        format!("{} by Grace Hopper at 20", &taken[..8]),
        ": Take b away".to_owned(),
    ] {
        assert!(ran.stdout.contains(&words), "{words}: {ran:?}");
    }
    let ran = stage.agent(&["why", &object, "-o", "json"]).run();
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told[0]["deleted"]["commit"]["revision"], taken, "{told}");
    let ran = stage.agent(&["why", &format!("{object}b")]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("no record has it"), "{ran:?}");
}

#[test]
fn a_shallow_clone_says_that_it_may_have_been_an_older_commit() {
    let repository = sample();
    let scratch = tempfile::tempdir().unwrap();
    let clone = scratch.path().join("clone");
    let url = format!("file://{}", repository.remote().display());
    repository.commit("Another", &[("unrelated", "1")]);
    let to = clone.to_string_lossy();
    git(
        scratch.path(),
        &["clone", "--quiet", "--depth=1", &url, &to],
    );
    let ran = Agent::new(AGENT)
        .directory(clone)
        .args(["why", "ConfigMap/shop/a", "data.key"])
        .run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout
            .contains("or an older commit: this clone is shallow")
            && ran.stdout.contains("`git fetch --unshallow`"),
        "{ran:?}"
    );
}
