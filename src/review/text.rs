//! What a pull request would do, in the words of its comment and its statuses. Pure: the
//! same plans, the same bytes, so that nothing is written twice.

use std::fmt::Write as _;

use super::markdown::{cell, code, fenced};
use crate::forge::{CommitStatus, StatusState};
use crate::model::{EnvironmentName, Revision};
use crate::plan::{self, Action, Blocked, Checked, Plan, Standing, Step};
use crate::reconcile::{PlannedEnvironment, counted};

/// How many rows the table has, and how many lines the list of what is dangerous.
const ROWS: usize = 100;
/// How many lines of one object's difference are shown.
const LINES: usize = 200;
/// What is kept for the words that say that something was left out, in bytes.
const ROOM: usize = 400;

/// What merging a pull request would do.
#[derive(Debug)]
pub enum Prospect {
    /// It can't be merged: these files were changed on both sides.
    Conflict(Vec<String>),
    /// Each environment's plan, or why it can't be planned.
    Planned(Vec<(EnvironmentName, Result<PlannedEnvironment, Hindrance>)>),
}

/// Why an environment can't be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// What the pull request says is wrong.
    Wrong(String),
    /// It is none of the pull request's doing, and tried again.
    Passing(String),
}

/// What a prospect is of.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// The pull request's number.
    pub number: u64,
    /// Its head.
    pub head: &'a Revision,
    /// The branch that it is for.
    pub base: &'a str,
    /// Where people look at it.
    pub url: &'a str,
}

