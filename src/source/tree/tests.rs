#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use git2::{IndexAddOption, Repository, Signature};
use tempfile::TempDir;

use super::*;
use crate::model::{Revision, Tree};
use crate::source::scratch::{Scratch, git};

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

#[test]
fn what_links_lead_to_is_looked_at_up_to_a_bound() {
    let scratch = Scratch::new();
    scratch.commit("a", "1");
    let open = |revision| GitTree::open(&scratch.repository, &revision).unwrap();
    let files = open(scratch.commit_endless("files", ("end", 0o100_644, "x")));
    assert!(files.digest("files").is_ok());
    let links = open(scratch.commit_endless("links", ("end", 0o120_000, "../../../a")));
    let error = links.digest("links").unwrap_err();
    let words = "links: has more than 10000 links below it and below what they lead to";
    assert_eq!(error.to_string(), words);
    assert!(links.digest("a").is_ok());
    // Beside all that.
    assert!(links.digest("files").is_ok());
}

#[test]
fn a_path_is_bounded_in_length_and_in_names() {
    let around = "a/../".repeat(600);
    let link = format!("{around}b");
    let links: Vec<(String, String)> = (0..3)
        .map(|at| (format!("l{at}"), format!("{around}l{}", at + 1)))
        .collect();
    let mut links: Vec<(&str, &str)> = links.iter().map(|(l, t)| (&**l, &**t)).collect();
    links.push(("l3", &link));
    let fixture = Fixture::new(&[("a/x", "1"), ("b", "2")], &links);
    fixture.both(|tree| {
        assert_eq!(tree.read("l3").unwrap(), b"2");
        let error = tree.read("l0").unwrap_err().to_string();
        assert_eq!(error, "l0: has more than 1000 names on the way to it");
        let error = tree.kind(&"x/".repeat(3000)).unwrap_err().to_string();
        let words = "…: has more than 4096 bytes in its path";
        assert!(error.ends_with(words) && error.len() < 300, "{error}");
    });
}

/// A directory as other programs than Git write it: only what is asked for in it matters.
#[test]
fn odd_entries_are_in_the_way_of_nothing_else() {
    let files = Fixture::new(&[("good", "content")], &[]);
    let repository = Repository::open(files.path()).unwrap();
    let blob = repository.blob(b"content").unwrap();
    let mut raw = Vec::new();
    for name in [&b"twice"[..], b"good", b"twice", b"\xff"] {
        raw.extend_from_slice(b"100644 ");
        raw.extend_from_slice(name);
        raw.push(0);
        raw.extend_from_slice(blob.as_bytes());
    }
    let odd = repository
        .odb()
        .unwrap()
        .write(git2::ObjectType::Tree, &raw);
    let tree = files.commit_tree(odd.unwrap());
    assert_eq!(tree.read("good").unwrap(), b"content");
    let problem = tree.read("twice").unwrap_err().to_string();
    assert!(problem.contains("two entries"), "{problem}");
    assert!(tree.list("").is_err());
    assert!(tree.digest("good").is_ok());
}

#[test]
fn what_a_sparse_checkout_lacks_is_read_from_the_index() {
    let files = [
        ("a/one.yaml", "1\n"),
        ("b/deep/two.yaml", "2\n"),
        ("b/three.yaml", "3\n"),
        ("top.yaml", "t\n"),
    ];
    let fixture = Fixture::new(&files, &[("b/link.yaml", "../a/one.yaml")]);
    let whole = fixture.commit();
    let before = DirTree::open(fixture.path()).unwrap();
    let digests = ["", "b", "b/link.yaml"].map(|path| before.digest(path).unwrap());
    git(fixture.path(), &["sparse-checkout", "set", "a"]);
    assert!(!fixture.path().join("b").exists());
    let sparse = DirTree::open(fixture.path()).unwrap();
    for directory in ["", "a", "b", "b/deep"] {
        assert_eq!(
            sparse.list(directory).unwrap(),
            whole.list(directory).unwrap()
        );
    }
    for (path, content) in files.into_iter().chain([("b/link.yaml", "1\n")]) {
        assert_eq!(sparse.read(path).unwrap(), content.as_bytes(), "{path}");
    }
    assert_eq!(
        ["", "b", "b/link.yaml"].map(|path| sparse.digest(path).unwrap()),
        digests
    );
    // What somebody deletes is gone, and what somebody writes is there.
    fs::remove_file(fixture.path().join("a/one.yaml")).unwrap();
    fixture.write("b/three.yaml", "4\n");
    let edited = DirTree::open(fixture.path()).unwrap();
    assert_eq!(edited.kind("a/one.yaml").unwrap(), None);
    assert_eq!(edited.read("b/three.yaml").unwrap(), b"4\n");
    assert_eq!(edited.read("b/deep/two.yaml").unwrap(), b"2\n");

    git(
        fixture.path(),
        &["sparse-checkout", "set", "--sparse-index", "a"],
    );
    match DirTree::open(fixture.path()) {
        Ok(tree) => assert_eq!(tree.read("b/deep/two.yaml").unwrap(), b"2\n"),
        Err(error) => assert!(error.to_string().contains("--no-sparse-index"), "{error}"),
    }
}
