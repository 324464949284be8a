//! The programs that run, each with all that it has started: none outlives whoever waits
//! for it, nor the process.

use std::io;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, kill_process_group, prlimit};
use tokio::process::{Child, Command};

use crate::runtime::lock::lock;

/// How long the end of the process waits for a program that is just being started: the
/// system may hang over it.
const STARTING: (u32, Duration) = (100, Duration::from_millis(10));

static RUNNING: Mutex<Running> = Mutex::new(Running {
    ended: false,
    targets: Vec::new(),
});

/// What is to be killed when the process ends.
struct Running {
    /// Whether nothing may be started any more.
    ended: bool,
    targets: Vec<Target>,
}

/// What a signal goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Group(Pid),
    Program(Pid),
}

impl Target {
    /// One that is gone already is fine.
    fn kill(self) {
        let _ = match self {
            Self::Group(pid) => kill_process_group(pid, Signal::KILL),
            Self::Program(pid) => kill_process(pid, Signal::KILL),
        };
    }
}

/// A child's process group, killed at the end whatever the end is: what the child
/// left running in the background would outlive its limits otherwise. To be dropped before
/// the child: one that is not reaped keeps its id, so nobody else's group is hit. After a
/// clean exit the id is kept by what is left of the group, or was free for microseconds.
#[derive(Debug)]
pub struct Group(Option<Target>);

impl Group {
    /// Starts a program in a group of its own. Must be called within a runtime.
    ///
    /// # Errors
    /// When it can't be started, or the process is ending.
    pub fn start(command: &mut Command) -> io::Result<(Self, Child)> {
        begin(command.process_group(0), Target::Group)
    }

    /// Starts a program in the group that we are in, so that it may ask at the terminal;
    /// what it starts itself is its own affair.
    ///
    /// # Errors
    /// When it can't be started, or the process is ending.
    pub fn start_attended(command: &mut Command) -> io::Result<(Self, Child)> {
        begin(command, Target::Program)
    }

    /// Set from outside once it runs, as code between fork and exec would be unsafe.
    /// A program gone already needs no bound, so failing is fine.
    pub(super) fn bound_memory(&self, bytes: u64) {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        if let Some(Target::Group(pid) | Target::Program(pid)) = self.0 {
            let _ = prlimit(Some(pid), Resource::Data, limit);
        }
    }
}

/// Under the lock, so that the end of the process misses none.
fn begin(command: &mut Command, target: fn(Pid) -> Target) -> io::Result<(Group, Child)> {
    let mut running = lock(&RUNNING);
    if running.ended {
        return Err(io::Error::other("the agent is ending"));
    }
    let child = command.kill_on_drop(true).spawn()?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let target = pid.and_then(Pid::from_raw).map(target);
    running.targets.extend(target);
    Ok((Group(target), child))
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(target) = self.0 else { return };
        let mut running = lock(&RUNNING);
        running.targets.retain(|other| *other != target);
        // The child itself is killed with its handle, unless it has been waited for.
        if let Target::Group(_) = target {
            target.kill();
        }
    }
}

/// The end of the process, whichever way it comes: nothing that was started outlives it.
#[derive(Debug)]
pub struct Ending;

impl Drop for Ending {
    fn drop(&mut self) {
        end_all();
    }
}

/// Kills all that runs, and lets nothing start any more. For the end of the process.
pub fn end_all() {
    let Some(mut running) = patiently() else {
        return;
    };
    running.ended = true;
    for target in running.targets.drain(..) {
        target.kill();
    }
}

fn patiently() -> Option<MutexGuard<'static, Running>> {
    let (attempts, pause) = STARTING;
    for _ in 0..attempts {
        match RUNNING.try_lock() {
            Ok(running) => return Some(running),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(pause),
        }
    }
    None
}
