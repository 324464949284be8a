//! `agent history`: what happened, when, by whom and from which source commit.

use std::collections::BTreeSet;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::exit;
use super::output::{
    Cell, DIM, Format, GREEN, PLAIN, RED, Style, YELLOW, columns, print, print_json, progress, warn,
};
use super::records::{RecordArgs, Records};
use super::since::Since;
use crate::config;
use crate::model::{EnvironmentName, Revision, UnitName};
use crate::record::lines::{Changed, ChangedField};
use crate::record::{
    Event, Facts, FileChange, ObjectFiles, ObjectPattern, RecordView, Recorded, Selection,
};

const EXAMPLES: &str = "Examples:
  agent history                            of all environments with a record
  agent history web --since 2d             of a unit
  agent history Deployment/shop/web        of an object, with the fields that changed
  agent history Namespace/shop -o json

The newest entry comes first. ENTRY is the commit on the branch live/ENVIRONMENT,
SOURCE the commit that was in force. A commit on that branch that the agent did
not write is shown with a `?`.

With -o json: an array of entries. Each has `environment`, `entry`, `time`,
`author` (`name`, `email`, `time`), `subject`, `byAgent`; if the agent wrote it,
also `event`, `cause`, `unit`, `state`, `actor`, `revision`, `committed`, `took`
(in seconds) and `plan`, null where one does not apply, `approvals` (commits) and
`approvedBy` (whose they are); and `objects`: each with `object`, `action` and `fields`
(`path`, `change`). An entry names up to 50 objects.

Exit codes: 0 told, even if nothing happened, 2 it could not be.";

/// How many entries are printed unless somebody wants more.
const LIMIT: usize = 100;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct HistoryArgs {
    /// A unit, or an object as Kind/namespace/name [default: everything]
    #[arg(value_name = "UNIT|OBJECT")]
    what: Option<Selection>,
    /// Only what was recorded since then: 2d, 12h, 2026-11-21, 2026-11-21T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    since: Option<Since>,
    /// How many entries at most, the newest; 0 for all [default: 100; all for json]
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    records: RecordArgs,
}

/// How much of an entry is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Subjects,
    Fields,
}

/// An entry as it is told.
struct Told {
    environment: EnvironmentName,
    entry: Recorded,
    /// Of the object that was asked for, or all that are named.
    objects: Vec<Changed>,
}

/// The same for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    environment: &'a EnvironmentName,
    entry: &'a Revision,
    time: Timestamp,
    author: Author<'a>,
    subject: &'a str,
    by_agent: bool,
    #[serde(flatten)]
    facts: Option<&'a Facts>,
    objects: &'a [Changed],
}

#[derive(Serialize)]
struct Author<'a> {
    name: &'a str,
    email: &'a str,
    time: Timestamp,
}

pub async fn run(args: HistoryArgs) -> anyhow::Result<u8> {
    let shown = progress("reading the record");
    let format = args.output;
    let detail = match args.what {
        Some(Selection::Object(_)) => Detail::Fields,
        Some(Selection::Unit(_)) | None => Detail::Subjects,
    };
    let (told, more) = tokio::task::spawn_blocking(move || read(&args)).await??;
    drop(shown);
    match format {
        Format::Json => {
            let all: Vec<Shown<'_>> = told.iter().map(Told::shown).collect();
            print_json(&all)?;
        }
        Format::Text => print(&table(&told, more, detail))?,
    }
    Ok(exit::SAME)
}

/// The entries to tell, newest first, and whether there are more.
fn read(args: &HistoryArgs) -> anyhow::Result<(Vec<Told>, bool)> {
    let records = args.records.open()?;
    records.warn_if_stale();
    let limit = match (args.limit, args.output) {
        (Some(0), _) | (None, Format::Json) => usize::MAX,
        (Some(limit), _) => limit,
        (None, Format::Text) => LIMIT,
    };
    let (mut told, mut more) = (Vec::new(), false);
    for view in &records.views {
        let (found, rest) = of_environment(view, args, limit)?;
        told.extend(found);
        more |= rest;
    }
    if told.is_empty() && args.since.is_none() {
        unknown(args, &records)?;
    }
    // Of one environment they are in the order of the branch already.
    told.sort_by_key(|one| std::cmp::Reverse(one.entry.time));
    more |= told.len() > limit;
    told.truncate(limit);
    Ok((told, more))
}

fn of_environment(
    view: &RecordView,
    args: &HistoryArgs,
    limit: usize,
) -> anyhow::Result<(Vec<Told>, bool)> {
    let mut told = Vec::new();
    let mut history = view.history();
    let mut wanted = Wanted::new(view, args.what.as_ref());
    for entry in history.by_ref() {
        let entry = entry?;
        let old = args.since.is_some_and(|since| entry.time < since.0);
        if old && entry.facts.is_some() {
            return Ok((told, false));
        }
        let Some(objects) = wanted.objects(&entry)?.filter(|_| !old) else {
            continue;
        };
        if told.len() == limit {
            return Ok((told, true));
        }
        let environment = view.environment().clone();
        told.push(Told {
            environment,
            entry,
            objects,
        });
    }
    if history.is_cut() {
        warn(&format!(
            "this clone is shallow, and older entries of {} are not in it; `git fetch --unshallow` brings them",
            view.environment()
        ));
    }
    Ok((told, false))
}

/// What of a record was asked for.
struct Wanted<'r> {
    view: &'r RecordView,
    what: Option<&'r Selection>,
    files: Option<(ObjectFiles<'r>, &'r ObjectPattern)>,
}

