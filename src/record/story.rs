//! What is written into an entry: subject, the fields that changed, trailers, author.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::entry::Entry;
use super::status::State;
use super::text::{COMMITTER_EMAIL, COMMITTER_NAME};
use crate::model::{
    Digest, EnvironmentName, ObjectId, Revision, Signature, SourceCommit, UnitName,
};
use crate::plan::{Action, FieldChange, ForeignField, Step};

/// How many objects an entry's text names; the tree has them all.
const NAMED: usize = 50;
/// How many lines an entry's list of foreign fields has.
const LINES: usize = 200;

/// Where and at which revision something happened.
#[derive(Debug, Clone)]
pub struct Scene<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The unit.
    pub unit: &'a UnitName,
    /// The commit that declares the unit as it is.
    pub source: Option<&'a SourceCommit>,
    /// The plan that was followed.
    pub plan: Option<Digest>,
    /// When.
    pub now: Timestamp,
}

/// A step that was taken, or a difference that was found, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The object.
    pub object: ObjectId,
    /// What was done to it.
    pub action: Action,
    /// The fields that differed.
    pub fields: Vec<FieldChange>,
}

impl From<&Step> for Told {
    fn from(step: &Step) -> Self {
        Self {
            object: step.object.clone(),
            action: step.action,
            fields: step.fields.clone(),
        }
    }
}

/// A fight with another writer, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contention {
    /// What is fought over.
    pub object: ObjectId,
    /// Its fields; none where somebody keeps deleting it.
    pub fields: Vec<String>,
    /// The other writer, where that is known.
    pub manager: Option<String>,
    /// In words, for `status.yaml` as well.
    pub message: String,
    /// What is told.
    pub phase: Phase,
}

/// A moment of a fight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has been taken back too often.
    Begun,
    /// It is left in peace.
    Over,
}

/// Files of the record that an entry changes.
pub type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// Desired moved, and live has followed. Where the unit is not well yet, the text says
/// so too.
pub fn synced(
    scene: &Scene<'_>,
    told: &[Told],
    state: State,
    message: &str,
    changes: Changes,
) -> Entry {
    let at = scene.source.map_or(String::new(), |source| {
        format!(" to {}", source.revision.short())
    });
    let subject = match told {
        [one] => format!("sync {}{at}: {} {}", scene.unit, one.action, one.object),
        _ => format!("sync {}{at}: {}", scene.unit, counts(told)),
    };
    let author = scene.source.map(|source| Signature {
        time: scene.now,
        ..source.author.clone()
    });
    let mut text = body(told);
    if state != State::Synced {
        text = format!("{text}\n\n{state}: {message}");
    }
    entry(scene, &subject, text, "revision", author, changes)
}

/// Live moved, and it was not us.
pub fn drifted(scene: &Scene<'_>, told: &[Told], changes: Changes) -> Entry {
    let actor = actor(told);
    let who = actor.as_deref().unwrap_or("somebody");
    let subject = match told {
        [one] if one.action == Action::Create => format!("{who} deleted {}", one.object),
        [one] => format!("{who} changed {}", one.object),
        many => format!("{who} changed {} objects of {}", many.len(), scene.unit),
    };
    let author = actor.map(|name| Signature {
        email: format!("{name}@field-manager"),
        name,
        time: scene.now,
    });
    entry(scene, &subject, drift_body(told), "drift", author, changes)
}

/// Others have added fields, which are left as they are.
pub fn others(scene: &Scene<'_>, found: &[&ForeignField], changes: Changes) -> Entry {
    let names: BTreeSet<&str> = found.iter().map(|one| &*one.field.manager.name).collect();
    let objects: BTreeSet<&ObjectId> = found.iter().map(|one| &one.object).collect();
    let on = match (found, objects.len()) {
        ([first, ..], 1) => first.object.to_string(),
        (_, count) => format!("{count} objects of {}", scene.unit),
    };
    let mut lines = Vec::new();
    for fields in found.chunk_by(|one, other| one.object == other.object) {
        lines.push(format!("found on {}", fields[0].object));
        lines.extend(fields.iter().map(|field| format!("  {field}")));
    }
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("and {more} more lines"));
    }
    let name = names.into_iter().collect::<Vec<_>>().join(", ");
    let subject = format!("found fields of {name} on {on}");
    let author = Signature {
        email: format!("{name}@field-manager"),
        name,
        time: scene.now,
    };
    let body = lines.join("\n");
    entry(scene, &subject, body, "foreign", Some(author), changes)
}

/// Drift was put back.
pub fn reverted(scene: &Scene<'_>, told: &[Told], changes: Changes) -> Entry {
    let subject = match told {
        [one] if one.action == Action::Create => format!("create {} again", one.object),
        [one] if one.action == Action::Clear => {
            format!("remove fields of others from {}", one.object)
        }
        [one] => format!("revert drift on {}", one.object),
        many => format!("revert drift on {} objects of {}", many.len(), scene.unit),
    };
    let mut reverted = entry(scene, &subject, body(told), "drift", None, changes);
    if let Some(actor) = actor(told) {
        reverted.trailers.push(("Actor".to_owned(), actor));
    }
    reverted
}

/// Somebody takes back what is put back, or does not any more.
pub fn contended(scene: &Scene<'_>, fight: &Contention, changes: Changes) -> Entry {
    let object = &fight.object;
    let who = fight.manager.as_deref().unwrap_or("somebody");
    let what = match &fight.fields[..] {
        [] => "deleting it".to_owned(),
        [one] => format!("changing {one}"),
        many => format!("changing {} fields", many.len()),
    };
    let (subject, body) = match fight.phase {
        Phase::Begun => (
            format!("{object} is contended: {who} keeps {what}"),
            format!(
                "{}

It is put back again after a while, each time after a longer one. That is not told until it is over.",
                fight.message
            ),
        ),
        Phase::Over => (
            format!("{object} is no longer contended"),
            format!("{who} has stopped {what}."),
        ),
    };
    let mut entry = entry(scene, &subject, body, "contended", None, changes);
    let actor = fight.manager.iter();
    entry
        .trailers
        .extend(actor.map(|name| ("Actor".to_owned(), name.clone())));
    entry
}

