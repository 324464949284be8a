//! The table.

use std::fmt::Write as _;
use std::time::Duration;

use crate::floor::Floor;
use crate::moves::Moves;
use crate::ours::{Diff, FirstSync, Idle, Restart};

/// What there is to compare with; none of it where only the agent is measured.
#[derive(Default)]
pub struct Others {
    pub bare: Option<Floor>,
    pub kubectl: Option<Floor>,
}

pub struct Results {
    pub others: Others,
    pub first: FirstSync,
    pub diff: Diff,
    pub changes: Moves,
    pub drifts: Moves,
    pub idle: Idle,
    pub restart: Restart,
    /// At the end of everything, but for the restart.
    pub peak: u64,
}

/// A line: what, our number, what it is compared with, the target.
struct Line {
    what: String,
    ours: String,
    bare: String,
    kubectl: String,
    target: &'static str,
}

/// The results as text.
pub fn print(results: &Results) -> String {
    let mut lines = vec![Line::new("", "agent", "").beside("bare apply", "kubectl")];
    lines.extend(sync(results));
    lines.extend(after(results));
    let width = |cell: fn(&Line) -> &str| {
        lines
            .iter()
            .map(|line| cell(line).chars().count())
            .max()
            .unwrap_or(0)
    };
    let [what, ours, bare, kubectl] = [
        width(|line| &line.what),
        width(|line| &line.ours),
        width(|line| &line.bare),
        width(|line| &line.kubectl),
    ];
    let mut text = String::new();
    for line in &lines {
        let row = format!(
            "{:what$}  {:>ours$}  {:>bare$}  {:>kubectl$}  {}",
            line.what, line.ours, line.bare, line.kubectl, line.target
        );
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text + "\n" + &requests(results)
}

fn sync(results: &Results) -> Vec<Line> {
    let (first, others) = (&results.first, &results.others);
    let beside = |ours: Duration, of: fn(&Floor) -> Option<Duration>| {
        [others.bare, others.kubectl].map(|floor| match floor.as_ref().and_then(of) {
            Some(floor) => {
                format!(
                    "{} (x{:.2})",
                    seconds(floor),
                    ours.as_secs_f64() / floor.as_secs_f64()
                )
            }
            None => String::new(),
        })
    };
    let timed = |what, ours: Duration, of, target| {
        let [bare, kubectl] = beside(ours, of);
        Line::new(what, &seconds(ours), target).beside(&bare, &kubectl)
    };
    vec![
        timed(
            "first sync: all applied",
            first.applied,
            |floor| Some(floor.applied),
            "x2 of bare",
        ),
        timed(
            "first sync: all healthy",
            first.healthy,
            |floor| Some(floor.healthy),
            "4 s",
        ),
        Line::new("first sync: recorded healthy", &seconds(first.recorded), ""),
        Line::new(
            "first sync: CPU (own + kustomize)",
            &format!(
                "{} + {}",
                seconds(first.usage.own),
                seconds(first.usage.children)
            ),
            "3 s",
        ),
        Line::new(
            "first sync: requests",
            &first.requests.total().to_string(),
            "",
        ),
        Line::new(
            "memory: peak of first sync",
            &mebibytes(first.usage.peak),
            "90 MiB",
        ),
        Line::new("memory: peak of all", &mebibytes(results.peak), "90 MiB"),
        Line::new("memory: idle", &mebibytes(results.idle.resident), "60 MiB"),
        timed(
            "agent diff of the clean",
            results.diff.time,
            |floor| floor.dry_run,
            "1 s",
        ),
        Line::new("agent diff: CPU", &seconds(results.diff.cpu), ""),
        Line::new(
            "agent diff: requests",
            &results.diff.requests.total().to_string(),
            "",
        ),
    ]
}

fn after(results: &Results) -> Vec<Line> {
    let Results {
        changes,
        drifts,
        idle,
        restart,
        ..
    } = results;
    let each = |total: Duration, moves: &Moves| {
        total / u32::try_from(moves.times.len().max(1)).unwrap_or(1)
    };
    let worst = |moves: &Moves| moves.times.iter().max().copied().unwrap_or_default();
    let minutes = idle.time.as_secs_f64() / 60.0;
    let requests = u32::try_from(idle.requests.total()).map_or(f64::INFINITY, f64::from);
    let bytes = drifts
        .bytes
        .checked_div(drifts.entries as u64)
        .unwrap_or_default();
    vec![
        Line::new(
            "one change: push to live, median",
            &milliseconds(median(changes)),
            "700 ms",
        ),
        Line::new(
            "one change: push to live, worst",
            &milliseconds(worst(changes)),
            "",
        ),
        Line::new(
            "one change: CPU",
            &milliseconds(each(changes.cpu, changes)),
            "",
        ),
        Line::new(
            "one change: requests",
            &changes.requests.total().to_string(),
            "10",
        ),
        Line::new(
            "drift: reverted, median",
            &milliseconds(median(drifts)),
            "150 ms",
        ),
        Line::new(
            "drift: reverted, worst",
            &milliseconds(worst(drifts)),
            "150 ms",
        ),
        Line::new("drift: CPU", &milliseconds(each(drifts.cpu, drifts)), ""),
        Line::new("drift: requests", &drifts.requests.total().to_string(), ""),
        Line::new(
            "idle: requests a minute",
            &format!("{:.1}", requests / minutes),
            "2",
        ),
        Line::new(
            "idle: CPU a minute",
            &milliseconds(idle.cpu.div_f64(minutes)),
            "100 ms",
        ),
        Line::new("restart: ready", &seconds(restart.ready), ""),
        Line::new("restart: last request", &seconds(restart.settled), ""),
        Line::new("restart: CPU", &seconds(restart.usage.cpu()), ""),
        Line::new("restart: memory, peak", &mebibytes(restart.usage.peak), ""),
        Line::new(
            "restart: requests",
            &restart.requests.total().to_string(),
            "",
        ),
        Line::new("record: bytes an entry", &bytes.to_string(), ""),
    ]
}

/// The same by verb.
fn requests(results: &Results) -> String {
    let mut text = "requests by verb\n".to_owned();
    for (what, requests) in [
        ("first sync", &results.first.requests),
        ("agent diff", &results.diff.requests),
        ("one change", &results.changes.requests),
        ("one drift", &results.drifts.requests),
        ("idle", &results.idle.requests),
        ("restart", &results.restart.requests),
    ] {
        writeln!(text, "  {what}: {requests}").expect("text can be written to a String");
    }
    text
}

impl Line {
    fn new(what: &str, ours: &str, target: &'static str) -> Self {
        Self {
            what: what.to_owned(),
            ours: ours.to_owned(),
            bare: String::new(),
            kubectl: String::new(),
            target,
        }
    }

    fn beside(self, bare: &str, kubectl: &str) -> Self {
        Self {
            bare: bare.to_owned(),
            kubectl: kubectl.to_owned(),
            ..self
        }
    }
}

/// The middle one, the lower of two.
pub fn median(moves: &Moves) -> Duration {
    let mut sorted = moves.times.clone();
    sorted.sort();
    sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or_default()
}

pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

pub fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1024 * 1024))
}
