//! What the story is played on: the cluster, the repository, the agent.

use std::env;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::{Cluster, NAMESPACE};
use crate::repository::Repository;
use crate::say::{self, Steps};
use crate::support::agent::{Agent, Daemon, Ran};
use crate::support::programs::{Program, Programs};
use crate::support::{build, leash};

pub struct Stage {
    pub steps: Steps,
    /// Ended before the cluster is.
    daemon: Option<Daemon>,
    pub cluster: Cluster,
    pub repository: Repository,
    /// `agent`, `kubectl` and `kustomize`, to be put on `PATH`.
    pub programs: PathBuf,
    pub admin_address: String,
    /// How long a step may take.
    pub patience: Duration,
    directory: TempDir,
}

pub const ENVIRONMENT: &str = "staging";

impl Stage {
    /// Builds and starts everything but the agent, saying so.
    pub fn set(context: Option<&str>) -> Result<Self> {
        let mut steps = Steps::begin();
        let agent = build_agent(&mut steps)?;
        let (cluster, kustomize) = cluster(&mut steps, context)?;
        let directory = leash::scratch("demo");
        let programs = directory.path().join("bin");
        std::fs::create_dir(&programs)?;
        for (program, name) in [
            (agent.as_path(), "agent"),
            (cluster.program(), "kubectl"),
            (&kustomize, "kustomize"),
        ] {
            symlink(program, programs.join(name))?;
        }
        let repository = repository(&mut steps, directory.path().join("environment"))?;
        let patience = match cluster {
            Cluster::Own(_) => Duration::from_mins(1),
            // It pulls images over a network.
            Cluster::Theirs(_) => Duration::from_mins(5),
        };
        Ok(Self {
            steps,
            daemon: None,
            cluster,
            repository,
            programs,
            admin_address: free_address()?,
            patience,
            directory,
        })
    }

    /// Starts the agent, and says how one would by hand.
    pub fn start_agent(&mut self) -> String {
        let (repository, data) = (self.repository.path(), self.directory.path().join("data"));
        let words = [
            "run",
            "--repo",
            &repository.display().to_string(),
            "--environment",
            ENVIRONMENT,
            "--data-dir",
            &data.display().to_string(),
            "--admin-addr",
            &self.admin_address,
        ];
        self.daemon = Some(self.agent(&words).start());
        let [command, options @ ..] = words;
        let options = options.chunks(2).map(|pair| pair.join(" "));
        let lines = [format!("agent {command}")].into_iter().chain(options);
        lines.collect::<Vec<_>>().join(" \\\n    ")
    }

    /// Runs a command of the agent in the repository.
    pub fn run_agent(&self, words: &[&str]) -> Ran {
        self.agent(words).run()
    }

    fn agent(&self, words: &[&str]) -> Agent {
        let agent = Agent::new(self.programs.join("agent"))
            .with_program(&self.programs.join("agent"))
            .directory(self.repository.path())
            .args(words);
        match &self.cluster {
            Cluster::Own(plane) => agent.kubeconfig(plane.kubeconfig()),
            Cluster::Theirs(theirs) => as_user(agent)
                .env("AGENT_CONTEXT", &theirs.context)
                .env("AGENT_NAMESPACE", NAMESPACE),
        }
    }

    /// Waits for a condition while the agent runs.
    pub fn wait<T>(
        &mut self,
        what: &str,
        condition: impl Fn(&Self) -> Result<T, String>,
    ) -> Result<T> {
        let mut daemon = self
            .daemon
            .take()
            .context("the agent has not been started")?;
        let outcome = daemon.try_wait(what, self.patience, || condition(self));
        self.daemon = Some(daemon);
        outcome.map_err(|seen| anyhow!(seen))
    }

