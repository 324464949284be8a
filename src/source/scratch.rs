//! Real repositories in temporary directories, made by git itself, for tests.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests run git itself, and a test may panic"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Credentials, Remote};
use crate::model::Revision;

#[allow(
    dead_code,
    reason = "shared with the integration tests; neither needs all of it"
)]
#[path = "../../tests/support/git_http.rs"]
pub mod git_http;

#[allow(
    dead_code,
    reason = "shared with the integration tests; neither needs all of it"
)]
#[path = "../../tests/support/hostile_git.rs"]
pub mod hostile_git;

/// A temporary directory with a repository in it.
pub struct Scratch {
    pub directory: TempDir,
    pub repository: PathBuf,
}

impl Scratch {
    /// A repository with a working tree and no commit.
    pub fn new() -> Self {
        Self::init(&["--quiet"])
    }

    /// A bare repository, as a server has it.
    pub fn bare() -> Self {
        Self::init(&["--quiet", "--bare"])
    }

    fn init(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let repository = directory.path().join("env.git");
        let path = repository.to_str().unwrap();
        let all = [&["init", "-b", "main"], arguments, &[path]].concat();
        git(directory.path(), &all);
        Self {
            directory,
            repository,
        }
    }

    /// Runs git in the repository.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.repository, arguments)
    }

    /// A commit on `main` that puts content into a file, whether there is a working
    /// tree or not.
    pub fn commit(&self, file: &str, content: &str) -> Revision {
        commit_on(&self.repository, "main", file, content)
    }

    /// A commit on `main` with twelve objects and 10^10 paths, at the end of each of which
    /// stands a link, or a file.
    pub fn commit_endless(&self, path: &str, end: (&str, i32, &str)) -> Revision {
        let opened = git2::Repository::open(&self.repository).unwrap();
        let (name, mode, content) = end;
        let blob = opened.blob(content.as_bytes()).unwrap();
        let mut below = opened.treebuilder(None).unwrap();
        below.insert(name, blob, mode).unwrap();
        let mut id = below.write().unwrap();
        for _ in 0..10 {
            let mut level = opened.treebuilder(None).unwrap();
            for name in 0..10 {
                level.insert(name.to_string(), id, 0o040_000).unwrap();
            }
            id = level.write().unwrap();
        }
        let main = opened.refname_to_id("refs/heads/main");
        let parent = main.ok().map(|main| opened.find_commit(main).unwrap());
        let before = parent.as_ref().map(|parent| parent.tree().unwrap());
        let mut root = opened.treebuilder(before.as_ref()).unwrap();
        root.insert(path, id, 0o040_000).unwrap();
        let tree = opened.find_tree(root.write().unwrap()).unwrap();
        let parents: Vec<_> = parent.iter().collect();
        let id = opened.commit(None, &ada(), &ada(), "Endless\n", &tree, &parents);
        let id = id.unwrap().to_string();
        self.git(&["update-ref", "refs/heads/main", &id]);
        id.parse().unwrap()
    }

    /// A commit on `main` that Git takes and libgit2 can't read, of the same files.
    pub fn odd_commit(&self) -> Revision {
        let tree = self.git(&["rev-parse", "main^{tree}"]);
        let parent = self.git(&["rev-parse", "main"]);
        let odd = "X <x@example.com> not-a-time +0000";
        let text = format!("tree {tree}parent {parent}author {odd}\ncommitter {odd}\n\nodd\n");
        let write = "hash-object -t commit -w --literally --stdin";
        let id = self.git_reading(&write.split(' ').collect::<Vec<_>>(), &text);
        self.move_main(&id)
    }

    /// A commit on `main` that changes one file, by Git alone, whatever it is on top of.
    pub fn commit_by_git(&self, file: &str, content: &str, message: &str) -> Revision {
        let blob = self.git_reading(&["hash-object", "-w", "--stdin"], content);
        let others = self.git(&["ls-tree", "main"]);
        let end = format!("\t{file}");
        let own = format!("100644 blob {blob}{end}");
        let others = others.lines().filter(|line| !line.ends_with(&end));
        let lines: Vec<&str> = others.chain([&*own]).collect();
        let tree = self.git_reading(&["mktree"], &(lines.join("\n") + "\n"));
        let id = self.git(&["commit-tree", "-m", message, "-p", "main", &tree]);
        self.move_main(id.trim())
    }

    fn git_reading(&self, arguments: &[&str], input: &str) -> String {
        let place = self.repository.to_str().unwrap();
        let all = [&["-C", place], arguments].concat();
        git_with_input(&all, input.as_bytes()).trim().to_owned()
    }

    fn move_main(&self, id: &str) -> Revision {
        self.git(&["update-ref", "refs/heads/main", id]);
        id.parse().unwrap()
    }

    /// As a remote.
    pub fn remote(&self) -> Remote {
        remote(self.repository.to_str().unwrap())
    }

    /// A data directory beside the repository.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }
}

pub fn remote(url: &str) -> Remote {
    Remote::new(url.parse().unwrap(), Credentials::default())
}

/// A commit made by plumbing, so that it works in a bare repository as well.
pub fn commit_on(repository: &Path, branch: &str, file: &str, content: &str) -> Revision {
    let opened = git2::Repository::open(repository).unwrap();
    let parent = opened
        .refname_to_id(&format!("refs/heads/{branch}"))
        .ok()
        .map(|id| opened.find_commit(id).unwrap());
    let blob = opened.blob(content.as_bytes()).unwrap();
    let empty = opened.treebuilder(None).unwrap().write().unwrap();
    let base = match &parent {
        Some(parent) => parent.tree().unwrap(),
        None => opened.find_tree(empty).unwrap(),
    };
    let tree = git2::build::TreeUpdateBuilder::new()
        .upsert(file, blob, git2::FileMode::Blob)
        .create_updated(&opened, &base)
        .unwrap();
    let tree = opened.find_tree(tree).unwrap();
    let parents: Vec<_> = parent.iter().collect();
    let id = opened
        .commit(
            None,
            &ada(),
            &ada(),
            &format!("Set {file}\n"),
            &tree,
            &parents,
        )
        .unwrap();
    // By git, whose way of writing a ref is what a watch is to see.
    let reference = format!("refs/heads/{branch}");
    git(repository, &["update-ref", &reference, &id.to_string()]);
    id.to_string().parse().unwrap()
}

fn ada() -> git2::Signature<'static> {
    let time = git2::Time::new(1_790_000_000, 0);
    git2::Signature::new("Ada", "ada@example.com", &time).unwrap()
}

/// Runs git somewhere, without anybody's configuration, and gives its output.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs git with something on its standard input.
pub fn git_with_input(arguments: &[&str], input: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    let output = Command::new("git")
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(std::fs::File::open(file.path()).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
