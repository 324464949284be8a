//! What comparisons came to, so that none is made twice: an object is compared again
//! only when it or what is desired of it has moved, and the API server is asked about a
//! difference in spelling once. Of another value than the declared one it is asked again:
//! what made it so may be gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use git2::Oid;
use jiff::Timestamp;

use crate::fields::{Difference, Doubt, Hold, Verdict};
use crate::health::Status;
use crate::kube::Era;
use crate::model::{Desired, Digest, DigestKey, ObjectId, holds_secret};
use crate::plan::AsDesired;
use crate::runtime::lock::lock;

/// How many of a unit's digests are kept for the next process: an inventory is a
/// `ConfigMap`, which holds 1 MiB. The server is asked about the others again.
const MOST_KEPT: usize = 20_000;

/// How long it is believed that the API server gives a declared field a value of its own, at
/// least and at most. In between it is a part of how long it has been so: what was just seen
/// to begin may end soon.
const OVERRULED: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(10));
const PART: u32 = 4;
/// How long after a policy or webhook was seen to change the API server is asked: it learns of
/// that by a watch of its own.
const SOON: Duration = Duration::from_secs(2);

/// The comparisons of an environment.
#[derive(Debug, Default)]
pub struct Compared {
    notes: Mutex<Notes>,
    known: Mutex<Known>,
    /// The recorded forms of what is declared in another version than its kind is watched in.
    forms: Mutex<BTreeMap<ObjectId, String>>,
}

/// What was found of one history of the API server; in another, a resourceVersion is another
/// state.
#[derive(Debug, Default)]
struct Notes {
    era: Option<Era>,
    by_object: BTreeMap<ObjectId, Note>,
}

/// An object that was found to be ours and as desired.
#[derive(Debug, Clone)]
struct Note {
    version: u64,
    desired: Digest,
    found: AsDesired,
    recorded: Oid,
}

/// What the API server makes of an object that can't be compared without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// The same value in another spelling: so for as long as both are what they are.
    Spelling,
    /// What is there already, whatever adds to it: so for as long as the process.
    Same,
    /// A value of its own where another is declared: so since then, and believed until then
    /// and no longer, as the policy or webhook that gives it may go.
    Another {
        hold: Hold,
        since: Timestamp,
        until: Timestamp,
    },
}

impl Made {
    /// Of differences that an apply would leave.
    pub(super) fn of(differences: &[Difference], hold: Hold, now: Timestamp) -> Self {
        let spelling = |one: &Difference| one.doubt == Some(Doubt::Spelling);
        if differences.iter().any(Difference::is_another_value) {
            let (since, until) = (now, now + OVERRULED.0);
            Self::Another { hold, since, until }
        } else if differences.iter().all(spelling) {
            Self::Spelling
        } else {
            Self::Same
        }
    }

    /// How the object compares.
    pub(super) fn verdict(self, differences: Vec<Difference>) -> Verdict {
        match self {
            Self::Spelling | Self::Same => Verdict::Clean,
            Self::Another { hold, .. } => Verdict::Overruled(differences, hold),
        }
    }

    fn holds(self, now: Timestamp) -> bool {
        self.until().is_none_or(|until| now < until)
    }

    /// Until when it is believed, if that ends.
    fn until(self) -> Option<Timestamp> {
        match self {
            Self::Spelling | Self::Same => None,
            Self::Another { until, .. } => Some(until),
        }
    }

    /// The same once it was answered again: believed for longer, the longer it is so.
    fn after(self, before: Self, now: Timestamp) -> Self {
        match (self, before) {
            (Self::Another { hold, .. }, Self::Another { since, .. }) => {
                let age = now.duration_since(since).unsigned_abs();
                let until = now + (age / PART).clamp(OVERRULED.0, OVERRULED.1);
                Self::Another { hold, since, until }
            }
            _ => self,
        }
    }
}

/// Objects of which the API server has said what it makes of them.
#[derive(Debug, Default)]
struct Known {
    /// By what was compared.
    by_object: BTreeMap<ObjectId, (String, Made)>,
    /// Of an earlier process, until they are met.
    earlier: BTreeSet<String>,
}

/// An object that is known as desired, and the id of its recorded form.
pub(super) struct Same {
    pub(super) found: AsDesired,
    pub(super) recorded: Oid,
}

impl Compared {
    /// Lets go of what was found in another era.
    pub(super) fn begin(&self, era: Era) {
        let mut notes = lock(&self.notes);
        if notes.era != Some(era) {
            *notes = Notes {
                era: Some(era),
                ..Notes::default()
            };
        }
    }

    /// What is known of a desired object whose live one has this resourceVersion.
    pub(super) fn same(&self, desired: &Desired, version: u64) -> Option<Same> {
        let notes = lock(&self.notes);
        let note = notes.by_object.get(&desired.id)?;
        (note.version == version && note.desired == desired.digest).then(|| Same {
            found: note.found.clone(),
            recorded: note.recorded,
        })
    }

    /// Remembers that an object is as desired, unless time alone may change how it is, or it
    /// is as the API server will have it, which is asked again.
    pub(super) fn note(
        &self,
        desired: &Desired,
        (era, version): (Era, u64),
        found: AsDesired,
        recorded: Oid,
    ) {
        let passes = desired.id.kind.is("", "Pod") && found.health.status != Status::Current;
        if passes || !found.overruled.is_empty() {
            return;
        }
        let note = Note {
            version,
            desired: desired.digest,
            found,
            recorded,
        };
        let mut notes = lock(&self.notes);
        if notes.era == Some(era) {
            notes.by_object.insert(desired.id.clone(), note);
        }
    }

