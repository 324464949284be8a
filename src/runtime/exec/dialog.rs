//! A program that is talked with for as long as its other side lets it: its bounds are the
//! caller's, and it ends, with all that it started, when it is dropped.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::Group;
use crate::runtime::lock::lock;

/// How much is kept of what it says on standard error, in bytes: the end of it.
const KEPT: usize = 4 << 10;

/// What to run.
#[derive(Debug)]
pub struct Partner {
    /// The executable's path.
    pub executable: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<OsString>,
    /// All of its environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// The running program. Its pipes are taken by whoever talks.
#[derive(Debug)]
pub struct Dialog {
    /// Where to write to it.
    pub stdin: Option<ChildStdin>,
    /// Where to read from it.
    pub stdout: Option<ChildStdout>,
    said: Arc<Mutex<Vec<u8>>>,
    listening: JoinHandle<()>,
    // Dropped before the child, as in `run`.
    _group: Group,
    child: Child,
}

impl Dialog {
    /// Starts it. Must be called within a runtime, which its pipes are read in.
    ///
    /// # Errors
    /// When it can't be started.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place beside `run` where a program is started"
    )]
    pub fn start(partner: &Partner) -> io::Result<Self> {
        let mut command = Command::new(&partner.executable);
        command
            .args(&partner.arguments)
            .env_clear()
            .envs(
                partner
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let (group, mut child) = Group::start(&mut command)?;
        let said = Arc::default();
        let stderr = child.stderr.take();
        let listening = tokio::runtime::Handle::current().spawn(listen(stderr, Arc::clone(&said)));
        Ok(Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            said,
            listening,
            _group: group,
            child,
        })
    }

    /// What it has said on standard error, at least the end of it.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&lock(&self.said)).into_owned()
    }

    /// Waits until it has ended and all that it said is there.
    ///
    /// # Errors
    /// When the system doesn't tell.
    pub async fn ended(&mut self) -> io::Result<()> {
        self.child.wait().await?;
        // It ends with the pipe, and can't panic.
        let _ = (&mut self.listening).await;
        Ok(())
    }
}

async fn listen(stderr: Option<impl AsyncRead + Unpin>, said: Arc<Mutex<Vec<u8>>>) {
    let Some(mut stderr) = stderr else { return };
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        let mut said = lock(&said);
        said.extend_from_slice(&piece[..length]);
        let over = said.len().saturating_sub(KEPT);
        said.drain(..over);
    }
}
