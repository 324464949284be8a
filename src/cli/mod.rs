//! The command line: one file for each subcommand.

mod access;
mod adopt;
mod completions;
mod data_dir;
mod diff;
mod elsewhere;
mod health;
mod history;
mod labelled;
mod lineage;
mod output;
mod pull_request;
mod reached;
mod record;
mod records;
mod render;
mod report;
mod run;
mod schema;
mod serve;
mod serving;
mod since;
mod status;
mod style;
mod telemetry;
mod telling;
mod tree;
mod unheard;
mod validate;
mod verify;
mod webhook;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use output::report_error;

/// A GitOps agent: follows an environment Git repository, corrects what is live in
/// Kubernetes, and records every change back into Git.
#[derive(Debug, Parser)]
#[command(
    name = "agent",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Follow the repository, and keep what is live as it declares
    Run(Box<run::RunArgs>),
    /// Show what the agent would do: a dry run of the working tree against the cluster
    Diff(Box<diff::DiffArgs>),
    /// Show how each unit stands, from the record
    Status(status::StatusArgs),
    /// Show what happened, when, by whom and from which commit, from the record
    History(history::HistoryArgs),
    /// Tell which line of which file sets a field of an object, and who changed it live
    Why(why::WhyArgs),
    /// Tell how often each environment is deployed to, how fast, and how often that fails
    Report(report::ReportArgs),
    /// Work on the record itself
    #[command(subcommand)]
    Record(record::RecordCommand),
    /// Write what exists or was changed only in the cluster into the files of the working tree
    Adopt(adopt::AdoptArgs),
    /// Print the objects that the repository declares
    Render(render::RenderArgs),
    /// Tell the health of the objects in a file, by the agent's rules
    Health(health::HealthArgs),
    /// Check the whole repository without a cluster
    Validate(validate::ValidateArgs),
    /// Print the JSON Schema of agent.yaml or unit.yaml
    Schema(schema::SchemaArgs),
    /// Print a script that completes commands in a shell
    Completions(completions::CompletionsArgs),
}

/// Exit codes of commands that compare, as those of `kubectl diff`.
pub mod exit {
    /// Nothing differs.
    pub const SAME: u8 = 0;
    /// Something differs, or is not as it should be.
    pub const DIFFERENT: u8 = 1;
    /// It could not be told.
    pub const ERROR: u8 = 2;
}

impl Cli {
    /// Whether the command itself looks after the signals that ask for its end.
    pub fn ends_in_order(&self) -> bool {
        matches!(self.command, Command::Run(_))
    }

    /// Runs the command.
    ///
    /// # Errors
    /// Whatever kept it from being carried out; the caller prints it.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let code = match self.command {
            Command::Run(args) => Box::pin(run::run(*args)).await?,
            Command::Diff(args) => diff::run(*args).await?,
            Command::Status(args) => status::run(args).await?,
            Command::History(args) => history::run(args).await?,
            Command::Why(args) => why::run(args).await?,
            Command::Report(args) => report::run(args).await?,
            Command::Record(command) => record::run(command).await?,
            Command::Adopt(args) => adopt::run(args).await?,
            Command::Render(args) => render::run(args).await?,
            Command::Health(args) => health::run(&args)?,
            Command::Validate(args) => validate::run(args).await?,
            Command::Schema(args) => schema::run(&args)?,
            Command::Completions(args) => completions::run(&args)?,
        };
        Ok(ExitCode::from(code))
    }
}
