//! A Git repository to work in and a bare one to push to, by the real git.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::leash;

/// Who makes commits, unless said otherwise.
pub const AUTHOR: &str = "Ada Lovelace <ada@example.com>";

/// A bare repository on branch `main`, and a clone of it to work in.
pub struct Repository {
    directory: TempDir,
    remote: PathBuf,
    url: String,
}

impl Repository {
    /// An empty one: no commit, no branch.
    pub fn empty() -> Self {
        let directory = leash::scratch("git");
        let remote = directory.path().join("remote.git");
        git(
            directory.path(),
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                "remote.git",
            ],
        );
        let url = remote.to_str().expect("it is text").to_owned();
        Self::cloned(directory, remote, url, "../remote.git")
    }

    /// One that a server has: the bare repository on its disk, the URL that others follow
    /// it by, and the one to push to.
    pub fn served(remote: PathBuf, url: String, push: &str) -> Self {
        Self::cloned(leash::scratch("git"), remote, url, push)
    }

    fn cloned(directory: TempDir, remote: PathBuf, url: String, push: &str) -> Self {
        let root = directory.path();
        git(root, &["init", "--quiet", "--initial-branch=main", "work"]);
        let repository = Self {
            directory,
            remote,
            url,
        };
        git(&repository.work(), &["remote", "add", "origin", push]);
        repository
    }

    /// One whose first commit, pushed, holds `files`.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let repository = Self::empty();
        repository.commit("Start", files);
        repository
    }

    /// The bare repository.
    pub fn remote(&self) -> PathBuf {
        self.remote.clone()
    }

    /// What others know it by: a path, or the URL of the server that has it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes the bare repository unreachable, as if its server were down.
    pub fn go_away(&self) {
        fs::rename(self.remote(), self.away()).expect("it is there");
    }

    /// Makes it reachable again.
    pub fn come_back(&self) {
        fs::rename(self.away(), self.remote()).expect("it went away");
    }

    fn away(&self) -> PathBuf {
        self.directory.path().join("away.git")
    }

    /// The working tree.
    pub fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// Writes a file in the working tree, without committing it.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.work().join(path);
        fs::create_dir_all(path.parent().expect("it is beneath the work tree"))
            .and_then(|()| fs::write(path, text))
            .expect("the work tree is writable");
    }

    /// Removes a file or a directory from the working tree, without committing it.
    pub fn remove(&self, path: &str) {
        git(
            &self.work(),
            &["rm", "-r", "--quiet", "--force", "--", path],
        );
    }

    /// Writes files, commits the working tree, pushes, and gives the revision.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        self.commit_as(AUTHOR, message, files)
    }

    /// As [`commit`](Self::commit), by an author `Name <address>`.
    pub fn commit_as(&self, author: &str, message: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            self.write(path, text);
        }
        let work = self.work();
        git(&work, &["add", "--all"]);
        let author = format!("--author={author}");
        git(
            &work,
            &["commit", "--quiet", "--allow-empty", &author, "-m", message],
        );
        self.push();
        self.revision("HEAD")
    }

    /// Pushes `main`, by force: a rewritten history is a case to test.
    pub fn push(&self) {
        git(
            &self.work(),
            &["push", "--quiet", "--force", "origin", "HEAD:main"],
        );
    }

    /// The commit that a name stands for in the working clone.
    pub fn revision(&self, name: &str) -> String {
        git(&self.work(), &["rev-parse", "--verify", name])
            .trim()
            .to_owned()
    }

    /// Runs git in the working clone and gives its standard output.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.work(), arguments)
    }

    /// Whether the bare repository has a branch.
    pub fn has_branch(&self, branch: &str) -> bool {
        let reference = format!("refs/heads/{branch}");
        !git(&self.remote(), &["for-each-ref", &reference]).is_empty()
    }

    /// The subjects on a branch of the bare repository, newest first.
    pub fn log(&self, branch: &str) -> Vec<String> {
        self.log_as(branch, "%s")
    }

    /// Each commit on a branch of the bare repository, newest first, in a format of git log.
    pub fn log_as(&self, branch: &str, format: &str) -> Vec<String> {
        let format = format!("--format={format}%x00");
        let text = git(&self.remote(), &["log", &format, branch, "--"]);
        let commits = text.split('\0').map(|commit| commit.trim().to_owned());
        commits.filter(|commit| !commit.is_empty()).collect()
    }

    /// A file on a branch of the bare repository, if it is there.
    pub fn show(&self, branch: &str, path: &str) -> Option<String> {
        // The branch may move between two looks.
        let commit = git(&self.remote(), &["rev-parse", branch]);
        let commit = commit.trim();
        self.files(commit)
            .contains(&path.to_owned())
            .then(|| git(&self.remote(), &["show", &format!("{commit}:{path}")]))
    }

    /// How a record says that everything stands: `status.yaml`, with those of the units
    /// under `units`; null while there is none.
    pub fn recorded_status(&self, revision: &str) -> Value {
        let opened = git2::Repository::open_bare(self.remote()).expect("a repository");
        let tree = opened
            .revparse_single(revision)
            .and_then(|it| it.peel_to_tree());
        let Ok(tree) = tree else {
            return Value::Null;
        };
        let read = |path: &str| -> Option<Value> {
            let blob = tree
                .get_path(Path::new(path))
                .ok()?
                .to_object(&opened)
                .ok()?;
            serde_yaml::from_slice(blob.as_blob()?.content()).expect("a status is YAML")
        };
        let Some(mut status) = read("status.yaml") else {
            return Value::Null;
        };
        let names = tree
            .iter()
            .filter_map(|entry| Some(entry.name().ok()?.to_owned()));
        let units =
            names.filter_map(|name| Some((name.clone(), read(&format!("{name}/status.yaml"))?)));
        status["units"] = Value::Object(units.collect());
        status
    }

    /// The paths of all files on a branch of the bare repository.
    pub fn files(&self, branch: &str) -> Vec<String> {
        let listed = git(
            &self.remote(),
            &["ls-tree", "-r", "-z", "--name-only", branch],
        );
        let paths = listed.split('\0').filter(|path| !path.is_empty());
        paths.map(str::to_owned).collect()
    }
}

/// Runs git in a directory and gives its standard output.
///
/// # Panics
/// When it fails, with what it said.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    try_git(directory, arguments).unwrap_or_else(|error| panic!("{error:#}"))
}

/// As [`git`], for callers that don't want to panic.
pub fn try_git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = hermetic(Command::new("git"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .context("cannot run git, which is needed")?;
    ensure!(
        output.status.success(),
        "git {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).context("git writes UTF-8 here")
}

/// The trailers of a commit message as `git interpret-trailers` reads them.
///
/// # Panics
/// When git can't be run.
pub fn trailers(message: &str) -> Vec<(String, String)> {
    let mut child = hermetic(Command::new("git"))
        .args(["interpret-trailers", "--parse"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git can be run");
    let mut stdin = child.stdin.take().expect("its standard input is a pipe");
    stdin
        .write_all(message.as_bytes())
        .expect("git reads the message");
    drop(stdin);
    let output = child.wait_with_output().expect("git ends");
    let text = String::from_utf8(output.stdout).expect("git writes UTF-8 here");
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Takes away what the user and the machine have configured.
fn hermetic(mut command: Command) -> Command {
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited.filter(|name| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_COMMITTER_NAME", "Test Runner")
        .env("GIT_COMMITTER_EMAIL", "runner@example.com")
        .env("GIT_AUTHOR_NAME", "Test Runner")
        .env("GIT_AUTHOR_EMAIL", "runner@example.com");
    command
}
