//! Running an outside program: an explicit directory and environment, no shell, a
//! home of its own, bounded in time, memory and output, confined to the files that it
//! needs and kept from the network, and killed with its whole process group when a bound
//! is hit or nobody waits for it any more.

mod confine;
mod error;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;

pub use confine::{Access, Gap, Unconfined, gaps};
use confine::{Allowed, confined};
pub use error::{ExecError, Retry, listed};

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable: a path, from our own directory where it is relative, or a name
    /// looked up on our own `PATH`.
    pub executable: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<OsString>,
    /// Where it runs.
    pub directory: PathBuf,
    /// All of its environment, but for `HOME` and `TMPDIR`, which are a directory
    /// that is removed afterwards.
    pub environment: Vec<(OsString, OsString)>,
    /// What it reads; nothing where `None`.
    pub stdin: Option<Vec<u8>>,
    /// What it may touch.
    pub access: Access,
    /// Its bounds.
    pub limits: Limits,
    /// What to do where it is missing: how to install it, which flag names it.
    pub hint: &'static str,
}

/// The bounds of a run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From start to exit.
    pub time: Duration,
    /// Bytes on standard output, and on standard error.
    pub output: u64,
    /// Bytes of private writable memory (`RLIMIT_DATA`). Address space would be the
    /// wrong thing to bound: programs in Go reserve much more than they use
    /// (kustomize wants over 512 MiB of address space, and runs with 128 MiB of data).
    pub memory: u64,
}

impl Default for Limits {
    /// Generous for a renderer of one unit, and harmless to the machine.
    fn default() -> Self {
        Self {
            time: Duration::from_mins(1),
            output: 64 * 1024 * 1024,
            memory: 1024 * 1024 * 1024,
        }
    }
}

/// What a program that succeeded wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error: warnings.
    pub stderr: Vec<u8>,
}

/// Runs the program to its end. Dropping the future kills it and all it started.
pub async fn run(program: Program) -> Result<Output, ExecError> {
    let name = program.executable.display().to_string();
    let start = |source| ExecError::Start {
        program: name.clone(),
        source,
    };
    let home = TempDir::new().map_err(start)?;
    let mut child = match spawn(&program, home.path()) {
        Ok(Spawned::Running(child)) => child,
        Ok(Spawned::Not(gaps)) => {
            return Err(ExecError::Unconfined {
                program: name,
                gaps,
            });
        }
        Err(source) => return Err(unstarted(&program, source)),
    };
    // Declared after the child, so dropped before it: a child that is not reaped keeps
    // its id, so nobody else's group is hit. After a clean exit the id is kept by what
    // is left of the group, or was free for microseconds.
    let group = Group::of(&child);
    group.bound_memory(program.limits.memory);

    let limits = program.limits;
    let Ok(finished) = tokio::time::timeout(limits.time, finish(&mut child, program)).await else {
        return Err(ExecError::TimedOut {
            program: name,
            limit: limits.time,
        });
    };
    let (status, output) = finished.map_err(|end| match end {
        End::TooMuchOutput => ExecError::TooMuchOutput {
            program: name.clone(),
            limit: limits.output,
        },
        End::Io(source) => start(source),
    })?;
    if !status.success() {
        return Err(ExecError::Failed {
            program: name,
            status,
            stderr: tail(&output.stderr),
        });
    }
    Ok(output)
}

/// Why it did not start.
fn unstarted(program: &Program, source: io::Error) -> ExecError {
    let name = program.executable.display().to_string();
    match source.kind() {
        io::ErrorKind::NotFound if program.directory.is_dir() => ExecError::NotFound {
            program: name,
            hint: program.hint,
        },
        io::ErrorKind::PermissionDenied if program.access != Access::Open => ExecError::Denied {
            program: name,
            source,
        },
        _ => ExecError::Start {
            program: name,
            source,
        },
    }
}

/// What became of starting it.
enum Spawned {
    Running(Child),
    /// It was refused, for what it can't be kept from.
    Not(Vec<Gap>),
}

fn spawn(program: &Program, home: &Path) -> io::Result<Spawned> {
    let executable = located(&program.executable);
    let mut command = command(program, &executable, home);
    let Access::Confined { read, unconfined } = &program.access else {
        return command.spawn().map(Spawned::Running);
    };
    let allowed = Allowed {
        run: &[&executable],
        read,
        write: &[home],
    };
    let runtime = Handle::current();
    confined(&allowed, |gaps| match unconfined {
        Unconfined::Refused if !gaps.is_empty() => Ok(Spawned::Not(gaps.to_vec())),
        Unconfined::Refused | Unconfined::Runs => {
            let _entered = runtime.enter();
            command.spawn().map(Spawned::Running)
        }
    })
}

/// Where the executable is, so that it runs from any directory.
fn located(executable: &Path) -> PathBuf {
    if executable.components().count() > 1 {
        return std::path::absolute(executable).unwrap_or_else(|_| executable.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(executable))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| executable.to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the function that the others are told to use"
)]
fn command(program: &Program, executable: &Path, home: &Path) -> Command {
    let stdin = match program.stdin {
        Some(_) => Stdio::piped(),
        None => Stdio::null(),
    };
    let mut command = Command::new(executable);
    command
        .args(&program.arguments)
        .current_dir(&program.directory)
        .env_clear()
        .env("HOME", home)
        .env("TMPDIR", home)
        .envs(
            program
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Why a run was given up.
enum End {
    TooMuchOutput,
    Io(io::Error),
}

/// Feeds and drains the program until it exits.
async fn finish(child: &mut Child, program: Program) -> Result<(ExitStatus, Output), End> {
    let stdin = child.stdin.take();
    let feed = async {
        if let (Some(mut pipe), Some(input)) = (stdin, program.stdin) {
            // A program need not read all that it is offered.
            let _ = pipe.write_all(&input).await;
        }
        Ok(())
    };
    let stdout = drain(child.stdout.take(), program.limits.output);
    let stderr = drain(child.stderr.take(), program.limits.output);
    let ((), stdout, stderr) = tokio::try_join!(feed, stdout, stderr)?;
    let status = child.wait().await.map_err(End::Io)?;
    Ok((status, Output { stdout, stderr }))
}

async fn drain(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> Result<Vec<u8>, End> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(limit + 1);
        pipe.read_to_end(&mut bytes).await.map_err(End::Io)?;
    }
    if bytes.len() as u64 > limit {
        return Err(End::TooMuchOutput);
    }
    Ok(bytes)
}

/// A child's process group, killed at the end whatever the end is: what the child
/// left running in the background would outlive its limits otherwise.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self(pid.and_then(Pid::from_raw))
    }

    /// Set from outside once it runs, as code between fork and exec would be unsafe.
    /// A program gone already needs no bound, so failing is fine.
    fn bound_memory(&self, bytes: u64) {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        let _ = prlimit(self.0, Resource::Data, limit);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// The end of what a program said, where its reason stands.
fn tail(stderr: &[u8]) -> String {
    const KEPT: usize = 8 * 1024;
    let start = stderr.len().saturating_sub(KEPT);
    String::from_utf8_lossy(&stderr[start..]).trim().to_owned()
}
