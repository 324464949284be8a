//! Whether a transfer goes on: by what came of it, and for some minutes by what the server
//! says that it counts.

use std::time::{Duration, Instant};

/// A transfer of which nothing came for this long is given up, unless the server counts.
const STALL: Duration = Duration::from_secs(45);

/// How long a server may count before anything comes. Large repositories take minutes.
const COUNTING: Duration = Duration::from_mins(5);

/// How many kinds of work a server may be at.
const KINDS: usize = 16;

/// What is known of a transfer.
#[derive(Debug)]
pub(super) struct Growth {
    size: usize,
    grown: Instant,
    counts: Vec<(String, u64)>,
    counted: Instant,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    /// Something comes.
    On,
    /// Nothing comes, and the server is at work.
    Counting,
    /// Nothing came for so long.
    No(Duration),
}

impl Growth {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            size: 0,
            grown: now,
            counts: Vec::new(),
            counted: now,
        }
    }

    /// Takes note of how much has come.
    pub(super) fn came(&mut self, size: usize, now: Instant) {
        if size > self.size {
            (self.size, self.grown) = (size, now);
        }
    }

    /// Takes note of what the server says of its work, such as `Counting objects: 45%
    /// (450/1000)`: it is at work as long as the numbers grow.
    pub(super) fn said(&mut self, text: &[u8], now: Instant) {
        let text = String::from_utf8_lossy(text);
        for line in text.split(['\r', '\n']) {
            if let Some((kind, count)) = count(line)
                && self.is_more(kind, count)
            {
                self.counted = now;
            }
        }
    }

    fn is_more(&mut self, kind: &str, count: u64) -> bool {
        if let Some((_, last)) = self.counts.iter_mut().find(|(known, _)| known == kind) {
            let more = count > *last;
            *last = count.max(*last);
            return more;
        }
        let known = self.counts.len() < KINDS;
        if known {
            self.counts.push((kind.to_owned(), count));
        }
        known
    }

    /// Whether it goes on.
    pub(super) fn goes(&self, now: Instant) -> Goes {
        let silent = now.saturating_duration_since(self.grown);
        let idle = now.saturating_duration_since(self.counted);
        if silent < STALL {
            Goes::On
        } else if idle < STALL && silent < COUNTING {
            Goes::Counting
        } else {
            Goes::No(silent)
        }
    }
}

/// The kind of work that a line tells of, and how much of it is done: its last number that
/// isn't the whole of it.
fn count(line: &str) -> Option<(&str, u64)> {
    const LONGEST: usize = 60;
    let (kind, rest) = line.split_once(':')?;
    let done = rest.split_once('/').map_or(rest, |(done, _)| done);
    let numbers = done.split(|c: char| !c.is_ascii_digit());
    let count = numbers
        .filter_map(|number| number.parse().ok())
        .next_back()?;
    let kind = kind.trim();
    (kind.len() <= LONGEST).then_some((kind, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What becomes of a transfer of which this is said at each second, for so many.
    fn after(seconds: u32, says: impl Fn(u32) -> String) -> Goes {
        let begun = Instant::now();
        let mut growth = Growth::new(begun);
        for second in 0..seconds {
            let now = begun + SECOND * second;
            growth.said(says(second).as_bytes(), now);
            if let no @ Goes::No(_) = growth.goes(now) {
                return no;
            }
        }
        growth.goes(begun + SECOND * seconds)
    }

    #[test]
    fn a_server_that_counts_is_waited_for_up_to_five_minutes() {
        let counting = |n| format!("Counting objects: {}% ({n}/1000)\r", n / 10);
        assert_eq!(after(40, counting), Goes::On);
        assert_eq!(after(240, counting), Goes::Counting);
        assert_eq!(after(1_000, counting), Goes::No(COUNTING));
        let enumerating = |n| format!("remote: Enumerating objects: {n}, done.\n");
        assert_eq!(after(240, enumerating), Goes::Counting);
    }

    #[test]
    fn words_that_tell_of_no_progress_are_none() {
        for same in [
            "Counting objects: 3% (3/100)\r",
            "please wait\n",
            ": \n",
            "",
        ] {
            let gone = after(1_000, |_| same.to_owned());
            assert_eq!(gone, Goes::No(STALL), "{same}");
        }
        let kinds = after(1_000, |n| format!("work {n}: {n}\n"));
        assert!(
            matches!(kinds, Goes::No(silent) if silent < 2 * STALL),
            "{kinds:?}"
        );
    }

    #[test]
    fn what_comes_counts() {
        let begun = Instant::now();
        let mut growth = Growth::new(begun);
        for minute in 1..100 {
            let now = begun + SECOND * 30 * minute;
            growth.came(minute as usize, now);
            assert_eq!(growth.goes(now), Goes::On);
        }
    }
}
