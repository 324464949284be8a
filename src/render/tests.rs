#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::model::{Desired, PLAIN_MEMORY};
use crate::source::scratch::Scratch;
use crate::source::tree::{DirTree, GitTree};

/// A directory of files, in which paths that end in `@` are links.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (path, content) in files {
        let on_disk = directory.path().join(path.trim_end_matches('@'));
        fs::create_dir_all(on_disk.parent().unwrap()).unwrap();
        if path.ends_with('@') {
            symlink(content, on_disk).unwrap();
        } else {
            fs::write(on_disk, content).unwrap();
        }
    }
    directory
}

fn unit(path: &str, kind: UnitType) -> Unit {
    let origin = Origin {
        path: "agent.yaml".to_owned(),
        line: 1,
    };
    Unit::new("shop".parse().unwrap(), path.to_owned(), kind, origin)
}

fn render_unit(files: &[(&str, &str)], unit: &Unit) -> Result<Rendered, RenderErrors> {
    let directory = directory(files);
    let tree: Arc<dyn Tree> = Arc::new(DirTree::open(directory.path()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(render(&tree, unit, &Tools::default()))
}

fn plain(files: &[(&str, &str)]) -> Result<Rendered, RenderErrors> {
    render_unit(files, &unit("u", UnitType::Manifests))
}

/// Each object as `path:line kind/name`.
fn shown(rendered: &Rendered) -> Vec<String> {
    let manifests = rendered.manifests().iter();
    let show = |it: &Manifest| format!("{} {}/{}", it.origin, it.kind, it.name);
    manifests.map(show).collect()
}

fn problems(files: &[(&str, &str)]) -> String {
    plain(files).unwrap_err().to_string()
}

const A: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
const B: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n";

#[test]
fn every_manifest_at_and_below_the_directory() {
    let json = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}"#;
    let two = format!("# c\n{A}---\n---\n# d\n{B}");
    let rendered = plain(&[
        ("u/z.yaml", &two),
        ("u/a.json", json),
        ("u/sub/deep/b.yml", B),
        ("u/README.md", "not: [yaml"),
        ("u/.hidden.yaml", "not: [yaml"),
        ("u/.github/x.yaml", "not: [yaml"),
        ("u/unit.yaml", "namespace: shop\n"),
        ("u/empty.yaml", "# nothing\n"),
        ("elsewhere.yaml", A),
    ]);
    assert_eq!(
        shown(&rendered.unwrap()),
        [
            "u/a.json:1 Deployment.apps/d",
            "u/sub/deep/b.yml:1 ConfigMap/b",
            "u/z.yaml:2 ConfigMap/a",
            "u/z.yaml:8 ConfigMap/b",
        ]
    );
}

#[test]
fn excluded_paths_are_left_out() {
    let mut unit = unit("", UnitType::Manifests);
    unit.exclude = vec!["agent.yaml".to_owned(), "other".to_owned()];
    let files = [
        ("a.yaml", A),
        ("agent.yaml", A),
        ("other/x.yaml", B),
        ("otherwise.yaml", B),
    ];
    let rendered = render_unit(&files, &unit).unwrap();
    assert_eq!(
        shown(&rendered),
        ["a.yaml:1 ConfigMap/a", "otherwise.yaml:1 ConfigMap/b"]
    );
}

#[test]
fn lists_are_their_items() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  \
                metadata: {name: a}\n- apiVersion: v1\n  kind: ConfigMapList\n  items:\n  \
                - metadata: {name: b}\n  - metadata: {name: c}\n";
    let named = "apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: l}\nitems: [1]\n";
    let empty = "apiVersion: v1\nkind: List\nitems:\n";
    let files = [("u/a.yaml", list), ("u/b.yaml", named), ("u/c.yaml", empty)];
    assert_eq!(
        shown(&plain(&files).unwrap()),
        [
            "u/a.yaml:4 ConfigMap/a",
            "u/a.yaml:10 ConfigMap/b",
            "u/a.yaml:11 ConfigMap/c",
            "u/b.yaml:1 AllowList.example.com/l",
        ]
    );
}

