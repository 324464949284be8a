//! How far the clock of this machine is from the API server's, which dates each answer.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp, Unit};
use tracing::{info, warn};

use crate::runtime::lock::lock;

/// What is no reason to say anything.
const FINE: SignedDuration = SignedDuration::from_mins(1);

/// What is known of both clocks.
#[derive(Debug, Default)]
pub(super) struct Clocks(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The last date, as it was written: it is the same for a second.
    date: String,
    off: Option<SignedDuration>,
}

impl Clocks {
    /// Takes in how an answer was dated that was asked for and came then. Told once, and
    /// again when it is over.
    pub(super) fn heard(&self, date: &str, asked: Timestamp, came: Timestamp) {
        let mut known = lock(&self.0);
        if known.date == date {
            return;
        }
        date.clone_into(&mut known.date);
        let Ok(dated) = jiff::fmt::rfc2822::parse(date) else {
            return;
        };
        let off = off(dated.timestamp(), asked, came);
        match (known.off, off) {
            (None, Some(off)) => warn!("{}", told(off)),
            (Some(_), None) => info!("the clock of this machine is right again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        // What is told of it stays the same until it is over.
        known.off = off.map(|off| known.off.unwrap_or(off));
    }

    /// What people are told, if it is off.
    pub(super) fn trouble(&self) -> Option<String> {
        lock(&self.0).off.map(told)
    }
}

/// How far this machine is ahead (negative: behind), if that is more than can pass between
/// the two. A date has no part of a second, and an answer may take long.
fn off(dated: Timestamp, asked: Timestamp, came: Timestamp) -> Option<SignedDuration> {
    let ahead = asked.duration_since(dated) - SignedDuration::from_secs(1);
    let behind = dated.duration_since(came);
    if ahead > FINE {
        Some(ahead)
    } else if behind > FINE {
        Some(-behind)
    } else {
        None
    }
}

fn told(off: SignedDuration) -> String {
    let minutes = off.round(Unit::Minute).unwrap_or(off).abs();
    let side = if off.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    format!(
        "the clock of this machine is {minutes:#} {side} the API server's: ages, times in the record and the expiry of credentials are judged by it; set it right (NTP)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_slow_answer_explains_is_told() {
        let at = |seconds: i64| Timestamp::from_second(1_796_000_000 + seconds).expect("a time");
        let off = |dated, asked, came| off(at(dated), at(asked), at(came)).map(|off| off.as_secs());
        assert_eq!(off(0, 0, 1), None);
        assert_eq!(off(0, -70, 5), None);
        assert_eq!(off(0, 61, 61), None);
        assert_eq!(off(0, 301, 302), Some(300));
        assert_eq!(off(300, 0, 100), Some(-200));
        assert!(told(SignedDuration::from_secs(290)).contains("5m ahead of the API"));
        assert!(told(SignedDuration::from_secs(-7200)).contains("2h behind the API"));
    }
}
