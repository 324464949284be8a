//! When new words for a state that stays are worth an entry: what counts up, or names a time,
//! would fill the record by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::ObjectId;
use crate::plan::{Checked, Plan};
use crate::record::status::{State, UnitStatus};
use crate::runtime::backoff::grown;

/// The pause between two entries that only say the same in other words, doubled each time:
/// first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// What the last entries said of how a unit stands.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Which objects kept it from being as declared.
    about: BTreeSet<ObjectId>,
    /// How many entries in a row were of other words alone.
    times: u32,
    /// When such an entry may be written again.
    next: Option<Timestamp>,
    /// When the last one was written.
    told: Option<Timestamp>,
    /// Until when something waits to be told.
    waits: Option<Timestamp>,
}

impl Patience {
    /// Whether an entry is worth it for how a unit stands now, and for these objects. The
    /// first change of words alone is told at once, those behind it ever more seldom; another
    /// health of a unit that stays blocked, as where somebody keeps rolling it out, once in a
    /// first pause.
    pub(super) fn is_news(
        &mut self,
        before: Option<&UnitStatus>,
        after: &UnitStatus,
        about: BTreeSet<ObjectId>,
        now: Timestamp,
    ) -> bool {
        self.waits = None;
        if before.is_some_and(|before| before.same(after)) {
            return false;
        }
        if !before.is_some_and(|before| is_reworded(before, after)) || self.about != about {
            *self = Self {
                about,
                told: Some(now),
                ..Self::default()
            };
            return true;
        }
        let other_health = before.is_some_and(|before| before.health != after.health);
        let soon = self
            .told
            .filter(|_| other_health)
            .map(|told| told + PAUSES.0);
        let ready = self
            .next
            .map(|next| soon.map_or(next, |soon| soon.min(next)));
        if ready.is_some_and(|ready| now < ready) {
            self.waits = ready;
            return false;
        }
        self.told = Some(now);
        self.next = Some(now + grown(PAUSES, self.times));
        self.times += 1;
        true
    }

    /// Whether words have waited long enough; said once.
    pub(super) fn is_over(&mut self, now: Timestamp) -> bool {
        let over = self.waits.is_some_and(|at| at <= now);
        self.waits = self.waits.filter(|_| !over);
        over
    }

    /// When words that wait are to be told.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.waits
    }
}

/// The objects that keep a unit in a state: the blocked ones, and where it has failed those
/// that are not healthy.
pub(super) fn about(plan: &Plan<Checked>, state: State) -> BTreeSet<ObjectId> {
    let blocked = plan.blocked().map(|(step, _)| &step.object);
    let unhealthy = plan.unhealthy.iter().filter(|_| state == State::Failed);
    let objects = blocked.chain(unhealthy.map(|(id, _)| id));
    objects.cloned().collect()
}

/// Whether a unit that is not as declared stands as before, in other words. What is blocked
/// stays so, whatever its health.
fn is_reworded(before: &UnitStatus, after: &UnitStatus) -> bool {
    let stays = matches!(
        after.state,
        State::Progressing | State::Blocked | State::Failed
    );
    let health = match after.state {
        State::Blocked => &before.health,
        _ => &after.health,
    };
    let worded = UnitStatus {
        message: before.message.clone(),
        health: health.clone(),
        ..after.clone()
    };
    stays && before.same(&worded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: &str, message: &str) -> UnitStatus {
        let value = serde_json::json!({
            "state": state, "health": "Failed", "since": "2026-01-01T00:00:00Z",
            "message": message, "objects": 1,
        });
        serde_json::from_value(value).expect("a status")
    }

    fn object(name: &str) -> BTreeSet<ObjectId> {
        let kind = crate::model::GroupKind::known("", "ConfigMap");
        BTreeSet::from([ObjectId::new(kind, None, name.parse().expect("a name"))])
    }

    #[test]
    fn words_that_change_all_the_time_are_told_ever_more_seldom() {
        let mut patience = Patience::default();
        let start = Timestamp::UNIX_EPOCH;
        let mut before = status("Failed", "0 of 9");
        assert!(patience.is_news(None, &before, object("a"), start));
        let mut told = Vec::new();
        for second in 1..=8 * 3600_u32 {
            let now = start + Duration::from_secs(second.into());
            let after = status("Failed", &format!("{second} of 9"));
            if patience.is_news(Some(&before), &after, object("a"), now) {
                told.push(second);
                before = after;
            } else {
                assert!(patience.due().is_some_and(|due| due > now));
            }
        }
        assert_eq!(told[..5], [1, 61, 181, 421, 901]);
        assert!(told.len() < 14, "{told:?}");
        // What was recorded already waits for nothing.
        assert!(!patience.is_news(Some(&before), &before, object("a"), start));
        assert_eq!(patience.due(), None);
    }

    #[test]
    fn a_blocked_unit_whose_health_comes_and_goes_is_told_once_in_a_minute() {
        let mut patience = Patience::default();
        let start = Timestamp::UNIX_EPOCH;
        let mut before = status("Blocked", "contended");
        assert!(patience.is_news(None, &before, object("a"), start));
        let mut told = Vec::new();
        for second in 1..=600_u32 {
            let mut after = status("Blocked", "contended");
            let health = if second % 2 == 1 {
                "InProgress"
            } else {
                "Failed"
            };
            health.clone_into(&mut after.health);
            let now = start + Duration::from_secs(second.into());
            if patience.is_news(Some(&before), &after, object("a"), now) {
                told.push(second);
                before = after;
            }
        }
        assert_eq!(told[..3], [1, 62, 123]);
        assert!(told.len() <= 10, "{told:?}");
    }

    #[test]
    fn another_state_or_object_is_told_at_once() {
        let mut patience = Patience::default();
        let now = Timestamp::UNIX_EPOCH;
        let (one, two) = (status("Blocked", "one"), status("Blocked", "two"));
        assert!(patience.is_news(None, &one, object("a"), now));
        assert!(patience.is_news(Some(&one), &two, object("a"), now));
        assert!(!patience.is_news(Some(&two), &one, object("a"), now));
        assert!(patience.is_news(Some(&two), &one, object("b"), now));
        assert!(patience.is_news(Some(&one), &two, object("b"), now));
        assert!(!patience.is_news(Some(&two), &one, object("b"), now));
        assert!(patience.is_news(Some(&two), &status("Failed", "one"), object("b"), now));
    }
}
