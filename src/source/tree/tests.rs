#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use git2::{IndexAddOption, Repository, Signature};
use tempfile::TempDir;

use super::*;
use crate::model::{Revision, Tree};

/// A repository with its working tree, whose content both trees show.
struct Fixture {
    directory: TempDir,
    repository: Repository,
}

impl Fixture {
    fn new(files: &[(&str, &str)], links: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        let repository = Repository::init(directory.path()).unwrap();
        let fixture = Self {
            directory,
            repository,
        };
        for (path, content) in files {
            fixture.write(path, content);
        }
        for (path, target) in links {
            let path = fixture.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        }
        fixture
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn commit(&self) -> GitTree {
        let mut index = self.repository.index().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        self.commit_tree(index.write_tree().unwrap())
    }

    fn commit_tree(&self, tree: git2::Oid) -> GitTree {
        let tree = self.repository.find_tree(tree).unwrap();
        let who = Signature::now("a", "a@example.com").unwrap();
        let id = self
            .repository
            .commit(None, &who, &who, "m", &tree, &[])
            .unwrap();
        let revision: Revision = id.to_string().parse().unwrap();
        GitTree::open(self.path(), &revision).unwrap()
    }

    /// The same check on the commit and on the working tree.
    fn both(&self, check: impl Fn(&dyn Tree)) {
        check(&self.commit());
        check(&DirTree::open(self.path()).unwrap());
    }
}

#[test]
fn lists_sorted_without_git_and_reads() {
    let fixture = Fixture::new(
        &[("a.yaml", "1"), ("a/x.yaml", "2"), ("b", "3")],
        &[("l", "a/x.yaml"), ("d", "a"), ("gone", "nowhere")],
    );
    fixture.both(|tree| {
        let names = tree.list("").unwrap();
        let names: Vec<_> = names.iter().map(|(n, k)| (n.as_str(), *k)).collect();
        assert_eq!(
            names,
            [
                ("a", EntryKind::Directory),
                ("a.yaml", EntryKind::File),
                ("b", EntryKind::File),
                ("d", EntryKind::Directory),
                ("gone", EntryKind::Directory),
                ("l", EntryKind::File),
            ]
        );
        assert_eq!(tree.read("l").unwrap(), b"2");
        assert_eq!(tree.read("./d//../d/x.yaml").unwrap(), b"2");
        assert_eq!(tree.list("d").unwrap().len(), 1);
        assert_eq!(tree.kind("").unwrap(), Some(EntryKind::Directory));
        assert_eq!(tree.kind("b/below-a-file").unwrap(), None);
        assert_eq!(tree.kind("gone").unwrap(), None);
        assert_eq!(tree.kind(".git").unwrap(), None);
        assert_eq!(
            tree.resolve("d/x.yaml").unwrap(),
            Some(("a/x.yaml".to_owned(), EntryKind::File))
        );
        let error = tree.read("gone").unwrap_err();
        assert!(matches!(error, TreeError::NotFound { .. }), "{error}");
        let error = tree.read("a").unwrap_err();
        assert_eq!(error.to_string(), "a: is not a file");
        let error = tree.list("b").unwrap_err();
        assert_eq!(error.to_string(), "b: is not a directory");
    });
}

#[test]
fn nothing_leaves_the_root() {
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("secret"), "s").unwrap();
    let absolute = outside.path().to_str().unwrap();
    let fixture = Fixture::new(
        &[("sub/a.yaml", "1"), ("sub/1/2/x", "1")],
        &[
            ("absolute", absolute),
            ("sub/up", "../.."),
            ("sub/chain", "up2"),
            ("sub/up2", "../sub/../../x"),
            ("sub/fine", "../sub/a.yaml"),
            ("sub/deep", "1/2"),
            ("sub/roundabout", "deep/../../../sub/a.yaml"),
        ],
    );
    fixture.both(|tree| {
        for path in [
            "absolute",
            "absolute/secret",
            "sub/up",
            "sub/up/x",
            "sub/chain",
            "..",
            "sub/../../x",
            "/etc/passwd",
        ] {
            for error in [
                tree.kind(path).unwrap_err(),
                tree.read(path).unwrap_err(),
                tree.list(path).unwrap_err(),
            ] {
                assert!(
                    matches!(error, TreeError::Escapes { .. }),
                    "{path}: {error}"
                );
            }
        }
        assert_eq!(tree.read("sub/fine").unwrap(), b"1");
        assert_eq!(tree.read("sub/roundabout").unwrap(), b"1");
        let error = tree.read("absolute/secret").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("absolute/secret: leads outside the repository ({absolute})")
        );
    });
}

