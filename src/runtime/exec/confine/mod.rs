//! What a program may touch, held by the kernel: files by Landlock, the network by a
//! seccomp filter.
//!
//! Both bind the thread that asks for them, for ever, and whatever it starts. So a
//! program is started by a thread that ends right after: setting them between fork and
//! exec would be unsafe code, and any other thread is needed for other things.
//!
//! [Landlock](https://docs.kernel.org/userspace-api/landlock.html) holds as far as the
//! kernel's version of it goes: reading and writing since Linux 5.13, TCP since 6.7,
//! signals since 6.12. It never knows modes and owners of files, other sockets than TCP,
//! and whether something exists. The filter shuts these but for the last, and what
//! older versions of Landlock leave open that changes a file or reaches a network.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// What a program may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// All that we may.
    Open,
    /// It runs what is installed on the system, reads what is named here, writes in its
    /// own home, and reaches no network, no other process and nothing else.
    Confined {
        /// Files and directories.
        read: Vec<PathBuf>,
        /// What if the kernel can't hold all of that.
        unconfined: Unconfined,
    },
}

/// What becomes of a program that the kernel can't confine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unconfined {
    /// It runs, as confined as can be: its input is trusted.
    #[default]
    Runs,
    /// It does not run: its input comes from a stranger.
    Refused,
}

/// What the kernel can't keep a program from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Reading and writing files.
    Files,
    /// Using the network.
    Network,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "reading other files (it has no Landlock)",
            Self::Network => "using the network (it has no seccomp filters)",
        })
    }
}

/// What the kernel can't keep programs from; nothing, where they can be confined.
///
/// # Errors
/// When it can't be found out.
pub fn gaps() -> io::Result<Vec<Gap>> {
    confined(&Allowed::default(), |gaps| Ok(gaps.to_vec()))
}

/// What a program may touch beside what is installed on the system.
#[derive(Default)]
pub(super) struct Allowed<'a> {
    pub(super) run: &'a [&'a Path],
    pub(super) read: &'a [PathBuf],
    pub(super) write: &'a [&'a Path],
}

/// Does something on a thread that is confined as far as the kernel can, and tells it
/// how far that is.
pub(super) fn confined<T: Send>(
    allowed: &Allowed<'_>,
    start: impl FnOnce(&[Gap]) -> io::Result<T> + Send,
) -> io::Result<T> {
    thread::scope(|scope| {
        let name = thread::Builder::new().name("confined".to_owned());
        let thread = name.spawn_scoped(scope, || start(&confine(allowed)?))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Confines this thread.
fn confine(allowed: &Allowed<'_>) -> io::Result<Vec<Gap>> {
    let mut gaps = Vec::new();
    match confine_files(allowed).map_err(io::Error::other)? {
        RulesetStatus::NotEnforced => gaps.push(Gap::Files),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => {}
    }
    if shut_network().is_err() {
        gaps.push(Gap::Network);
    }
    Ok(gaps)
}

/// Where programs, their loaders and their libraries are installed. A name that isn't
/// there is passed over.
const SYSTEM: [&str; 12] = [
    "/bin",
    "/lib",
    "/lib64",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/bin",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/nix/store",
    "/gnu/store",
    "/home/linuxbrew/.linuxbrew",
];

/// What programs open whatever they do.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// The newest version that this was tried with. What the kernel lacks of it is left out.
const NEWEST: ABI = ABI::V7;

fn confine_files(allowed: &Allowed<'_>) -> Result<RulesetStatus, RulesetError> {
    let all = AccessFs::from_all(NEWEST);
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let running = reading | AccessFs::Execute;
    let restricted = landlock::Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, running))?
        .add_rules(path_beneath_rules(allowed.run, running))?
        .add_rules(path_beneath_rules(
            DEVICES,
            AccessFs::ReadFile | AccessFs::WriteFile,
        ))?
        .add_rules(path_beneath_rules(allowed.read, reading))?
        .add_rules(path_beneath_rules(allowed.write, all & !AccessFs::Execute))?
        .restrict_self()?;
    Ok(restricted.ruleset)
}

/// No socket is made, by whatever way, and no file changed that was not opened.
const DENIED: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_io_uring_setup,
    libc::SYS_truncate,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchownat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
];

/// On x86-64 each call has a second number, of the x32 ABI. Those of 32-bit programs are
/// of another architecture, for which the filter kills.
const X32: libc::c_long = 0x4000_0000;

fn shut_network() -> Result<(), seccompiler::Error> {
    let numbers = DENIED.iter().flat_map(|call| [*call, *call | X32]);
    let filter = SeccompFilter::new(
        numbers.map(|number| (number, Vec::new())).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EACCES.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)
}
