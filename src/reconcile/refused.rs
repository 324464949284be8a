//! What the API server did not take of a unit, and when that is tried again.

use std::time::Duration;

use jiff::Timestamp;

use super::unit::UnitState;
use crate::kube::ApiError;
use crate::model::{ObjectId, cut_lines};
use crate::plan::{Refusal, Refused};
use crate::runtime::backoff::grown;

/// The wait after a first refusal, which only a changed input or right will mend, and the
/// longest one.
const REFUSED: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(10));

impl UnitState {
    /// Remembers that the API server did not take something.
    pub(super) fn refuse(
        &mut self,
        object: &ObjectId,
        refused: Refused,
        error: &ApiError,
        now: Timestamp,
    ) {
        let before = self.refusals.get(object);
        let before = before.filter(|refusal| refusal.refused == refused);
        let failures = before.map_or(0, |refusal| refusal.failures + 1);
        let refusal = refusal(refused, error, failures, now);
        self.refusals.insert(object.clone(), refusal);
    }

    /// Has what was refused once be tried again: what another unit's object had to give up
    /// first may be free by now. Once, since most of what is refused has other reasons.
    pub(super) fn reconsider(&mut self, now: Timestamp) {
        let fights = &self.fights;
        let contended = |id: &ObjectId| fights.told().any(|(other, _)| other == id);
        for (id, refusal) in &mut self.refusals {
            let first = refusal.failures == 0 && !refusal.immutable && refusal.again > now;
            if first && !contended(id) {
                refusal.again = now;
                self.dirty = true;
            }
        }
    }
}

/// What is remembered of something that the API server did not take.
pub(super) fn refusal(
    refused: Refused,
    error: &ApiError,
    failures: u32,
    now: Timestamp,
) -> Refusal {
    let immutable = matches!(
        error,
        ApiError::Invalid {
            immutable: true,
            ..
        }
    );
    Refusal {
        refused,
        // The server's words hold whole values of the object.
        message: cut_lines(&error.to_string()),
        immutable,
        again: now + grown(REFUSED, failures),
        failures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock;

    #[test]
    fn a_refusal_is_read_whatever_it_quotes() {
        let quoted = "a\\\"".repeat(100_000);
        let message = format!("metadata.labels: Invalid value: \"{quoted}\": must be short");
        let error = ApiError::Rejected(message);
        let refused = refusal(Refused::Removal, &error, 0, clock::now()).message;
        assert!(
            refused.starts_with("metadata.labels: Invalid value: "),
            "{refused}"
        );
        assert!(refused.ends_with("must be short"), "{refused}");
        assert!(refused.chars().count() <= crate::model::LINE, "{refused}");
    }
}
