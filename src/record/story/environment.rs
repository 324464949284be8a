//! Entries of the environment as a whole: whether it follows its repository.

use jiff::Timestamp;

use super::super::entry::Entry;
use super::super::event::Event;
use super::{Changes, agent, deployer, pair, trailers};
use crate::model::{EnvironmentName, Revision, Signature, SourceCommit};

/// A revision changes nothing of the environment; what it says that it approves may be
/// nothing that waits for that.
pub fn nothing(
    name: &EnvironmentName,
    revision: Option<&Revision>,
    source: Option<&SourceCommit>,
    trouble: Option<&str>,
    now: Timestamp,
) -> Entry {
    let trouble = trouble.map_or(String::new(), |trouble| format!(": {trouble}"));
    let subject = format!("at {}, nothing to change{trouble}", short(revision));
    let author = deployer(source, now);
    entry(name, Event::Nothing, &subject, "", revision, author, now)
}

/// What stands in the way of an environment's newest revision.
#[derive(Debug, Clone, Copy)]
pub struct Hindrance<'a> {
    /// What is enforced meanwhile.
    pub enforced: Option<&'a Revision>,
    /// Whether nothing is: that can't be used either.
    pub nothing: bool,
    /// The newest commit, where it is that which can't be followed.
    pub newest: Option<&'a SourceCommit>,
    /// What is wrong.
    pub why: &'a str,
}

/// Something keeps the environment from following its repository: it stays where it is.
pub fn stuck(name: &EnvironmentName, hindrance: Hindrance<'_>, now: Timestamp) -> Entry {
    let author = deployer(hindrance.newest, now);
    stays(name, Event::Stuck, hindrance, author, now)
}

/// The same, because the newest commit is not signed by somebody who may: who made it is
/// not known.
pub fn refused(name: &EnvironmentName, hindrance: Hindrance<'_>, now: Timestamp) -> Entry {
    stays(name, Event::Refused, hindrance, None, now)
}

/// What kept it is over: it follows its repository again, to this revision. `before` is
/// what was wrong.
pub fn follows(
    name: &EnvironmentName,
    revision: Option<&Revision>,
    before: &str,
    now: Timestamp,
) -> Entry {
    let at = short(revision);
    let subject = format!("follows its repository again, at {at}");
    let body = format!("What kept it from that is over:\n{before}");
    entry(name, Event::Follows, &subject, &body, revision, None, now)
}

fn stays(
    name: &EnvironmentName,
    event: Event,
    hindrance: Hindrance<'_>,
    author: Option<Signature>,
    now: Timestamp,
) -> Entry {
    let Hindrance {
        enforced,
        nothing,
        newest,
        why,
    } = hindrance;
    let first = why.lines().next().unwrap_or(why);
    let subject = if nothing {
        let last = short(enforced);
        format!("enforces nothing, {last} was applied last and can't be used either: {first}")
    } else {
        format!("stays at {}: {first}", short(enforced))
    };
    let body = match newest {
        Some(newest) => format!(
            "{why}\n\nThe newest commit, {}, says it is by {}: {}",
            newest.revision, newest.author.name, newest.subject
        ),
        None => why.to_owned(),
    };
    entry(name, event, &subject, &body, enforced, author, now)
}

fn entry(
    name: &EnvironmentName,
    event: Event,
    subject: &str,
    body: &str,
    revision: Option<&Revision>,
    author: Option<Signature>,
    now: Timestamp,
) -> Entry {
    let mut trailers = trailers(name, None, event);
    trailers.extend(revision.map(|revision| pair("Revision", revision)));
    Entry {
        subject: format!("{name}: {subject}"),
        body: body.to_owned(),
        trailers,
        author: author.unwrap_or_else(|| agent(now)),
        time: now,
        changes: Changes::new(),
    }
}

fn short(revision: Option<&Revision>) -> &str {
    revision.map_or("no revision", Revision::short)
}
