//! What was deleted from an environment lately, counted by the minute so that it stays short.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::UnitName;

/// For how long what was deleted counts.
pub const LATELY: SignedDuration = SignedDuration::from_hours(1);

/// Objects that were deleted since they had left the repository, without anybody having
/// been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// In the minute that begins then.
    pub at: Timestamp,
    /// How many.
    pub objects: usize,
}

/// All that was deleted from an environment within the last hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// By the minute, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<Deleted>,
    /// Until when it matters that what was deleted before is not known.
    #[serde(
        default,
        rename = "deletedUnknownUntil",
        skip_serializing_if = "Option::is_none"
    )]
    pub unknown_until: Option<Timestamp>,
    /// What deletions are measured by while something leaves.
    #[serde(
        default,
        rename = "deletedOf",
        skip_serializing_if = "Pinned::is_empty"
    )]
    pub pinned: Pinned,
}

/// How many objects there were before others were added while something was leaving: what
/// is added makes no room for deleting more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pinned {
    /// Of the environment, with what was deleted within the hour before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<usize>,
    /// Of each unit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<UnitName, usize>,
}

impl Pinned {
    /// Whether nothing is pinned.
    pub fn is_empty(&self) -> bool {
        self.environment.is_none() && self.units.is_empty()
    }

    /// The number of an environment's objects by which its deletions are measured.
    pub fn of_environment(&self, total: usize) -> usize {
        self.environment.map_or(total, |pinned| pinned.min(total))
    }

    /// The number of a unit's objects by which its deletions are measured.
    pub fn of_unit(&self, unit: &UnitName, total: usize) -> usize {
        let pinned = self.units.get(unit);
        pinned.map_or(total, |pinned| total.min(*pinned))
    }

    /// The lower of each that either has.
    fn with(&self, other: &Self) -> Self {
        let environment = self.environment.into_iter().chain(other.environment).min();
        let mut units = self.units.clone();
        for (unit, total) in &other.units {
            let pinned = units.entry(unit.clone()).or_insert(*total);
            *pinned = (*pinned).min(*total);
        }
        Self { environment, units }
    }
}

impl Tally {
    /// Of so many objects at each of these instants, as far as that counts still.
    pub fn of(deleted: impl IntoIterator<Item = Deleted>, now: Timestamp) -> Self {
        let mut minutes: BTreeMap<i64, usize> = BTreeMap::new();
        for one in deleted.into_iter().filter(|one| one.at + LATELY > now) {
            *minutes.entry(one.at.as_second() / 60).or_default() += one.objects;
        }
        let deleted = minutes.into_iter().filter_map(|(minute, objects)| {
            let at = Timestamp::from_second(minute * 60).ok()?;
            Some(Deleted { at, objects })
        });
        Self {
            deleted: deleted.collect(),
            ..Self::default()
        }
    }

    /// Both together, where each was told of the same deletions and may have missed some.
    pub fn with(&self, other: &Self) -> Self {
        let mut minutes: BTreeMap<Timestamp, usize> = BTreeMap::new();
        for one in self.deleted.iter().chain(&other.deleted) {
            let objects = minutes.entry(one.at).or_default();
            *objects = one.objects.max(*objects);
        }
        let deleted = minutes.into_iter();
        Self {
            deleted: deleted
                .map(|(at, objects)| Deleted { at, objects })
                .collect(),
            unknown_until: self.unknown_until.max(other.unknown_until),
            pinned: self.pinned.with(&other.pinned),
        }
    }

    /// Whether it says at least what another one does, and the same of what is pinned.
    pub fn covers(&self, other: &Self) -> bool {
        let counted = |at| {
            let one = self.deleted.iter().find(|one| one.at == at);
            one.map_or(0, |one| one.objects)
        };
        let mut deleted = other.deleted.iter();
        deleted.all(|one| counted(one.at) >= one.objects)
            && self.unknown_until >= other.unknown_until
            && self.pinned == other.pinned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64, objects: usize) -> Deleted {
        let at = Timestamp::from_second(minute * 60).expect("an instant");
        Deleted { at, objects }
    }

    #[test]
    fn what_is_older_than_an_hour_counts_no_longer() {
        let now = at(100, 0).at;
        let all = [at(40, 3), at(41, 2), at(99, 1), at(99, 4)];
        assert_eq!(Tally::of(all, now).deleted, [at(41, 2), at(99, 5)]);
    }

    #[test]
    fn two_that_tell_of_the_same_are_not_added_up() {
        let one = Tally::of([at(41, 2), at(50, 1)], at(60, 0).at);
        let other = Tally::of([at(41, 1), at(52, 7)], at(60, 0).at);
        let both = one.with(&other);
        assert_eq!(both.deleted, [at(41, 2), at(50, 1), at(52, 7)]);
        assert!(both.covers(&one) && both.covers(&other));
        assert!(!one.covers(&other) && !other.covers(&one));
        let unknown = Tally {
            unknown_until: Some(at(90, 0).at),
            ..Tally::default()
        };
        assert!(!one.covers(&unknown) && one.with(&unknown).covers(&unknown));
    }
}
