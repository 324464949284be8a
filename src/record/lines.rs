//! The lines of an entry's body: what was done to which object, and its fields. Pure.
//! [`changed`] reads them back.

use std::collections::BTreeMap;

use serde::Serialize;

use super::story::Told;
use crate::plan::{Action, FieldChange};

/// How many objects an entry's text names, those first that are gone or made anew; the
/// tree has them all.
const NAMED: usize = 50;

/// How many fields of each, and of all of them.
const FIELDS: usize = 20;
const ALL_FIELDS: usize = 250;

/// `2 created, 1 changed, 1 pruned`
pub(super) fn counts(told: &[Told]) -> String {
    let mut counts: BTreeMap<Action, usize> = BTreeMap::new();
    for step in told {
        *counts.entry(step.action).or_default() += 1;
    }
    let past = |action| match action {
        Action::Create => "created",
        Action::Change => "changed",
        Action::Adopt => "adopted",
        Action::Clear => "cleared",
        Action::Replace => "replaced",
        Action::Prune => "pruned",
        Action::Detach => "let go",
    };
    counts
        .into_iter()
        .map(|(action, count)| format!("{count} {}", past(action)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What we did.
pub(super) fn body(told: &[Told]) -> String {
    listed(
        told,
        |told| format!("{} {}", told.action, told.object),
        ToString::to_string,
    )
}

/// In the direction in which live moved.
pub(super) fn drift_body(told: &[Told]) -> String {
    let title = |told: &Told| match told.action {
        Action::Create => format!("deleted {}", told.object),
        _ => format!("changed {}", told.object),
    };
    listed(told, title, FieldChange::moved)
}

fn listed(
    told: &[Told],
    title: impl Fn(&Told) -> String,
    field: impl Fn(&FieldChange) -> String,
) -> String {
    let mut told: Vec<&Told> = told.iter().collect();
    told.sort_by_key(|one| (gravity(one.action), &one.object));
    let (mut lines, mut left) = (Vec::new(), ALL_FIELDS);
    for one in told.iter().take(NAMED) {
        lines.push(title(one));
        let shown = one.fields.len().min(FIELDS).min(left);
        left -= shown;
        let fields = one.fields[..shown].iter();
        lines.extend(fields.map(|change| format!("  {}", field(change))));
        lines.extend(more(one.fields.len(), shown, " fields").map(|line| format!("  {line}")));
    }
    lines.extend(more(told.len(), NAMED, ""));
    lines.join("\n")
}

/// `… and 9950 more`
pub(super) fn more(count: usize, named: usize, what: &str) -> Option<String> {
    (count > named).then(|| format!("… and {} more{what}", count - named))
}

/// What can't be made undone comes first.
fn gravity(action: Action) -> usize {
    match action {
        Action::Prune => 0,
        Action::Replace => 1,
        Action::Detach => 2,
        Action::Create | Action::Change | Action::Adopt | Action::Clear => 3,
    }
}

/// An object that an entry's text names, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// In the words of the record: `Deployment shop/web`.
    pub object: String,
    /// What was done to it: an action of the agent's, or `changed`, `deleted` and `found`
    /// of somebody else's.
    pub action: String,
    /// The fields that differed; at most so many as the entry names.
    pub fields: Vec<ChangedField>,
}

/// A field, as an entry's text has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedField {
    /// Such as `spec.replicas`.
    pub path: String,
    /// The rest: `3 -> 5, set by kubectl-scale (Update) at 2026-11-21T10:02:11Z`.
    pub change: String,
}

/// What an object's line begins with, and what that means.
const TITLES: [(&str, &str); 10] = [
    ("create ", "create"),
    ("change ", "change"),
    ("adopt ", "adopt"),
    ("clear ", "clear"),
    ("replace ", "replace"),
    ("prune ", "prune"),
    ("detach ", "detach"),
    ("changed ", "changed"),
    ("deleted ", "deleted"),
    ("found on ", "found"),
];

/// Reads the objects of an entry's body. Lines that are none of these are left out.
pub(super) fn changed(body: &str) -> Vec<Changed> {
    let mut found: Vec<Changed> = Vec::new();
    for line in body.lines() {
        if let Some(field) = line.strip_prefix("  ") {
            if let (Some(object), Some(field)) = (found.last_mut(), changed_field(field)) {
                object.fields.push(field);
            }
        } else if let Some((action, object)) = titled(line) {
            found.push(Changed {
                object: object.to_owned(),
                action: action.to_owned(),
                fields: Vec::new(),
            });
        }
    }
    found
}

fn titled(line: &str) -> Option<(&'static str, &str)> {
    let strip = |(title, action): &(&str, &'static str)| Some((*action, line.strip_prefix(title)?));
    let (action, object) = TITLES.iter().find_map(strip)?;
    // A kind and a name.
    (object.split(' ').count() == 2).then_some((action, object))
}

/// A path may hold `: ` within quotes.
fn changed_field(line: &str) -> Option<ChangedField> {
    let (mut quoted, mut escaped) = (false, false);
    let end = line.char_indices().find(|(at, c)| {
        let ends = !quoted && line[*at..].starts_with(": ");
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        ends
    });
    let (path, change) = line.split_at(end?.0);
    Some(ChangedField {
        path: path.to_owned(),
        change: change[2..].to_owned(),
    })
}