#[test]
fn all_problems_of_a_unit_are_told_with_their_places() {
    let wrong = "kind: A\n---\napiVersion: v1\nkind: 5\nmetadata: {name: x}\n---\n\
                 apiVersion: v1\nkind: B\nmetadata:\n  generateName: x-\n---\n\
                 apiVersion: v1\nkind: C\nmetadata: {name: 5, namespace: [x]}\n";
    let text = problems(&[
        ("u/a.yaml", "just text\n"),
        ("u/b.yaml", "- 1\n"),
        ("u/c.yaml", wrong),
        ("u/d.yaml", "a: [\n"),
        ("u/e.yaml", "apiVersion: v1\nkind: List\nitems: [5]\n"),
        ("u/good.yaml", A),
        ("u/out.yaml@", "../../outside.yaml"),
        ("u/raw.yaml@", "x.bin"),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn values_that_must_be_text_are_found_before_the_server_does() {
    let text = problems(&[(
        "u/a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: {x: on}\n  \
         annotations:\n    a/b: 1.5\ndata:\n  port: 8080\n  fine: \"1\"\n  none:\n  deep: {}\n",
    )]);
    assert_eq!(
        text,
        "u/a.yaml:5:12: metadata.labels takes text only, and `x` is a boolean; quote it\n\
         u/a.yaml:7:5: metadata.annotations takes text only, and `a/b` is a number; quote it\n\
         u/a.yaml:9:3: data takes text only, and `port` is a number; quote it\n\
         u/a.yaml:12:3: data takes text only, and `deep` is a map"
    );
}

#[test]
fn secrets_in_plain_text_are_refused_unless_allowed() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {pw: hunter2}\n";
    let text = problems(&[("u/s.yaml", secret)]);
    assert!(text.starts_with("u/s.yaml:1:1: Secret s stands in the repository in plain text"));
    assert!(!text.contains("hunter2"), "{text}");
    let wrong = secret.replace("hunter2", "!!int hunter2");
    assert!(!problems(&[("u/s.yaml", &wrong)]).contains("hunter2"));

    let mut unit = unit("u", UnitType::Manifests);
    unit.allow_plain_secrets = true;
    assert!(render_unit(&[("u/s.yaml", secret)], &unit).is_ok());
    let encrypted = format!("{secret}sops: {{}}\n");
    let error = render_unit(&[("u/s.yaml", &encrypted)], &unit).unwrap_err();
    assert!(error.to_string().contains("encrypted with SOPS"), "{error}");

    let without_data = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {}\n";
    assert!(plain(&[("u/s.yaml", without_data)]).is_ok());
    let other = secret.replace("apiVersion: v1", "apiVersion: example.com/v1");
    assert!(plain(&[("u/s.yaml", &other)]).is_ok());
}

#[test]
fn what_is_not_meant_to_be_applied_is_dropped() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n  creationTimestamp: null\n  \
                uid: x\n  resourceVersion: '5'\n  managedFields: []\n  labels:\nspec:\n  a: null\n  \
                l: [null, {b: null, c: 1}]\nstatus: {loadBalancer: {}}\n";
    let rendered = plain(&[("u/s.yaml", text)]).unwrap();
    assert_eq!(
        rendered.manifests()[0].body(),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"l": [null, {"c": 1}]},
        })
    );
}

#[test]
fn a_directory_that_is_something_else_is_an_error_rather_than_missing() {
    let text = problems(&[
        ("u/a.yaml", A),
        ("u/k/kustomization.yaml", ""),
        ("u/c/Chart.yaml", ""),
    ]);
    assert!(
        text.contains("u/c/Chart.yaml: makes u/c a Helm chart"),
        "{text}"
    );
    assert!(
        text.contains("u/k/kustomization.yaml: makes u/k a kustomization"),
        "{text}"
    );
}

#[test]
fn links_are_followed_once() {
    let files = [
        ("u/a.yaml", A),
        ("u/shared@", "../shared"),
        ("shared/b.yaml", B),
    ];
    assert_eq!(
        shown(&plain(&files).unwrap()),
        ["u/a.yaml:1 ConfigMap/a", "u/shared/b.yaml:1 ConfigMap/b"]
    );
    let text = problems(&[("u/a.yaml", A), ("u/d/again@", "../../u")]);
    assert!(
        text.starts_with("u/d/again: a link leads to a directory"),
        "{text}"
    );
}

