//! What is written into an entry: subject, the fields that changed, trailers, author.
//! Pure.

mod approval;
mod environment;
mod fight;
mod found;
mod left;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

pub use self::environment::{Hindrance, follows, nothing, refused, stuck};
pub use self::fight::{Contention, Overruling, Phase, contended, overruled};
pub use self::found::{By, found, found_reverted, found_synced, gone};
pub use self::left::{Kept, Release, kept, released, resumed, suspended};
use super::entry::Entry;
use super::event::Event;
use super::lines::{body, counts, drift_body, more};
use super::status::State;
use super::text::{COMMITTER_EMAIL, COMMITTER_NAME};
use crate::model::{Digest, EnvironmentName, ObjectId, Signature, SourceCommit, UnitName};
use crate::plan::{Action, FieldChange, ForeignField, Step};

/// How many lines an entry's list of foreign fields has.
const LINES: usize = 200;

/// How many field managers are named as the author of one entry.
const MANAGERS: usize = 5;

/// Where and at which revision something happened.
#[derive(Debug, Clone)]
pub struct Scene<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The unit.
    pub unit: &'a UnitName,
    /// The commit that declares the unit as it is, or that would and can't be rendered.
    pub source: Option<&'a SourceCommit>,
    /// Who has to do with it that the unit stands as it does.
    pub fault: Fault,
    /// How the unit stands with it; `None` where that isn't known yet.
    pub state: Option<State>,
    /// How long it took the unit to come to that state, if it was on its way there.
    pub took: Option<Duration>,
    /// The plan that was followed, or has to be approved.
    pub plan: Option<Digest>,
    /// The commits that approved what was done.
    pub approved: Vec<&'a SourceCommit>,
    /// When.
    pub now: Timestamp,
}

/// Who has to do with how a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The commit can't be rendered.
    OfCommit,
    /// Nobody that could be named.
    OfNobody,
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
    let at = at(scene);
    let subject = match told {
        [one] => format!("sync {}{at}: {} {}", scene.unit, one.action, one.object),
        _ => format!("sync {}{at}: {}", scene.unit, counts(told)),
    };
    let text = approval::told(scene, body(told));
    let (subject, text) = standing(subject, text, Some((state, message)));
    let author = deployer(scene.source, scene.now);
    entry(scene, &subject, text, deployment(told), author, changes)
}

/// To which revision.
fn at(scene: &Scene<'_>) -> String {
    scene.source.map_or(String::new(), |source| {
        format!(" to {}", source.revision.short())
    })
}

/// A subject and a text with how the unit stands, where it is not well.
fn standing(subject: String, text: String, stands: Option<(State, &str)>) -> (String, String) {
    let Some((state, message)) = stands else {
        return (subject, text);
    };
    let text = match state {
        State::Synced | State::Suspended => text,
        _ => format!("{text}\n\n{state}: {message}"),
    };
    let subject = match state {
        State::Failed => format!("{subject}; it failed"),
        State::Blocked => format!("{subject}; the rest is blocked"),
        _ => subject,
    };
    (subject, text)
}

/// What an entry is of that tells of these deeds for desired.
fn deployment(told: &[Told]) -> Event {
    let all = |action| !told.is_empty() && told.iter().all(|told| told.action == action);
    match () {
        () if all(Action::Adopt) => Event::Adopt,
        () if all(Action::Prune) => Event::Prune,
        () => Event::Sync,
    }
}

/// Live moved, and it was not us.
pub fn drifted(scene: &Scene<'_>, told: &[Told], changes: Changes) -> Entry {
    let actor = actor(told);
    let who = actor.as_deref().unwrap_or("somebody");
    let gone = told.iter().all(|told| told.action == Action::Create);
    let did = if gone { "deleted" } else { "changed" };
    let subject = match told {
        [one] => format!("{who} {did} {}", one.object),
        many => format!("{who} {did} {} objects of {}", many.len(), scene.unit),
    };
    let author = actor.map(|name| Signature {
        time: moment(told).map_or(scene.now, |then| then.min(scene.now)),
        ..manager(name, scene.now)
    });
    let body = drift_body(told);
    entry(scene, &subject, body, Event::Drift, author, changes)
}

/// Others have added fields, which are left as they are.
pub fn others(scene: &Scene<'_>, found: &[&ForeignField], changes: Changes) -> Entry {
    let names = found.iter().map(|one| &*one.field.manager.name).collect();
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
    let more = more(lines.len(), LINES, " lines");
    lines.truncate(LINES);
    lines.extend(more);
    let name = listed(&names);
    let subject = format!("found fields of {name} on {on}");
    let author = manager(name, scene.now);
    let body = lines.join("\n");
    let event = Event::Foreign;
    entry(scene, &subject, body, event, Some(author), changes)
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
    let body = body(told);
    let mut reverted = entry(scene, &subject, body, Event::Revert, None, changes);
    if let Some(actor) = actor(told) {
        reverted.trailers.push(("Actor".to_owned(), actor));
    }
    reverted
}

