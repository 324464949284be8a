//! What a proposal says of itself: its commit, its title and text. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::edit::Left;
use crate::model::{
    Digest, EnvironmentName, Signature, UnitName, cut, cut_lines, shown, shown_line,
};
use crate::plan::FieldChange;
use crate::reconcile::{Deed, DriftedObject};
use crate::record::{COMMITTER_EMAIL, COMMITTER_NAME};
use crate::review::markdown::{cell, code, fenced};

/// The longest title, in characters: GitHub's limit is 256.
const TITLE: usize = 250;

/// A proposal, in all that it is made of.
pub(super) struct Proposal<'a> {
    pub(super) environment: &'a EnvironmentName,
    pub(super) unit: &'a UnitName,
    pub(super) keep_for: Option<Duration>,
    /// What was changed.
    pub(super) objects: &'a [DriftedObject],
    /// Of these, what no edit of the files keeps; each with the file that tells of it.
    pub(super) left: &'a [(Left, String)],
    /// Other units that read what is edited.
    pub(super) also: &'a BTreeSet<String>,
}

impl Proposal<'_> {
    /// One line that says what it does.
    pub(super) fn title(&self) -> String {
        let (mut changed, mut deleted) = (Vec::new(), Vec::new());
        for object in self.objects {
            match &object.deed {
                Deed::Changed { .. } => changed.push(&object.id),
                Deed::Deleted { .. } => deleted.push(&object.id),
            }
        }
        let changed = match &changed[..] {
            [] => None,
            [one] => Some(one.to_string()),
            many => Some(format!("{} objects of {}", many.len(), self.unit)),
        };
        let who = self.who().unwrap_or_else(|| "somebody".to_owned());
        let changed = changed.map(|what| format!("what {who} changed on {what}"));
        let deleted = match &deleted[..] {
            [] => None,
            [one] => Some(format!("that {one} was deleted")),
            many => Some(format!(
                "that {} objects of {} were deleted",
                many.len(),
                self.unit
            )),
        };
        let parts: Vec<String> = changed.into_iter().chain(deleted).collect();
        let title = format!("{}: keep {}", self.environment, parts.join(", and "));
        cut(&shown_line(&title), TITLE).into_owned()
    }

    /// The commit's message.
    pub(super) fn message(&self) -> String {
        let mut text = format!("{}\n\n", self.title());
        for object in self.objects {
            match &object.deed {
                Deed::Changed { fields, .. } => {
                    for field in fields {
                        let _ = writeln!(text, "{}: {}", object.id, field.moved());
                    }
                }
                Deed::Deleted { seen, .. } => {
                    let _ = writeln!(text, "{}: deleted, seen at {seen}", object.id);
                }
            }
        }
        let _ = write!(
            text,
            "\nEnvironment: {}\nUnit: {}\n",
            self.environment, self.unit
        );
        for digest in self.drifts() {
            let _ = writeln!(text, "Drift: {digest}");
        }
        shown(&cut_lines(&text)).into_owned()
    }

    /// The drift that it is about.
    pub(super) fn drifts(&self) -> BTreeSet<Digest> {
        self.objects.iter().map(|object| object.digest).collect()
    }

    /// Who changed the cluster, and when first; the agent, where nobody is known.
    pub(super) fn author(&self, now: Timestamp) -> Signature {
        let Some(name) = self.who() else {
            return Signature {
                name: COMMITTER_NAME.to_owned(),
                email: COMMITTER_EMAIL.to_owned(),
                time: now,
            };
        };
        let times = self
            .fields()
            .filter_map(|field| field.actor()?.time.parse().ok());
        Signature {
            email: format!("{}@field-manager", name.replace(", ", "-")),
            name,
            time: times.min().unwrap_or(now),
        }
    }

    fn fields(&self) -> impl Iterator<Item = &FieldChange> {
        let changed = self.objects.iter().filter_map(|object| match &object.deed {
            Deed::Changed { fields, .. } => Some(fields),
            Deed::Deleted { .. } => None,
        });
        changed.flatten()
    }

    fn who(&self) -> Option<String> {
        let actors = self.fields().filter_map(FieldChange::actor);
        let names: BTreeSet<&str> = actors.map(|actor| actor.name.as_str()).collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// The pull request's text.
    pub(super) fn text(&self) -> String {
        let (environment, unit) = (self.environment, self.unit);
        let mut text = format!(
            "<!-- gitops-agent proposal {environment} {unit} -->\nThis was changed in the cluster of **{environment}**, and is kept until you decide:\n\n| object | field | is now | was declared | by | at |\n|---|---|---|---|---|---|\n"
        );
        for object in self.objects {
            rows(&mut text, object);
        }
        text.push_str("\n**Merge** it, and it is what the repository declares; nothing restarts for that. **Close** it, and the agent puts back what is declared now");
        let deleted = |object: &DriftedObject| matches!(object.deed, Deed::Deleted { .. });
        if self.objects.iter().any(deleted) {
            text.push_str(", and creates again what was deleted");
        }
        text.push('.');
        if let Some(time) = self.keep_for {
            let _ = write!(
                text,
                " If neither happens, it is put back {} after it was changed.",
                humantime::format_duration(time)
            );
        }
        text.push('\n');
        if !self.also.is_empty() {
            let also: Vec<String> = self.also.iter().map(|name| code(name)).collect();
            let _ = write!(
                text,
                "\n:warning: The edited files are also read by {}, which will have the same.\n",
                also.join(", ")
            );
        }
        for (left, file) in self.left {
            let _ = write!(
                text,
                "\n:warning: For {} no edit was found: {}. Merging does not change what is declared of it; {} says what would have to change, for you to put where it belongs:\n\n{}",
                code(&left.object.to_string()),
                code(&left.why.to_string()),
                code(file),
                fenced("yaml", left.patch.as_deref().unwrap_or_default())
            );
        }
        text
    }
}

/// The lines of the table for an object.
fn rows(text: &mut String, object: &DriftedObject) {
    let id = cell(&object.id.to_string());
    match &object.deed {
        Deed::Changed { fields, .. } => {
            for field in fields {
                let value = |value: &Option<String>| {
                    value.as_deref().map_or_else(|| "*(none)*".to_owned(), cell)
                };
                let actor = field.actor();
                let _ = writeln!(
                    text,
                    "| {id} | {} | {} | {} | {} | {} |",
                    cell(&field.path),
                    value(&field.from),
                    value(&field.to),
                    actor.map_or_else(|| "somebody".to_owned(), |actor| cell(&actor.name)),
                    actor.map_or("", |actor| actor.time.as_str()),
                );
            }
        }
        Deed::Deleted { seen, origin } => {
            let origin = origin.as_ref();
            let origin = origin.map_or_else(String::new, |origin| cell(&origin.to_string()));
            let _ = writeln!(
                text,
                "| {id} | *(all of it)* | *(deleted)* | {origin} | somebody | seen {seen} |"
            );
        }
    }
}
