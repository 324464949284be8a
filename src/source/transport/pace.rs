//! How slow an answer may be before it counts as none.

use std::time::{Duration, Instant};

/// The bounds of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// From a request to the head of its answer, and between two pieces of its body.
    pub silence: Duration,
    /// The least that comes within a time, if there is a least.
    pub rate: Option<Rate>,
    /// From the first request to the last byte of the answer.
    pub all: Duration,
    /// Bytes of its body.
    pub size: u64,
}

/// Bytes within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub bytes: u64,
    pub within: Duration,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// The refs, to fetch.
    FetchRefs,
    /// The objects.
    Fetch,
    /// The refs, to push.
    PushRefs,
    /// What became of a push.
    Push,
}

impl Limits {
    /// Those of an act.
    ///
    /// A list of refs that isn't complete within 45 s is told as a server that can't be
    /// reached, so within a minute of the question. libgit2 keeps some 2.5 bytes for each
    /// of its bytes: 24 MiB, of some 350,000 refs, take 60 MiB of a pod's 256.
    ///
    /// A pack goes to the disk as it comes. While the server counts its objects it tells
    /// so, with some twenty bytes a second at least; one byte a second, its keep-alive, is
    /// a server that hangs. A push is answered when the server's hooks have run, and with
    /// keep-alives until then.
    pub(super) fn of(act: Act) -> Self {
        let silence = Duration::from_secs(30);
        match act {
            Act::FetchRefs | Act::PushRefs => Self {
                silence,
                rate: None,
                all: Duration::from_secs(45),
                size: 24 << 20,
            },
            Act::Fetch => Self {
                silence,
                rate: Some(Rate {
                    bytes: 256,
                    within: Duration::from_secs(45),
                }),
                all: Duration::from_mins(30),
                size: 2 << 30,
            },
            Act::Push => Self {
                silence,
                rate: None,
                all: Duration::from_mins(2),
                size: 4 << 20,
            },
        }
    }
}

/// An answer that is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Slow {
    #[error("it said nothing for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("only {bytes} bytes came within {} s", .within.as_secs())]
    Trickle { bytes: u64, within: Duration },
    #[error("its answer was not complete after {} s", .0.as_secs())]
    Endless(Duration),
    #[error("its answer is larger than {} MiB, which is more than is taken", .0 >> 20)]
    Large(u64),
}

/// How an answer comes along.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    limits: Limits,
    begun: Instant,
    last: Instant,
    size: u64,
    /// Since when, and from which size on, the rate is counted.
    window: (Instant, u64),
}

impl Pace {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            begun: now,
            last: now,
            size: 0,
            window: (now, 0),
        }
    }

    /// Begins to wait anew, as for the answer to another request; the time for all of it
    /// goes on.
    pub(super) fn again(&mut self, now: Instant) {
        self.last = now;
        self.window = (now, self.size);
    }

    /// How long to wait for more before asking again.
    pub(super) fn patience(&mut self, now: Instant) -> Result<Duration, Slow> {
        let Limits {
            silence, rate, all, ..
        } = self.limits;
        let in_all = left(all, self.begun, now).ok_or(Slow::Endless(all))?;
        let silent = left(silence, self.last, now).ok_or(Slow::Silent(silence))?;
        let mut patience = in_all.min(silent);
        if let Some(rate) = rate {
            patience = patience.min(self.rest_of_window(rate, now)?);
        }
        Ok(patience)
    }

    fn rest_of_window(&mut self, rate: Rate, now: Instant) -> Result<Duration, Slow> {
        let (since, from) = self.window;
        if let Some(rest) = left(rate.within, since, now) {
            return Ok(rest);
        }
        let came = self.size - from;
        if came < rate.bytes {
            return Err(Slow::Trickle {
                bytes: came,
                within: rate.within,
            });
        }
        self.window = (now, self.size);
        Ok(rate.within)
    }

    /// Takes note of what came.
    pub(super) fn took(&mut self, bytes: usize, now: Instant) -> Result<(), Slow> {
        self.size += bytes as u64;
        self.last = now;
        if self.size > self.limits.size {
            return Err(Slow::Large(self.limits.size));
        }
        Ok(())
    }
}

/// What is left of a time; nothing where it is over.
fn left(time: Duration, since: Instant, now: Instant) -> Option<Duration> {
    let rest = time.saturating_sub(now.saturating_duration_since(since));
    (!rest.is_zero()).then_some(rest)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Goes through an answer whose pieces come at these seconds; gives the second of its
    /// end if it is given up.
    fn run(limits: Limits, pieces: impl IntoIterator<Item = (u64, usize)>) -> Option<(u64, Slow)> {
        let start = Instant::now();
        let at = |second: u64| start + SECOND * u32::try_from(second).unwrap();
        let mut pace = Pace::new(limits, start);
        let mut now = 0;
        for (second, bytes) in pieces {
            while now < second {
                match pace.patience(at(now)) {
                    Ok(patience) => now = second.min(now + patience.as_secs().max(1)),
                    Err(slow) => return Some((now, slow)),
                }
            }
            if let Err(slow) = pace.took(bytes, at(now)) {
                return Some((now, slow));
            }
        }
        None
    }

    #[test]
    fn a_list_of_refs_ends_within_a_minute() {
        let limits = Limits::of(Act::FetchRefs);
        assert_eq!(run(limits, [(1, 100), (29, 100)]), None);
        let silent = run(limits, [(100, 1)]);
        assert_eq!(silent, Some((30, Slow::Silent(limits.silence))));
        let trickle = run(limits, (0..).map(|n| (n * 5, 1)));
        assert_eq!(trickle, Some((45, Slow::Endless(limits.all))));
        let flood = run(limits, (0..).map(|n| (n / 100, 1 << 20)));
        assert_eq!(flood, Some((0, Slow::Large(limits.size))));
    }

    #[test]
    fn a_pack_may_take_long_but_not_trickle() {
        let limits = Limits::of(Act::Fetch);
        assert_eq!(
            run(limits, (0..600).map(|n| (n, 25))),
            None,
            "a server that counts"
        );
        assert_eq!(
            run(limits, (0..600).map(|n| (n, 10_000))),
            None,
            "a slow line"
        );
        let keep_alive = run(limits, (0..).map(|n| (n * 5, 5)));
        assert!(
            matches!(keep_alive, Some((45, Slow::Trickle { .. }))),
            "{keep_alive:?}"
        );
        let stalled = run(limits, [(1, 100_000), (100, 1)]);
        assert_eq!(stalled, Some((31, Slow::Silent(limits.silence))));
        let endless = run(limits, (0..).map(|n| (n, 10_000)));
        assert_eq!(endless, Some((1_800, Slow::Endless(limits.all))));
    }

    #[test]
    fn a_push_waits_for_hooks_but_not_for_ever() {
        let limits = Limits::of(Act::Push);
        assert_eq!(run(limits, (0..20).map(|n| (n * 5, 5))), None);
        let hangs = run(limits, (0..).map(|n| (n * 5, 5)));
        assert_eq!(hangs, Some((120, Slow::Endless(limits.all))));
    }
}
