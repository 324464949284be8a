//! What a pull request would do, in the words of its comment and its statuses. Pure: the
//! same plans, the same bytes, so that nothing is written twice.

use std::fmt::Write as _;

use super::markdown::{cell, code, fenced};
use crate::forge::{CommitStatus, Section, StatusState};
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

/// The sections of the comment, one for each environment. Half of `limit`, in bytes, is
/// left to those that others serve.
pub fn sections(
    occasion: Occasion<'_>,
    served: &[EnvironmentName],
    prospect: &Prospect,
    limit: usize,
) -> Vec<Section> {
    let section = |name: &EnvironmentName, text| Section {
        name: name.to_string(),
        text,
    };
    match prospect {
        Prospect::Conflict(files) => served
            .iter()
            .map(|name| section(name, conflict(occasion, name, files)))
            .collect(),
        Prospect::Planned(environments) => {
            let limit = limit / 2 / environments.len().max(1);
            environments
                .iter()
                .map(|(name, planned)| section(name, planned_text(occasion, name, planned, limit)))
                .collect()
        }
    }
}

fn planned_text(
    occasion: Occasion<'_>,
    name: &EnvironmentName,
    planned: &Result<PlannedEnvironment, Hindrance>,
    limit: usize,
) -> String {
    let mut text = heading(name);
    let parts = match planned {
        Err(Hindrance::Wrong(why)) => {
            let _ = writeln!(text, "**It cannot be planned**: {}\n", code(first(why)));
            vec![folded("all of it", &fenced("", why))]
        }
        Err(Hindrance::Passing(why)) => {
            let _ = writeln!(text, "It is not planned yet: {}\n", code(first(why)));
            Vec::new()
        }
        Ok(planned) => {
            table(&mut text, planned, limit / 3);
            dangers(&mut text, planned, limit / 3);
            unit_parts(planned)
        }
    };
    let foot = foot(occasion);
    fill(
        &mut text,
        parts,
        limit.saturating_sub(foot.len()),
        occasion.number,
    );
    text + &foot
}

/// Adds as many parts as there is room for.
fn fill(text: &mut String, parts: Vec<String>, room: usize, number: u64) {
    let mut left_out = 0;
    for part in parts {
        if text.len() + part.len() + ROOM <= room {
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
        let _ = writeln!(
            text,
            "The details of {left_out} {units} too long to be shown here: see them with `agent diff --pull-request {number}`.\n"
        );
    }
}

fn heading(name: &EnvironmentName) -> String {
    format!("### What merging this would do to {name}\n\n")
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

fn conflict(occasion: Occasion<'_>, name: &EnvironmentName, files: &[String]) -> String {
    let mut text = heading(name);
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
        "<sub>Planned for {head} merged into {base}, against what is live. This is kept up to date.</sub>\n\n"
    )
}

/// Adds lines as long as there is room for them, and says how many are left out.
fn listed(text: &mut String, lines: &[String], room: usize, more: impl Fn(usize) -> String) {
    let (mut shown, mut length) = (0, 0);
    for line in lines.iter().take(ROWS) {
        length += line.len() + 1;
        if length > room {
            break;
        }
        let _ = writeln!(text, "{line}");
        shown += 1;
    }
    if shown < lines.len() {
        let _ = writeln!(text, "{}", more(lines.len() - shown));
    }
    text.push('\n');
}

fn table(text: &mut String, planned: &PlannedEnvironment, room: usize) {
    let rows = rows(planned);
    if rows.is_empty() {
        let _ = writeln!(text, "{}\n", sentence(&planned.summary()));
        return;
    }
    text.push_str("| unit | would | plan |\n|---|---|---|\n");
    listed(text, &rows, room, |more| format!("| {more} more | | |"));
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}

fn rows(planned: &PlannedEnvironment) -> Vec<String> {
    let failed = planned.failed.iter();
    let failed = failed.map(|(unit, why)| {
        format!(
            "| {unit} | **cannot be rendered**: {} | |",
            cell(first(why))
        )
    });
    let differing = planned.plans.iter().filter(|plan| !plan.is_empty());
    let plans = differing.map(|plan| {
        let counts = counted(&plan.steps).join(", ");
        format!("| {} | {counts} | `{}` |", plan.unit, plan.digest.short())
    });
    failed.chain(plans).collect()
}

/// What can't be undone, and what would not be done at all.
fn dangers(text: &mut String, planned: &PlannedEnvironment, room: usize) {
    let mut found: Vec<(u8, String)> = Vec::new();
    for plan in &planned.plans {
        let steps = plan.steps.iter();
        found.extend(steps.filter_map(|step| {
            let (rank, words) = danger(step)?;
            let object = code(&step.object.to_string());
            Some((
                rank,
                format!("- {}: {words} {object}{}", plan.unit, blocked(step)),
            ))
        }));
        let blind = plan.blind.iter();
        found.extend(blind.map(|why| (0, format!("- {}: {}", plan.unit, code(why)))));
    }
    if found.is_empty() {
        return;
    }
    found.sort_by_key(|(rank, _)| *rank);
    text.push_str("**Look at this first**\n\n");
    let lines: Vec<String> = found.into_iter().map(|(_, line)| line).collect();
    listed(text, &lines, room, |more| format!("- and {more} more"));
}

/// How dangerous a step is, the worst first, and in which words.
fn danger(step: &Step) -> Option<(u8, String)> {
    let action = step.action;
    match (&step.standing, action) {
        (Standing::Blocked(Blocked::Guard(_)), _) => {
            Some((0, format!("**needs approval: {action}**")))
        }
        (Standing::Blocked(Blocked::Unobserved(_)), _) => {
            Some((3, "**cannot be compared:**".to_owned()))
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
fn unit_parts(planned: &PlannedEnvironment) -> Vec<String> {
    let failed = planned.failed.iter();
    let failed = failed.map(|(unit, why)| folded(unit.as_str(), &fenced("", why)));
    let plans = planned.plans.iter();
    let shown = plans.filter(|plan| !plan.is_empty() || !plan.notes.is_empty());
    let mut parts: Vec<String> = failed.chain(shown.map(of_plan)).collect();
    if !planned.warnings.is_empty() {
        let warnings = planned.warnings.join("\n");
        parts.push(folded("warnings", &fenced("", &warnings)));
    }
    parts
}

fn of_plan(plan: &Plan<Checked>) -> String {
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
    folded(&format!("{}{separator}{counts}", plan.unit), &inside)
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
