//! Whose turn it is to ask the API server: requests queue in order, as many are under
//! way as [`Pace`] allows, and none while the server wants to be left alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::pace::{Era, Heard, Pace, Pressure};
use crate::runtime::random;

/// After a pause, requests begin within this share of it, so that they don't come
/// all at once; at most this long.
const SPREAD: (u32, Duration) = (4, Duration::from_millis(500));

/// The turns of all requests to one API server.
pub(super) struct Turns {
    slots: Semaphore,
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
    slot: SemaphorePermit<'a>,
    era: Era,
    pressure: Pressure,
}

impl Default for Turns {
    fn default() -> Self {
        let pace = Pace::default();
        let slots = pace.limit();
        Self {
            slots: Semaphore::new(slots),
            state: Mutex::new(State { pace, slots }),
            start: Instant::now(),
        }
    }
}

impl Turns {
    /// Waits for a turn.
    pub(super) async fn take(&self) -> Turn<'_> {
        let (slot, pressure) = match self.slots.try_acquire() {
            Ok(slot) => (slot, Pressure::Free),
            Err(_) => (
                self.slots.acquire().await.expect("it is never closed"),
                Pressure::Pressed,
            ),
        };
        loop {
            let (rest, era) = {
                let state = self.lock();
                (state.pace.rest(self.start.elapsed()), state.pace.era())
            };
            if rest.is_zero() {
                return Turn {
                    turns: self,
                    slot,
                    era,
                    pressure,
                };
            }
            let spread = (rest / SPREAD.0).min(SPREAD.1);
            tokio::time::sleep(rest + random::up_to(spread)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
            slot.forget();
            state.slots -= 1;
        } else if state.slots < limit {
            turns.slots.add_permits(limit - state.slots);
            state.slots = limit;
        }
    }
}

#[cfg(test)]
mod tests;
