//! `agent status`: what the record says of each unit. It needs neither the cluster nor
//! a connection to the daemon.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::access::RepositoryArgs;
use super::exit;
use super::output::{
    BOLD, Cell, DIM, Format, GREEN, PLAIN, RED, YELLOW, ago, columns, print, progress, warn,
};
use crate::model::{EnvironmentName, Revision, UnitName};
use crate::record::status::{State, StatusFile, UnitStatus};
use crate::record::{self, RecordView, branch_name};
use crate::runtime::clock;
use crate::source::{Checkout, Remote};

const EXAMPLES: &str = "Examples:
  agent status                             in a checkout of the repository
  agent status --environment production
  agent status --repo https://git.example.com/team/deploy -o json

The agent keeps its record on the branch live/ENVIRONMENT of the repository. In
a checkout, that is fetched from origin first; where origin can't be reached,
what was fetched last is shown, with a warning.

Exit codes: 0 every unit is Synced (or Suspended, on purpose), 1 one is not, 2
it could not be told.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StatusArgs {
    /// The environment to show; may be given several times [default: all with a record]
    #[arg(
        long,
        env = "AGENT_ENVIRONMENT",
        value_name = "NAME",
        value_delimiter = ','
    )]
    environment: Vec<EnvironmentName>,
    /// The environment repository [default: the checkout that the current directory is in]
    #[arg(long, env = "AGENT_REPO", hide_env_values = true, value_name = "URL")]
    repo: Option<String>,
    /// How to print it; json: status.yaml of each environment, with its last entry
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// An environment's record.
#[derive(Debug, Serialize)]
struct Recorded {
    #[serde(flatten)]
    status: StatusFile,
    record: Entry,
}

/// The record's last entry.
#[derive(Debug, Serialize)]
struct Entry {
    commit: Revision,
    time: Timestamp,
    /// Why there may be newer ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<String>,
}

pub async fn run(args: StatusArgs) -> anyhow::Result<u8> {
    let shown = progress("reading the record");
    let format = args.output;
    let recorded = tokio::task::spawn_blocking(move || read(&args)).await??;
    drop(shown);
    match format {
        Format::Json => print(&format!("{:#}\n", serde_json::to_value(&recorded)?))?,
        Format::Text => show(&recorded)?,
    }
    Ok(
        if recorded.iter().all(|recorded| settled(&recorded.status)) {
            exit::SAME
        } else {
            exit::DIFFERENT
        },
    )
}

fn settled(status: &StatusFile) -> bool {
    let fine = |state: State| matches!(state, State::Synced | State::Suspended);
    status.error.is_none() && status.units.values().all(|unit| fine(unit.state))
}

fn read(args: &StatusArgs) -> anyhow::Result<Vec<Recorded>> {
    if let Some(address) = &args.repo {
        return of_remote(&args.repository.remote(address)?, &args.environment);
    }
    let Some(checkout) = Checkout::discover(Path::new(".")) else {
        bail!(
            "the current directory is in no checkout of a Git repository; \
             go to a checkout of the environment repository, or name the repository with --repo"
        );
    };
    of_checkout(&checkout, &args.repository, &args.environment)
}

fn of_checkout(
    checkout: &Checkout,
    access: &RepositoryArgs,
    wanted: &[EnvironmentName],
) -> anyhow::Result<Vec<Recorded>> {
    let stale = freshen(checkout, access)
        .err()
        .map(|error| format!("origin could not be asked: {error:#}"));
    let known = record::environments_in_repository(&checkout.repository)?;
    let names = chosen(
        wanted,
        known,
        &checkout.root.display().to_string(),
        stale.as_deref(),
    )?;
    let read = |name| {
        let view =
            RecordView::in_repository(&checkout.repository, &name)?.with_context(|| gone(&name))?;
        recorded(&name, &view, stale.clone())
    };
    names.into_iter().map(read).collect()
}

/// Asks the checkout's origin, if it has one, for what is new.
fn freshen(checkout: &Checkout, access: &RepositoryArgs) -> anyhow::Result<()> {
    if let Some(address) = checkout.origin() {
        record::fetch(&checkout.repository, &access.remote(address.expose())?)?;
    }
    Ok(())
}