/// The unit stands otherwise than it did, which was `before`.
pub fn stands(
    scene: &Scene<'_>,
    before: Option<State>,
    state: State,
    message: &str,
    changes: Changes,
) -> Entry {
    let unit = scene.unit;
    let first = message.lines().next().unwrap_or_default();
    let (subject, event) = match state {
        State::Synced => (
            match before {
                Some(State::Failed) => format!("{unit} is healthy again"),
                Some(State::Blocked) => format!("{unit} is healthy, no longer blocked"),
                Some(State::Drifted) => format!("{unit} is healthy, no longer drifted"),
                Some(State::Synced) if !message.is_empty() => {
                    format!("{unit} keeps objects that it does not declare")
                }
                _ => format!("{unit} is healthy"),
            },
            Event::Healthy,
        ),
        State::Progressing | State::Waiting => (format!("{unit} waits for {first}"), Event::Waits),
        State::Drifted => (format!("{unit} has drifted"), Event::Drifted),
        State::Blocked => (format!("{unit} is blocked: {first}"), Event::Blocked),
        State::Failed => (format!("{unit} failed: {first}"), Event::Failed),
        State::Suspended => (format!("{unit} is suspended {first}"), Event::Suspended),
    };
    let author = match scene.fault {
        Fault::OfCommit => deployer(scene.source, scene.now),
        Fault::OfNobody => None,
    };
    entry(scene, &subject, message.to_owned(), event, author, changes)
}

/// Entries that waited so long to be written that they became one.
pub fn gathered(
    environment: &EnvironmentName,
    count: u64,
    subjects: &[&str],
    changes: Changes,
    now: Timestamp,
) -> Entry {
    Entry {
        subject: format!("{environment}: {count} entries that could not be written at their time"),
        body: subjects.join("\n"),
        trailers: trailers(environment, None, Event::Recorded),
        author: agent(now),
        time: now,
        changes,
    }
}

/// A unit left the environment, and its objects are gone.
pub fn left(scene: &Scene<'_>, told: &[Told], changes: Changes) -> Entry {
    let subject = format!("{} left the environment", scene.unit);
    let author = deployer(scene.source, scene.now);
    let text = approval::told(scene, body(told));
    entry(scene, &subject, text, Event::Left, author, changes)
}

fn entry(
    scene: &Scene<'_>,
    subject: &str,
    body: String,
    event: Event,
    author: Option<Signature>,
    changes: Changes,
) -> Entry {
    let mut trailers = trailers(scene.environment, Some(scene.unit), event);
    trailers.extend(scene.state.map(|state| pair("State", &state)));
    let actor = author
        .as_ref()
        .filter(|_| matches!(event, Event::Drift | Event::Foreign));
    trailers.extend(actor.map(|author| pair("Actor", &author.name)));
    trailers.extend(
        scene
            .source
            .map(|source| pair("Revision", &source.revision)),
    );
    let committed = scene.source.filter(|_| event.deploys());
    trailers.extend(committed.map(|source| pair("Committed", &source.committed)));
    let took = scene.took.filter(|_| event.arrives());
    trailers.extend(took.map(|took| pair("Took", &format!("{:.1}s", took.as_secs_f64()))));
    trailers.extend(scene.plan.map(|plan| pair("Plan", &plan)));
    if event.deploys() || event == Event::Left {
        let approved = scene.approved.iter();
        trailers.extend(approved.flat_map(|commit| approval::trailers(commit)));
    }
    Entry {
        subject: format!("{}: {subject}", scene.environment),
        body,
        trailers,
        author: author.unwrap_or_else(|| agent(scene.now)),
        time: scene.now,
        changes,
    }
}

fn trailers(
    environment: &EnvironmentName,
    unit: Option<&UnitName>,
    event: Event,
) -> Vec<(String, String)> {
    let mut trailers = vec![pair("Environment", environment)];
    trailers.extend(unit.map(|unit| pair("Unit", unit)));
    trailers.push(pair("Event", &event));
    trailers.push(pair("Cause", &event.cause()));
    trailers
}

fn pair(key: &str, value: &dyn ToString) -> (String, String) {
    (key.to_owned(), value.to_string())
}

/// The author of the commit that is deployed.
fn deployer(source: Option<&SourceCommit>, now: Timestamp) -> Option<Signature> {
    source.map(|source| Signature {
        time: now,
        ..source.author.clone()
    })
}

/// A field manager as an author.
fn manager(name: String, time: Timestamp) -> Signature {
    Signature {
        email: format!("{name}@field-manager"),
        name,
        time,
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
    (!names.is_empty()).then(|| listed(&names))
}

/// The names of field managers as one.
fn listed(names: &BTreeSet<&str>) -> String {
    let few: Vec<&str> = names.iter().copied().take(MANAGERS).collect();
    match more(names.len(), MANAGERS, "") {
        Some(more) => format!("{} {more}", few.join(", ")),
        None => few.join(", "),
    }
}

/// When the last of it was done, as the API server wrote it down.
fn moment(told: &[Told]) -> Option<Timestamp> {
    let fields = told.iter().flat_map(|told| &told.fields);
    fields
        .filter_map(|field| field.actor()?.time.parse().ok())
        .max()
}
