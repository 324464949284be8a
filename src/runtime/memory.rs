//! How much memory there is, and how much the C library keeps of what was given back to it.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use crate::model::PLAIN_MEMORY;

/// How much memory this process and the programs that it runs may take together, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory(u64);

impl Default for Memory {
    /// As in `deploy/`.
    fn default() -> Self {
        Self(PLAIN_MEMORY)
    }
}

impl Memory {
    /// What there is here: the limit of the control group that this process is in, and of
    /// those around it; else what the machine has.
    pub fn here() -> Self {
        let read = |path: &Path| fs::read_to_string(path).ok();
        let machine = read(Path::new("/proc/meminfo")).and_then(|text| total(&text));
        let limits = limit(read).into_iter().chain(machine);
        limits.min().map_or_else(Self::default, Self)
    }

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

/// Why a text is no amount of memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no amount of memory: write bytes, or a number with Ki, Mi or Gi, such as 256Mi")]
pub struct MemoryError(String);

impl FromStr for Memory {
    type Err = MemoryError;

    /// Whole bytes or a number of `Ki`, `Mi`, `Gi`, as Kubernetes writes them.
    fn from_str(text: &str) -> Result<Self, MemoryError> {
        let units = [("Ki", 10), ("Mi", 20), ("Gi", 30)];
        let (number, shift) = units
            .iter()
            .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
            .unwrap_or((text, 0));
        let bytes = number.parse::<u64>().ok();
        let bytes = bytes.and_then(|number| number.checked_mul(1 << shift));
        bytes.map(Self).ok_or_else(|| MemoryError(text.to_owned()))
    }
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The lowest limit of the control groups that this process is in, by
/// [cgroups(7)](https://man7.org/linux/man-pages/man7/cgroups.7.html). In a container the
/// group's own directory is mounted in the place of the root, whatever its path is.
fn limit(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let lines = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        rest.split_once(':')
    });
    let limits = lines.filter_map(|(controllers, group)| {
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let inside = Path::new(group.trim_start_matches('/'));
        let around = inside.ancestors().filter_map(|group| {
            let text = read(&Path::new(root).join(group).join(file))?;
            // `max` where there is none.
            text.trim().parse::<u64>().ok()
        });
        around.min()
    });
    limits.min()
}

/// Makes glibc give back more of what packing the record or rendering takes once. Call it
/// first in `main`.
///
/// By default every thread gets an arena of its own, up to eight for each processor, and
/// each of them keeps most of what one of its threads ever needed at once: two are enough
/// for an agent that waits most of the time. And a large block that is freed makes it keep
/// blocks of that size from then on, unless the size from which on they go back is set
/// (`mallopt(3)`; this is what it begins with). A soak's growth is a third of what it was.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "settings of the allocator, made before any thread"
)]
pub fn keep_little() {
    const LARGE: libc::c_int = 128 * 1024;
    // SAFETY: no other thread exists yet, and the values are ones that glibc documents.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Other C libraries do none of this.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_little() {}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of(files: &[(&str, &str)]) -> Option<u64> {
        limit(|path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn the_lowest_limit_around_us_counts() {
        let v2 = [
            ("/proc/self/cgroup", "0::/a/b\n"),
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/memory.max", "268435456\n"),
        ];
        assert_eq!(limit_of(&v2), Some(268_435_456));
        let container = [
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/memory.max", "1000\n"),
        ];
        assert_eq!(limit_of(&container), Some(1000));
        let v1 = [
            ("/proc/self/cgroup", "5:cpu:/x\n4:memory:/kubepods/y\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"),
        ];
        assert_eq!(limit_of(&v1), Some(2000));
        let hybrid = [
            ("/proc/self/cgroup", "4:memory:/y\n0::/\n"),
            ("/sys/fs/cgroup/memory/y/memory.limit_in_bytes", "3000"),
        ];
        assert_eq!(limit_of(&hybrid), Some(3000));
        assert_eq!(limit_of(&[("/proc/self/cgroup", "0::/a\n")]), None);
        assert_eq!(limit_of(&[]), None);
    }

    #[test]
    fn amounts_are_written_as_in_kubernetes() {
        let read = |text: &str| text.parse::<Memory>().map(Memory::bytes);
        assert_eq!(read("256Mi"), Ok(256 << 20));
        assert_eq!(read("1Gi"), Ok(1 << 30));
        assert_eq!(read("1000"), Ok(1000));
        for wrong in ["", "Mi", "256M", "-1", "99999999999Gi"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_machine_has_some() {
        assert_eq!(
            total("MemTotal:       1024 kB\nMemFree: 1 kB\n"),
            Some(1 << 20)
        );
        assert!(Memory::here().bytes() > 0);
    }
}
