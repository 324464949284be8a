//! How long a forge wants to be left alone, by the headers of its answers.
//!
//! `Retry-After` (RFC 9110), GitHub's `X-RateLimit-Remaining` and `X-RateLimit-Reset`,
//! GitLab's `RateLimit-Remaining` and `RateLimit-Reset`: the resets are in seconds since
//! 1970.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use crate::runtime::net::retry_after;

/// What is waited where the forge says that it is too much and not for how long; GitHub
/// asks for at least this.
const UNSAID: Duration = Duration::from_mins(1);

/// No forge counts over a longer time; a header that says so is wrong.
const LONGEST: Duration = Duration::from_hours(2);

/// Until when nothing is to be sent, if this answer says so.
pub(super) fn pause(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let exhausted = remaining(headers) == Some(0);
    let refused = status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::FORBIDDEN
            && (exhausted || headers.contains_key(http::header::RETRY_AFTER));
    if !refused && !exhausted {
        return None;
    }
    let until = after(headers, now).or_else(|| reset(headers).filter(|_| exhausted));
    let until = until.unwrap_or(now + UNSAID);
    Some(until.clamp(now, now + LONGEST))
}

/// The same where only the text says so. GitHub's secondary limits need not be in any
/// header.
///
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>
pub(super) fn pause_in_words(
    status: StatusCode,
    message: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    let limited = status == StatusCode::FORBIDDEN
        && ["rate limit", "abuse detection"]
            .iter()
            .any(|words| message.to_lowercase().contains(words));
    limited.then(|| now + UNSAID)
}

fn after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    now.checked_add(retry_after(headers, now)?).ok()
}

fn remaining(headers: &HeaderMap) -> Option<u64> {
    number(headers, "x-ratelimit-remaining").or_else(|| number(headers, "ratelimit-remaining"))
}

fn reset(headers: &HeaderMap) -> Option<Timestamp> {
    let seconds =
        number(headers, "x-ratelimit-reset").or_else(|| number(headers, "ratelimit-reset"))?;
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn at(status: u16, headers: &[(&'static str, &str)]) -> Option<i64> {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let until = pause(StatusCode::from_u16(status).unwrap(), &map, now)?;
        Some(until.as_second() - now.as_second())
    }

    #[test]
    fn every_way_to_ask_for_patience_is_understood() {
        assert_eq!(at(200, &[]), None);
        assert_eq!(at(403, &[]), None);
        assert_eq!(at(429, &[]), Some(60));
        assert_eq!(at(429, &[("retry-after", "17")]), Some(17));
        assert_eq!(at(403, &[("retry-after", "17")]), Some(17));
        let date = [("retry-after", "Mon, 12 Jan 1970 13:47:10 GMT")];
        assert_eq!(at(503, &date), None);
        assert_eq!(at(429, &date), Some(30));
        let spent = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1000090"),
        ];
        assert_eq!(at(403, &spent), Some(90));
        // The last request that was free tells it too.
        assert_eq!(at(200, &spent), Some(90));
        let left = [
            ("x-ratelimit-remaining", "5"),
            ("x-ratelimit-reset", "1000090"),
        ];
        assert_eq!(at(200, &left), None);
        let gitlab = [("ratelimit-remaining", "0"), ("ratelimit-reset", "1000030")];
        assert_eq!(at(429, &gitlab), Some(30));
    }

    #[test]
    fn a_header_that_cannot_be_meant_is_bounded() {
        assert_eq!(at(429, &[("retry-after", "4000000000")]), Some(7_200));
        assert_eq!(at(429, &[("retry-after", "-5")]), Some(60));
        let past = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "5")];
        assert_eq!(at(403, &past), Some(0));
        let far = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "99999999999999999"),
        ];
        assert_eq!(at(403, &far), Some(60));
    }
}
