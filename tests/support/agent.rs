//! The real agent as a process: run to its end, or as a daemon that can be killed
//! and started again.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::leash::{self, Process, describe};
use super::parts::tail;
use super::wait::poll;

/// An invocation of the agent, with an environment of its own: from ours it gets
/// `PATH` alone.
pub struct Agent {
    binary: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    directory: PathBuf,
    home: TempDir,
}

/// How an invocation ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// An agent that runs until told otherwise.
pub struct Daemon {
    agent: Agent,
    process: Process,
    log: PathBuf,
}

impl Agent {
    /// The agent at a path: `env!("CARGO_BIN_EXE_agent")` in a test.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let home = leash::scratch("agent");
        let inherited = ["PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];
        let environment = inherited
            .into_iter()
            .filter_map(|name| Some((name.into(), env::var_os(name)?)))
            .chain([
                ("HOME".into(), home.path().into()),
                ("TMPDIR".into(), home.path().into()),
            ])
            .collect();
        Self {
            binary: binary.into(),
            arguments: Vec::new(),
            environment,
            directory: home.path().to_owned(),
            home,
        }
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let more = arguments.into_iter().map(|word| word.as_ref().to_owned());
        self.arguments.extend(more);
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .insert(name.as_ref().into(), value.as_ref().into());
        self
    }

    /// The cluster it is to work on.
    #[must_use]
    pub fn kubeconfig(self, path: impl AsRef<Path>) -> Self {
        self.env("KUBECONFIG", path.as_ref())
    }

    /// Puts the directory of a program on its `PATH`.
    ///
    /// # Panics
    /// When the path has no directory or can't be part of a `PATH`.
    #[must_use]
    pub fn with_program(self, program: &Path) -> Self {
        let directory = program
            .parent()
            .expect("a program is in a directory")
            .to_owned();
        let old = self
            .environment
            .get(OsStr::new("PATH"))
            .cloned()
            .unwrap_or_default();
        let all = [directory].into_iter().chain(env::split_paths(&old));
        let path = env::join_paths(all).expect("no directory has a colon in its name");
        self.env("PATH", path)
    }

    /// The same, started by another program, which gets it and its arguments after its own.
    #[must_use]
    pub fn through(mut self, command: &[&str]) -> Self {
        let binary = std::mem::replace(&mut self.binary, command[0].into());
        let before = command[1..].iter().map(Into::into);
        let all = before.chain([binary.into_os_string()]);
        self.arguments = all.chain(std::mem::take(&mut self.arguments)).collect();
        self
    }

    /// Its working directory; else an empty one.
    #[must_use]
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = path.into();
        self
    }

    /// A directory of its own, also its home, where its data may lie. Outlives a
    /// restart of the daemon.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it can't be started, or hasn't ended after two minutes.
    pub fn run(&self) -> Ran {
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| self.home().join(name));
        let mut process = self.spawn(&stdout, &stderr, File::create);
        let status = process.wait(Duration::from_mins(2));
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let ran = Ran {
            code: status.as_ref().and_then(ExitStatus::code),
            stdout: read(&stdout),
            stderr: read(&stderr),
        };
        assert!(status.is_some(), "the agent doesn't end: {ran:?}");
        ran
    }

    /// Starts it as a daemon.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(self) -> Daemon {
        let log = self.home().join("daemon.log");
        let process = self.spawn(&log, &log, append);
        Daemon {
            agent: self,
            process,
            log,
        }
    }

    /// Starts it as a daemon whose log goes elsewhere.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start_logging_to(self, stderr: impl Into<Stdio>) -> Daemon {
        let log = self.home().join("daemon.log");
        let process = self.launch(Stdio::null(), stderr.into());
        Daemon {
            agent: self,
            process,
            log,
        }
    }

    fn spawn(
        &self,
        stdout: &Path,
        stderr: &Path,
        open: fn(PathBuf) -> std::io::Result<File>,
    ) -> Process {
        let file = |path: &Path| open(path.to_owned()).expect("its home is writable");
        self.launch(file(stdout).into(), file(stderr).into())
    }

    fn launch(&self, stdout: Stdio, stderr: Stdio) -> Process {
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        leash::spawn(&mut command)
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.binary.display()))
    }
}

impl Daemon {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The most memory that the process ever held, in MiB.
    ///
    /// # Panics
    /// When it has ended.
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = fs::read_to_string(path).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.expect("the kernel tells it") / 1024
    }

    /// The directory that its invocation calls home.
    pub fn home(&self) -> &Path {
        self.agent.home()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// A signal that does not end it.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// SIGTERM, and its exit status.
    ///
    /// # Panics
    /// When it hasn't ended within `patience`.
    pub fn terminate(&mut self, patience: Duration) -> ExitStatus {
        self.end_by(Signal::TERM, patience)
    }

    /// A signal that ends it, and its exit status.
    ///
    /// # Panics
    /// When it hasn't ended within `patience`.
    pub fn end_by(&mut self, signal: Signal, patience: Duration) -> ExitStatus {
        self.process.signal(signal);
        self.process
            .wait(patience)
            .unwrap_or_else(|| panic!("the agent doesn't end on {signal:?}:\n{}", tail(&self.log)))
    }

    /// Starts it again with the same arguments. What ran is killed first.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = self.agent.spawn(&self.log, &self.log, append);
    }

    /// Everything it has written so far, over all restarts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits for a condition while the daemon runs.
    ///
    /// # Panics
    /// When it isn't `Ok` within `patience`, or the daemon ends, with what was seen
    /// last and the end of its log.
    pub fn wait<T>(
        &mut self,
        what: &str,
        patience: Duration,
        condition: impl FnMut() -> Result<T, String>,
    ) -> T {
        self.try_wait(what, patience, condition)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`wait`](Self::wait), for callers that don't want to panic.
    pub fn try_wait<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut condition: impl FnMut() -> Result<T, String>,
    ) -> Result<T, String> {
        let outcome = poll(patience, || match self.ended() {
            Some(ended) => Ok(Err(format!("waited for {what}, but {ended}"))),
            None => condition().map(Ok),
        });
        outcome.unwrap_or_else(|seen| {
            let log = tail(&self.log);
            Err(format!(
                "waited {patience:?} for {what}; seen at the end: {seen}\nthe agent's log:\n{log}"
            ))
        })
    }

    /// If it has ended: how, and the end of its log.
    pub fn ended(&mut self) -> Option<String> {
        let status = describe(self.process.ended()?);
        let log = tail(&self.log);
        Some(format!("the agent ended with {status}:\n{log}"))
    }
}

fn append(path: PathBuf) -> std::io::Result<File> {
    File::options().create(true).append(true).open(path)
}