    /// Waits until the agent says that every unit is as a revision declares it, and
    /// healthy. `changed` is a unit that this revision changes. Gives the number of
    /// units and of objects.
    pub fn wait_until_healthy(&mut self, revision: &str, changed: &str) -> Result<(usize, u64)> {
        self.wait("every unit to be healthy", |stage| {
            let ran = stage.run_agent(&["status", "-o", "json"]);
            let said = || format!("{}{}", ran.stdout, ran.stderr);
            let status: Value = serde_json::from_str(&ran.stdout).map_err(|_| said())?;
            let [environment] = status.as_array().map_or(&[][..], Vec::as_slice) else {
                return Err(said());
            };
            let units = environment["units"].as_object().ok_or_else(said)?;
            if !units.contains_key(changed) {
                return Err(said());
            }
            let settled = units.values().all(|unit| unit["state"] == "Synced");
            let followed = [&environment["revision"], &units[changed]["revision"]];
            if !settled || followed.iter().any(|followed| *followed != revision) {
                return Err(said());
            }
            let objects = units.values().filter_map(|unit| unit["objects"].as_u64());
            Ok((units.len(), objects.sum()))
        })
    }

    /// How the agent ended, if it has.
    pub fn daemon_ended(&mut self) -> Option<String> {
        self.daemon.as_mut()?.ended()
    }

    /// Ends the agent, and removes what was made in a user's cluster.
    pub fn leave(mut self) -> Result<()> {
        say::heading("Cleaning up.");
        if let Some(mut daemon) = self.daemon.take()
            && daemon.ended().is_none()
        {
            let status = daemon.terminate(Duration::from_secs(30));
            ensure!(status.success(), "the agent ended with {status}");
        }
        self.cluster.clean_up().with_context(|| {
            format!(
                "what the demo made could not be removed; do it by hand:\n{}",
                self.cluster.removal()
            )
        })
    }
}

fn build_agent(steps: &mut Steps) -> Result<PathBuf> {
    let step = steps.next("Build the agent");
    say::command(&build::command_line()?);
    let agent = build::agent()?;
    step.done("built");
    Ok(agent)
}

fn cluster(steps: &mut Steps, context: Option<&str>) -> Result<(Cluster, PathBuf)> {
    let step = steps.next(match context {
        None => "Start a Kubernetes control plane on this machine",
        Some(_) => "Look at your cluster",
    });
    if context.is_none() {
        say::why(
            "etcd, kube-apiserver, kube-controller-manager and kube-scheduler, and kwok for nodes\n\
             that only pretend to run containers. The first time they are built from source,\n\
             which takes about ten minutes; after that they are there.",
        );
    }
    let kustomize = Programs::build(&[Program::Kustomize])?;
    let cluster = match context {
        None => Cluster::start()?,
        Some(context) => Cluster::of_user(context)?,
    };
    match &cluster {
        Cluster::Own(plane) => step.done(&format!("running at {}", plane.server())),
        Cluster::Theirs(_) => {
            say::why("If you interrupt the demo, this removes what it made:");
            say::why(&cluster.removal());
            step.done("nothing there is in the way");
        }
    }
    Ok((cluster, kustomize.path(Program::Kustomize).to_owned()))
}

fn repository(steps: &mut Steps, path: PathBuf) -> Result<Repository> {
    let step = steps.next("Make an environment repository");
    say::why(
        "An ordinary Git repository, from the sample in testdata/demo. agent.yaml names the units.",
    );
    let repository = Repository::create(path)?;
    say::command(&format!("cd {}; git ls-files", repository.path().display()));
    say::output(&repository.git(&["ls-files"])?);
    step.done("committed");
    Ok(repository)
}

/// With what the user's shell has, which a plugin that logs in may need.
fn as_user(agent: Agent) -> Agent {
    let own = |name: &str| name.starts_with("AGENT_") || name == "PATH" || name == "TMPDIR";
    env::vars_os()
        .filter(|(name, _)| !own(&name.to_string_lossy()))
        .fold(agent, |agent, (name, value)| agent.env(name, value))
}

fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

/// A path as the reader's shell takes it.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
