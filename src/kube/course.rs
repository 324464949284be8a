//! How far a watch has come, and when it is none any more.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::failures::Failures;
use crate::runtime::random;

/// How long one request to watch lasts: from this to 6 minutes more. Then the next goes
/// on from there.
const WATCH: Duration = Duration::from_mins(24);
/// How long the first one lasts that is not the beginning of a list. Two seconds before it
/// ends a server tells how far it is: so one that takes a watch and never speaks is noticed
/// sooner than by the bookmark that comes each minute.
const TRIAL: Duration = Duration::from_secs(30);
/// It ends about when it was asked to; one that ends this much before was broken off.
const EARLY: Duration = Duration::from_secs(10);
/// One that has not ended so long after that never will.
const LATE: Duration = Duration::from_secs(5);
/// A watch that says nothing for so long is no watch. The server sends a bookmark each
/// minute, within two seconds.
const SILENCE: Duration = Duration::from_secs(64);

/// How far a watch has come.
pub(super) struct Course {
    pub(super) failures: Failures,
    /// The newest resourceVersion that the server has told, as it told it.
    pub(super) at: String,
    /// How often in a row the server has forgotten where the watch was before it said
    /// anything.
    pub(super) forgotten: u32,
    /// When the list is to be had anew.
    pub(super) due: Instant,
    /// When the watch that is read was to end by itself.
    ends: Instant,
    /// Whether the server is known to say something when it is watched.
    pub(super) speaks: bool,
    /// Told when another watch finds that the server has gone back.
    pub(super) restored: Receiver<u64>,
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// With a list of all objects, by which the server speaks at once.
    List,
    /// At what was told before.
    There,
}

impl Course {
    /// At its start.
    pub(super) fn new(due: Instant, restored: Receiver<u64>) -> Self {
        Self {
            failures: Failures::default(),
            at: String::new(),
            forgotten: 0,
            due,
            ends: Instant::now(),
            speaks: false,
            restored,
        }
    }

    /// A watch begins; gives how long it is to last, which is not the same for all.
    pub(super) fn begin(&mut self, beginning: Beginning) -> Duration {
        let lasts = match beginning {
            Beginning::There if !self.speaks => TRIAL,
            Beginning::There | Beginning::List => WATCH + random::up_to(Duration::from_mins(6)),
        };
        self.ends = Instant::now() + lasts;
        lasts
    }

    /// Until when it is waited for something to be said.
    pub(super) fn until(&self) -> Instant {
        let silent = (Instant::now() + SILENCE).min(self.ends + LATE);
        self.due.min(silent)
    }

    /// Whether it is about time for the watch to end.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() + EARLY >= self.ends
    }
}

/// The resourceVersion of an object or a bookmark, as the server told it.
pub(super) fn version(object: &Value) -> &str {
    let version = object.pointer("/metadata/resourceVersion");
    version.and_then(Value::as_str).unwrap_or_default()
}

/// A resourceVersion for comparison; 0 for what is no number, of which nothing is known.
pub(super) fn number(version: &str) -> u64 {
    version.parse().unwrap_or(0)
}
