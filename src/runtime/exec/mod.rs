//! Running an outside program: an explicit directory and environment, no shell, a
//! home of its own, bounded in time, memory and output, confined to the files that it
//! needs and kept from the network, and killed with its whole process group when a bound
//! is hit or nobody waits for it any more.

mod confine;
mod dialog;
mod error;
mod group;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;

pub use confine::{Access, Gap, Unconfined, gaps};
use confine::{Allowed, confined};
pub use dialog::{Dialog, Partner};
pub use error::{ExecError, Retry, listed};
pub use group::{Ending, Group, end_all};

use super::memory::Memory;

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
    /// Bytes of memory. What is bounded is private writable memory (`RLIMIT_DATA`), of
    /// which some is only set aside ([`UNTOUCHED`]). Address space would be the wrong thing
    /// to bound: programs in Go reserve much more than they use.
    pub memory: u64,
}

impl Limits {
    /// Those of one of the renderers that run side by side, where there is so much memory
    /// for all of them and for us.
    pub fn of_one(memory: Memory) -> Self {
        let side_by_side = Self::side_by_side(memory) as u64;
        let rest = memory.bytes().saturating_sub(OURS);
        Self {
            time: Duration::from_mins(1),
            output: (memory.bytes() / 16).clamp(OUTPUT.0, OUTPUT.1),
            memory: (rest / side_by_side).clamp(MEMORY.0, MEMORY.1),
        }
    }

    /// How many renderers have room beside each other; more than four would only wait for
    /// the processor.
    pub fn side_by_side(memory: Memory) -> usize {
        match memory.bytes().saturating_sub(OURS) / MEMORY.0 {
            0 | 1 => 1,
            2 => 2,
            3 => 3,
            _ => 4,
        }
    }
}

/// What we take ourselves while they run.
const OURS: u64 = 112 * MIB;

/// What a program may write at least and at most.
const OUTPUT: (u64, u64) = (16 * MIB, 64 * MIB);

/// What counts as private writable memory though nobody touches it: the first arena of a
/// program in Go, and eight megabytes of stack for each thread of one that uses C. How many
/// threads there are depends on what else runs, so that a tight bound fails now and then.
const UNTOUCHED: u64 = 192 * MIB;

/// What a program may take at least, and at most.
const MEMORY: (u64, u64) = (128 * MIB, 1024 * MIB);

const MIB: u64 = 1024 * 1024;

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
    // The group is dropped before the child.
    let (mut child, group) = match spawn(&program, home.path()) {
        Ok(Spawned::Running(group, child)) => (child, group),
        Ok(Spawned::Not(gaps)) => {
            return Err(ExecError::Unconfined {
                program: name,
                gaps,
            });
        }
        Err(source) => return Err(unstarted(&program, source)),
    };
    group.bound_memory(program.limits.memory + UNTOUCHED);

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
    if status.success() {
        return Ok(output);
    }
    Err(unsuccessful(name, status, limits, &output.stderr))
}

/// Nobody else kills what we run: where we do, it was told before.
fn unsuccessful(program: String, status: ExitStatus, limits: Limits, stderr: &[u8]) -> ExecError {
    let limit = limits.memory;
    if status.signal() == Some(Signal::KILL.as_raw()) {
        return ExecError::Killed { program, limit };
    }
    if ran_out_of_memory(stderr) {
        return ExecError::OutOfMemory { program, limit };
    }
    ExecError::Failed {
        program,
        status,
        stderr: tail(stderr),
    }
}

/// By the words of Go, of the C library and of shells. Go's stand before the stacks of all
/// its threads.
fn ran_out_of_memory(stderr: &[u8]) -> bool {
    const WORDS: [&str; 4] = [
        "out of memory",
        "annot allocate memory",
        "memory exhausted",
        "pthread_create failed",
    ];
    let said = String::from_utf8_lossy(stderr);
    WORDS.iter().any(|words| said.contains(words))
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
    Running(Group, Child),
    /// It was refused, for what it can't be kept from.
    Not(Vec<Gap>),
}

fn spawn(program: &Program, home: &Path) -> io::Result<Spawned> {
    let executable = located(&program.executable);
    let mut command = command(program, &executable, home);
    let Access::Confined { read, unconfined } = &program.access else {
        return started(&mut command);
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
            started(&mut command)
        }
    })
}

fn started(command: &mut Command) -> io::Result<Spawned> {
    let (group, child) = Group::start(command)?;
    Ok(Spawned::Running(group, child))
}

/// Where the executable is, so that it runs from any directory.
fn located(executable: &Path) -> PathBuf {
    if executable.components().count() > 1 {
        return std::path::absolute(executable).unwrap_or_else(|_| executable.to_owned());
    }
    let found = executable.to_str().and_then(on_path);
    found.unwrap_or_else(|| executable.to_owned())
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
        .stderr(Stdio::piped());
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

/// Where a program is on our own `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// The end of what a program said, where its reason stands.
fn tail(stderr: &[u8]) -> String {
    const KEPT: usize = 8 * 1024;
    let start = stderr.len().saturating_sub(KEPT);
    String::from_utf8_lossy(&stderr[start..]).trim().to_owned()
}
