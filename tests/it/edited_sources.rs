//! What is live is written into the source file that sets it, so that rendering gives
//! just that: by the real kustomize, line by line.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use agent::config::{Unit, UnitType};
use agent::edit::{LiveObject, Wanted, adopt_changes};
use agent::model::{Namespace, ObjectId, Origin, Tree};
use agent::render::{Tools, render};
use agent::source::tree::DirTree;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};
use tempfile::TempDir;

use crate::support::programs::{Program, Programs};

fn unit(name: &str, path: &str, kind: UnitType) -> Unit {
    let origin = Origin {
        path: "agent.yaml".to_owned(),
        line: 1,
    };
    Unit::new(name.parse().unwrap(), path.to_owned(), kind, origin)
}

/// Sets fields (JSON pointers; null takes one away) of what a unit renders as if they
/// were live, and gives the lines of its files that change.
async fn adopted(
    files: &[(&str, &str)],
    kind: UnitType,
    others: &[&str],
    object: (&str, &str),
    changes: &[(&str, Value)],
) -> String {
    edited(files, kind, others, &[object], Some(changes)).await
}

/// The same for objects that are gone.
async fn without(
    files: &[(&str, &str)],
    kind: UnitType,
    others: &[&str],
    objects: &[(&str, &str)],
) -> String {
    edited(files, kind, others, objects, None).await
}

async fn edited(
    files: &[(&str, &str)],
    kind: UnitType,
    others: &[&str],
    objects: &[(&str, &str)],
    changes: Option<&[(&str, Value)]>,
) -> String {
    let programs = tokio::task::spawn_blocking(|| Programs::build(&[Program::Kustomize]));
    let programs = programs.await.unwrap().unwrap();
    let tools = Tools {
        kustomize: Some(programs.path(Program::Kustomize).to_owned()),
        ..Tools::default()
    };
    let directory = TempDir::new().unwrap();
    for (path, content) in files {
        let on_disk = directory.path().join(path);
        fs::create_dir_all(on_disk.parent().unwrap()).unwrap();
        fs::write(on_disk, content).unwrap();
    }
    let tree: Arc<dyn Tree> = Arc::new(DirTree::open(directory.path()).unwrap());
    let unit_of = |path: &str| unit("shop", path, kind);
    let rendered = render(&tree, &unit_of("o"), &tools).await.unwrap();
    let objects: Vec<LiveObject> = objects
        .iter()
        .map(|(kind, name)| {
            let manifests = rendered.manifests();
            let manifest = manifests
                .iter()
                .find(|it| it.kind.kind == *kind && it.name.starts_with(name))
                .unwrap_or_else(|| panic!("{manifests:#?}"));
            let namespace = Some(Namespace::known("default"));
            LiveObject {
                id: ObjectId::new(manifest.kind.clone(), namespace, manifest.name.clone()),
                wanted: changes.map_or(Wanted::Gone, |changes| {
                    Wanted::As(changed(manifest.body(), changes))
                }),
            }
        })
        .collect();
    let others = others
        .iter()
        .map(|path| (format!("production/{path}"), unit_of(path)))
        .collect();
    let done = adopt_changes(&tree, &unit_of("o"), &others, &tools, &objects).await;
    let mut shown = String::new();
    for (path, content) in done.tree.files() {
        let before = done.tree.before(path).unwrap_or_default();
        let (before, after) = (
            String::from_utf8(before).unwrap(),
            String::from_utf8(content.clone().unwrap_or_default()).unwrap(),
        );
        let Some(_) = content else {
            let _ = writeln!(shown, "{path} is gone");
            continue;
        };
        let _ = writeln!(shown, "{path}");
        for change in TextDiff::from_lines(&before, &after).iter_all_changes() {
            match change.tag() {
                ChangeTag::Equal => {}
                ChangeTag::Delete => drop(write!(shown, "-{change}")),
                ChangeTag::Insert => drop(write!(shown, "+{change}")),
            }
        }
    }
    for left in done.left {
        let _ = writeln!(
            shown,
            "{}: {}\n{}",
            left.object,
            left.why,
            left.patch.unwrap_or_default()
        );
    }
    for also in done.also {
        let _ = writeln!(shown, "also {also}");
    }
    shown
}

