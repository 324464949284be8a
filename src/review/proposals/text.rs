//! What a proposal says of itself: its commit, its title and text. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::edit::Left;
use crate::model::{Digest, EnvironmentName, Signature, UnitName};
use crate::plan::FieldChange;
use crate::reconcile::DriftedObject;
use crate::review::markdown::{cell, code, fenced};

/// A proposal, in all that it is made of.
pub(super) struct Proposal<'a> {
    pub(super) environment: &'a EnvironmentName,
    pub(super) unit: &'a UnitName,
    pub(super) hold: Option<Duration>,
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
        let who = self.who();
        let what = match self.objects {
            [one] => one.id.to_string(),
            many => format!("{} objects of {}", many.len(), self.unit),
        };
        format!("{}: keep what {who} changed on {what}", self.environment)
    }

    /// The commit's message.
    pub(super) fn message(&self) -> String {
        let mut text = format!("{}\n\n", self.title());
        for object in self.objects {
            for field in &object.fields {
                let _ = writeln!(text, "{}: {}", object.id, change(field));
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
        text
    }

    /// The drift that it is about.
    pub(super) fn drifts(&self) -> BTreeSet<Digest> {
        self.objects.iter().map(|object| object.digest).collect()
    }

    /// Who changed the cluster, and when first.
    pub(super) fn author(&self, now: Timestamp) -> Signature {
        let name = self.who();
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
        self.objects.iter().flat_map(|object| &object.fields)
    }

    fn who(&self) -> String {
        let names: BTreeSet<&str> = self
            .fields()
            .filter_map(|field| Some(field.actor()?.name.as_str()))
            .collect();
        if names.is_empty() {
            return "somebody".to_owned();
        }
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// The pull request's text.
    pub(super) fn text(&self) -> String {
        let (environment, unit) = (self.environment, self.unit);
        let mut text = format!(
            "<!-- gitops-agent proposal {environment} {unit} -->\nThis was changed in the cluster of **{environment}**, and is kept until you decide:\n\n| object | field | is now | was declared | by | at |\n|---|---|---|---|---|---|\n"
        );
        for object in self.objects {
            for field in &object.fields {
                let value = |value: &Option<String>| {
                    value.as_deref().map_or_else(|| "*(none)*".to_owned(), cell)
                };
                let actor = field.actor();
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} | {} | {} |",
                    cell(&object.id.to_string()),
                    cell(&field.path),
                    value(&field.from),
                    value(&field.to),
                    actor.map_or_else(|| "somebody".to_owned(), |actor| cell(&actor.name)),
                    actor.map_or("", |actor| actor.time.as_str()),
                );
            }
        }
        text.push_str("\n**Merge** it, and it is what the repository declares; nothing restarts for that. **Close** it, and the agent puts back what is declared now.");
        if let Some(hold) = self.hold {
            let _ = write!(
                text,
                " If neither happens, it is put back {} after it was changed.",
                humantime::format_duration(hold)
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
                "\n:warning: For {} no edit was found: {}. Merging does not make it declared; {} says what would have to change, for you to put where it belongs:\n\n{}",
                code(&left.object.to_string()),
                code(&left.why.to_string()),
                code(file),
                fenced("yaml", left.patch.as_deref().unwrap_or_default())
            );
        }
        text
    }
}

/// `spec.replicas: 3 -> 5, set by kubectl-scale at …`: from declared to live.
fn change(field: &FieldChange) -> String {
    let turned = FieldChange {
        from: field.to.clone(),
        to: field.from.clone(),
        ..field.clone()
    };
    turned.to_string()
}
