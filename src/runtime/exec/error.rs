//! Why a program gave no result, and when trying again may help.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use super::Gap;

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
    /// The system does not let it run.
    #[error(
        "{program} may not be run: it must be executable, and what it needs to start (interpreter, loader, libraries) must lie in the system's directories, such as /usr/lib"
    )]
    Denied {
        /// The executable asked for.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The kernel can't confine it, and it must not run otherwise.
    #[error("{program} was not run, as this kernel cannot keep it from {}", listed(.gaps))]
    Unconfined {
        /// The executable asked for.
        program: String,
        /// What it can't be kept from.
        gaps: Vec<Gap>,
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
    /// It wanted more memory than it may have.
    #[error(
        "{program} needed more than the {} MiB of memory that it may take here, and was ended; make smaller what it works on, or give the agent more memory",
        .limit / (1024 * 1024)
    )]
    OutOfMemory {
        /// The executable.
        program: String,
        /// The bound in bytes.
        limit: u64,
    },
    /// Somebody else killed it: the kernel, where all memory is taken.
    #[error(
        "{program} was killed from outside, as the kernel does where a container or a machine has no memory left; it may take {} MiB",
        .limit / (1024 * 1024)
    )]
    Killed {
        /// The executable.
        program: String,
        /// The bound of its memory in bytes.
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
    /// Not at all: it is under way.
    UnderWay,
}

impl ExecError {
    /// When trying again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Start { .. } | Self::TimedOut { .. } | Self::Killed { .. } => Retry::Later,
            Self::NotFound { .. }
            | Self::Denied { .. }
            | Self::Unconfined { .. }
            | Self::TooMuchOutput { .. }
            | Self::OutOfMemory { .. }
            | Self::Failed { .. } => Retry::WhenInputsChange,
        }
    }
}

/// `reading other files (…) and using the network (…)`.
pub fn listed(gaps: &[Gap]) -> String {
    let gaps: Vec<String> = gaps.iter().map(Gap::to_string).collect();
    gaps.join(" and ")
}
