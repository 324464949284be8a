//! An environment with everything of its own (namespaces, repository, agent), so that
//! many can be tried side by side on one cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::agent::{Agent, Daemon, Ran};
use super::audit::{AuditEvent, AuditPosition};
use super::control_plane::ControlPlane;
use super::git::{Repository, git};
use super::git_http::GitHttp;

/// Generous: many tests share two cores.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// An environment and the agent that serves it.
pub struct Stage<'c> {
    pub cluster: &'c ControlPlane,
    pub repository: Repository,
    /// The environment's name.
    pub environment: String,
    /// The namespace of its units' objects; it exists.
    pub namespace: String,
    /// The namespace of its inventories.
    pub inventories: String,
    binary: &'static str,
    began: AuditPosition,
    daemon: Option<Daemon>,
}

/// A commit on the record.
#[derive(Debug)]
pub struct Entry {
    pub hash: String,
    pub subject: String,
    /// `Name <address>`.
    pub author: String,
    pub message: String,
    /// The paths that it changed.
    pub paths: BTreeSet<String>,
}

impl Stage<'static> {
    /// One on the shared control plane, whose repository is empty, and whose agent
    /// (`env!("CARGO_BIN_EXE_agent")`) doesn't run yet.
    pub fn new(name: &str, binary: &'static str) -> Self {
        Self::on(ControlPlane::shared(), name, binary)
    }
}

impl<'c> Stage<'c> {
    /// As [`new`](Self::new), on a control plane of the caller's.
    pub fn on(cluster: &'c ControlPlane, name: &str, binary: &'static str) -> Self {
        let namespace = cluster.namespace(name);
        Self {
            cluster,
            repository: Repository::empty(),
            environment: namespace.clone(),
            inventories: format!("{namespace}-agent"),
            began: cluster.audit_position(),
            namespace,
            binary,
            daemon: None,
        }
    }

    /// An `agent.yaml` with these units: each a name, which is its directory's too, and
    /// more settings such as `after: [base], prune: false`.
    pub fn configuration(&self, units: &[(&str, &str)]) -> String {
        let lines = units.iter().map(|(name, more)| {
            let namespace = &self.namespace;
            format!("      - {{name: {name}, path: {name}, namespace: {namespace}, {more}}}\n")
        });
        let units: String = lines.collect();
        format!(
            "version: 1\nenvironments:\n  {}:\n    units:\n{units}",
            self.environment
        )
    }

    /// Commits and pushes an `agent.yaml` with these units.
    pub fn configure(&self, units: &[(&str, &str)]) -> String {
        self.commit("Configure", &[("agent.yaml", &self.configuration(units))])
    }

