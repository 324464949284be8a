//! `agent record`: work on the record itself.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::access::RepositoryArgs;
use super::exit;
use super::output::{print, progress};
use super::records::{PlaceArgs, RecordArgs};
use crate::model::{EnvironmentName, number_of};
use crate::record::notes_ref;
use crate::source::Checkout;

const EXAMPLES: &str = "Examples:
  agent record rebuild-notes
  agent record rebuild-notes --environment production --push
  git log --notes='agent/*' main           what they tell, beside the commits

The notes of an environment are on refs/notes/agent/ENVIRONMENT. To have them in a
clone: git fetch origin '+refs/notes/agent/*:refs/notes/agent/*'.

Exit codes: 0 done, 2 it could not be.";

#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// Make the notes on source commits anew from the record
    #[command(after_help = EXAMPLES)]
    RebuildNotes(RebuildArgs),
}

#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// The environment; may be given several times [default: all with a record]
    #[arg(
        long,
        env = "AGENT_ENVIRONMENT",
        value_name = "NAME",
        value_delimiter = ','
    )]
    environment: Vec<EnvironmentName>,
    /// Push them to origin, over what is there
    #[arg(long)]
    push: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    repository: RepositoryArgs,
}

pub async fn run(command: RecordCommand) -> anyhow::Result<u8> {
    let RecordCommand::RebuildNotes(args) = command;
    let shown = progress("making the notes");
    let text = tokio::task::spawn_blocking(move || rebuild(args)).await??;
    drop(shown);
    print(&text)?;
    Ok(exit::SAME)
}

fn rebuild(args: RebuildArgs) -> anyhow::Result<String> {
    let Some(checkout) = Checkout::find(Path::new("."))? else {
        bail!(
            "the current directory is in no checkout of a Git repository; go to a checkout of the environment repository"
        );
    };
    let origin = checkout
        .origin()
        .map(|address| args.repository.remote(address.expose()))
        .transpose()?;
    let records = RecordArgs {
        environment: args.environment,
        repo: None,
        place: args.place,
        repository: args.repository,
    };
    let records = records.of_checkout(&checkout)?;
    records.warn_if_stale();
    let mut text = String::new();
    for view in &records.views {
        let name = view.environment();
        let into = &checkout.repository;
        let Some((tip, same, count)) = view.rebuild_notes(into)? else {
            let _ = writeln!(text, "{name}: the record tells of no source commit");
            continue;
        };
        let commits = number_of(count, "commit");
        let how = if same { ", as they were" } else { "" };
        let reference = notes_ref(name);
        let _ = write!(text, "{name}: notes on {commits}{how}, {reference}");
        if args.push {
            let origin = origin.as_ref().context("the checkout has no `origin`")?;
            view.push_notes(into, origin, tip)?;
            text.push_str(", pushed");
        }
        text.push('\n');
    }
    Ok(text)
}
