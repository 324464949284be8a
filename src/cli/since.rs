//! An instant as people give it: how long ago, a day, or a time.

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use crate::runtime::clock;

/// The instant from which on something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since(pub Timestamp);

impl Since {
    /// Reads `2d`, `2026-11-21` (its beginning, UTC) or `2026-11-21T10:00:00Z`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text, clock::now())
    }

    fn read(text: &str, now: Timestamp) -> Result<Self, String> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self(time));
        }
        if let Ok(day) = text.parse::<civil::Date>() {
            let start = day.to_zoned(TimeZone::UTC);
            return start
                .map(|start| Self(start.timestamp()))
                .map_err(|error| error.to_string());
        }
        let ago = humantime::parse_duration(text).map_err(|_| {
            "write how long ago (2d, 12h), a day (2026-11-21) or a time (2026-11-21T10:00:00Z)"
                .to_owned()
        })?;
        // Longer ago than there is a calendar is from the beginning.
        Ok(Self(now.checked_sub(ago).unwrap_or(Timestamp::MIN)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn it_is_a_span_a_day_or_a_time() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2d", "2026-11-19T10:00:00Z"),
            ("1h 30m", "2026-11-21T08:30:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20T08:00:00+02:00", "2026-11-20T06:00:00Z"),
        ] {
            assert_eq!(Since::read(text, now).unwrap().0.to_string(), expected);
        }
        assert_eq!(Since::read("100000 years", now).unwrap().0, Timestamp::MIN);
        for text in ["", "yesterday", "2", "-2d"] {
            assert!(Since::read(text, now).is_err(), "{text}");
        }
    }
}
