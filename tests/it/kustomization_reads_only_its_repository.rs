//! Kustomizations are built by the real kustomize, from the repository alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use agent::config::{Unit, UnitType};
use agent::model::{Origin, Tree};
use agent::render::{RenderErrors, Rendered, Tools, render};
use agent::source::tree::DirTree;
use tempfile::TempDir;

use crate::support::programs::{Program, Programs};

/// A repository of files, in which paths that end in `@` are links.
fn repository(files: &[(&str, &str)]) -> TempDir {
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

fn unit() -> Unit {
    let origin = Origin {
        path: "agent.yaml".to_owned(),
        line: 1,
    };
    let name = "shop".parse().unwrap();
    Unit::new(name, "o".to_owned(), UnitType::Kustomize, origin)
}

async fn build_unit(files: &[(&str, &str)], unit: &Unit) -> Result<Rendered, RenderErrors> {
    let programs = tokio::task::spawn_blocking(|| Programs::build(&[Program::Kustomize]));
    let programs = programs.await.unwrap().unwrap();
    let tools = Tools {
        kustomize: Some(programs.path(Program::Kustomize).to_owned()),
        ..Tools::default()
    };
    let directory = repository(files);
    let tree: Arc<dyn Tree> = Arc::new(DirTree::open(directory.path()).unwrap());
    render(&tree, unit, &tools).await
}

async fn build(files: &[(&str, &str)]) -> Result<Rendered, RenderErrors> {
    build_unit(files, &unit()).await
}

async fn refused(files: &[(&str, &str)]) -> String {
    let error = build(files).await.unwrap_err().to_string();
    assert!(
        !error.contains("/tmp") && !error.contains("/.tmp"),
        "{error}"
    );
    error
}

fn shown(rendered: &Rendered) -> Vec<String> {
    let mut shown: Vec<_> = rendered
        .manifests()
        .iter()
        .map(|it| format!("{}/{} {}", it.kind, it.name, it.origin))
        .collect();
    shown.sort();
    shown
}

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n\
                   spec: {replicas: 1}\n---\napiVersion: v1\nkind: Service\n\
                   metadata: {name: web}\n";

#[tokio::test]
async fn an_overlay_is_built_and_each_object_knows_where_it_is_declared() {
    let overlay = "resources: [../base, own.yaml]\nnamePrefix: prod-\nnamespace: shop\n\
                   patches:\n- path: patch.yaml\nconfigMapGenerator:\n\
                   - name: settings\n  files: [key=../linked/x.txt]\n";
    let overlay = overlay.replace("../linked/x.txt", "x.txt");
    let rendered = build(&[
        ("o/kustomization.yaml", &overlay),
        (
            "o/own.yaml",
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n",
        ),
        (
            "o/patch.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n",
        ),
        ("o/x.txt@", "../shared/x.txt"),
        ("shared/x.txt", "from a link"),
        ("base/kustomization.yaml", "resources: [web.yaml]\n"),
        ("base/web.yaml", WEB),
    ])
    .await
    .unwrap();
    let objects = shown(&rendered);
    assert!(
        objects[0].starts_with("ConfigMap/prod-settings-"),
        "{objects:?}"
    );
    assert!(
        objects[0].ends_with(" o/kustomization.yaml:7"),
        "{objects:?}"
    );
    assert_eq!(
        objects[1..],
        [
            "Deployment.apps/prod-web base/web.yaml:1",
            "Service/prod-web base/web.yaml:6",
            "ServiceAccount/prod-web o/own.yaml:1",
        ]
    );
    let find = |kind: &str| {
        let found = rendered.manifests().iter().find(|it| it.kind.kind == kind);
        found.unwrap()
    };
    assert_eq!(find("Deployment").body()["spec"]["replicas"], 3);
    assert_eq!(find("Deployment").namespace.as_deref(), Some("shop"));
    assert_eq!(find("ConfigMap").body()["data"]["key"], "from a link");
}

#[tokio::test]
async fn paths_of_a_linked_base_are_relative_to_where_it_really_is() {
    let rendered = build(&[
        ("o/kustomization.yaml", "resources: [base]\n"),
        ("o/base@", "../lib/base"),
        ("lib/base/kustomization.yaml", "resources: [../other]\n"),
        ("lib/other/kustomization.yaml", "resources: [web.yaml]\n"),
        ("lib/other/web.yaml", WEB),
    ])
    .await
    .unwrap();
    assert_eq!(rendered.manifests().len(), 2);
}

#[tokio::test]
async fn what_kustomize_refuses_is_told_in_terms_of_the_repository() {
    let missing = refused(&[
        ("o/kustomization.yaml", "resources: [a.yaml]\n"),
        ("o/a.yaml", "kind: [\n"),
    ])
    .await;
    assert!(
        missing.starts_with("o/kustomization.yaml: kustomize failed: "),
        "{missing}"
    );
    assert!(missing.contains("a.yaml"), "{missing}");

    let outside = refused(&[
        ("o/kustomization.yaml", "resources: [../a.yaml]\n"),
        ("a.yaml", WEB),
    ])
    .await;
    assert!(outside.contains("is not in or below 'o'"), "{outside}");
}

#[tokio::test]
async fn nothing_outside_of_the_repository_is_read() {
    let secret = TempDir::new().unwrap();
    let file = secret.path().join("secret.yaml");
    fs::write(&file, WEB).unwrap();
    let outside = file.to_str().unwrap();
    let up = format!("{}{outside}", "../".repeat(20));
    let generator = |path: &str| {
        format!(
            "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {{name: g}}\nfiles: ['{path}']\n"
        )
    };
    let resources = |path: &str| format!("resources: ['{path}']\n");
    let cases = [
        vec![("o/kustomization.yaml", resources(outside))],
        vec![("o/kustomization.yaml", resources(&up))],
        vec![
            ("o/kustomization.yaml", resources("a.yaml")),
            ("o/a.yaml@", outside.to_owned()),
        ],
        vec![
            ("o/kustomization.yaml", "generators: [g.yaml]\n".to_owned()),
            ("o/g.yaml", generator(outside)),
        ],
        vec![
            ("o/kustomization.yaml", "generators: [g.yaml]\n".to_owned()),
            ("o/g.yaml", generator(&up)),
        ],
    ];
    for files in cases {
        let files: Vec<_> = files.iter().map(|(p, c)| (*p, c.as_str())).collect();
        let error = build(&files).await.unwrap_err().to_string();
        assert!(!error.contains("replicas"), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_can_not_be_read_is_named_with_the_reason() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    let error = refused(&[
        ("o/kustomization.yaml", "resources: [a.yaml]\n"),
        ("o/a.yaml", pointer),
    ])
    .await;
    assert!(
        error.starts_with("o/a.yaml: is a Git LFS pointer"),
        "{error}"
    );
    let unread = build(&[
        ("o/kustomization.yaml", "resources: [a.yaml]\n"),
        ("o/a.yaml", WEB),
        ("o/picture.png", pointer),
    ])
    .await;
    assert_eq!(unread.unwrap().manifests().len(), 2);
}

#[tokio::test]
async fn what_it_reads_otherwise_than_kubectl_is_warned_about() {
    let rendered = build(&[
        ("o/kustomization.yaml", "resources: [a.yaml]\n"),
        (
            "o/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: on}\n",
        ),
    ])
    .await
    .unwrap();
    assert_eq!(rendered.manifests()[0].body()["data"]["x"], "on");
    let warnings = rendered.warnings().to_string();
    assert!(
        warnings.starts_with("o/a.yaml:4:11: unquoted `on` is a boolean"),
        "{warnings}"
    );
}

#[tokio::test]
async fn generated_secrets_are_plain_text_too() {
    let files = [(
        "o/kustomization.yaml",
        "secretGenerator:\n- name: s\n  literals: [pw=hunter2]\n",
    )];
    let error = refused(&files).await;
    assert!(
        error.starts_with("o/kustomization.yaml:2: Secret s-"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
    let mut unit = unit();
    unit.allow_plain_secrets = true;
    assert!(build_unit(&files, &unit).await.is_ok());
}

#[tokio::test]
async fn without_resources_it_declares_nothing_and_an_empty_file_is_an_error() {
    let nothing = build(&[("o/kustomization.yaml", "resources: []\n")]).await;
    assert!(nothing.unwrap().manifests().is_empty());
    let error = refused(&[("o/kustomization.yaml", "")]).await;
    assert!(error.contains("kustomization.yaml is empty"), "{error}");
}

#[tokio::test]
async fn without_kustomize_it_is_said_what_to_do() {
    let directory = repository(&[("o/kustomization.yaml", "namePrefix: x\n")]);
    let tree: Arc<dyn Tree> = Arc::new(DirTree::open(directory.path()).unwrap());
    for kustomize in [None, Some("/nowhere/kustomize".into())] {
        let error = render(
            &tree,
            &unit(),
            &Tools {
                kustomize,
                ..Tools::default()
            },
        )
        .await
        .unwrap_err();
        let error = error.to_string();
        assert!(error.contains("install kustomize"), "{error}");
    }
}
