//! Running an outside program: an explicit directory and environment, no shell, a
//! home of its own, bounded in time, memory and output, and killed with its whole
//! process group when a bound is hit or nobody waits for it any more.

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

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable: a path, or a name looked up on our own `PATH`.
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

/// Why a run gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The executable does not exist.
    #[error("{program} was not found: {hint}")]
    NotFound {
        /// The executable asked for.
        program: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The system could not start it, or lost it.
    #[error("cannot run {program}")]
    Start {
        /// The executable asked for.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It took too long and was killed.
    #[error("{program} did not finish within {} and was killed", humantime::format_duration(*.limit))]
    TimedOut {
        /// The executable.
        program: String,
        /// The bound.
        limit: Duration,
    },
    /// It wrote too much and was killed.
    #[error("{program} wrote more than {limit} bytes and was killed")]
    TooMuchOutput {
        /// The executable.
        program: String,
        /// The bound in bytes.
        limit: u64,
    },
    /// It ended without success.
    #[error("{program} failed with {status}: {stderr}")]
    Failed {
        /// The executable.
        program: String,
        /// `exit status: 1`, `signal: 9 (SIGKILL)`.
        status: ExitStatus,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
}

/// When trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After a while, with nothing changed.
    Later,
    /// Once the inputs or the installation are different.
    WhenInputsChange,
}

impl ExecError {
    /// When trying again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Start { .. } | Self::TimedOut { .. } => Retry::Later,
            Self::NotFound { .. } | Self::TooMuchOutput { .. } | Self::Failed { .. } => {
                Retry::WhenInputsChange
            }
        }
    }
}

/// Runs the program to its end. Dropping the future kills it and all it started.
pub async fn run(program: Program) -> Result<Output, ExecError> {
    let name = program.executable.display().to_string();
    let start = |source| ExecError::Start {
        program: name.clone(),
        source,
    };
    let home = TempDir::new().map_err(start)?;
    let mut child = spawn(&program, home.path()).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound if program.directory.is_dir() => ExecError::NotFound {
            program: name.clone(),
            hint: program.hint,
        },
        _ => start(source),
    })?;
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

#[expect(
    clippy::disallowed_methods,
    reason = "this is the function that the others are told to use"
)]
fn spawn(program: &Program, home: &Path) -> io::Result<Child> {
    let stdin = match program.stdin {
        Some(_) => Stdio::piped(),
        None => Stdio::null(),
    };
    Command::new(&program.executable)
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
        .kill_on_drop(true)
        .spawn()
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
