//! The end of the process: the first signal asks, the second does not.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{exec, log};

/// How long the process may take to end. Within the grace that `deploy/` gives a Pod, so
/// that what is not done is told before the Pod is killed.
const LONGEST: Duration = Duration::from_secs(25);

/// How long the log may take at the very end.
pub const LAST_WORDS: Duration = Duration::from_millis(300);

static ASKED: OnceLock<std::time::Instant> = OnceLock::new();

/// Since when a signal has asked for the end of the process. For what blocks a thread and
/// belongs to nobody who could be told: the process has one end.
pub fn asked_since() -> Option<std::time::Instant> {
    ASKED.get().copied()
}

/// The wish that the process ends, and since when there is one. All clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: CancellationToken,
    since: Arc<OnceLock<Instant>>,
}

impl Stop {
    /// Asks for the end.
    pub fn ask(&self) {
        self.since.get_or_init(Instant::now);
        self.asked.cancel();
    }

    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Waits until it is asked for.
    pub async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Waits until it was asked for so long ago.
    pub async fn asked_for(&self, patience: Duration) {
        self.asked.cancelled().await;
        let since = *self.since.get_or_init(Instant::now);
        tokio::time::sleep_until(since + patience).await;
    }

    /// A token for what ends at once when it is asked for.
    pub fn token(&self) -> CancellationToken {
        self.asked.child_token()
    }
}

/// Lets signals ask for the end: SIGTERM, SIGINT, and SIGHUP unless the process was
/// started to outlive its terminal (`nohup`). An agent whose terminal is gone would go on
/// deploying unseen; and ended by the signal itself it would keep its Leases. The second
/// signal ends the process at once: everything that matters can be interrupted at any
/// moment anyway. An end that takes too long is told, and comes all the same.
///
/// # Errors
/// When the process may not catch signals.
pub fn on_signal(tasks: &mut JoinSet<anyhow::Result<()>>) -> std::io::Result<Stop> {
    let stop = Stop::default();
    let asking = stop.clone();
    let mut signals = Signals::caught()?;
    tasks.spawn(async move {
        signals.next().await;
        info!("asked to stop; the steps under way are finished");
        ASKED.get_or_init(std::time::Instant::now);
        asking.ask();
        std::thread::Builder::new()
            .name("end".to_owned())
            .spawn(end_in_time)?;
        signals.next().await;
        exit(130);
    });
    Ok(stop)
}

/// Lets signals end the process at once, with the programs that it has started, which run in
/// groups of their own: a signal that a terminal sends does not reach them. On a thread of
/// its own, as a command may block the others.
///
/// # Errors
/// When the process may not catch signals, or can't have the thread.
pub fn end_at_once_on_signal() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let entered = runtime.enter();
    let mut signals = Signals::caught()?;
    drop(entered);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || exit(128 + runtime.block_on(signals.next()).as_raw_value()))?;
    Ok(())
}

/// Ends the process, whatever holds it up: a thread of its own, since whatever that is may
/// hold up the others.
fn end_in_time() {
    std::thread::sleep(LONGEST);
    let longest = humantime::format_duration(LONGEST);
    error!(
        "the end took longer than {longest} and is cut short; what is not recorded or let go is found by the next agent"
    );
    exit(2);
}

fn exit(code: i32) -> ! {
    exec::end_all();
    log::flush(LAST_WORDS);
    std::process::exit(code);
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    fn caught() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: (!ignores_hangup())
                .then(|| signal(SignalKind::hangup()))
                .transpose()?,
        })
    }

    /// The next one. Cancel-safe: a signal that is not received stays pending.
    async fn next(&mut self) -> SignalKind {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            () = hangup => SignalKind::hangup(),
        }
    }
}

/// Whether whoever started the process had it ignore SIGHUP. To catch the signal would
/// undo that.
fn ignores_hangup() -> bool {
    ignores_first(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

fn ignores_first(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The first bit is the first signal, which is SIGHUP.
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_told_to_outlive_its_terminal_does() {
        let status =
            |mask: &str| format!("SigBlk:\t0000000000000000\nSigIgn:\t{mask}\nSigCgt:\t1\n");
        // As under nohup, and as Rust's own start leaves it (SIGPIPE).
        assert!(ignores_first(&status("0000000000001001")));
        assert!(!ignores_first(&status("0000000000001000")));
        assert!(!ignores_first(""));
    }
}
