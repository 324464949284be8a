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
            Self::NotFound { .. }
            | Self::Denied { .. }
            | Self::Unconfined { .. }
            | Self::TooMuchOutput { .. }
            | Self::Failed { .. } => Retry::WhenInputsChange,
        }
    }
}

/// `reading other files (…) and using the network (…)`.
pub fn listed(gaps: &[Gap]) -> String {
    let gaps: Vec<String> = gaps.iter().map(Gap::to_string).collect();
    gaps.join(" and ")
}