fn of_remote(remote: &Remote, wanted: &[EnvironmentName]) -> anyhow::Result<Vec<Recorded>> {
    let known = record::environments_of_remote(remote)?;
    let names = chosen(wanted, known, &remote.url.to_string(), None)?;
    let scratch =
        tempfile::tempdir().context("a temporary directory is needed to fetch the record into")?;
    let read = |name: EnvironmentName| {
        let copy = scratch.path().join(name.as_str());
        let view = RecordView::of_remote(remote, &name, &copy)?.with_context(|| gone(&name))?;
        recorded(&name, &view, None)
    };
    names.into_iter().map(read).collect()
}

/// The environments to show. None at all is not an answer: the agent never ran, or
/// this is not the repository that it writes to.
fn chosen(
    wanted: &[EnvironmentName],
    known: BTreeSet<EnvironmentName>,
    place: &str,
    stale: Option<&str>,
) -> anyhow::Result<BTreeSet<EnvironmentName>> {
    let stale = stale.map(|why| format!(" ({why})")).unwrap_or_default();
    if known.is_empty() {
        bail!(
            "{place} holds no record of any environment{stale}; \
             `agent run --repo URL --environment NAME` writes one, to its branch live/NAME"
        );
    }
    match wanted.iter().find(|name| !known.contains(name)) {
        None if wanted.is_empty() => Ok(known),
        None => Ok(wanted.iter().cloned().collect()),
        Some(missing) => {
            let known: Vec<&str> = known.iter().map(EnvironmentName::as_str).collect();
            bail!(
                "{place} holds no record of the environment {missing}{stale}; there are records of: {}",
                known.join(", ")
            )
        }
    }
}

fn gone(name: &EnvironmentName) -> String {
    format!("the branch {} is gone", branch_name(name))
}

fn recorded(
    name: &EnvironmentName,
    view: &RecordView,
    stale: Option<String>,
) -> anyhow::Result<Recorded> {
    let branch = branch_name(name);
    let status = view.status()?.with_context(|| {
        format!("the branch {branch} has no status.yaml; an agent did not write it")
    })?;
    Ok(Recorded {
        status,
        record: Entry {
            commit: view.tip(),
            time: view.time()?,
            stale,
        },
    })
}

fn show(recorded: &[Recorded]) -> anyhow::Result<()> {
    // All were asked for at once, so it is the same for all.
    if let Some(stale) = recorded
        .first()
        .and_then(|recorded| recorded.record.stale.as_ref())
    {
        warn(&format!(
            "this may be old (`git fetch` renews it too): {stale}"
        ));
    }
    let now = clock::now();
    let parts: Vec<String> = recorded
        .iter()
        .map(|recorded| environment(recorded, now))
        .collect();
    print(&parts.join("\n"))
}

fn environment(recorded: &Recorded, now: Timestamp) -> String {
    let status = &recorded.status;
    let at = status
        .revision
        .as_ref()
        .map(|revision| format!(" at {}", revision.short()))
        .unwrap_or_default();
    let (name, last) = (&status.environment, ago(recorded.record.time, now));
    let mut text = format!("{BOLD}{name}{BOLD:#}{at}{DIM}, last entry {last}{DIM:#}\n");
    if let Some(error) = &status.error {
        let _ = writeln!(text, "{RED}error:{RED:#} {error}");
    }
    if status.units.is_empty() {
        text.push_str("no units\n");
        return text;
    }
    let rows: Vec<[Cell; 6]> = status
        .units
        .iter()
        .map(|(name, unit)| row(name, unit, now))
        .collect();
    text.push_str(&columns(
        ["UNIT", "STATE", "HEALTH", "REVISION", "SINCE", "MESSAGE"],
        &rows,
    ));
    text
}

fn row(name: &UnitName, unit: &UnitStatus, now: Timestamp) -> [Cell; 6] {
    let state = match unit.state {
        State::Synced => GREEN,
        State::Progressing | State::Waiting | State::Drifted => YELLOW,
        State::Blocked | State::Failed => RED,
        State::Suspended => DIM,
    };
    let health = match unit.health.as_str() {
        "Current" => GREEN,
        "Failed" => RED,
        "InProgress" | "Terminating" => YELLOW,
        _ => PLAIN,
    };
    let revision = unit.revision.as_ref().map_or("-", Revision::short);
    [
        (PLAIN, name.to_string()),
        (state, unit.state.to_string()),
        (health, unit.health.clone()),
        (PLAIN, revision.to_owned()),
        (PLAIN, ago(unit.since, now)),
        (PLAIN, unit.message.clone()),
    ]
}
