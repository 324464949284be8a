//! What the numbers were taken on.

use std::fs;

/// In a few lines: cores, memory, kernel, load before the start. No name of a host.
pub fn description() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let information = read("/proc/cpuinfo");
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |text| text.trim_start_matches([' ', '\t', ':']));
    let memory = read("/proc/meminfo");
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: u64 = total
        .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or_default();
    let load = read("/proc/loadavg");
    let load = load.split(' ').take(2).collect::<Vec<_>>().join(" and ");
    format!(
        "{cores} cores ({model}), {} GiB of memory, Linux {}\nload before: {load} (1 and 5 minutes)\n",
        kib / (1024 * 1024),
        read("/proc/sys/kernel/osrelease").trim(),
    )
}
