//! The end of the process: the first signal asks, the second does not.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// A token that is cancelled at the first SIGTERM or SIGINT. The second one ends the
/// process at once: everything that matters can be interrupted at any moment anyway.
///
/// # Errors
/// When the process may not catch signals.
pub fn on_signal(
    tasks: &mut tokio::task::JoinSet<anyhow::Result<()>>,
) -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let asked = token.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tasks.spawn(async move {
        // Both receivers are cancel-safe: a signal that is not received stays pending.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("asked to stop; the steps under way are finished");
        asked.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(token)
}