#[test]
fn loops_end() {
    let fixture = Fixture::new(
        &[("d/a.yaml", "1")],
        &[("x", "y"), ("y", "x"), ("d/again", "../d")],
    );
    fixture.both(|tree| {
        let error = tree.read("x").unwrap_err();
        assert!(matches!(error, TreeError::LinkLoop { .. }), "{error}");
        assert_eq!(tree.read("d/again/again/a.yaml").unwrap(), b"1");
        tree.digest("").unwrap();
    });
}

#[test]
fn a_large_file_is_refused_unread() {
    let fixture = Fixture::new(&[("ok", "1")], &[]);
    let file = File::create(fixture.path().join("big.yaml")).unwrap();
    file.set_len(100 * 1024 * 1024).unwrap();
    fixture.both(|tree| {
        let error = tree.read("big.yaml").unwrap_err();
        assert!(
            matches!(
                error,
                TreeError::TooLarge {
                    size: 104_857_600,
                    ..
                }
            ),
            "{error}"
        );
    });
}

#[test]
fn a_pointer_of_lfs_is_refused() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    Fixture::new(&[("a.yaml", pointer)], &[]).both(|tree| {
        let error = tree.read("a.yaml").unwrap_err();
        assert!(matches!(error, TreeError::LfsPointer { .. }), "{error}");
    });
}

#[test]
fn a_submodule_is_an_error_when_met() {
    let fixture = Fixture::new(&[("a.yaml", "1")], &[]);
    let root = fixture.repository.index().unwrap().write_tree().unwrap();
    let root = fixture.repository.find_tree(root).unwrap();
    let mut builder = fixture.repository.treebuilder(Some(&root)).unwrap();
    let commit = git2::Oid::from_str("0123456789012345678901234567890123456789").unwrap();
    builder.insert("vendored", commit, 0o160_000).unwrap();
    let git = fixture.commit_tree(builder.write().unwrap());
    Repository::init(fixture.path().join("vendored")).unwrap();
    fixture.write("vendored/x.yaml", "1");

    let dir = DirTree::open(fixture.path()).unwrap();
    for tree in [&git as &dyn Tree, &dir] {
        let listed = ("vendored".to_owned(), EntryKind::Directory);
        assert!(tree.list("").unwrap().contains(&listed));
        for path in ["vendored", "vendored/x.yaml"] {
            let error = tree.kind(path).unwrap_err();
            assert!(matches!(error, TreeError::Submodule { .. }), "{error}");
        }
    }
}

#[test]
fn a_digest_follows_content_and_links() {
    let fixture = Fixture::new(
        &[("unit/a.yaml", "1"), ("shared/b.yaml", "1"), ("other", "1")],
        &[("unit/linked", "../shared")],
    );
    let dir = DirTree::open(fixture.path()).unwrap();
    let digests = || {
        let git = fixture.commit();
        [git.digest("unit").unwrap(), dir.digest("unit").unwrap()]
    };
    let first = digests();
    assert_eq!(first, digests());
    fixture.write("other", "2");
    assert_eq!(first, digests(), "what lies elsewhere does not count");
    fixture.write("unit/a.yaml", "2");
    let second = digests();
    fixture.write("shared/b.yaml", "2");
    let third = digests();
    for tree in 0..2 {
        assert_ne!(first[tree], second[tree]);
        assert_ne!(second[tree], third[tree], "a linked file changed");
    }
    assert!(dir.digest("nowhere").is_err());
    assert!(fixture.commit().digest("nowhere").is_err());
}

#[test]
fn a_working_tree_is_what_git_would_commit() {
    let fixture = Fixture::new(
        &[(".gitignore", "*.local\nbuild/\n"), ("kept.local", "1")],
        &[],
    );
    let mut index = fixture.repository.index().unwrap();
    index.add_path(Path::new("kept.local")).unwrap();
    index.write().unwrap();
    fixture.write("new.yaml", "uncommitted");
    fixture.write("x.local", "ignored");
    fixture.write("build/x.yaml", "ignored");
    let tree = DirTree::open(fixture.path()).unwrap();
    let names: Vec<_> = tree.list("").unwrap().into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, [".gitignore", "kept.local", "new.yaml"]);
    assert_eq!(tree.kind("x.local").unwrap(), None);
    assert_eq!(tree.kind("build/x.yaml").unwrap(), None);
    let inside = DirTree::open(&fixture.path().join("build")).unwrap();
    assert_eq!(inside.kind("x.yaml").unwrap(), Some(EntryKind::File));
}

#[test]
fn a_missing_revision_is_an_error() {
    let fixture = Fixture::new(&[("a", "1")], &[]);
    let revision: Revision = "0123456789012345678901234567890123456789".parse().unwrap();
    let error = GitTree::open(fixture.path(), &revision).err().unwrap();
    assert!(
        error.to_string().starts_with("revision 01234567: "),
        "{error}"
    );
}