fn changed(mut wanted: Value, changes: &[(&str, Value)]) -> Value {
    wanted["metadata"]["namespace"] = "default".into();
    wanted["metadata"]["labels"]["applyset.kubernetes.io/part-of"] = "applyset-x-v1".into();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/");
        match wanted.pointer_mut(parent).unwrap() {
            Value::Object(map) if value.is_null() => drop(map.remove(&key).unwrap()),
            Value::Object(map) => drop(map.insert(key, value.clone())),
            Value::Array(items) if value.is_null() => drop(items.remove(key.parse().unwrap())),
            Value::Array(items) => items.insert(key.parse().unwrap(), value.clone()),
            other => panic!("{other} has no fields"),
        }
    }
    wanted
}

const WEB: &str = "# The shop's front.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web   # as the service has it
spec:
  replicas: 2  # two are enough
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: sidecar
          image: proxy:1
        - name: main
          image: 'web:1.0'
          env:
            - {name: A, value: one}
            # what B is for
            - {name: B, value: two}
";

async fn plain(object: (&str, &str), changes: &[(&str, Value)]) -> String {
    let files = [("o/web.yaml", WEB), ("o/list.yaml", LIST)];
    adopted(&files, UnitType::Manifests, &[], object, changes).await
}

const LIST: &str = "apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: one}
  data: {a: x}   # first
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: two}
  data: &shared
    a: x
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: three}
  data: *shared
";

#[tokio::test]
async fn a_field_of_a_manifest_changes_on_its_line() {
    let image = ("/spec/template/spec/containers/1/image", json!("web:1.1"));
    let replicas = ("/spec/replicas", json!(5));
    let both = plain(("Deployment", "web"), &[image, replicas]).await;
    assert_eq!(
        both,
        "o/web.yaml\n-  replicas: 2  # two are enough\n+  replicas: 5  # two are enough\n\
         -          image: 'web:1.0'\n+          image: 'web:1.1'\n"
    );
    let gone = ("/spec/template/spec/containers/1/env/0", Value::Null);
    let added = ("/metadata/annotations", json!({"note": "on"}));
    assert_eq!(
        plain(("Deployment", "web"), &[gone, added]).await,
        "o/web.yaml\n+  annotations:\n+    note: 'on'\n-            - {name: A, value: one}\n"
    );
}

#[tokio::test]
async fn an_item_of_a_list_is_edited_alone_or_not_at_all() {
    let change = ("/data/a", json!("0644"));
    assert_eq!(
        plain(("ConfigMap", "one"), std::slice::from_ref(&change)).await,
        "o/list.yaml\n-  data: {a: x}   # first\n+  data: {a: \"0644\"}   # first\n"
    );
    let refused = plain(("ConfigMap", "two"), std::slice::from_ref(&change)).await;
    assert!(
        refused.contains("is shared with others by the anchor on line 11"),
        "{refused}"
    );
    assert!(refused.contains("data:\n  a: \"0644\"\n"), "{refused}");
    assert_eq!(
        plain(("ConfigMap", "three"), &[change]).await,
        "o/list.yaml\n-  data: *shared\n+  data:\n+    a: \"0644\"\n"
    );
}

const BASE: &str = "resources: [web.yaml]\n";
const REPLICAS: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - name: main
        env:
        - name: B
          value: patched # by hand
";
const OVERLAY: &str = "# staging
resources:
- ../base
namePrefix: my-
images:
- name: web
  newTag: \"2.0\" # never latest
patches:
- path: env.yaml
- target: {kind: Deployment}
  patch: |-
    # how many
    - op: replace
      path: /spec/replicas
      value: 3
configMapGenerator:
- name: settings
  literals:
  - a=one
  - b=two
  options: {disableNameSuffixHash: true}
