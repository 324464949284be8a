//! Entries of fights over an object, and of an API server that gives it values of its own.

use super::super::entry::Entry;
use super::super::event::Event;
use super::{Changes, LINES, Scene, entry};
use crate::fields::Hold;
use crate::model::ObjectId;
use crate::plan::Overruled;

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
    /// How often it was put back.
    pub times: u32,
    /// What is told.
    pub phase: Phase,
}

/// An object to which the API server gives values of its own, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overruling {
    /// The object, its fields, what is declared and what was answered.
    pub overruled: Overruled,
    /// What is told.
    pub phase: Phase,
}

/// A moment of a fight, or of an overruling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has been taken back too often.
    Begun,
    /// It is left in peace.
    Over,
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
    let (event, subject, body) = match fight.phase {
        Phase::Begun => (
            Event::Contended,
            format!("{object} is contended: {who} keeps {what}"),
            format!(
                "{}

It is put back again after a while, each time after a longer one. That is not told until it is over.",
                fight.message
            ),
        ),
        Phase::Over => (
            Event::Calm,
            format!("{object} is no longer contended"),
            format!("{who} has stopped {what}, which was put back {} times.", fight.times),
        ),
    };
    let mut entry = entry(scene, &subject, body, event, None, changes);
    let actor = fight.manager.iter();
    entry
        .trailers
        .extend(actor.map(|name| ("Actor".to_owned(), name.clone())));
    entry
}

/// The API server, or an admission, gives declared fields values of its own, or does not any
/// more. Nobody but they did it.
pub fn overruled(scene: &Scene<'_>, told: &Overruling, changes: Changes) -> Entry {
    let one = &told.overruled;
    let object = &one.object;
    let (word, next) = match one.hold {
        Hold::Steady => (
            "overruled",
            "It is as near to what is declared as an apply brings it.",
        ),
        Hold::Changing => (
            "contended",
            "It is left alone until something else is declared, and asked about again now and then.",
        ),
    };
    let field = match &one.fields[..] {
        [one] => one.path.clone(),
        many => format!("{} fields", many.len()),
    };
    let (event, subject, body) = match told.phase {
        Phase::Begun => {
            let fields = one.fields.iter().take(LINES);
            let fields: Vec<String> = fields.map(|field| format!("  {}", field.moved())).collect();
            let body = format!(
                "{one}\n\nanswered to the apply of {object}\n{}\n\n{next}",
                fields.join("\n")
            );
            let subject = format!("{object} is {word} by admission: {field}");
            (Event::Contended, subject, body)
        }
        Phase::Over => {
            let subject = format!("{object} is no longer {word} by admission");
            (
                Event::Calm,
                subject,
                format!("{field} is as declared, or declared no more."),
            )
        }
    };
    entry(scene, &subject, body, event, None, changes)
}
