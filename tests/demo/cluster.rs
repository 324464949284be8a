//! The cluster of the demo: one of its own, or the user's where they ask for it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::support::control_plane::{ControlPlane, Options};
use crate::support::programs::{Program, Programs};

/// Where the agent keeps its inventories: not where an installed agent does.
pub const NAMESPACE: &str = "gitops-agent-demo";

/// What the sample repository and the agent create that nothing else holds.
pub const CREATED: [[&str; 2]; 3] = [
    ["namespace", "shop"],
    ["namespace", NAMESPACE],
    ["customresourcedefinition", "featureflags.shop.example.com"],
];

pub enum Cluster {
    Own(Box<ControlPlane>),
    Theirs(Theirs),
}

/// A context of the user's kubeconfig.
pub struct Theirs {
    pub context: String,
    pub kubectl: PathBuf,
}

impl Cluster {
    pub fn start() -> Result<Self> {
        ControlPlane::start(&Options::default()).map(|plane| Self::Own(Box::new(plane)))
    }

    /// The user's own; refused where something would get into its way.
    pub fn of_user(context: &str) -> Result<Self> {
        let kubectl = match on_path("kubectl") {
            Some(path) => path,
            None => Programs::build(&[Program::Kubectl])?
                .path(Program::Kubectl)
                .to_owned(),
        };
        let cluster = Self::Theirs(Theirs {
            context: context.to_owned(),
            kubectl,
        });
        for [kind, name] in CREATED {
            let there = cluster.kubectl(&["get", kind, name, "--ignore-not-found", "-oname"])?;
            if !there.trim().is_empty() {
                bail!(
                    "the cluster of context {context} has a {kind} {name} already, and the demo \
                     makes one of that name. If it is left from an earlier demo, remove it:\n{}",
                    cluster.removal()
                );
            }
        }
        Ok(cluster)
    }

    /// Runs kubectl and gives its standard output.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let theirs = match self {
            Self::Own(plane) => return plane.try_kubectl(arguments),
            Self::Theirs(theirs) => theirs,
        };
        let output = theirs.command().args(arguments).output();
        let output = output.context("cannot run kubectl")?;
        ensure!(
            output.status.success(),
            "kubectl {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// kubectl, for whoever wants to run it in another way.
    pub fn command(&self) -> Command {
        match self {
            Self::Own(plane) => {
                let mut command = Command::new(self.program());
                command
                    .env("KUBECONFIG", plane.kubeconfig())
                    .env("HOME", plane.file(""));
                command
            }
            Self::Theirs(theirs) => theirs.command(),
        }
    }

    /// Where kubectl is.
    pub fn program(&self) -> &Path {
        match self {
            Self::Own(plane) => plane.program(Program::Kubectl),
            Self::Theirs(theirs) => &theirs.kubectl,
        }
    }

    /// As text: the command that removes what the demo made.
    pub fn removal(&self) -> String {
        let Self::Theirs(theirs) = self else {
            return String::new();
        };
        let lines = CREATED.map(|[kind, name]| {
            let context = &theirs.context;
            format!("  kubectl --context {context} delete {kind} {name} --ignore-not-found")
        });
        lines.join("\n")
    }

    /// Removes what the demo made. One of its own goes away as a whole.
    pub fn clean_up(&self) -> Result<()> {
        if let Self::Own(_) = self {
            return Ok(());
        }
        for [kind, name] in CREATED {
            let delete = ["delete", kind, name, "--ignore-not-found", "--timeout=2m"];
            self.kubectl(&delete)?;
        }
        Ok(())
    }
}

impl Theirs {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.args(["--context", &self.context]);
        command
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}
