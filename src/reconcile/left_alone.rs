//! What was said of objects that look like a unit's and are left alone. Somebody else can
//! make any number of them, so what is said of them is bounded.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::leftovers::TOLD;
use crate::model::{LATELY, ObjectId};
use crate::record::status::{State, UnitStatus};

/// What was said of them so far.
#[derive(Debug, Default)]
pub(super) struct LeftAlone {
    /// The objects that the log names, and one more where it has said that there are more.
    named: BTreeSet<ObjectId>,
    /// When an entry was written for no other reason.
    told: Option<Timestamp>,
}

/// How an object that is left alone is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    /// By its name.
    Named,
    /// That there are more than were named.
    More,
    /// Not, since that was said.
    Nothing,
}

impl LeftAlone {
    /// How the log is to say of an object that it is left alone.
    pub(super) fn say(&mut self, id: &ObjectId) -> Say {
        if self.named.len() > TOLD || !self.named.insert(id.clone()) {
            return Say::Nothing;
        }
        if self.named.len() > TOLD {
            Say::More
        } else {
            Say::Named
        }
    }

    /// Whether an entry is worth it for how a unit stands now. For nothing but other objects
    /// that are left alone there is one in an hour.
    pub(super) fn is_news(
        &mut self,
        before: Option<&UnitStatus>,
        after: &UnitStatus,
        now: Timestamp,
    ) -> bool {
        let Some(before) = before else { return true };
        if before.same(after) {
            return false;
        }
        let message = before.message.clone();
        let otherwise = UnitStatus {
            message,
            ..after.clone()
        };
        let keeps = after.state == State::Synced && !after.message.is_empty();
        if !keeps || !before.same(&otherwise) {
            return true;
        }
        if self.told.is_some_and(|told| told + LATELY > now) {
            return false;
        }
        self.told = Some(now);
        true
    }
}
