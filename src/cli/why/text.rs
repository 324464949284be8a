//! The answers of `agent why`, for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Answer, Commit, Declared, Deleted, Seen, Told};
use crate::cli::output::{BOLD, Cell, DIM, PLAIN, columns};
use crate::model::{LINE, Manager, cut_inside, cut_lines};

/// All answers, one after the other.
pub(super) fn of(answers: &[Answer]) -> String {
    let texts: Vec<String> = answers.iter().map(answer).collect();
    texts.join("\n")
}

fn answer(answer: &Answer) -> String {
    let field = answer.field.as_deref().unwrap_or_default();
    let (environment, object) = (&answer.environment, &answer.object);
    let heading = format!("{environment}: {object} {field}");
    let mut text = format!("{BOLD}{}{BOLD:#}\n", heading.trim_end());
    let mut line = |name: &str, value: &str| {
        let mut lines = value.lines();
        let first = lines.next().unwrap_or_default();
        let _ = writeln!(text, "  {DIM}{name:<11}{DIM:#}{first}");
        for more in lines {
            let _ = writeln!(text, "  {:<11}{more}", "");
        }
    };
    match &answer.declared {
        Some(found) => line(
            "declared",
            &cut_lines(&declared(found, answer.field.is_some())),
        ),
        None => match &answer.unrendered {
            Some(problems) => line(
                "declared",
                &cut_lines(&format!(
                    "can't be told, since this can't be rendered:\n{problems}"
                )),
            ),
            None => line("declared", "nowhere at this commit"),
        },
    }
    line("live", &cut_lines(&live(answer)));
    if let Some(found) = &answer.deleted {
        let name = if found.let_go { "let go" } else { "deleted" };
        line(name, &cut_lines(&deleted(found)));
    }
    if let Seen::Unknown { .. } = answer.live
        && let Some(value) = &answer.recorded
    {
        let value = value.to_string();
        let value = cut_inside(&value, LINE);
        line("recorded", &format!("{value}, as of the last entry"));
    }
    match &answer.last_drift {
        Some(told) => line("last drift", &drift(told)),
        None => line("last drift", "none in the record"),
    }
    if !answer.entries.is_empty() {
        let rows: Vec<[Cell; 4]> = answer.entries.iter().map(row).collect();
        line("lately", &columns(["TIME", "ENTRY", "BY", "WHAT"], &rows));
    }
    text
}

/// The value, then the line, then who made it so.
fn declared(found: &Declared, field: bool) -> String {
    let hint = found.hint.as_ref();
    let mut text = match &found.value {
        Some(value) => format!("{value}\n"),
        None if field => match hint {
            Some(hint) => format!("not declared; {hint} This is its object's place\n"),
            None => "not declared; this is its object's place\n".to_owned(),
        },
        None => String::new(),
    };
    let by = match found.by.as_str() {
        "manifest" | "object" => String::new(),
        other => format!(" by {other}"),
    };
    let guessed = if found.value.is_some() && found.by == "object" {
        "; what sets it there can't be told"
    } else {
        ""
    };
    let _ = write!(text, "{}{by}, unit {}{guessed}", found.origin, found.unit);
    if let Some(commit) = &found.commit {
        text.push('\n');
        text.push_str(&made(commit));
        if commit.cut {
            text.push_str("\nor an older commit: this clone is shallow, and ends with that one; `git fetch --unshallow` brings the rest");
        }
    }
    text
}

fn made(commit: &Commit) -> String {
    let (revision, author, time) = (commit.revision.short(), &commit.author, commit.time);
    format!("{revision} by {author} at {time}: {}", commit.subject)
}

/// When and by whom, then the commit that had it so.
fn deleted(found: &Deleted) -> String {
    let what = drift(&found.told);
    match &found.commit {
        Some(commit) => format!("{what}\n{}", made(commit)),
        None => what,
    }
}

fn live(answer: &Answer) -> String {
    match &answer.live {
        Seen::Unknown { unknown } => format!("not known: {unknown}"),
        Seen::Known { value, managers } => {
            let value = match (value, &answer.field) {
                (Some(value), _) => value.to_string(),
                (None, Some(_)) => "not set".to_owned(),
                (None, None) => String::new(),
            };
            let unset = value == "not set";
            let names: Vec<String> = managers.iter().map(Manager::to_string).collect();
            let owned = match names.len() {
                0 if unset => String::new(),
                0 => "owned by nobody".to_owned(),
                _ => format!("owned by {}", names.join(", ")),
            };
            let parts = [value, owned].into_iter().filter(|part| !part.is_empty());
            let text = parts.collect::<Vec<_>>().join(", ");
            if differs(answer) {
                format!("{text}\nnot as declared; `agent diff` says what comes of that")
            } else {
                text
            }
        }
    }
}

fn differs(answer: &Answer) -> bool {
    let declared = answer.declared.as_ref();
    let declared: Option<&Value> = declared.and_then(|declared| declared.value.as_ref());
    match &answer.live {
        Seen::Known { value, .. } => declared.is_some() && declared != value.as_ref(),
        Seen::Unknown { .. } => false,
    }
}

fn drift(told: &Told) -> String {
    let what = match &told.change {
        Some(change) => format!("{} by {}: {change}", told.time, told.author),
        None => format!("{} by {}: {}", told.time, told.author, told.subject),
    };
    format!("{what} (entry {})", told.entry.short())
}

fn row(told: &Told) -> [Cell; 4] {
    [
        (DIM, told.time.to_string()),
        (PLAIN, told.entry.short().to_owned()),
        (PLAIN, told.author.clone()),
        (PLAIN, told.subject.clone()),
    ]
}