    /// Commits and pushes files, and gives the revision.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        self.repository.commit(message, files)
    }

    /// Removes files, and commits and pushes that.
    pub fn remove(&self, paths: &[&str]) -> String {
        for path in paths {
            self.repository.remove(path);
        }
        self.commit("Remove", &[])
    }

    /// Any command of the agent's, in the working clone and on this cluster.
    pub fn agent(&self, arguments: &[&str]) -> Agent {
        Agent::new(self.binary)
            .kubeconfig(self.cluster.kubeconfig())
            .directory(self.repository.work())
            .env("AGENT_NAMESPACE", &self.inventories)
            .args(arguments)
    }

    /// The invocation of the daemon, to be changed before it is started. With each its own
    /// data directory, each is an agent of its own, which waits for the Lease of another
    /// that was killed.
    pub fn invocation(&self) -> Agent {
        let run = self.agent(&["run", "--repo", self.repository.url()]);
        let data = run.home().join("data");
        run.args(["--environment", &self.environment, "--data-dir"])
            .args([data])
            .env("AGENT_IDENTITY", &self.environment)
            .env("AGENT_LEASE_DURATION", "15s")
    }

    /// The daemon as a Git server over HTTP lets it run, which it asks each second.
    pub fn over_http(&self, server: &GitHttp) -> Agent {
        let url = server.url("remote.git");
        let agent = self.agent(&["run", "--repo", &url, "--poll-interval", "1s"]);
        let data = agent.home().join("data");
        agent
            .args(["--environment", &self.environment, "--data-dir"])
            .args([data])
    }

    /// Starts the daemon.
    pub fn start(&mut self) {
        self.start_as(self.invocation());
    }

    /// Starts the daemon as an invocation says.
    pub fn start_as(&mut self, invocation: Agent) {
        self.daemon = Some(invocation.start());
    }

    /// The daemon.
    ///
    /// # Panics
    /// When it was not started.
    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("it was started")
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Daemon::log).unwrap_or_default()
    }

    /// `agent diff` of the working clone.
    pub fn diff(&self, arguments: &[&str]) -> Ran {
        self.agent(&["diff", "--environment", &self.environment])
            .args(arguments)
            .run()
    }

    /// What the API server would make of an object that is created in the namespace, as JSON.
    pub fn as_created(&self, manifest: &str) -> String {
        let words = [
            "-n",
            &self.namespace,
            "create",
            "--dry-run=server",
            "-ojson",
            "-f",
            "-",
        ];
        let answer = self.cluster.kubectl_with(&words, manifest);
        answer.expect("it can be created")
    }

    /// Waits for a condition while the daemon runs.
    pub fn until<T>(&mut self, what: &str, condition: impl Fn(&Self) -> Result<T, String>) -> T {
        let mut daemon = self.daemon.take().expect("the daemon was started");
        let seen = daemon.wait(what, PATIENCE, || condition(self));
        self.daemon = Some(daemon);
        seen
    }

    /// Waits until the record says that a unit is in a state, and gives the message.
    pub fn until_state(&mut self, unit: &str, state: &str) -> String {
        self.until(&format!("{unit} to be {state}"), |stage| {
            let seen = stage.unit(unit);
            if seen["state"] == state {
                Ok(seen["message"].as_str().unwrap_or_default().to_owned())
            } else {
                Err(seen.to_string())
            }
        })
    }

    /// Waits until a unit whose content a revision changed is as it declares.
    pub fn until_synced(&mut self, unit: &str, revision: &str) {
        self.until(&format!("{unit} to be Synced at {revision}"), |stage| {
            let seen = stage.unit(unit);
            let there = seen["state"] == "Synced" && seen["revision"] == *revision;
            if there { Ok(()) } else { Err(seen.to_string()) }
        });
    }

    /// Waits until the record says that a revision was looked at and nothing is under way.
    pub fn until_looked_at(&mut self, revision: &str) {
        self.until(&format!("{revision} to be looked at"), |stage| {
            let seen = stage.status();
            if seen["revision"] == *revision {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        });
    }

    /// The branch of the record.
    pub fn branch(&self) -> String {
        format!("live/{}", self.environment)
    }

    /// How everything stands as recorded, with what is said of each unit under `units`;
    /// null while nothing is recorded.
    pub fn status(&self) -> Value {
        self.repository.recorded_status(&self.branch())
    }

    /// What is recorded of how a unit stands; null while nothing is.
    pub fn unit(&self, unit: &str) -> Value {
        let text = self.recorded(&format!("{unit}/status.yaml"));
        serde_yaml::from_str(&text.unwrap_or_default()).expect("a status is YAML")
    }

    /// A file of the record.
    pub fn recorded(&self, path: &str) -> Option<String> {
        let branch = self.branch();
        self.repository
            .has_branch(&branch)
            .then(|| self.repository.show(&branch, path))
            .flatten()
    }

    /// Who holds the environment's Lease, if anybody does.
    pub fn holder(&self) -> Option<String> {
        let lease = format!("gitops-agent-{}", self.environment);
        let lease = self
            .cluster
            .get(&["-n", &self.inventories, "lease", &lease])?;
        Some(lease["spec"]["holderIdentity"].as_str()?.to_owned())
    }

    /// The record's files of objects.
    pub fn recorded_files(&self) -> Vec<String> {
        let files = self.repository.files(&self.branch());
        files
            .into_iter()
            .filter(|path| path.matches('/').count() == 3)
            .collect()
    }

    /// The record, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        let branch = self.branch();
        if !self.repository.has_branch(&branch) {
            return Vec::new();
        }
        let format = "--format=%x00%H%x01%s%x01%an <%ae>%x01%B%x01";
        let text = git(
            &self.repository.remote(),
            &["log", "--reverse", "--name-only", format, &branch, "--"],
        );
        text.split('\0')
            .filter(|commit| commit.contains('\u{1}'))
            .map(Entry::parse)
            .collect()
    }

    /// The entries whose subject begins so after the environment's name.
    pub fn entries_on(&self, subject: &str) -> Vec<Entry> {
        let wanted = format!("{}: {subject}", self.environment);
        let entries = self.entries().into_iter();
        entries
            .filter(|entry| entry.subject.starts_with(&wanted))
            .collect()
    }

    /// Waits for an entry whose subject begins so after the environment's name.
    pub fn until_entry(&mut self, subject: &str) -> Entry {
        self.until(&format!("an entry `{subject}`"), |stage| {
            let found = stage.entries_on(subject).pop();
            found.ok_or_else(|| stage.repository.log(&stage.branch()).join("\n"))
        })
    }

    /// An object in the units' namespace; null where there is none.
    pub fn get(&self, kind: &str, name: &str) -> Value {
        self.cluster
            .get(&["-n", &self.namespace, kind, name])
            .unwrap_or(Value::Null)
    }

    /// kubectl in the units' namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster
            .kubectl(&[&["-n", &self.namespace][..], arguments].concat())
    }

    /// Applies YAML in the units' namespace as somebody else.
    pub fn kubectl_apply(&self, yaml: &str, manager: &str) -> String {
        let manager = format!("--field-manager={manager}");
        let words = [
            "-n",
            &self.namespace,
            "apply",
            "--server-side",
            "--force-conflicts",
            &manager,
            "-f",
            "-",
        ];
        self.cluster
            .kubectl_with(&words, yaml)
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Where the audit log was when the stage was made.
    pub fn began(&self) -> AuditPosition {
        self.began
    }

    /// What agents have written in the units' namespace since the stage was made.
    pub fn writes(&self) -> Vec<AuditEvent> {
        self.writes_since(self.began)
    }

    /// The same since a position in the audit log.
    pub fn writes_since(&self, position: AuditPosition) -> Vec<AuditEvent> {
        let mut events = self.cluster.audit_since(position);
        events.retain(|event| {
            event.is_write()
                && event.stage == "ResponseComplete"
                && event.user_agent.starts_with("gitops-agent/")
                && event.object.namespace == self.namespace
        });
        events
    }

    /// The uid of an object in the units' namespace; empty where there is none.
    pub fn uid(&self, kind: &str, name: &str) -> String {
        self.get(kind, name)["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits until an object of the units' namespace is gone.
    pub fn until_gone(&mut self, kind: &str, name: &str) {
        self.until(&format!("{kind} {name} to be gone"), |stage| {
            let seen = stage.get(kind, name);
            if seen.is_null() {
                Ok(())
            } else {
                Err(stage.status().to_string())
            }
        });
    }

    /// The names of what agents have deleted in the units' namespace.
    pub fn deletes(&self) -> Vec<String> {
        let deletes = self
            .writes()
            .into_iter()
            .filter(|event| event.verb.starts_with("delete"));
        deletes.map(|event| event.object.name).collect()
    }
}

impl Entry {
    fn parse(text: &str) -> Self {
        let parts: Vec<&str> = text.split('\u{1}').collect();
        let [hash, subject, author, message, paths] = parts[..] else {
            panic!("git log wrote {text:?}");
        };
        Self {
            hash: hash.to_owned(),
            subject: subject.to_owned(),
            author: author.to_owned(),
            message: message.to_owned(),
            paths: paths
                .lines()
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// A trailer as Git itself reads it.
    pub fn trailer(&self, key: &str) -> Option<String> {
        let found = self.trailers().into_iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    }

    /// The trailers as Git itself reads them.
    pub fn trailers(&self) -> Vec<(String, String)> {
        super::git::trailers(&self.message)
    }
}

/// The plan that a text asks to be approved, if it asks.
pub fn asked_for(text: &str) -> Option<String> {
    let (_, after) = text.split_once("`Approve-Plan: ")?;
    Some(after.split('`').next()?.to_owned())
}
