//! A real Kubernetes control plane on loopback, with nodes that run pods (kwok).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::credentials;
use super::leash::{self, Process, describe};
use super::parts::{ADMIN, Layout, Part, port_was_taken, tail};
use super::programs::{Program, Programs};
use super::wait::poll;

/// How a control plane is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes there are, `node-0` and so on, of 1000 CPUs each.
    pub nodes: usize,
    /// More flags for kube-apiserver.
    pub api_server_flags: Vec<String>,
    /// More flags for kube-controller-manager.
    pub controller_manager_flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 2,
            api_server_flags: Vec::new(),
            controller_manager_flags: Vec::new(),
        }
    }
}

/// A running control plane. Dropped, it is gone, processes and data.
pub struct ControlPlane {
    /// Dropped before the directory that they write to.
    running: Mutex<BTreeMap<Part, Process>>,
    programs: Programs,
    options: Options,
    layout: Layout,
    tokens: AtomicU32,
    _directory: TempDir,
}

const NEEDED: [Program; 6] = [
    Program::Etcd,
    Program::KubeApiserver,
    Program::KubeControllerManager,
    Program::KubeScheduler,
    Program::Kubectl,
    Program::Kwok,
];

/// Somebody else may take a port between our asking for it and its use.
const ATTEMPTS: u32 = 5;

const PATIENCE: Duration = Duration::from_secs(90);