- name: hashed
  literals: [a=one]
";

async fn overlaid(others: &[&str], object: (&str, &str), changes: &[(&str, Value)]) -> String {
    let files = [
        ("o/kustomization.yaml", OVERLAY),
        ("o/env.yaml", REPLICAS),
        ("base/kustomization.yaml", BASE),
        ("base/web.yaml", WEB),
        ("p/kustomization.yaml", "resources: [../base]\n"),
    ];
    adopted(&files, UnitType::Kustomize, others, object, changes).await
}

/// What a patch names comes first.
const MAIN: &str = "/spec/template/spec/containers/0";

fn of_main(field: &str) -> String {
    format!("{MAIN}/{field}")
}

#[tokio::test]
async fn of_a_kustomization_the_file_that_sets_a_field_is_edited() {
    let web = ("Deployment", "my-web");
    let image = of_main("image");
    assert_eq!(
        overlaid(&[], web, &[(&image, json!("web:2.10"))]).await,
        "o/kustomization.yaml\n-  newTag: \"2.0\" # never latest\n+  newTag: \"2.10\" # never latest\n"
    );
    assert_eq!(
        overlaid(&[], web, &[("/spec/replicas", json!(9))]).await,
        "o/kustomization.yaml\n-      value: 3\n+      value: 9\n"
    );
    let env = of_main("env/0/value");
    assert_eq!(
        overlaid(&[], web, &[(&env, json!("other"))]).await,
        "o/env.yaml\n-          value: patched # by hand\n+          value: other # by hand\n"
    );
    let env = of_main("env/1/value");
    assert_eq!(
        overlaid(&[], web, &[(&env, json!("other"))]).await,
        "base/web.yaml\n-            - {name: A, value: one}\n+            - {name: A, value: other}\n"
    );
    assert_eq!(
        overlaid(
            &[],
            ("ConfigMap", "my-settings"),
            &[("/data/b", json!("three"))]
        )
        .await,
        "o/kustomization.yaml\n-  - b=two\n+  - b=three\n"
    );
}

#[tokio::test]
async fn what_others_build_on_is_patched_in_the_overlay() {
    let sidecar = "/spec/template/spec/containers/1/image";
    let patched = overlaid(
        &["p"],
        ("Deployment", "my-web"),
        &[(sidecar, json!("proxy:2")), ("/spec/paused", json!(true))],
    )
    .await;
    assert_eq!(
        patched,
        "o/kustomization.yaml
+- patch: |
+    apiVersion: apps/v1
+    kind: Deployment
+    metadata:
+      name: web
+    spec:
+      paused: true
+      template:
+        spec:
+          containers:
+          - name: main
+          - name: sidecar
+            image: proxy:2
"
    );
}

#[tokio::test]
async fn where_no_edit_does_it_the_patch_is_given() {
    let all = overlaid(
        &[],
        ("ConfigMap", "my-hashed-"),
        &[("/data/a", json!("two"))],
    )
    .await;
    assert!(
        all.contains("no edit of its files makes rendering give exactly this: data.a"),
        "{all}"
    );
    assert!(all.contains("data:\n  a: two\n"), "{all}");
}

const PLAIN: &str = "# Belongs to the shop.

# the first
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
# the second
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
";

