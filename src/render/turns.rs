//! Whose turn it is to render a unit: what takes long makes room for those that wait.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// For so long a turn is kept from others.
const KEPT: Duration = Duration::from_secs(4);

/// As many turns as there is room for.
#[derive(Debug)]
pub struct Turns {
    places: Semaphore,
    /// For so long one is kept from others.
    kept: Duration,
    /// How many wait for one.
    waiting: watch::Sender<usize>,
}

/// Somebody who waits, until dropped.
struct Waits<'a>(&'a watch::Sender<usize>);

impl<'a> Waits<'a> {
    fn among(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Turns {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Semaphore::new(places),
            kept: KEPT,
            waiting: watch::Sender::default(),
        }
    }

    /// A turn, in the order of asking.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.places.try_acquire() {
            return Some(turn);
        }
        let _waits = Waits::among(&self.waiting);
        // It is never closed, so a permit is always had.
        self.places.acquire().await.ok()
    }

    /// Waits until a turn that begins now has lasted for a while, and somebody waits for one.
    pub(super) async fn wanted(&self) {
        tokio::time::sleep(self.kept).await;
        let mut waiting = self.waiting.subscribe();
        // It only fails where the sender is gone, which is ours.
        let _ = waiting.wait_for(|count| *count > 0).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_turn_is_wanted_only_where_it_takes_long_and_somebody_waits() {
        let kept = Duration::from_millis(100);
        let turns = Turns {
            kept,
            ..Turns::new(1)
        };
        let first = turns.turn().await;
        let alone = tokio::time::timeout(kept * 3, turns.wanted()).await;
        assert!(alone.is_err(), "nobody waits");
        let begun = Instant::now();
        let wanted = async {
            turns.wanted().await;
            drop(first);
            begun.elapsed()
        };
        let (second, held) = tokio::join!(turns.turn(), wanted);
        assert!(second.is_some());
        assert!(held >= kept, "{held:?}");
        let nobody = tokio::time::timeout(kept * 3, turns.wanted()).await;
        assert!(nobody.is_err(), "who has a turn waits no more");
    }
}