/// The recorded tree did not match what is live, and we know of no event.
pub fn found(scene: &Scene<'_>, changes: Changes) -> Entry {
    entry(
        scene,
        &format!("record {} as it is live", scene.unit),
        String::new(),
        "resume",
        None,
        changes,
    )
}

/// The unit stands otherwise than it did.
pub fn stands(scene: &Scene<'_>, state: State, message: &str, changes: Changes) -> Entry {
    let unit = scene.unit;
    let first = message.lines().next().unwrap_or_default();
    let (subject, cause) = match state {
        State::Synced => (format!("{unit} is healthy"), "health"),
        State::Progressing | State::Waiting => (format!("{unit} waits for {first}"), "health"),
        State::Drifted => (format!("{unit} has drifted"), "drift"),
        State::Blocked => (format!("{unit} is blocked: {first}"), "blocked"),
        State::Failed => (format!("{unit} failed: {first}"), "failed"),
        State::Suspended => (format!("{unit} is suspended"), "revision"),
    };
    entry(scene, &subject, message.to_owned(), cause, None, changes)
}

/// A unit left the environment, and its objects are gone.
pub fn left(scene: &Scene<'_>, told: &[Told], changes: Changes) -> Entry {
    entry(
        scene,
        &format!("{} left the environment", scene.unit),
        body(told),
        "revision",
        None,
        changes,
    )
}

/// The environment as a whole: a revision that changes nothing, or what keeps it from
/// following its repository.
pub fn environment(
    name: &EnvironmentName,
    revision: Option<&Revision>,
    source: Option<&SourceCommit>,
    error: Option<&str>,
    now: Timestamp,
) -> Entry {
    let at = revision.map_or("no revision", Revision::short);
    let (subject, cause) = match error {
        Some(error) => (
            format!(
                "{name}: stays at {at}: {}",
                error.lines().next().unwrap_or(error)
            ),
            "failed",
        ),
        None => (format!("{name}: at {at}, nothing to change"), "revision"),
    };
    let mut trailers = vec![
        ("Environment".to_owned(), name.to_string()),
        ("Cause".to_owned(), cause.to_owned()),
    ];
    trailers.extend(revision.map(|revision| ("Revision".to_owned(), revision.to_string())));
    let author = source.filter(|_| error.is_none()).map(|source| Signature {
        time: now,
        ..source.author.clone()
    });
    Entry {
        subject,
        body: error.unwrap_or_default().to_owned(),
        trailers,
        author: author.unwrap_or_else(|| agent(now)),
        time: now,
        changes: Changes::new(),
    }
}

fn entry(
    scene: &Scene<'_>,
    subject: &str,
    body: String,
    cause: &str,
    author: Option<Signature>,
    changes: Changes,
) -> Entry {
    let mut trailers = vec![
        ("Environment".to_owned(), scene.environment.to_string()),
        ("Unit".to_owned(), scene.unit.to_string()),
        ("Cause".to_owned(), cause.to_owned()),
    ];
    trailers.extend(
        author
            .as_ref()
            .filter(|_| matches!(cause, "drift" | "foreign"))
            .map(|author| ("Actor".to_owned(), author.name.clone())),
    );
    trailers.extend(
        scene
            .source
            .map(|source| ("Revision".to_owned(), source.revision.to_string())),
    );
    trailers.extend(scene.plan.map(|plan| ("Plan".to_owned(), plan.to_string())));
    Entry {
        subject: format!("{}: {subject}", scene.environment),
        body,
        trailers,
        author: author.unwrap_or_else(|| agent(scene.now)),
        time: scene.now,
        changes,
    }
}

fn agent(now: Timestamp) -> Signature {
    Signature {
        name: COMMITTER_NAME.to_owned(),
        email: COMMITTER_EMAIL.to_owned(),
        time: now,
    }
}

/// The field managers behind a drift; several are named together.
fn actor(told: &[Told]) -> Option<String> {
    let fields = told.iter().flat_map(|told| &told.fields);
    let names: BTreeSet<&str> = fields
        .filter_map(|field| Some(field.actor()?.name.as_str()))
        .collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
}

/// `2 created, 1 changed, 1 pruned`
fn counts(told: &[Told]) -> String {
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

fn body(told: &[Told]) -> String {
    listed(
        told,
        |told| format!("{} {}", told.action, told.object),
        ToString::to_string,
    )
}

/// In the direction in which live moved.
fn drift_body(told: &[Told]) -> String {
    let title = |told: &Told| match told.action {
        Action::Create => format!("deleted {}", told.object),
        _ => format!("changed {}", told.object),
    };
    listed(told, title, |field| {
        FieldChange {
            from: field.to.clone(),
            to: field.from.clone(),
            ..field.clone()
        }
        .to_string()
    })
}

fn listed(
    told: &[Told],
    title: impl Fn(&Told) -> String,
    field: impl Fn(&FieldChange) -> String,
) -> String {
    let mut lines = Vec::new();
    for one in told.iter().take(NAMED) {
        lines.push(title(one));
        lines.extend(
            one.fields
                .iter()
                .map(|change| format!("  {}", field(change))),
        );
    }
    if told.len() > NAMED {
        lines.push(format!("and {} more", told.len() - NAMED));
    }
    lines.join("\n")
}
