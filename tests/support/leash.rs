//! Everything that a test process starts ends with it, however it ends.
//!
//! Two small shells hold the other end of a pipe of this process. When the pipe
//! closes (exit, panic, Ctrl-C, SIGKILL: all the same), the one that leads the
//! process group of everything started through [`spawn`] goes away by itself, and
//! the other kills that group and removes this process's scratch directory.
//! Statics are never dropped and SIGKILL runs no code, so nothing inside this
//! process could do it.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A process that is killed and waited for when dropped.
pub struct Process {
    child: Child,
}

/// Starts a program that can't outlive this process.
pub fn spawn(command: &mut Command) -> io::Result<Process> {
    let child = command.process_group(leash().group).spawn()?;
    Ok(Process { child })
}

/// A fresh directory, removed when dropped, at the latest when this process ends.
pub fn scratch(name: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(leash().scratch.as_path())
        .expect("the scratch directory is writable")
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, where that was asked to be a pipe.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("it is a pipe, taken once")
    }

    /// Its standard error, where that was asked to be a pipe.
    pub fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("it is a pipe, taken once")
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> ExitStatus {
        // Fails only when it has ended already, and then there is nothing to do.
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for")
    }

    /// Sends SIGTERM; SIGKILL if it is still there after `patience`.
    pub fn terminate(&mut self, patience: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(patience).unwrap_or_else(|| self.kill())
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let id = i32::try_from(self.id()).expect("process ids are positive");
            let pid = Pid::from_raw(id).expect("process ids are not zero");
            kill_process(pid, signal).expect("an own child can be signalled");
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.ended() {
                Some(status) => return Some(status),
                None if Instant::now() > deadline => return None,
                None => sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// In words: `exit status: 1`, `signal: 9 (SIGKILL)`.
pub fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}

struct Leash {
    group: i32,
    scratch: PathBuf,
    _leader: ChildStdin,
    _reaper: ChildStdin,
}

const LEADER: &str = "trap '' HUP INT TERM; while read -r line; do :; done";

/// `$1` is the process group, `$2` the directory. A dying process may still be
/// writing, so removing is tried again. The tests may change `PATH`.
const REAPER: &str = r#"trap '' HUP INT TERM
PATH=$PATH:/usr/bin:/bin
while read -r line; do :; done
kill -s KILL -- "-$1" 2>/dev/null
tries=0
until rm -rf -- "$2" 2>/dev/null || [ "$tries" -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
done"#;

fn leash() -> &'static Leash {
    static LEASH: OnceLock<Leash> = OnceLock::new();
    LEASH.get_or_init(|| {
        let scratch = tempfile::Builder::new()
            .prefix("gitops-agent-test-")
            .tempdir()
            .expect("the temporary directory is writable")
            .keep();
        let (id, leader) = shell(LEADER, &[]);
        let group = i32::try_from(id).expect("process ids are positive");
        let (_, reaper) = shell(REAPER, &[Path::new(&group.to_string()), &scratch]);
        Leash {
            group,
            scratch,
            _leader: leader,
            _reaper: reaper,
        }
    })
}

/// A shell in a process group of its own, out of reach of the terminal's signals.
#[expect(
    clippy::zombie_processes,
    reason = "it outlives this process, which is what it is for"
)]
fn shell(script: &str, arguments: &[&Path]) -> (u32, ChildStdin) {
    let mut child = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0)
        .spawn()
        .expect("sh can be started");
    let id = child.id();
    (
        id,
        child.stdin.take().expect("its standard input is a pipe"),
    )
}
