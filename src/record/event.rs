//! What kind of thing an entry tells of: its trailer `Event`, and the `Cause` that goes
//! with it. Pure.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::status::State;

/// What happened, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Desired moved, and live has followed.
    Sync,
    /// The same, where all that was done was to adopt.
    Adopt,
    /// The same, where all that was done was to prune.
    Prune,
    /// A unit left the environment, and its objects are gone.
    Left,
    /// A revision that changes nothing of the environment.
    Nothing,
    /// What the environment's newest revision keeps from being followed.
    Stuck,
    /// The newest revision is not signed by somebody who may, so it is not followed.
    Refused,
    /// The environment follows its repository again.
    Follows,
    /// Live moved, and it was not us.
    Drift,
    /// Drift was put back.
    Revert,
    /// Drift is left as it is.
    Drifted,
    /// Others have added fields, which are left as they are.
    Foreign,
    /// Another writer keeps taking back what is put back, or an admission gives declared
    /// fields values of its own.
    Contended,
    /// It has stopped doing so.
    Calm,
    /// Something has to be changed or approved before the unit can go on.
    Blocked,
    /// The unit can't be rendered, or is not healthy.
    Failed,
    /// The unit is healthy, after it was not.
    Healthy,
    /// The unit waits for something.
    Waits,
    /// The unit is left alone, as the repository says.
    Suspended,
    /// It no longer is.
    Resumed,
    /// What was changed in the cluster is left as it is while people decide about it.
    Kept,
    /// It no longer is.
    Released,
    /// The record was not as live is, and no event is known that made it so.
    Recorded,
}

/// Each with the word in the trailer and the cause.
const ALL: [(Event, &str, &str); 23] = [
    (Event::Sync, "sync", "revision"),
    (Event::Adopt, "adopt", "revision"),
    (Event::Prune, "prune", "revision"),
    (Event::Left, "left", "revision"),
    (Event::Nothing, "nothing", "revision"),
    (Event::Stuck, "stuck", "failed"),
    (Event::Refused, "refused", "blocked"),
    (Event::Follows, "follows", "revision"),
    (Event::Drift, "drift", "drift"),
    (Event::Revert, "revert", "drift"),
    (Event::Drifted, "drifted", "drift"),
    (Event::Foreign, "foreign", "foreign"),
    (Event::Contended, "contended", "contended"),
    (Event::Calm, "calm", "contended"),
    (Event::Blocked, "blocked", "blocked"),
    (Event::Failed, "failed", "failed"),
    (Event::Healthy, "healthy", "health"),
    (Event::Waits, "waits", "health"),
    (Event::Suspended, "suspended", "revision"),
    (Event::Resumed, "resumed", "revision"),
    (Event::Kept, "kept", "proposal"),
    (Event::Released, "released", "proposal"),
    (Event::Recorded, "recorded", "found"),
];

impl Event {
    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|(event, ..)| *event)
    }

    /// What an entry tells of, by its word and by how the unit stands with it. Older agents had
    /// two words that meant the suspension of a unit and the keeping of its drift.
    pub fn read(word: &str, state: Option<State>) -> Option<Self> {
        match (word, state) {
            ("hold", Some(State::Suspended)) => Some(Self::Suspended),
            ("hold", _) => Some(Self::Kept),
            ("resume", Some(State::Progressing)) => Some(Self::Resumed),
            ("resume", _) => Some(Self::Released),
            (word, _) => word.parse().ok(),
        }
    }

    /// Why it happened, for the trailer `Cause`.
    pub fn cause(self) -> &'static str {
        self.words().1
    }

    /// Whether it makes live as a revision declares.
    pub fn deploys(self) -> bool {
        matches!(self, Self::Sync | Self::Adopt | Self::Prune)
    }

    /// Whether it may tell that a unit has come to where it was on its way to.
    pub fn arrives(self) -> bool {
        self.deploys() || matches!(self, Self::Healthy | Self::Failed | Self::Drifted)
    }

    fn words(self) -> (&'static str, &'static str) {
        let found = ALL.iter().find(|(event, ..)| *event == self);
        let (_, word, cause) = found.expect("the table has every event");
        (word, cause)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().0)
    }
}

/// A word that is no event's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no event that this agent knows")]
pub struct EventError(pub String);

impl FromStr for Event {
    type Err = EventError;
    fn from_str(text: &str) -> Result<Self, EventError> {
        let found = ALL.iter().find(|(_, word, _)| *word == text);
        found
            .map(|(event, ..)| *event)
            .ok_or_else(|| EventError(text.to_owned()))
    }
}