#[tokio::test]
async fn of_a_manifest_that_is_gone_its_document_goes_and_of_the_last_the_file() {
    let files = [
        ("o/list.yaml", LIST),
        ("o/more/plain.yaml", PLAIN),
        (
            "o/one.json",
            r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"json"}}"#,
        ),
    ];
    let gone =
        async |objects: &[(&str, &str)]| without(&files, UnitType::Manifests, &[], objects).await;
    assert_eq!(
        gone(&[("ConfigMap", "a")]).await,
        "o/more/plain.yaml\n-# the first\n-apiVersion: v1\n-kind: ConfigMap\n-metadata: {name: a}\n----\n"
    );
    assert_eq!(
        gone(&[("ConfigMap", "b")]).await,
        "o/more/plain.yaml\n-# the second\n-apiVersion: v1\n-kind: ConfigMap\n-metadata: {name: b}\n----\n"
    );
    let all = [("ConfigMap", "c"), ("ConfigMap", "a"), ("ConfigMap", "b")];
    assert_eq!(gone(&all).await, "o/more/plain.yaml is gone\n");
    assert_eq!(gone(&[("ConfigMap", "json")]).await, "o/one.json is gone\n");
    assert_eq!(
        gone(&[("ConfigMap", "one")]).await,
        "o/list.yaml\n-  metadata: {name: one}\n-  data: {a: x}   # first\n-- apiVersion: v1\n-  kind: ConfigMap\n"
    );
    let refused = gone(&[("ConfigMap", "two")]).await;
    assert!(
        refused.contains("is shared with others by the anchor on line 11"),
        "{refused}"
    );
    assert!(refused.contains("$patch: delete\n"), "{refused}");
    let list = [
        ("ConfigMap", "three"),
        ("ConfigMap", "two"),
        ("ConfigMap", "one"),
    ];
    assert_eq!(gone(&list).await, "o/list.yaml is gone\n");
}

#[tokio::test]
async fn what_another_unit_reads_as_well_is_not_deleted_there() {
    let files = [("o/plain.yaml", PLAIN)];
    let left = without(&files, UnitType::Manifests, &["o"], &[("ConfigMap", "a")]).await;
    assert!(
        left.contains("o/plain.yaml is read by production/o as well, where it would be deleted"),
        "{left}"
    );
    assert!(left.contains("$patch: delete"), "{left}");
}

const GONE: &str = "# staging
resources:
- ../base
- own.yaml # ours
- two.yaml
configMapGenerator:
- name: settings
  literals: [a=one]
";

#[tokio::test]
async fn of_a_kustomization_what_is_gone_goes_where_it_is_declared_or_is_patched_away() {
    let one = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let two = format!("{}---\n{}", one("second"), one("third"));
    let (own, based) = (one("own"), one("based"));
    let files = [
        ("o/kustomization.yaml", GONE),
        ("o/own.yaml", &own),
        ("o/two.yaml", &two),
        (
            "base/kustomization.yaml",
            "resources: [web.yaml, based.yaml]\n",
        ),
        ("base/web.yaml", WEB),
        ("base/based.yaml", &based),
        ("p/kustomization.yaml", "resources: [../base]\n"),
    ];
    let gone = async |others: &[&str], objects: &[(&str, &str)]| {
        without(&files, UnitType::Kustomize, others, objects).await
    };
    assert_eq!(
        gone(&[], &[("ConfigMap", "own")]).await,
        "o/kustomization.yaml\n-- own.yaml # ours\no/own.yaml is gone\n"
    );
    assert_eq!(
        gone(&[], &[("ConfigMap", "third")]).await,
        "o/two.yaml\n----\n-apiVersion: v1\n-kind: ConfigMap\n-metadata: {name: third}\n"
    );
    assert_eq!(
        gone(&[], &[("ConfigMap", "based")]).await,
        "base/based.yaml is gone\nbase/kustomization.yaml\n-resources: [web.yaml, based.yaml]\n+resources: [web.yaml]\n"
    );
    assert_eq!(
        gone(&[], &[("ConfigMap", "settings-")]).await,
        "o/kustomization.yaml\n-configMapGenerator:\n-- name: settings\n-  literals: [a=one]\n"
    );
    let patched = "o/kustomization.yaml
+patches:
+- patch: |
+    apiVersion: v1
+    kind: ConfigMap
+    metadata:
+      name: based
+    $patch: delete
";
    assert_eq!(gone(&["p"], &[("ConfigMap", "based")]).await, patched);
    // The overlay itself is somebody's base.
    let left = gone(&["o"], &[("ConfigMap", "based")]).await;
    assert!(
        left.contains("o/kustomization.yaml is read by production/o as well"),
        "{left}"
    );
}