#[test]
fn an_empty_directory_declares_nothing_and_a_missing_one_is_an_error() {
    let rendered = plain(&[("u/README.md", "")]).unwrap();
    assert!(rendered.manifests().is_empty());
    let error = plain(&[("v/a.yaml", A)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "u: no such file or directory in the repository"
    );
}

#[test]
fn inputs_change_with_files_and_settings_only() {
    let digest = |files: &[(&str, &str)], unit: &Unit| {
        let directory = directory(files);
        let tree = DirTree::open(directory.path()).unwrap();
        inputs(&tree, unit, &Tools::default()).unwrap()
    };
    let mut unit = unit("u", UnitType::Manifests);
    let first = digest(&[("u/a.yaml", A), ("x", "1")], &unit);
    assert_eq!(first, digest(&[("u/a.yaml", A), ("x", "2")], &unit));
    assert_ne!(first, digest(&[("u/a.yaml", B)], &unit));
    unit.namespace = Some(Namespace::known("n"));
    assert_ne!(first, digest(&[("u/a.yaml", A)], &unit));
}

fn resolve(files: &[(&str, &str)], namespace: Option<&str>) -> Result<DesiredSet, RenderErrors> {
    let rendered = plain(files).unwrap();
    let crds = scopes_of_crds(rendered.manifests());
    let scope = |kind: &GroupKind| builtin_scope(kind).or_else(|| crds.get(kind).copied());
    let namespace = namespace.map(|name| name.parse().unwrap());
    resolve_scope(&rendered, namespace.as_ref(), &scope, &|_, _| {})
}

const CRD: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
                   metadata: {name: gadgets.example.com, namespace: ignored}\n\
                   spec: {group: example.com, scope: Cluster, names: {kind: Gadget}}\n";

#[test]
fn each_object_gets_the_namespace_it_can_have() {
    let files = [
        ("u/a.yaml", A),
        (
            "u/b.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: own}\n",
        ),
        ("u/crd.yaml", CRD),
        (
            "u/g.yaml",
            "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g, namespace: x}\n",
        ),
        (
            "u/n.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns, namespace: x}\n",
        ),
        (
            "u/w.yaml",
            "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n",
        ),
    ];
    let ids = |namespace| {
        let set = resolve(&files, namespace).unwrap();
        let written = |desired: &Desired| desired.body()["metadata"]["namespace"].clone();
        for (id, desired) in set.objects() {
            assert_eq!(written(desired), json!(id.namespace), "{id}");
        }
        set.objects()
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ids(Some("shop")),
        [
            "ConfigMap own/b",
            "ConfigMap shop/a",
            "Namespace ns",
            "CustomResourceDefinition gadgets.example.com",
            "Gadget.example.com g",
            "Widget.example.com shop/w",
        ]
    );
    assert_eq!(ids(None)[0], "ConfigMap default/a");
}

#[test]
fn the_same_object_twice_names_both_places() {
    let again = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n";
    let both = format!("{B}---\n{again}");
    let files = [("u/a.yaml", A), ("u/b.yaml", both.as_str())];
    let fine = resolve(&files, Some("other")).unwrap();
    assert_eq!(fine, DesiredSet::of(fine.objects().values().cloned()));
    assert_eq!(fine.objects().len(), 3);
    let error = resolve(&files, Some("shop")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "u/b.yaml:5: ConfigMap shop/a is declared already at u/a.yaml:1"
    );
}

/// A unit in a commit that stands over a directory of more paths than can be counted.
fn endless(kind: UnitType, files: &[(&str, &str)], end: (&str, i32, &str)) -> String {
    let scratch = Scratch::new();
    for (path, content) in files {
        scratch.commit(path, content);
    }
    let revision = scratch.commit_endless("u", end);
    let revision = match files {
        [] => revision,
        [(path, content), ..] => scratch.commit(path, content),
    };
    let tree: Arc<dyn Tree> = Arc::new(GitTree::open(&scratch.repository, &revision).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let rendered = runtime.block_on(render(&tree, &unit("u", kind), &Tools::default()));
    rendered.unwrap_err().to_string()
}

#[test]
fn a_directory_of_endless_paths_is_walked_to_a_bound() {
    let words = "more than 100000 files and directories";
    let plain = endless(UnitType::Manifests, &[], ("end.yaml", 0o100_644, A));
    assert!(plain.contains(words), "{plain}");
    let kustomization = ("u/kustomization.yaml", "namePrefix: a\n");
    // Links that lead nowhere are not copied, so nothing is written for this.
    let end = ("end", 0o120_000, "nowhere");
    let built = endless(UnitType::Kustomize, &[kustomization], end);
    assert!(built.contains(words), "{built}");
}

#[test]
fn a_unit_has_one_budget_for_all_its_files() {
    let many = format!("{A}data: {{k: ''}}\nx: [{}]\n", "1,".repeat(250_000));
    let names: Vec<String> = (0..5).map(|at| format!("u/{at}.yaml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*many)).collect();
    let told = problems(&files);
    let words = "u/3.yaml:5:";
    assert!(told.starts_with(words), "{told}");
    assert!(
        told.contains("the unit has more than 1000000 values in its YAML"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    let with = Tools::within(format!("{}", 2 * PLAIN_MEMORY).parse().unwrap());
    assert_eq!(with.scale(), Scale::of_memory(2 * PLAIN_MEMORY));
}

#[test]
fn of_many_problems_a_hundred_are_told_and_the_rest_is_counted() {
    let numbers: Vec<String> = (0..80_000).map(|key| format!("  k{key}: {key}")).collect();
    let numbers = numbers.join("\n");
    let text = format!("{A}data:\n{numbers}");
    let told = problems(&[("u/a.yaml", &text)]);
    assert_eq!(told.lines().count(), 101, "{told}");
    assert!(told.ends_with("\nand 79900 more"), "{told}");
    assert!(told.len() < 20_000, "{told}");
}
