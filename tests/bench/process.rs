//! What a process has used: see proc(5).

use std::fs;
use std::time::Duration;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time of its own, in user and kernel mode.
    pub own: Duration,
    /// CPU time of the programs that it ran and that have ended.
    pub children: Duration,
    /// Bytes resident now.
    pub resident: u64,
    /// The most bytes that were ever resident.
    pub peak: u64,
}

impl Usage {
    /// That of a process; nothing where it is gone.
    pub fn of(id: u32) -> Self {
        let [own, children] = cpu(id);
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kib = line.and_then(|line| line.trim_end_matches(" kB").trim().parse::<u64>().ok());
            kib.unwrap_or_default() * 1024
        };
        Self {
            own,
            children,
            resident: bytes("VmRSS:"),
            peak: bytes("VmHWM:"),
        }
    }

    pub fn cpu(self) -> Duration {
        self.own + self.children
    }

    /// CPU time since an earlier look.
    pub fn cpu_since(self, earlier: Self) -> Duration {
        self.cpu().saturating_sub(earlier.cpu())
    }
}

/// The CPU time of several processes.
pub fn cpu_of_all(ids: &[u32]) -> Duration {
    ids.iter().map(|id| cpu(*id)[0]).sum()
}

/// Its own CPU time, and that of its children which have ended.
fn cpu(id: u32) -> [Duration; 2] {
    /// `USER_HZ`, part of Linux' interface to programs, is 100 on all but a few old machines.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let fields: Vec<u32> = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse().ok())
        .collect();
    match fields[..] {
        [user, kernel, children_user, children_kernel] => [
            TICK * (user + kernel),
            TICK * (children_user + children_kernel),
        ],
        _ => [Duration::ZERO; 2],
    }
}
