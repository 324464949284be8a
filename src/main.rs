//! The `agent` program: parse, run, exit code.

use std::process::ExitCode;

use agent::cli::{Cli, exit, report_error};
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _ending = agent::runtime::exec::Ending;
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
    if !cli.ends_in_order() {
        agent::runtime::shutdown::end_at_once_on_signal()?;
    }
    let code = runtime.block_on(cli.run());
    // What hangs on a thread of its own, such as a Git server that does not answer, is
    // nothing to wait for any more.
    runtime.shutdown_background();
    agent::runtime::log::flush(agent::runtime::shutdown::LAST_WORDS);
    code
}