/// The text of the comment, in Markdown, of at most `limit` bytes.
pub fn comment(occasion: Occasion<'_>, prospect: &Prospect, limit: usize) -> String {
    let environments = match prospect {
        Prospect::Conflict(files) => return conflict(occasion, files),
        Prospect::Planned(environments) => environments,
    };
    let mut text = String::from("### What merging this would do\n\n");
    table(&mut text, environments);
    dangers(&mut text, environments);
    let mut left_out = 0;
    let foot = foot(occasion);
    let room = limit.saturating_sub(ROOM + foot.len());
    for part in parts(environments) {
        if text.len() + part.len() <= room {
            text.push_str(&part);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let units = if left_out == 1 {
            "unit is"
        } else {
            "units are"
        };
        let number = occasion.number;
        let _ = writeln!(
            text,
            "The details of {left_out} {units} too long to be shown here: see them with `agent diff --pull-request {number}`.\n"
        );
    }
    text.push_str(&foot);
    text
}

/// The status of each environment on the head.
pub fn statuses(
    occasion: Occasion<'_>,
    served: &[EnvironmentName],
    prospect: &Prospect,
) -> Vec<CommitStatus> {
    let status = |name: &EnvironmentName, state, text: &str| {
        CommitStatus::new(context(name), state, text, Some(occasion.url.to_owned()))
    };
    match prospect {
        Prospect::Conflict(_) => served
            .iter()
            .map(|name| {
                let text = format!("it conflicts with {}", occasion.base);
                status(name, StatusState::Failure, &text)
            })
            .collect(),
        Prospect::Planned(environments) => environments
            .iter()
            .map(|(name, planned)| match planned {
                Ok(planned) => status(name, state(planned), &headline(planned)),
                Err(Hindrance::Wrong(why)) => status(name, StatusState::Failure, why),
                Err(Hindrance::Passing(why)) => {
                    let text = format!("not planned yet: {why}");
                    status(name, StatusState::Pending, &text)
                }
            })
            .collect(),
    }
}

/// The context of the statuses of an environment.
pub fn context(environment: &EnvironmentName) -> String {
    format!("agent/{environment}")
}

/// Whether it would go through.
fn state(planned: &PlannedEnvironment) -> StatusState {
    let mut plans = planned.plans.iter();
    let stuck = plans.any(|plan| plan.blocked().next().is_some() || plan.blind.is_some());
    if stuck || !planned.failed.is_empty() {
        StatusState::Failure
    } else {
        StatusState::Success
    }
}

/// What is wrong, else the summary.
fn headline(planned: &PlannedEnvironment) -> String {
    if let Some((unit, why)) = planned.failed.iter().next() {
        return format!("{unit} cannot be rendered: {why}");
    }
    let blind = planned.plans.iter().find_map(|plan| plan.blind.as_ref());
    if let Some(why) = blind {
        return format!("it cannot be told what would be pruned: {why}");
    }
    planned.summary()
}

fn conflict(occasion: Occasion<'_>, files: &[String]) -> String {
    let mut text = String::from("### What merging this would do\n\n");
    let _ = writeln!(
        text,
        "It conflicts with {} and can't be merged. Both sides have changed:\n",
        code(occasion.base)
    );
    for file in files {
        let _ = writeln!(text, "- {}", code(file));
    }
    text.push('\n');
    text + &foot(occasion)
}

fn foot(occasion: Occasion<'_>) -> String {
    let (head, base) = (occasion.head.short(), code(occasion.base));
    format!(
        "<sub>Planned for {head} merged into {base}, against what is live. This comment is kept up to date.</sub>\n"
    )
}

fn table(
    text: &mut String,
    environments: &[(EnvironmentName, Result<PlannedEnvironment, Hindrance>)],
) {
    text.push_str("| environment | unit | would | plan |\n|---|---|---|---|\n");
    let mut rows = Vec::new();
    for (name, planned) in environments {
        match planned {
            Err(Hindrance::Wrong(why)) => {
                rows.push(format!(
                    "| {name} | | **cannot be planned**: {} | |",
                    cell(first(why))
                ));
            }
            Err(Hindrance::Passing(why)) => {
                rows.push(format!(
                    "| {name} | | not planned yet: {} | |",
                    cell(first(why))
                ));
            }
            Ok(planned) => rows.extend(unit_rows(name, planned)),
        }
    }
    let more = rows.len().saturating_sub(ROWS);
    for row in rows.iter().take(ROWS) {
        let _ = writeln!(text, "{row}");
    }
    if more > 0 {
        let _ = writeln!(text, "| | {more} more | | |");
    }
    text.push('\n');
}

fn unit_rows(name: &EnvironmentName, planned: &PlannedEnvironment) -> Vec<String> {
    let failed = planned.failed.iter().map(|(unit, why)| {
        format!(
            "| {name} | {unit} | **cannot be rendered**: {} | |",
            cell(first(why))
        )
    });
    let differing = planned.plans.iter().filter(|plan| !plan.is_empty());
    let plans = differing.map(|plan| {
        let counts = counted(&plan.steps).join(", ");
        let digest = plan.digest.short();
        format!("| {name} | {} | {counts} | `{digest}` |", plan.unit)
    });
    let mut rows: Vec<String> = failed.chain(plans).collect();
    if rows.is_empty() {
        rows.push(format!("| {name} | | {} | |", planned.summary()));
    }
    rows
}

/// What can't be undone, and what would not be done at all.
fn dangers(
    text: &mut String,
    environments: &[(EnvironmentName, Result<PlannedEnvironment, Hindrance>)],
) {
    let planned = environments
        .iter()
        .filter_map(|(name, planned)| Some((name, planned.as_ref().ok()?)));
    let mut found: Vec<(u8, String)> = Vec::new();
    for (name, planned) in planned {
        for plan in &planned.plans {
            let steps = plan.steps.iter();
            found.extend(steps.filter_map(|step| {
                let (rank, words) = danger(step)?;
                let (unit, object) = (&plan.unit, code(&step.object.to_string()));
                Some((
                    rank,
                    format!("- {name}/{unit}: {words} {object}{}", blocked(step)),
                ))
            }));
            found.extend(plan.blind.iter().map(|why| {
                (
                    0,
                    format!(
                        "- {name}/{}: it cannot be told what would be pruned: {}",
                        plan.unit,
                        code(why)
                    ),
                )
            }));
        }
    }
    if found.is_empty() {
        return;
    }
    found.sort_by_key(|(rank, _)| *rank);
    text.push_str("**Look at this first**\n\n");
    for (_, line) in found.iter().take(ROWS) {
        let _ = writeln!(text, "{line}");
    }
    if found.len() > ROWS {
        let _ = writeln!(text, "- and {} more", found.len() - ROWS);
    }
    text.push('\n');
}

/// How dangerous a step is, the worst first, and in which words.
fn danger(step: &Step) -> Option<(u8, String)> {
    let action = step.action;
    match (&step.standing, action) {
        (Standing::Blocked(Blocked::Guard(_)), _) => {
            Some((0, format!("**needs approval: {action}**")))
        }
        (_, Action::Replace) => Some((1, "**replace** (deleted and created again)".to_owned())),
        (_, Action::Prune) => Some((2, "**prune** (deleted)".to_owned())),
        (Standing::Blocked(_), _) => Some((3, format!("**blocked: {action}**"))),
        _ => None,
    }
}

fn blocked(step: &Step) -> String {
    match &step.standing {
        Standing::Blocked(why) => format!(": {}", code(&why.to_string())),
        _ => String::new(),
    }
}

/// The details, one part for each unit.
fn parts(
    environments: &[(EnvironmentName, Result<PlannedEnvironment, Hindrance>)],
) -> impl Iterator<Item = String> {
    environments
        .iter()
        .flat_map(|(name, planned)| match planned {
            Err(Hindrance::Wrong(why)) => vec![folded(name.as_str(), &fenced("", why))],
            Err(Hindrance::Passing(_)) => Vec::new(),
            Ok(planned) => unit_parts(name, planned),
        })
}

fn unit_parts(name: &EnvironmentName, planned: &PlannedEnvironment) -> Vec<String> {
    let failed = planned.failed.iter();
    let failed = failed.map(|(unit, why)| folded(&format!("{name}/{unit}"), &fenced("", why)));
    let plans = planned.plans.iter();
    let shown = plans.filter(|plan| !plan.is_empty() || !plan.notes.is_empty());
    let mut parts: Vec<String> = failed
        .chain(shown.map(|plan| of_plan(name, plan)))
        .collect();
    if !planned.warnings.is_empty() {
        let warnings = planned.warnings.join("\n");
        parts.push(folded(&format!("{name}: warnings"), &fenced("", &warnings)));
    }
    parts
}

fn of_plan(name: &EnvironmentName, plan: &Plan<Checked>) -> String {
    let mut inside = String::new();
    for step in &plan.steps {
        inside.push_str(&of_step(step));
    }
    if !plan.notes.is_empty() {
        inside.push_str(&fenced("", &plan.notes.join("\n")));
    }
    if !plan.is_empty() {
        let _ = writeln!(inside, "Plan: {}", code(&plan.digest.to_string()));
    }
    let counts = counted(&plan.steps).join(", ");
    let separator = if counts.is_empty() { "" } else { ": " };
    folded(&format!("{name}/{}{separator}{counts}", plan.unit), &inside)
}

fn of_step(step: &Step) -> String {
    let place = step.origin.as_ref();
    let place = place.map(|origin| format!(" ({})", code(&origin.to_string())));
    let mut text = format!(
        "**{}** {}{}\n\n",
        step.action,
        code(&step.object.to_string()),
        place.unwrap_or_default()
    );
    if !step.reason.is_empty() {
        let _ = writeln!(text, "{}\n", code(&step.reason));
    }
    let actors = step.fields.iter().filter(|field| field.actor().is_some());
    let actors: Vec<String> = actors.map(ToString::to_string).collect();
    if !actors.is_empty() {
        text.push_str(&fenced("", &actors.join("\n")));
        text.push('\n');
    }
    let diff = plan::diff(step);
    let lines: Vec<&str> = diff.lines().skip(2).collect();
    if !lines.is_empty() {
        let more = lines.len().saturating_sub(LINES);
        let mut shown = lines[..lines.len() - more].join("\n");
        if more > 0 {
            let _ = write!(shown, "\n… {more} more lines");
        }
        text.push_str(&fenced("diff", &shown));
        text.push('\n');
    }
    text
}

/// Something behind a title of names that can hold no markup, and numbers.
fn folded(title: &str, inside: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{inside}\n</details>\n\n")
}

fn first(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