    /// Keeps the recorded form of an object of which the view has none.
    pub(super) fn keep_form(&self, id: &ObjectId, form: String) {
        lock(&self.forms).insert(id.clone(), form);
    }

    /// The recorded form of an object that is declared in another version than its kind is
    /// watched in, as it was seen last.
    pub(super) fn form(&self, id: &ObjectId) -> Option<String> {
        lock(&self.forms).get(id).cloned()
    }

    /// Has every object compared again.
    pub fn forget(&self) {
        lock(&self.notes).by_object.clear();
    }

    /// Lets go of what no unit declares any more.
    pub(super) fn retain(&self, declared: impl Fn(&ObjectId) -> bool) {
        lock(&self.notes).by_object.retain(|id, _| declared(id));
        lock(&self.known).by_object.retain(|id, _| declared(id));
        lock(&self.forms).retain(|id, _| declared(id));
    }

    /// What the API server makes of this comparison, as far as that still holds.
    pub(super) fn known(&self, id: &ObjectId, compared: &str, now: Timestamp) -> Option<Made> {
        let mut known = lock(&self.known);
        if let Some((of, made)) = known.by_object.get(id)
            && of == compared
        {
            return Some(*made).filter(|made| made.holds(now));
        }
        known.earlier.remove(compared).then(|| {
            let made = (compared.to_owned(), Made::Spelling);
            known.by_object.insert(id.clone(), made);
            Made::Spelling
        })
    }

    /// Remembers what it makes of it.
    pub(super) fn know(&self, id: &ObjectId, compared: String, made: Made, now: Timestamp) {
        let mut known = lock(&self.known);
        let before = known.by_object.get(id).filter(|(of, _)| *of == compared);
        let made = before.map_or(made, |(_, before)| made.after(*before, now));
        known.by_object.insert(id.clone(), (compared, made));
    }

    /// When the API server is to be asked again of the first of these objects.
    pub(super) fn asks_again<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a ObjectId>,
    ) -> Option<Timestamp> {
        let known = lock(&self.known);
        let made = objects.into_iter().filter_map(|id| known.by_object.get(id));
        made.filter_map(|(_, made)| made.until()).min()
    }

    /// Takes in that a policy or webhook has changed. Gives when to ask again of what one may
    /// have given a value.
    pub(super) fn doubt_values(&self, now: Timestamp) -> Timestamp {
        let soon = now + SOON;
        for (_, made) in lock(&self.known).by_object.values_mut() {
            if let Made::Another { since, until, .. } = made {
                (*since, *until) = (now, soon.min(*until));
            }
        }
        soon
    }

    /// There is no difference any more of which it would have to be known.
    pub(super) fn unknow(&self, id: &ObjectId) {
        lock(&self.known).by_object.remove(id);
    }

    /// Takes in what an earlier process knew.
    pub(super) fn recall(&self, earlier: impl IntoIterator<Item = String>) {
        lock(&self.known).earlier.extend(earlier);
    }

    /// What is known of these objects for good, to be kept for the next process.
    pub(super) fn kept<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a ObjectId>,
    ) -> BTreeSet<String> {
        let known = lock(&self.known);
        if known.by_object.is_empty() {
            return BTreeSet::new();
        }
        objects
            .into_iter()
            .filter_map(|id| known.by_object.get(id))
            .filter(|(_, made)| *made == Made::Spelling)
            .map(|(compared, _)| compared.clone())
            .take(MOST_KEPT)
            .collect()
    }
}

/// What was compared, as 16 hexadecimal digits; keyed where it could tell of a secret.
pub(super) fn key_of(desired: &Desired, projected: &Digest, key: &DigestKey) -> String {
    let text = format!("{} {} {projected}", desired.id, desired.digest);
    if holds_secret(&desired.id) {
        return key.digest(&text).trim_start_matches("hmac:").to_owned();
    }
    Digest::of_bytes(text.as_bytes()).to_string()["sha256:".len()..][..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn another(now: Timestamp) -> Made {
        Made::Another {
            hold: Hold::Steady,
            since: now,
            until: now + OVERRULED.0,
        }
    }

    #[test]
    fn a_value_that_is_not_the_declared_one_is_asked_for_again_and_more_rarely() {
        let id = ObjectId::new(
            crate::model::GroupKind::known("", "ConfigMap"),
            Some("shop".parse().expect("a namespace")),
            "a".parse().expect("a name"),
        );
        let compared = Compared::default();
        let begin = Timestamp::from_second(1_000_000).expect("an instant");
        let mut now = begin;
        let mut pauses = Vec::new();
        while pauses.len() < 40 {
            compared.know(&id, "same".to_owned(), another(now), now);
            let again = compared.asks_again([&id]).expect("it ends");
            assert_eq!(compared.known(&id, "same", again), None);
            pauses.push(again.duration_since(now).as_secs());
            now = again;
        }
        assert_eq!(pauses[..5], [30, 30, 30, 30, 30]);
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&600), "{pauses:?}");

        compared.know(&id, "same".to_owned(), another(now), now);
        let soon = compared.doubt_values(now);
        assert_eq!(compared.asks_again([&id]), Some(soon));
        assert_eq!(soon, now + SOON);
        compared.know(&id, "same".to_owned(), another(soon), soon);
        assert_eq!(compared.asks_again([&id]), Some(soon + OVERRULED.0));
    }
}