impl<'r> Wanted<'r> {
    fn new(view: &'r RecordView, what: Option<&'r Selection>) -> Self {
        let files = match what {
            Some(Selection::Object(object)) => Some((ObjectFiles::new(view, object), object)),
            Some(Selection::Unit(_)) | None => None,
        };
        Self { view, what, files }
    }

    /// The objects of an entry, if it was asked for.
    fn objects(&mut self, entry: &Recorded) -> anyhow::Result<Option<Vec<Changed>>> {
        if let Some((files, object)) = &mut self.files {
            let change = files.change(entry)?;
            return of_object(self.view, entry, object, change);
        }
        let there = match self.what {
            Some(Selection::Unit(unit)) => entry.unit() == Some(unit),
            Some(Selection::Object(_)) | None => true,
        };
        Ok(there.then(|| entry.objects()))
    }
}

/// One object of an entry: as the text names it, else by what became of its file.
fn of_object(
    view: &RecordView,
    entry: &Recorded,
    object: &ObjectPattern,
    change: Option<FileChange>,
) -> anyhow::Result<Option<Vec<Changed>>> {
    let mut named = entry.objects();
    named.retain(|named| object.named_in(&named.object));
    let has_fields = named.iter().any(|named| !named.fields.is_empty());
    match change {
        Some(change) if !has_fields => {
            let lines = change.lines(view)?;
            let fields = lines.into_iter().map(|line| ChangedField {
                path: String::new(),
                change: line,
            });
            let action = named.first().map(|named| named.action.clone());
            Ok(Some(vec![Changed {
                object: object.to_string(),
                action: action.unwrap_or_else(|| "changed".to_owned()),
                fields: fields.collect(),
            }]))
        }
        Some(_) => Ok(Some(named)),
        None => Ok(entry.names(object).then_some(named)),
    }
}

/// Nothing is found: that of a misspelt name is no answer.
fn unknown(args: &HistoryArgs, records: &Records) -> anyhow::Result<()> {
    let names: Vec<&str> = records
        .views
        .iter()
        .map(|view| view.environment().as_str())
        .collect();
    let names = names.join(", ");
    match &args.what {
        Some(Selection::Unit(unit)) => {
            let mut units = BTreeSet::new();
            for view in &records.views {
                let status = view.status()?;
                units.extend(
                    status
                        .into_iter()
                        .flat_map(|status| status.units.into_keys()),
                );
            }
            let hint = config::did_you_mean(unit.as_str(), units.iter().map(UnitName::as_str));
            let hint = hint.unwrap_or_else(|| "for an object write Kind/namespace/name".to_owned());
            bail!("the record of {names} tells of no unit {unit}; {hint}")
        }
        Some(Selection::Object(object)) => bail!(
            "the record of {names} tells of no {object}; is it in another namespace, or without one?"
        ),
        None => Ok(()),
    }
}

impl Told {
    fn shown(&self) -> Shown<'_> {
        let entry = &self.entry;
        Shown {
            environment: &self.environment,
            entry: &entry.entry,
            time: entry.time,
            author: Author {
                name: &entry.author.name,
                email: &entry.author.email,
                time: entry.author.time,
            },
            subject: &entry.subject,
            by_agent: entry.facts.is_some(),
            facts: entry.facts.as_ref(),
            objects: &self.objects,
        }
    }
}

fn table(told: &[Told], more: bool, detail: Detail) -> String {
    if told.is_empty() {
        return "nothing happened\n".to_owned();
    }
    let several = told
        .iter()
        .any(|one| one.environment != told[0].environment);
    let rows: Vec<[Cell; 5]> = told.iter().map(|one| row(one, several, detail)).collect();
    let mut text = columns(["TIME", "ENTRY", "SOURCE", "BY", "WHAT"], &rows);
    if more {
        text.push_str("there are older entries; --limit 0 shows all\n");
    }
    text
}

fn row(told: &Told, several: bool, detail: Detail) -> [Cell; 5] {
    let entry = &told.entry;
    let facts = entry.facts.as_ref();
    let source = facts.and_then(|facts| facts.revision.as_ref());
    let source = source.map_or("-", Revision::short);
    let what = if several {
        format!("{}: {}", told.environment, entry.subject)
    } else {
        entry.subject.clone()
    };
    let mut lines = vec![if facts.is_some() {
        what
    } else {
        format!("? {what}")
    }];
    lines.extend(facts.into_iter().flat_map(approvals));
    for object in told.objects.iter().filter(|_| detail == Detail::Fields) {
        lines.extend(object.fields.iter().map(field));
    }
    [
        (DIM, entry.time.to_string()),
        (PLAIN, entry.entry.short().to_owned()),
        (PLAIN, source.to_owned()),
        (PLAIN, entry.author.name.clone()),
        (colour(entry), lines.join("\n")),
    ]
}

fn approvals(facts: &Facts) -> impl Iterator<Item = String> + use<> {
    let whose = facts.approvals.iter().zip(&facts.approved_by);
    let lines = whose.map(|(commit, name)| format!("  approved by {name} with {}", commit.short()));
    lines.collect::<Vec<_>>().into_iter()
}

fn field(field: &ChangedField) -> String {
    if field.path.is_empty() {
        format!("  {}", field.change)
    } else {
        format!("  {}: {}", field.path, field.change)
    }
}

fn colour(entry: &Recorded) -> Style {
    match entry.event() {
        Some(Event::Failed | Event::Blocked | Event::Stuck | Event::Refused) => RED,
        Some(
            Event::Drift
            | Event::Drifted
            | Event::Foreign
            | Event::Contended
            | Event::Suspended
            | Event::Kept,
        ) => YELLOW,
        Some(Event::Healthy | Event::Follows) => GREEN,
        _ => PLAIN,
    }
}
