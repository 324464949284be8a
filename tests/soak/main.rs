//! Whether the agent's memory stays what it is while something changes all the time:
//! `cargo run --release --example soak -- --for 1h`.
//!
//! It starts a Kubernetes control plane on loopback, and commits and edits with kubectl
//! in turn. The suite runs a short form of it.

#![expect(
    clippy::disallowed_methods,
    reason = "the soak runs programs that have bounds of their own"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests; neither needs all of it")]
mod support;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use support::build;
use support::control_plane::{ControlPlane, Options};
use support::soak::{Soak, soak};
use support::stage::Stage;

/// Changes something all the time, and fails if the agent's memory grows
#[derive(Debug, Parser)]
#[command(name = "soak")]
struct Arguments {
    /// How long
    #[arg(long = "for", default_value = "1h", value_name = "DURATION", value_parser = humantime::parse_duration)]
    length: Duration,
    /// From one change to the next
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    every: Duration,
    /// From one look at the memory to the next
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    look: Duration,
    /// By how much resident memory may have grown since the first tenth
    #[arg(long, default_value_t = 8, value_name = "MEBIBYTES")]
    allowance: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let binary = build::agent()?.display().to_string().leak();
    let plane = ControlPlane::start(&Options::default())?;
    let mut stage = Stage::on(&plane, "soak", binary);
    let how = Soak {
        length: arguments.length,
        pause: arguments.every,
        look: arguments.look,
    };
    let soaked = soak(&mut stage, how, |at, resident| {
        let seconds = at.as_secs();
        println!(
            "{:02}:{:02}  {:6.1} MiB",
            seconds / 60,
            seconds % 60,
            mebibytes(resident)
        );
    })?;
    let entries = stage.entries().len();
    println!("{} changes, {entries} entries", soaked.changes);
    soaked.check(arguments.allowance * 1024 * 1024)
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
