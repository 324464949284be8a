//! A line that says what takes so long, on the real standard error: the test
//! runner captures only what the print macros write.

use std::io::{Write, stderr};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Something that takes long. Says so every few seconds until dropped.
pub struct Progress {
    shared: Arc<Shared>,
    ticker: Option<JoinHandle<()>>,
}

struct Shared {
    title: String,
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    note: String,
    over: bool,
}

const EVERY: Duration = Duration::from_secs(5);

impl Progress {
    pub fn start(title: &str) -> Self {
        let shared = Arc::new(Shared {
            title: title.to_owned(),
            started: Instant::now(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let ticking = Arc::clone(&shared);
        Self {
            ticker: Some(thread::spawn(move || ticking.tick())),
            shared,
        }
    }

    /// How far it is.
    pub fn note(&self, note: &str) {
        note.clone_into(&mut self.shared.lock().note);
    }

    /// Says that it is done, if anything was said before.
    pub fn finish(self) {
        self.note("done");
        if self.shared.started.elapsed() > FIRST {
            self.shared.say();
        }
    }
}

/// Short waits go unmentioned.
const FIRST: Duration = Duration::from_secs(1);

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_all();
        if let Some(ticker) = self.ticker.take() {
            ticker.join().expect("the ticker doesn't panic");
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with this lock")
    }

    fn tick(&self) {
        let mut patience = FIRST;
        loop {
            let (state, _) = self
                .changed
                .wait_timeout_while(self.lock(), patience, |state| !state.over)
                .expect("nobody panics with this lock");
            if state.over {
                return;
            }
            drop(state);
            self.say();
            patience = EVERY;
        }
    }

    fn say(&self) {
        let seconds = self.started.elapsed().as_secs();
        let elapsed = match seconds {
            0..60 => format!("{seconds}s"),
            _ => format!("{}m{:02}s", seconds / 60, seconds % 60),
        };
        let note = self.lock().note.clone();
        let between = if note.is_empty() { "" } else { ", " };
        // Whole lines, even on a terminal: the tests' own output comes in between.
        let line = format!("{} … {elapsed}{between}{note}\n", self.title);
        // Nobody may be listening.
        let _ = stderr().write_all(line.as_bytes());
    }
}
