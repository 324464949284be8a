//! Waiting for the network in a thread that isn't async.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;

use crate::runtime::lock::lock;

/// Threads of its own for all that blocking threads wait for: they only move bytes. The
/// main runtime would do for some of them, but its end would wait for itself.
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// A second thread goes on where a peer keeps the first one busy.
const THREADS: usize = 2;

/// How often a thread that waits looks whether it is to end.
const STEP: Duration = Duration::from_millis(100);

/// Why something is not waited for any longer.
#[derive(Debug, thiserror::Error)]
pub enum Waited {
    /// It took too long.
    #[error("it took longer than {} s", .0.as_secs())]
    Late(Duration),
    /// The process ends.
    #[error("the agent was asked to end meanwhile")]
    Stopped,
    /// It could not be begun, or broke.
    #[error("it could not be waited for: {0}")]
    Broken(#[from] io::Error),
}

/// Runs a future elsewhere and waits for what it gives, at most so long and not once the end
/// has come; it is dropped then. May be called from any thread. Time and end are looked at here:
/// a peer that keeps the future's thread busy can't keep this one.
pub fn wait<T: Send + 'static>(
    patience: Duration,
    is_over: impl Fn() -> bool,
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T, Waited> {
    let begun = Instant::now();
    let (give, taken) = mpsc::sync_channel(1);
    let task = handle()?.spawn(async move {
        // Nobody waits any more: then it isn't wanted.
        let _ = give.send(future.await);
    });
    let _task = AbortOnDropHandle::new(task);
    loop {
        if is_over() {
            return Err(Waited::Stopped);
        }
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(Waited::Late(patience));
        }
        match taken.recv_timeout(left.min(STEP)) {
            Ok(given) => return Ok(given),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let broken = io::Error::other("its task ended without an answer");
                return Err(Waited::Broken(broken));
            }
        }
    }
}

/// Does something that needs a runtime to begin, in the one that [`wait`] uses.
///
/// # Errors
/// When no thread can be started.
pub fn within<T>(act: impl FnOnce() -> T) -> io::Result<T> {
    let handle = handle()?;
    let _entered = handle.enter();
    Ok(act())
}

fn handle() -> io::Result<Handle> {
    let mut runtime = lock(&RUNTIME);
    if let Some(running) = runtime.as_ref() {
        return Ok(running.handle().clone());
    }
    let built = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("net")
        .enable_all()
        .build()?;
    let handle = built.handle().clone();
    *runtime = Some(built);
    Ok(handle)
}
