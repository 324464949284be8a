//! The Go modules under `testdata/programs`, built into a cache outside the clone:
//! `$AGENT_TEST_CACHE`, else `gitops-agent` in the user's cache directory.
//!
//! A module is built once for each content of its `go.mod` and `go.sum`, and of its own
//! source where it has some; with a warm cache Go isn't needed.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};

use super::files;
use super::leash;
use super::progress::Progress;

/// A folder of `testdata/programs`, and how it is built.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Module {
    name: &'static str,
    flags: &'static [&'static str],
    packages: &'static [&'static str],
    /// Files and directories of the first package's module that are kept beside the
    /// programs.
    files: &'static [&'static str],
    /// The name for the one program, where Go would choose another.
    output: &'static str,
    /// How long it takes from nothing on two cores.
    first_time: &'static str,
}

pub const ETCD: Module = Module {
    name: "etcd",
    flags: &[],
    packages: &["go.etcd.io/etcd/server/v3"],
    files: &[],
    output: "etcd",
    first_time: "about 1 min",
};

/// Clients refuse a server that doesn't know its version.
pub const KUBERNETES: Module = Module {
    name: "kubernetes",
    flags: &[
        "-ldflags",
        "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
         -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
    ],
    packages: &[
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-scheduler",
        "k8s.io/kubernetes/cmd/kubectl",
    ],
    files: &[],
    output: "",
    first_time: "about 6 min",
};

pub const KWOK: Module = Module {
    name: "kwok",
    flags: &[],
    packages: &["sigs.k8s.io/kwok/cmd/kwok"],
    files: STAGES,
    output: "",
    first_time: "about 3 min",
};

pub const KUSTOMIZE: Module = Module {
    name: "kustomize",
    flags: &[],
    packages: &["sigs.k8s.io/kustomize/kustomize/v5"],
    files: &[],
    output: "kustomize",
    first_time: "about 30 s",
};

/// A forge: Git over HTTP, pull requests, statuses, webhooks. Its database needs a C compiler.
pub const GITEA: Module = Module {
    name: "gitea",
    flags: &["-tags", "sqlite sqlite_unlock_notify"],
    packages: &["code.gitea.io/gitea"],
    files: &["options", "templates"],
    output: "gitea",
    first_time: "about 5 min",
};

/// A server of Git over SSH, whose source lies in the folder.
pub const SSHD: Module = Module {
    name: "sshd",
    flags: &[],
    packages: &["."],
    files: &[],
    output: "sshd",
    first_time: "about 10 s",
};

/// In kwok's own module. These make nodes ready, and make pods run at once; its other
/// stages make pods fail, restart or stay pending.
const STAGES: &[&str] = &[
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
];

impl Module {
    fn source(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata/programs")
            .join(self.name)
    }

    /// Where its programs are once built; complete as soon as it exists.
    pub fn directory(&self) -> Result<PathBuf> {
        let mut hash = Sha256::new();
        for file in ["go.mod", "go.sum"] {
            let path = self.source().join(file);
            hash.update(
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
            );
        }
        if let Ok(own) = fs::read(self.source().join("main.go")) {
            hash.update(own);
        }
        for part in [self.flags, self.packages, self.files].concat() {
            hash.update(part);
        }
        hash.update(env::consts::OS);
        hash.update(env::consts::ARCH);
        let key = hex::encode(&hash.finalize()[..8]);
        Ok(cache()?.join(format!("{}-{key}", self.name)))
    }

    /// The names of the files that lie beside its programs.
    pub fn kept_files(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|file| last(file))
    }

    fn title(&self) -> String {
        let names = self.packages.iter().map(|package| {
            if self.output.is_empty() {
                last(package)
            } else {
                self.output
            }
        });
        names.collect::<Vec<_>>().join(", ")
    }

    /// Builds it, unless another process has meanwhile.
    fn build(&self) -> Result<()> {
        let directory = self.directory()?;
        fs::create_dir_all(cache()?)?;
        let progress = Progress::start(&format!(
            "building {} (first time only, {})",
            self.title(),
            self.first_time
        ));
        progress.note("another process is at it");
        let lock = File::create(directory.with_extension("lock"))?;
        lock.lock().context("cannot lock the cache of programs")?;
        progress.note("");
        if directory.is_dir() {
            return Ok(());
        }
        let unfinished = directory.with_extension("unfinished");
        // Of a build that was killed.
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir(&unfinished)?;
        self.go_build(&unfinished, &progress)?;
        self.copy_files(&unfinished)?;
        fs::rename(&unfinished, &directory)?;
        progress.finish();
        Ok(())
    }

    fn go_build(&self, output: &Path, progress: &Progress) -> Result<()> {
        let mut command = go(&self.source());
        command
            .args(["build", "-v"])
            .args(self.flags)
            .arg("-o")
            .arg(format!("{}/{}", output.display(), self.output))
            .args(self.packages)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut build = leash::spawn(&mut command).map_err(|error| no_go(&error))?;
        let mut said = Vec::new();
        for line in BufReader::new(build.stderr()).lines() {
            said.push(line?);
            progress.note(&format!("{} packages", said.len()));
        }
        if build
            .wait(Duration::from_secs(10))
            .is_some_and(|status| status.success())
        {
            return Ok(());
        }
        let tail = said.split_off(said.len().saturating_sub(15)).join("\n");
        bail!("go build in {} failed:\n{tail}", self.source().display())
    }

    /// So that later runs need neither Go nor its module cache.
    fn copy_files(&self, output: &Path) -> Result<()> {
        if self.files.is_empty() {
            return Ok(());
        }
        let listed = go(&self.source())
            .args(["list", "-f", "{{.Module.Dir}}", self.packages[0]])
            .output()
            .map_err(|error| no_go(&error))?;
        let module = PathBuf::from(String::from_utf8(listed.stdout)?.trim());
        for file in self.files {
            let from = module.join(file);
            if from.is_dir() {
                files::copy(&from, &output.join(last(file)))?;
                continue;
            }
            let text =
                fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
            fs::write(output.join(last(file)), text)?;
        }
        Ok(())
    }
}

/// At most two at a time: each takes a core and a gigabyte.
pub fn build_all(modules: &[&'static Module]) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let queue = Mutex::new(modules.iter());
    let next = || queue.lock().expect("no worker panics").next().copied();
    let work = || -> Result<()> {
        while let Some(module) = next() {
            module.build()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("no worker panics"))
    })
}

fn cache() -> Result<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    let root = if let Some(path) = variable("AGENT_TEST_CACHE") {
        PathBuf::from(path)
    } else if let Some(path) = variable("XDG_CACHE_HOME") {
        PathBuf::from(path).join("gitops-agent")
    } else if let Some(path) = variable("HOME") {
        PathBuf::from(path).join(".cache/gitops-agent")
    } else {
        bail!("no directory to build test programs in: set AGENT_TEST_CACHE or HOME")
    };
    Ok(root.join("programs"))
}

fn go(module: &Path) -> Command {
    let mut command = Command::new("go");
    // A workspace around the clone would change what is built.
    command.current_dir(module).env("GOWORK", "off");
    command
}

fn no_go(error: &std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::NotFound {
        return anyhow!(
            "tests and demo run on a real Kubernetes, which is built from Go modules, and there is no \
             `go` on PATH: install Go 1.26 or later (https://go.dev/dl/), then run this again"
        );
    }
    anyhow!("cannot run go: {error}")
}

/// The last part of a path.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
