//! Entries of what is found done, and that no entry tells of.

use super::super::entry::Entry;
use super::super::event::Event;
use super::super::lines::{body, counts, drift_body};
use super::super::status::State;
use super::{Changes, Scene, Told, at, deployer, deployment, entry, reverted, standing};

/// Whose commit has made live as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// That of the scene's author.
    Author,
    /// One of several.
    Unknown,
}

/// Drift was put back before this agent began, and no entry tells of it.
pub fn found_reverted(scene: &Scene<'_>, told: &[Told], changes: Changes) -> Entry {
    let entry = reverted(scene, told, changes);
    let body = format!(
        "{}{}",
        by_another("ended before it wrote that down"),
        entry.body
    );
    Entry { body, ..entry }
}

/// The recorded tree did not match what is live at these objects, and we know of no event.
pub fn found(scene: &Scene<'_>, told: &[Told], changes: Changes) -> Entry {
    let subject = format!("record {} as it is live", scene.unit);
    let event = Event::Recorded;
    entry(scene, &subject, body(told), event, None, changes)
}

/// Recorded objects are gone that are declared no more, and we know of nobody who deleted them.
pub fn gone(scene: &Scene<'_>, told: &[Told], changes: Changes) -> Entry {
    let subject = match told {
        [one] => format!("{} is gone", one.object),
        many => format!("{} objects of {} are gone", many.len(), scene.unit),
    };
    let body = format!(
        "Somebody deleted what no commit declares any more, or an agent did for it that could not tell.\n\n{}",
        drift_body(told)
    );
    entry(scene, &subject, body, Event::Recorded, None, changes)
}

/// Live has followed desired before this agent began, and no entry tells of it. `stands` is
/// how the unit stands, where that is not told by itself.
pub fn found_synced(
    scene: &Scene<'_>,
    by: By,
    told: &[Told],
    stands: Option<(State, &str)>,
    changes: Changes,
) -> Entry {
    let (unit, counts) = (scene.unit, counts(told));
    let subject = format!("found {unit} synced{}: {counts}", at(scene));
    let how = "ended before it wrote that down, or whose record is lost";
    let text = format!("{}{}", by_another(how), body(told));
    let (subject, text) = standing(subject, text, stands);
    let scene = Scene {
        took: None,
        ..scene.clone()
    };
    let author = match by {
        By::Author => deployer(scene.source, scene.now),
        By::Unknown => None,
    };
    entry(&scene, &subject, text, deployment(told), author, changes)
}

/// The first paragraph of what tells of another agent's deeds.
fn by_another(how: &str) -> String {
    format!("Done by an agent before this one, which {how}.\n\n")
}
