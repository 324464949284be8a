//! Whose turn it is to ask the API server: requests queue in order, as many are under
//! way as [`Pace`] allows, and none while the server wants to be left alone.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::pace::{Era, Heard, Pace, Pressure};
use crate::runtime::lock::lock;
use crate::runtime::random;

/// After a pause, requests begin within this share of it, so that they don't come
/// all at once; at most this long.
const SPREAD: (u32, Duration) = (4, Duration::from_millis(500));

/// How many urgent requests may be under way besides the others.
const URGENT: usize = 4;

/// Whether a request waits for those that came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    /// It does.
    Last,
    /// It need not, as long as few are like that: what is put back does not wait for
    /// thousands of objects that are new.
    First,
    /// It waits for nothing, not even while the server wants to be left alone, and is sent
    /// once: who renews a Lease a minute late has lost it.
    Unheld,
}

/// The turns of all requests to one API server.
pub(super) struct Turns {
    slots: Semaphore,
    urgent: Semaphore,
    state: Mutex<State>,
    start: Instant,
}

struct State {
    pace: Pace,
    /// How many permits there are, held or not.
    slots: usize,
}

/// One request's turn. Dropped without a word, it is given back.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    /// None for an urgent one, which gives back its own.
    slot: Option<SemaphorePermit<'a>>,
    _urgent: Option<SemaphorePermit<'a>>,
    era: Era,
    pressure: Pressure,
}

impl Default for Turns {
    fn default() -> Self {
        let pace = Pace::default();
        let slots = pace.limit();
        Self {
            slots: Semaphore::new(slots),
            urgent: Semaphore::new(URGENT),
            state: Mutex::new(State { pace, slots }),
            start: Instant::now(),
        }
    }
}

impl Turns {
    /// Waits for a turn.
    pub(super) async fn take(&self, queue: Queue) -> Turn<'_> {
        let mut urgent = None;
        let mut pressure = Pressure::Free;
        let mut slot = self.slots.try_acquire().ok();
        if slot.is_none() && queue == Queue::First {
            urgent = self.urgent.try_acquire().ok();
        }
        if slot.is_none() && urgent.is_none() {
            pressure = Pressure::Pressed;
            slot = Some(self.slots.acquire().await.expect("it is never closed"));
        }
        loop {
            let (rest, era) = {
                let state = self.lock();
                (state.pace.rest(self.start.elapsed()), state.pace.era())
            };
            if rest.is_zero() {
                return Turn {
                    turns: self,
                    slot,
                    _urgent: urgent,
                    era,
                    pressure,
                };
            }
            let spread = (rest / SPREAD.0).min(SPREAD.1);
            tokio::time::sleep(rest + random::up_to(spread)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Turn<'_> {
    /// There was an answer, good or bad.
    pub(super) fn answered(self) {
        let heard = Heard::Answered(self.pressure);
        self.end(heard);
    }

    /// The server takes no requests for so long.
    pub(super) fn busy(self, after: Option<Duration>) {
        self.end(Heard::Busy(after));
    }

    /// There was no answer.
    pub(super) fn lost(self) {
        self.end(Heard::Lost);
    }

    fn end(self, heard: Heard) {
        let Self {
            turns, slot, era, ..
        } = self;
        let mut state = turns.lock();
        state.pace.after(era, heard, turns.start.elapsed());
        let limit = state.pace.limit();
        if state.slots > limit {
            if let Some(slot) = slot {
                slot.forget();
                state.slots -= 1;
            }
        } else if state.slots < limit {
            turns.slots.add_permits(limit - state.slots);
            state.slots = limit;
        }
    }
}

#[cfg(test)]
mod tests;
