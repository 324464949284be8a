//! `agent report`: how often each environment is deployed to, how fast, how often that
//! fails, and who changes it by hand.

use clap::Args;
use jiff::Timestamp;

use super::exit;
use super::output::{Cell, Format, PLAIN, RED, YELLOW, ago, columns, print, print_json, progress};
use super::records::RecordArgs;
use super::since::Since;
use crate::record::RecordView;
use crate::record::notes::span;
use crate::record::report::{Report, Reporter, Spread};
use crate::runtime::clock;

const EXAMPLES: &str = "Examples:
  agent report --since 30d
  agent report --environment production --since 2026-10-01 -o json

deployment        a source commit that changed at least one unit, counted when it
                  first did so
lead time         from when it was committed to when every unit that it changed was
                  healthy; a deployment that never came so far, or that another
                  overtook, has none
failed            the deployments of which a unit failed before it was healthy with
                  it, or within an hour of that
time to restore   from when a unit failed, whyever, to when it was healthy again
drift             by field manager, once for each entry that tells of it

Of durations, the median and what nine of ten stay within. All of it is told from
the record, by the time at which things were recorded.

With -o json: an array with an object for each environment: `environment`, `since`,
`until`, `deployments`, `deploymentsPerDay`, `leadTime` and `timeToRestore` (`count`,
`median` and `p90` in seconds), `failedDeployments`, `changeFailureRate` (0 to 1),
`notRestored`, and `drift` (`actor`, `count`, `last`).

Exit codes: 0 told, 2 it could not be.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// From when: 30d, 12h, 2026-11-01, 2026-11-01T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = Since::parse, default_value = "30d")]
    since: Since,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    records: RecordArgs,
}

pub async fn run(args: ReportArgs) -> anyhow::Result<u8> {
    let shown = progress("reading the record");
    let format = args.output;
    let reports = tokio::task::spawn_blocking(move || read(&args)).await??;
    drop(shown);
    match format {
        Format::Json => print_json(&reports)?,
        Format::Text => print(&text(&reports, clock::now()))?,
    }
    Ok(exit::SAME)
}

fn read(args: &ReportArgs) -> anyhow::Result<Vec<Report>> {
    let records = args.records.open()?;
    records.warn_if_stale();
    let now = clock::now();
    let report = |view: &RecordView| {
        let mut reporter = Reporter::default();
        for entry in view.oldest_first()? {
            reporter.take(&entry?);
        }
        Ok(reporter.report(view.environment(), args.since.0, now))
    };
    records.views.iter().map(report).collect()
}

fn text(reports: &[Report], now: Timestamp) -> String {
    let rows: Vec<[Cell; 6]> = reports.iter().map(row).collect();
    let heading = [
        "ENVIRONMENT",
        "DEPLOYMENTS",
        "A DAY",
        "LEAD TIME",
        "FAILED",
        "TIME TO RESTORE",
    ];
    let mut text = columns(heading, &rows);
    let drift: Vec<[Cell; 4]> = reports
        .iter()
        .flat_map(|report| {
            report.drift.iter().map(|drift| {
                let actor = drift.actor.as_deref().unwrap_or("(not known)");
                [
                    (PLAIN, report.environment.to_string()),
                    (PLAIN, actor.to_owned()),
                    (YELLOW, drift.count.to_string()),
                    (PLAIN, ago(drift.last, now)),
                ]
            })
        })
        .collect();
    text.push('\n');
    if drift.is_empty() {
        text.push_str("no drift\n");
    } else {
        text.push_str(&columns(
            ["ENVIRONMENT", "DRIFT BY", "ENTRIES", "LAST"],
            &drift,
        ));
    }
    text
}

fn row(report: &Report) -> [Cell; 6] {
    let failed = match report.change_failure_rate {
        Some(rate) => format!("{:.0}% ({})", rate * 100.0, report.failed_deployments),
        None => "-".to_owned(),
    };
    let mut restore = durations(&report.time_to_restore);
    if report.not_restored > 0 {
        restore = format!("{restore}; {} not yet", report.not_restored);
    }
    let alarm = |bad: bool| if bad { RED } else { PLAIN };
    [
        (PLAIN, report.environment.to_string()),
        (PLAIN, report.deployments.to_string()),
        (PLAIN, format!("{:.1}", report.deployments_per_day)),
        (PLAIN, durations(&report.lead_time)),
        (alarm(report.failed_deployments > 0), failed),
        (alarm(report.not_restored > 0), restore),
    ]
}

/// `4m 12s, 9 of 10 within 1h 3m`
fn durations(spread: &Spread) -> String {
    match (spread.median, spread.p90) {
        (Some(median), Some(p90)) => format!("{}, 9 of 10 within {}", span(median), span(p90)),
        _ => "-".to_owned(),
    }
}
