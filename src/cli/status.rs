//! `agent status`: what the record says of each unit. It needs neither the cluster nor
//! a connection to the daemon. With `-v` the cluster is asked for what is left alone.

use std::fmt::Write as _;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::access::ClusterArgs;
use super::exit;
use super::labelled::left_alone;
use super::lineage;
use super::output::{
    BOLD, Cell, DIM, Format, GREEN, PLAIN, RED, YELLOW, ago, columns, print, print_json, progress,
    warn,
};
use super::records::RecordArgs;
use crate::kube;
use crate::model::{Revision, UnitName};
use crate::record::RecordView;
use crate::record::status::{RefusedRevision, State, StatusFile, UnitStatus};
use crate::runtime::clock;

const EXAMPLES: &str = "Examples:
  agent status                             in a checkout of the repository
  agent status --environment production
  agent status --repo https://git.example.com/team/deploy -o json
  agent status -v                          with objects that only carry a label

The agent keeps its record on the branch live/ENVIRONMENT of the repository. In
a checkout, that is fetched from origin first; where origin can't be reached,
what was fetched last is shown, with a warning.

Exit codes: 0 every unit is Synced (or Suspended, on purpose), 1 one is not, 2
it could not be told.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StatusArgs {
    /// How to print it; json: status.yaml of each environment, with its last entry
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Ask the cluster too for what carries the label of a unit and is left alone
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    records: RecordArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// An environment's record.
#[derive(Debug, Serialize)]
struct Recorded {
    #[serde(flatten)]
    status: StatusFile,
    record: Entry,
    /// What the cluster has that looks like a unit's and is not; `None` where not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_alone: Option<Vec<String>>,
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
    let cluster = if args.verbose {
        Some(kube::connect(&args.cluster.access()).await?)
    } else {
        None
    };
    let (mut recorded, args) = tokio::task::spawn_blocking(move || {
        let recorded = read(&args)?;
        anyhow::Ok((recorded, args))
    })
    .await??;
    if let Some(cluster) = cluster {
        for one in &mut recorded {
            let (environment, ties) = (&one.status.environment, &one.status.ties);
            let namespace = args.cluster.namespace_of(ties);
            let other = lineage::recorded_elsewhere(&cluster, environment, ties, &namespace);
            if let Some(why) = other.await? {
                warn(&why);
            }
            one.left_alone = Some(left_alone(&cluster, &namespace, environment).await?);
        }
    }
    drop(shown);
    match format {
        Format::Json => print_json(&recorded)?,
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
    let records = args.records.open()?;
    let views = records.views.iter();
    views
        .map(|view| recorded(view, records.stale.clone()))
        .collect()
}

fn recorded(view: &RecordView, stale: Option<String>) -> anyhow::Result<Recorded> {
    let branch = view.branch();
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
        left_alone: None,
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
    if let Some(warning) = &status.warning {
        let _ = writeln!(text, "{YELLOW}warning:{YELLOW:#} {warning}");
    }
    if let Some(refused) = &status.refused {
        text.push_str(&stays(refused, status.revision.as_ref(), now));
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
    for line in recorded.left_alone.iter().flatten() {
        let _ = writeln!(text, "{DIM}left alone:{DIM:#} {line}");
    }
    text
}

/// Whose commit is not followed, since when, and what is enforced meanwhile.
fn stays(refused: &RefusedRevision, enforced: Option<&Revision>, now: Timestamp) -> String {
    let stays = match enforced.filter(|_| !refused.idle) {
        Some(enforced) => format!("{} stays enforced", enforced.short()),
        None => "nothing is enforced".to_owned(),
    };
    let (revision, author) = (refused.revision.short(), &refused.author);
    let (subject, since) = (&refused.subject, ago(refused.since, now));
    format!("{stays}: commit {revision} by {author} ({subject}) can't be followed, seen {since}\n")
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
        (PLAIN, message(unit)),
    ]
}

fn message(unit: &UnitStatus) -> String {
    let kept = unit.proposal.as_ref().map(|proposal| {
        let number = proposal.pull_request;
        match proposal.until {
            Some(until) => format!("kept while pull request {number} is open, until {until}"),
            None => format!("kept while pull request {number} is open"),
        }
    });
    let lines = [Some(unit.message.clone()), kept].into_iter().flatten();
    let lines = lines.filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}
