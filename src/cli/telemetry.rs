//! The daemon's log.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Text for a person at a terminal, JSON for whatever collects logs. `RUST_LOG` sets
/// what is told.
pub fn start() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,kube_client=off,kube_runtime=off"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().flatten_event(true).init();
    }
}
