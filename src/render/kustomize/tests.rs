#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::render::inputs;
use crate::source::tree::DirTree;

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

fn closure(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let directory = directory(files);
    let tree = DirTree::open(directory.path()).unwrap();
    let closure = closure::of(&tree, "o", &mut UnitBudget::default());
    let closure = closure.map_err(|error| error.to_string())?;
    Ok(closure.places().map(str::to_owned).collect())
}

#[test]
fn the_closure_is_what_is_referred_to_and_no_more() {
    let overlay = "resources: [../base, own.yaml]\ncomponents:\n- ../part\nnamePrefix: other\n\
                   configMapGenerator:\n- name: c\n  files: [key=../files/x.txt, own.txt]\n";
    let files = [
        ("o/kustomization.yaml", overlay),
        ("o/own.yaml", ""),
        ("o/own.txt", ""),
        ("base/kustomization.yml", "resources: [../deeper]\n"),
        (
            "deeper/Kustomization",
            "patches:\n- path: ../files/p.yaml\n- patch: |-\n    x: 1\n",
        ),
        ("part/kustomization.yaml", "kind: Component\n"),
        ("files/x.txt", ""),
        ("files/p.yaml", ""),
        ("files/unused.txt", ""),
        ("other/a.yaml", ""),
    ];
    assert_eq!(
        closure(&files).unwrap(),
        ["base", "deeper", "o", "part", "files/p.yaml", "files/x.txt"]
    );
}

#[test]
fn what_is_remote_missing_or_outside_is_refused_with_its_line() {
    let overlay = "resources:\n- https://example.com/x.yaml\n- github.com/a/b//c?ref=main\n\
                   - ../../out\n- /etc/passwd\n- gone.yaml\n- empty\n- leads-out\n\
                   secretGenerator:\n- name: s\n  files: [pw=/etc/shadow]\n\
                   images:\n- newName: https://fine.example.com\n";
    let files = [
        ("o/kustomization.yaml", overlay),
        ("o/empty/x", ""),
        ("o/leads-out@", "../../elsewhere"),
    ];
    insta::assert_snapshot!(closure(&files).unwrap_err());
    assert_eq!(
        closure(&[("o/a.yaml", "")]).unwrap_err(),
        "o: has no kustomization.yaml"
    );
    assert_eq!(
        closure(&[("o/kustomization.yaml", "a: 1\na: 2\n")]).unwrap_err(),
        "o/kustomization.yaml:2:1: `a` is already set on line 1"
    );
}

#[test]
fn kustomizations_that_build_on_each_other_end() {
    let files = [
        ("o/kustomization.yaml", "resources: [../p]\n"),
        ("p/kustomization.yaml", "resources: [../o]\n"),
    ];
    assert_eq!(closure(&files).unwrap(), ["o", "p"]);
}

#[test]
fn inputs_are_those_of_the_closure() {
    let origin = crate::model::Origin {
        path: String::new(),
        line: 0,
    };
    let unit = Unit::new(
        "u".parse().unwrap(),
        "o".to_owned(),
        crate::config::UnitType::Kustomize,
        origin,
    );
    let files = |base: &'static str, other: &'static str| {
        [
            (
                "o/kustomization.yaml",
                "resources: [../base]\nx: ../later\n",
            ),
            ("base/kustomization.yaml", "resources: [a.yaml]\n"),
            ("base/a.yaml", base),
            (other, "text"),
        ]
    };
    let tree = |files: &[(&str, &str)]| {
        let directory = directory(files);
        let tree = DirTree::open(directory.path()).unwrap();
        (directory, tree)
    };
    let (_directory, first) = tree(&files("1", "other"));
    let first = inputs(&first, &unit, &Tools::default()).unwrap();
    for (files, same) in [
        (files("1", "another"), true),
        (files("2", "other"), false),
        // It was named before it was there.
        (files("1", "later"), false),
    ] {
        let (_directory, tree) = tree(&files);
        assert_eq!(
            inputs(&tree, &unit, &Tools::default()).unwrap() == first,
            same
        );
        assert_eq!(first.hold(&tree), same);
    }
}

#[test]
fn the_copy_holds_the_closure_at_the_same_paths() {
    let overlay = "resources: [linked, file.yaml]\n";
    let source = directory(&[
        ("o/kustomization.yaml", overlay),
        ("o/linked@", "../base"),
        ("o/file.yaml@", "../files/x.yaml"),
        ("o/loop@", "../o"),
        ("o/dangling@", "nowhere"),
        ("o/.env", "hidden"),
        ("base/kustomization.yaml", "{}"),
        ("files/x.yaml", "content"),
        ("unrelated", ""),
    ]);
    let tree = DirTree::open(source.path()).unwrap();
    let closure = closure::of(&tree, "o", &mut UnitBudget::default()).unwrap();
    let target = TempDir::new().unwrap();
    let root = target.path().canonicalize().unwrap();
    let copied = copy::copy(&tree, &closure, &root, &mut UnitBudget::default()).unwrap();

    let file = root.join("o/file.yaml");
    assert!(file.symlink_metadata().unwrap().is_file(), "a plain file");
    assert_eq!(fs::read_to_string(file).unwrap(), "content");
    assert_eq!(fs::read_to_string(root.join("o/.env")).unwrap(), "hidden");
    let linked = root.join("o/linked").canonicalize().unwrap();
    assert_eq!(linked, root.join("base"), "relative paths in it hold");
    assert!(root.join("base/kustomization.yaml").exists());
    assert!(!root.join("unrelated").exists() && !root.join("files").exists());
    let why: Vec<_> = copied.skipped_in("lstat o/dangling: no such").collect();
    assert_eq!(why.len(), 1);
    assert!(copied.skipped_in("another reason").next().is_none());
}
