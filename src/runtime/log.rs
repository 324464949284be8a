//! The log's way out. Whoever reads it may be slow, be gone, or have a full disk: that
//! holds nothing up and ends nothing. Lines that can't be written are counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

use super::lock::lock;

/// How much may wait for a reader that is slow: some thousand lines.
const WAITING: usize = 1 << 20;

static LOG: Log = Log {
    state: Mutex::new(State {
        waiting: Vec::new(),
        writing: false,
    }),
    changed: Condvar::new(),
    lost: AtomicU64::new(0),
};

struct Log {
    state: Mutex<State>,
    changed: Condvar,
    lost: AtomicU64,
}

struct State {
    waiting: Vec<u8>,
    writing: bool,
}

/// A line on its way to standard error.
#[derive(Debug)]
pub struct Line;

/// Where the next line goes.
pub fn line() -> Line {
    Line
}

/// How many lines could not be written.
pub fn lost() -> u64 {
    LOG.lost.load(Ordering::Relaxed)
}

/// Starts the thread that writes.
///
/// # Errors
/// When no thread can be started.
pub fn start() -> io::Result<()> {
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(|| LOG.write_on())
        .map(drop)
}

/// Waits until everything is written, but no longer than that.
pub fn flush(patience: Duration) {
    let state = lock(&LOG.state);
    let waits = |state: &mut State| state.writing || !state.waiting.is_empty();
    drop(LOG.changed.wait_timeout_while(state, patience, waits));
}

impl Log {
    fn take(&self, line: &[u8]) {
        let mut state = lock(&self.state);
        if state.waiting.len() + line.len() > WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.waiting.extend_from_slice(line);
        self.changed.notify_all();
    }

    fn write_on(&self) {
        let mut told = 0;
        loop {
            let lines = self.next();
            let written = write_all(&lines);
            let lost = lines.get(written..).map_or(0, newlines);
            self.lost.fetch_add(lost, Ordering::Relaxed);
            lock(&self.state).writing = false;
            self.changed.notify_all();
            let all = self.lost.load(Ordering::Relaxed);
            if lost == 0 && all > told {
                warn!(
                    lines = all - told,
                    "the log could not be written for a while"
                );
                told = all;
            }
        }
    }

    fn next(&self) -> Vec<u8> {
        let state = lock(&self.state);
        let empty = |state: &mut State| state.waiting.is_empty();
        let state = self.changed.wait_while(state, empty);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        std::mem::take(&mut state.waiting)
    }
}

/// How much of it could be written.
fn write_all(lines: &[u8]) -> usize {
    let mut written = 0;
    while written < lines.len() {
        match io::stderr().write(&lines[written..]) {
            Ok(0) => return written,
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return written,
        }
    }
    written
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

impl Write for Line {
    /// Takes the whole of it, or loses the whole of it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LOG.take(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