impl ControlPlane {
    /// The one that the tests of a run share. It ends with the process.
    ///
    /// # Panics
    /// When it can't be started, in every test that asks for it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start(&Options::default()).map_err(|error| format!("{error:#}")))
            .as_ref()
            .unwrap_or_else(|error| panic!("no control plane: {error}"))
    }

    /// Starts one, and waits until its nodes are ready for pods.
    pub fn start(options: &Options) -> Result<Self> {
        let programs = Programs::build(&NEEDED)?;
        let mut attempt = 1;
        loop {
            let plane = Self::prepare(&programs, options)?;
            match plane.bring_up() {
                Err(_) if plane.lost_a_port() && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome.map(|()| plane),
            }
        }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig(ADMIN)
    }

    /// A kubeconfig for whoever holds `token`.
    pub fn kubeconfig_for_token(&self, token: &str) -> PathBuf {
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        let path = self.layout.file(&format!("token-{number}.kubeconfig"));
        credentials::write_kubeconfig(&self.layout, &path, token)
            .expect("the directory is writable");
        path
    }

    /// A kubeconfig of the administrator for an API server at another URL.
    pub fn kubeconfig_at(&self, server: &str) -> PathBuf {
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        let path = self.layout.file(&format!("elsewhere-{number}.kubeconfig"));
        let text = fs::read_to_string(self.kubeconfig())
            .expect("it was written at the start")
            .replace(&self.server(), server);
        fs::write(&path, text).expect("the directory is writable");
        path
    }

    /// The API server's URL.
    pub fn server(&self) -> String {
        self.layout.server()
    }

    /// A file in its directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.layout.file(name)
    }

    /// Where a program that it was started from is.
    pub fn program(&self, program: Program) -> &Path {
        self.programs.path(program)
    }

    /// Stops a part as a machine that shuts down would: SIGTERM, and SIGKILL soon after.
    pub fn stop(&self, part: Part) {
        if let Some(mut process) = self.running().remove(&part) {
            // kube-apiserver waits for its watches to end, and nobody ends them.
            process.terminate(Duration::from_secs(2));
        }
    }

    /// A signal that does not end a part.
    pub fn signal(&self, part: Part, signal: Signal) {
        if let Some(process) = self.running().get_mut(&part) {
            process.signal(signal);
        }
    }

    /// `kill -9`.
    pub fn kill(&self, part: Part) {
        if let Some(mut process) = self.running().remove(&part) {
            process.kill();
        }
    }

    /// Starts a part again, as it was: same port, same data. Waits until it answers.
    ///
    /// # Panics
    /// When it doesn't, with the end of its log.
    pub fn start_part(&self, part: Part) {
        self.spawn(part)
            .and_then(|()| self.wait_for(part))
            .unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// The process id of a part that runs.
    pub fn id(&self, part: Part) -> u32 {
        self.running()[&part].id()
    }

    /// The process ids of everything that runs.
    pub fn ids(&self) -> Vec<u32> {
        self.running().values().map(Process::id).collect()
    }

    /// What a part has logged.
    pub fn log(&self, part: Part) -> String {
        let log = fs::read(self.layout.log(part)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn prepare(programs: &Programs, options: &Options) -> Result<Self> {
        let directory = leash::scratch("control-plane");
        let [etcd_clients, etcd_peers, api_server] = free_ports()?;
        let layout = Layout {
            directory: directory.path().to_owned(),
            etcd_clients,
            etcd_peers,
            api_server,
        };
        credentials::write(&layout)?;
        Ok(Self {
            running: Mutex::default(),
            programs: programs.clone(),
            options: options.clone(),
            layout,
            tokens: AtomicU32::new(0),
            _directory: directory,
        })
    }

    fn bring_up(&self) -> Result<()> {
        self.spawn(Part::Etcd)?;
        self.wait_for(Part::Etcd)?;
        self.spawn(Part::ApiServer)?;
        self.until(Part::ApiServer, "make its certificate", || {
            self.layout.file("certs/apiserver.key").exists()
                && TcpStream::connect(("127.0.0.1", self.layout.api_server)).is_ok()
        })?;
        credentials::write_kubeconfigs(&self.layout)?;
        self.wait_for(Part::ApiServer)?;
        for part in [Part::ControllerManager, Part::Scheduler, Part::Kwok] {
            self.spawn(part)?;
        }
        self.create_nodes()?;
        self.wait_for_nodes()
    }

    fn spawn(&self, part: Part) -> Result<()> {
        let arguments = match part {
            Part::Etcd => self.layout.etcd(),
            Part::ApiServer => {
                let own = self.layout.api_server();
                own.into_iter()
                    .chain(self.options.api_server_flags.clone())
                    .collect()
            }
            Part::ControllerManager => {
                let own = self.layout.controller_manager();
                own.into_iter()
                    .chain(self.options.controller_manager_flags.clone())
                    .collect()
            }
            Part::Scheduler => self.layout.scheduler(),
            Part::Kwok => self.layout.kwok(&self.programs.kwok_stages()),
        };
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.layout.log(part))?;
        let mut command = Command::new(self.programs.path(part.program()));
        command
            .args(arguments)
            .current_dir(&self.layout.directory)
            .env("HOME", &self.layout.directory)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = leash::spawn(&mut command).with_context(|| format!("cannot start {part}"))?;
        let before = self.running().insert(part, process);
        ensure!(before.is_none(), "{part} was running already");
        Ok(())
    }

    /// Waits until a part does its work; for those without a port, only that it runs.
    fn wait_for(&self, part: Part) -> Result<()> {
        match part {
            Part::Etcd => self.until(part, "listen", || {
                TcpStream::connect(("127.0.0.1", self.layout.etcd_clients)).is_ok()
            }),
            Part::ApiServer => self.until(part, "be ready", || {
                self.try_kubectl(&["get", "--raw", "/readyz"]).is_ok()
            }),
            Part::ControllerManager | Part::Scheduler | Part::Kwok => Ok(()),
        }
    }

    fn until(&self, part: Part, what: &str, condition: impl Fn() -> bool) -> Result<()> {
        let log = || tail(&self.layout.log(part));
        let outcome = poll(PATIENCE, || {
            if let Some(status) = self.running().get_mut(&part).and_then(Process::ended) {
                return Ok(Err(anyhow!(
                    "{part} ended with {}:\n{}",
                    describe(status),
                    log()
                )));
            }
            if condition() { Ok(Ok(())) } else { Err(()) }
        });
        outcome.unwrap_or_else(|()| bail!("waited {PATIENCE:?} for {part} to {what}:\n{}", log()))
    }

    fn create_nodes(&self) -> Result<()> {
        let room = json!({"cpu": "1k", "memory": "1Ti", "pods": "100k"});
        let nodes: Vec<_> = (0..self.options.nodes)
            .map(|number| {
                let name = format!("node-{number}");
                json!({
                    "apiVersion": "v1",
                    "kind": "Node",
                    "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
                    "status": {"allocatable": room, "capacity": room},
                })
            })
            .collect();
        if nodes.is_empty() {
            return Ok(());
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": nodes});
        self.kubectl_with(&["create", "-f", "-"], &list.to_string())
            .map(drop)
    }

    /// A node takes pods once its taints are gone; a namespace does once it has its
    /// ServiceAccount.
    fn wait_for_nodes(&self) -> Result<()> {
        let outcome = poll(PATIENCE, || {
            let account = self
                .try_kubectl(&["get", "serviceaccount", "default", "-oname"])
                .map_err(|error| format!("{error:#}"))?;
            let text = self
                .try_kubectl(&["get", "nodes", "-ojson"])
                .map_err(|error| format!("{error:#}"))?;
            let nodes: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let items = nodes["items"].as_array().cloned().unwrap_or_default();
            let taken = items.iter().all(|node| node["spec"]["taints"].is_null());
            if taken && !account.is_empty() {
                Ok(())
            } else {
                Err(text)
            }
        });
        let logs = |part| format!("{part}:\n{}", tail(&self.layout.log(part)));
        outcome.map_err(|seen| {
            anyhow!(
                "waited {PATIENCE:?} for nodes that take pods; seen: {seen}\n{}\n{}",
                logs(Part::ControllerManager),
                logs(Part::Kwok)
            )
        })
    }

    fn lost_a_port(&self) -> bool {
        [Part::Etcd, Part::ApiServer]
            .into_iter()
            .any(|part| port_was_taken(&self.log(part)))
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Part, Process>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All held until all are known, so that they differ.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
