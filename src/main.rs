//! The `agent` program: parse, run, exit code.

use std::process::ExitCode;

use agent::cli::{Cli, exit, report_error};
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(error) => {
            report_error(&error);
            ExitCode::from(exit::ERROR)
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    // Before any other thread exists, as both want it.
    agent::runtime::memory::keep_little();
    agent::source::init()?;
    // An error says that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(cli.run())
}
