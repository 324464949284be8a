//! What the API server did not take of a unit, and when that is tried again.

use std::time::Duration;

use jiff::Timestamp;

use super::unit::UnitState;
use crate::kube::ApiError;
use crate::model::{ObjectId, cut_lines};
use crate::plan::{Refusal, Refused};
use crate::runtime::random;

/// What is refused is tried again so often, give or take: who mends what is in the way
/// outside sees within a minute that it was that.
const REFUSED: Duration = Duration::from_secs(40);
const JITTER: Duration = Duration::from_secs(10);
/// So many of a unit are; the next ones half as often, and so on, down to a share of that.
const AT_ONCE: usize = 20;
const LEAST: u32 = 15;

/// The wait of what was refused, behind so many others of the unit.
pub(super) fn pause(others: usize) -> Duration {
    let seldom = u32::try_from(others / AT_ONCE + 1).unwrap_or(LEAST);
    REFUSED * seldom.min(LEAST) + random::up_to(JITTER)
}

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
        let others = self.refusals.range(..object).count();
        let refusal = Refusal {
            again: now + pause(others),
            failures,
            ..refusal(refused, error, now)
        };
        self.refusals.insert(object.clone(), refusal);
    }

    /// Has what was refused once be tried again: what another unit's object had to give up
    /// first may be free by now. Once, since most of what is refused has other reasons.
    pub(super) fn reconsider(&mut self, now: Timestamp) {
        let mut due = false;
        for refusal in self.sooner(now).filter(|refusal| refusal.failures == 0) {
            refusal.again = now;
            due = true;
        }
        self.dirty |= due;
    }

    /// Takes in that something was taken. Where it was refused before, what others were
    /// refused for may have been mended with it.
    pub(super) fn taken(&mut self, object: &ObjectId, now: Timestamp) {
        if self.refusals.remove(object).is_none() {
            return;
        }
        let soon = now + REFUSED;
        for refusal in self.sooner(soon) {
            refusal.again = soon;
        }
    }

    /// What would be tried later than that, and may be taken as it is.
    fn sooner(&mut self, than: Timestamp) -> impl Iterator<Item = &mut Refusal> {
        let fights = &self.fights;
        let contended = |id: &ObjectId| fights.told().any(|(other, _)| other == id);
        let refusals = self.refusals.iter_mut();
        let later = refusals.filter(move |(id, refusal)| {
            !refusal.immutable && refusal.again > than && !contended(id)
        });
        later.map(|(_, refusal)| refusal)
    }
}

/// What is remembered of something that the API server did not take.
pub(super) fn refusal(refused: Refused, error: &ApiError, now: Timestamp) -> Refusal {
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
        again: now + pause(0),
        failures: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kube::Inventory;
    use crate::model::GroupKind;
    use crate::reconcile::dry_run::retired_unit;
    use crate::runtime::clock;

    fn unit() -> UnitState {
        let unit = retired_unit(&"shop".parse().expect("a name"), true);
        UnitState::new(Arc::new(unit), String::new(), Inventory::default())
    }

    fn object(number: usize) -> ObjectId {
        let kind = GroupKind::known("", "ConfigMap");
        ObjectId::parse(kind, Some("shop"), &format!("c{number:03}")).expect("a name")
    }

    fn refuse(unit: &mut UnitState, number: usize, now: Timestamp) -> i64 {
        let error = ApiError::Denied("no".to_owned());
        unit.refuse(&object(number), Refused::Removal, &error, now);
        (unit.refusals[&object(number)].again - now).get_seconds()
    }

    #[test]
    fn what_is_refused_is_tried_again_within_a_minute_however_often_it_was() {
        let mut unit = unit();
        let mut now = Timestamp::UNIX_EPOCH;
        for failures in 0..50 {
            let pause = refuse(&mut unit, 0, now);
            assert!((40..=50).contains(&pause), "{failures}: {pause}");
            assert_eq!(unit.refusals[&object(0)].failures, failures);
            now += Duration::from_mins(1);
        }
    }

    #[test]
    fn of_many_that_are_refused_some_are_tried_and_the_others_where_those_are_taken() {
        let mut unit = unit();
        let now = Timestamp::UNIX_EPOCH;
        let pauses: Vec<i64> = (0..400).map(|it| refuse(&mut unit, it, now)).collect();
        let within = |from: i64| from..=from + 10;
        assert!(pauses[..20].iter().all(|it| within(40).contains(it)));
        assert!(pauses[20..40].iter().all(|it| within(80).contains(it)));
        assert!(pauses[380..].iter().all(|it| within(600).contains(it)));

        unit.taken(&object(999), now);
        assert_eq!(unit.refusals.len(), 400, "it was not refused");
        unit.taken(&object(0), now + Duration::from_secs(45));
        let last = (unit.refusals[&object(399)].again - now).get_seconds();
        assert_eq!((unit.refusals.len(), last), (399, 85));
    }

    #[test]
    fn a_refusal_is_read_whatever_it_quotes() {
        let quoted = "a\\\"".repeat(100_000);
        let message = format!("metadata.labels: Invalid value: \"{quoted}\": must be short");
        let error = ApiError::Rejected(message);
        let refused = refusal(Refused::Removal, &error, clock::now()).message;
        assert!(
            refused.starts_with("metadata.labels: Invalid value: "),
            "{refused}"
        );
        assert!(refused.ends_with("must be short"), "{refused}");
        assert!(refused.chars().count() <= crate::model::LINE, "{refused}");
    }
}
