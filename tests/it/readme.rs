//! The README: its commands work as written, and it names every flag of `agent run`.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::files::copy;
use crate::support::git::git;
use crate::support::leash;
use crate::support::programs::{Program, Programs};

/// What a machine has that the demo and the tests run on; here it is the demo in the
/// profile of this test, and this test itself.
const DEMO: &str = "cargo run --release --example demo";
const TESTS: &str = "cargo test";

#[test]
fn every_command_works_as_written() {
    let laptop = Laptop::new();
    for command in commands(&readme()) {
        match command.as_str() {
            DEMO | TESTS => {}
            other => laptop.run(other),
        }
    }
}

#[test]
fn the_demo_tells_its_story_to_the_end() {
    assert!(commands(&readme()).iter().any(|command| command == DEMO));
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        // What cargo tells a test about its package would make build scripts run anew.
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    let output = command
        .args(["run", "--quiet", "--example", "demo", "--", "--exit"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // It is not to touch whatever cluster the user works with.
        .env("KUBECONFIG", "/there/is/none")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaints}");
    assert!(said.contains("That was the story"), "{said}");
    assert!(
        !said.contains('\u{1b}'),
        "colours without a terminal: {said}"
    );
}

#[test]
fn every_flag_of_run_is_in_the_table() {
    let help = Agent::new(env!("CARGO_BIN_EXE_agent"))
        .args(["run", "--help"])
        .run();
    let mut flags = words_with("--", &help.stdout);
    for flag in ["--help", "--version"] {
        flags.remove(flag);
    }
    let readme = readme();
    let table = readme.split("### `agent run`").nth(1).unwrap();
    let table = table.split("###").next().unwrap();
    assert_eq!(words_with("| `--", table).len(), flags.len(), "{flags:?}");
    for flag in flags {
        let row = table
            .lines()
            .find(|line| line.starts_with(&format!("| `{flag}` ")));
        let variable = format!("AGENT_{}", flag[2..].to_uppercase().replace('-', "_"));
        let row = row.unwrap_or_else(|| panic!("the README lacks {flag}"));
        assert!(row.contains(&format!("`{variable}`")), "{row}");
    }
}

/// A machine with a checkout of the sample repository and a cluster.
struct Laptop {
    cluster: ControlPlane,
    directory: TempDir,
}

impl Laptop {
    fn new() -> Self {
        let cluster = ControlPlane::start(&Options::default()).unwrap();
        let directory = leash::scratch("readme");
        let path = directory.path();
        copy(&root().join("testdata/demo"), &path.join("checkout")).unwrap();
        fs::write(path.join("checkout/token"), "secret").unwrap();
        git(
            path,
            &["init", "--quiet", "--initial-branch=main", "checkout"],
        );
        let laptop = Self { cluster, directory };
        let checkout = laptop.checkout();
        git(&checkout, &["add", "--all", "--", ":!token"]);
        git(&checkout, &["commit", "--quiet", "-m", "Start the shop"]);
        laptop.install();
        laptop
    }

    fn checkout(&self) -> PathBuf {
        self.directory.path().join("checkout")
    }

    /// What one has on the `PATH`.
    fn install(&self) {
        let bin = self.directory.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let kustomize = Programs::build(&[Program::Kustomize]).unwrap();
        let agent = Path::new(env!("CARGO_BIN_EXE_agent"));
        symlink(agent, bin.join("agent")).unwrap();
        symlink(kustomize.path(Program::Kustomize), bin.join("kustomize")).unwrap();
        symlink(self.cluster.program(Program::Kubectl), bin.join("kubectl")).unwrap();
    }

    /// `agent diff` may find differences; everything else has to succeed.
    fn run(&self, command: &str) {
        let from_the_clone = command.contains(" deploy");
        let mut path = vec![self.directory.path().join("bin")];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let output = Command::new("bash")
            .args(["-o", "pipefail", "-c", command])
            .current_dir(if from_the_clone {
                root()
            } else {
                self.checkout()
            })
            .env_remove("GIT_DIR")
            .env("PATH", env::join_paths(path).unwrap())
            .env("HOME", self.directory.path())
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("GIT_PAGER", "cat")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let differs = command.starts_with("agent diff") && output.status.code() == Some(1);
        assert!(
            output.status.success() || differs,
            "{command}\n{}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The lines of all blocks that are marked as `sh`.
fn commands(markdown: &str) -> Vec<String> {
    let blocks = markdown.split("```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    lines.map(str::to_owned).collect()
}

fn words_with(prefix: &str, text: &str) -> BTreeSet<String> {
    let starts = text.match_indices(prefix).map(|(start, _)| &text[start..]);
    let word = |text: &str| {
        let rest = text[prefix.len()..].chars();
        let name: String = rest
            .take_while(|c| c.is_ascii_lowercase() || *c == '-')
            .collect();
        format!("{prefix}{name}")
    };
    starts.map(word).collect()
}
