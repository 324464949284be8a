//! Turns among many tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Queue, Turns, URGENT};

const ANSWER: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Server {
    under_way: AtomicUsize,
    most: AtomicUsize,
    refused: AtomicUsize,
}

impl Server {
    /// Refuses what is more than `room` at once.
    async fn ask(&self, turns: &Turns, room: usize) {
        loop {
            let turn = turns.take(Queue::Last).await;
            let others = self.under_way.fetch_add(1, Ordering::Relaxed);
            self.most.fetch_max(others + 1, Ordering::Relaxed);
            sleep(ANSWER).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            if others < room {
                return turn.answered();
            }
            self.refused.fetch_add(1, Ordering::Relaxed);
            turn.busy(Some(PAUSE));
        }
    }
}

async fn ask_all(count: usize, room: usize) -> Arc<Server> {
    let (turns, server) = (Arc::new(Turns::default()), Arc::new(Server::default()));
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (turns, server) = (Arc::clone(&turns), Arc::clone(&server));
        tasks.spawn(async move { server.ask(&turns, room).await });
    }
    while tasks.join_next().await.is_some() {}
    assert!(turns.slots.available_permits() >= 1);
    assert_eq!(turns.slots.available_permits(), turns.lock().slots);
    server
}

#[tokio::test]
async fn a_server_with_room_is_used_ever_more() {
    let server = ask_all(10_000, usize::MAX).await;
    assert_eq!(server.refused.load(Ordering::Relaxed), 0);
    assert_eq!(server.most.load(Ordering::Relaxed), 32);
}

#[tokio::test]
async fn a_server_with_little_room_is_asked_by_few() {
    let server = ask_all(300, 1).await;
    let refused = server.refused.load(Ordering::Relaxed);
    assert!(refused < 40, "{refused}");
    assert_eq!(server.most.load(Ordering::Relaxed), 16);
}

#[tokio::test]
async fn a_turn_that_is_given_up_is_free_again() {
    let turns = Turns::default();
    for _ in 0..100 {
        drop(turns.take(Queue::Last).await);
    }
    assert_eq!(turns.slots.available_permits(), 16);
}

#[tokio::test]
async fn what_is_urgent_passes_a_long_queue() {
    let turns = Turns::default();
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(turns.take(Queue::Last).await);
    }
    let mut late = std::pin::pin!(turns.take(Queue::Last));
    assert!(futures::poll!(&mut late).is_pending());
    for _ in 0..URGENT {
        held.push(turns.take(Queue::First).await);
    }
    // No more than a few.
    let mut next = std::pin::pin!(turns.take(Queue::First));
    assert!(futures::poll!(&mut next).is_pending());
    held.clear();
    late.await.answered();
    next.await.answered();
    assert_eq!(turns.urgent.available_permits(), URGENT);
    assert_eq!(turns.slots.available_permits(), 16);
}
