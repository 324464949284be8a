//! How many requests may be under way at once, and when: additive increase and
//! multiplicative decrease by what the API server answers. Pure: time is handed in, as
//! the time since a start.
//!
//! The level at which the server refused is remembered, and not gone to again for a
//! while: each attempt costs everybody the time that the server then asks for.

use crate::runtime::backoff::grown;
use std::time::Duration;

/// How many may be under way at the start: what saturates a small API server.
const FIRST: f64 = 16.0;
/// The most that may ever be. Each has a connection of its own, and a server that is near
/// gets no faster by more; one that is far away does.
const MOST: f64 = 32.0;
/// How long a level at which the server refused is not tried again: first, and at most.
const SHY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(5));
/// The pause after a request that got lost, doubled for each in a row: first, and at most.
const LOST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The pause that is meant where the server names none.
const BUSY: Duration = Duration::from_secs(1);

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// An answer, good or bad. `Pressed` if others had to wait for it to come.
    Answered(Pressure),
    /// The server takes no requests for so long (429, or 503 with `Retry-After`).
    Busy(Option<Duration>),
    /// No answer in time, no connection, or a gateway's word for that.
    Lost,
}

/// Whether the limit was what held a request up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressure {
    /// It had to wait for its turn.
    Pressed,
    /// There was room.
    Free,
}

/// Which limit a request was sent under; what comes of it later says nothing of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Era(u64);

/// The pace of all requests to one API server.
#[derive(Debug)]
pub(super) struct Pace {
    limit: f64,
    era: Era,
    wall: Option<Wall>,
    lost: u32,
    rests_until: Duration,
}

/// Where the server refused.
#[derive(Debug, Clone, Copy)]
struct Wall {
    limit: f64,
    shy: Duration,
    again: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            limit: FIRST,
            era: Era(0),
            wall: None,
            lost: 0,
            rests_until: Duration::ZERO,
        }
    }
}

impl Pace {
    /// How many requests may be under way; at least one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 32"
    )]
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// The era in which a request that is sent now is.
    pub(super) fn era(&self) -> Era {
        self.era
    }

    /// How long nothing may be sent; zero for not at all.
    pub(super) fn rest(&self, now: Duration) -> Duration {
        self.rests_until.saturating_sub(now)
    }

    /// Takes in what came of a request that was sent in an era.
    pub(super) fn after(&mut self, sent: Era, heard: Heard, now: Duration) {
        match heard {
            Heard::Answered(pressure) => {
                if sent == self.era {
                    self.lost = 0;
                }
                if pressure == Pressure::Pressed {
                    self.grow(now);
                }
            }
            Heard::Busy(after) => {
                self.rest_until(now + after.unwrap_or(BUSY));
                self.cut(sent, now);
            }
            Heard::Lost => {
                if sent == self.era {
                    self.rest_until(now + grown(LOST, self.lost));
                    self.lost += 1;
                }
                self.cut(sent, now);
            }
        }
    }

    fn rest_until(&mut self, until: Duration) {
        self.rests_until = self.rests_until.max(until);
    }

    /// One more for each round of answers, up to what the server is known to refuse.
    fn grow(&mut self, now: Duration) {
        let grown = (self.limit + 1.0 / self.limit).min(MOST);
        match self.wall {
            Some(wall) if now < wall.again => {
                self.limit = grown.min((wall.limit - 1.0).max(1.0)).max(self.limit);
            }
            Some(wall) => {
                let past = wall.limit + 1.0;
                self.limit = grown.min(past);
                if self.limit >= past {
                    self.wall = None;
                }
            }
            None => self.limit = grown,
        }
    }

    /// Halves the limit, once for all requests that were under way together.
    fn cut(&mut self, sent: Era, now: Duration) {
        if sent != self.era {
            return;
        }
        let refused = self.limit.floor();
        let shy = match self.wall {
            Some(wall) if refused >= wall.limit => (wall.shy * 2).min(SHY.1),
            _ => SHY.0,
        };
        self.wall = Some(Wall {
            limit: refused,
            shy,
            again: now + shy,
        });
        self.limit = (refused / 2.0).floor().max(1.0);
        self.era = Era(self.era.0 + 1);
    }
}

#[cfg(test)]
mod tests;
