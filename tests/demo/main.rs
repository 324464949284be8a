//! The agent's main job, for real, with nothing installed: `cargo run --release
//! --example demo`.
//!
//! It starts a Kubernetes control plane on loopback, makes an environment repository
//! from `testdata/demo`, runs the agent on it and tells a story. Each step is checked;
//! the first one that fails ends the demo with a message and exit code 1.

#![expect(
    clippy::disallowed_methods,
    reason = "the demo runs programs that have bounds of their own"
)]

mod cluster;
mod repository;
mod say;
mod stage;
mod story;
mod watch;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests; neither needs all of it")]
mod support;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;

use stage::Stage;

/// Shows what the agent does, on a Kubernetes control plane that it starts on loopback
#[derive(Parser)]
#[command(name = "demo")]
struct Arguments {
    /// End after the story instead of staying up until Ctrl-C
    #[arg(long)]
    exit: bool,
    /// Use a cluster of your own, by its kubeconfig context; what the demo makes there
    /// is removed at the end
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

fn main() -> ExitCode {
    match demo(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn demo(arguments: &Arguments) -> Result<()> {
    let mut stage = Stage::set(arguments.context.as_deref())?;
    let told = story::tell(&mut stage).and_then(|()| {
        if !arguments.exit {
            story::look_around(&stage);
            stay_up(&mut stage)?;
        }
        Ok(())
    });
    let left = stage.leave();
    told.and(left)
}

/// Until Ctrl-C. Only from here on it is more than the end of the process: before,
/// that is enough to take everything along.
fn stay_up(stage: &mut Stage) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        loop {
            // Both hold nothing that cancelling could lose.
            tokio::select! {
                outcome = &mut interrupted => return Ok(outcome?),
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            if let Some(ended) = stage.daemon_ended() {
                bail!("{ended}");
            }
        }
    })
}
