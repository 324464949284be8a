//! An entry read back from its commit. Pure. A commit that the agent did not write is
//! one too: it says who, when and a subject, and nothing else is made of it.

use jiff::Timestamp;
use serde::Serialize;

use super::entry;
use super::event::Event;
use super::lines::{self, Changed};
use super::select::ObjectPattern;
use super::status::State;
use crate::model::{Digest, EnvironmentName, Revision, Signature, UnitName, cut_lines, shown};

/// One commit of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The commit.
    pub entry: Revision,
    /// When it was recorded.
    pub time: Timestamp,
    /// Who did what it tells of, and when.
    pub author: Signature,
    /// The first line, without the environment's name before it.
    pub subject: String,
    /// What stands between the first line and the trailers.
    pub body: String,
    /// What the agent says of it; `None` for a commit that the agent did not write.
    pub facts: Option<Facts>,
}

/// An entry's trailers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// What happened; `None` if this agent doesn't know the word.
    pub event: Option<Event>,
    /// Why.
    pub cause: String,
    /// The unit; `None` where it is about the whole environment.
    pub unit: Option<UnitName>,
    /// How the unit stands with it.
    pub state: Option<State>,
    /// The field manager that did it.
    pub actor: Option<String>,
    /// The source commit that was in force.
    pub revision: Option<Revision>,
    /// When that was committed, where the entry deploys it.
    pub committed: Option<Timestamp>,
    /// In seconds, how long the unit took from the revision to that state.
    pub took: Option<f64>,
    /// The plan that was followed.
    pub plan: Option<Digest>,
    /// The commits that approved what was done.
    pub approvals: Vec<Revision>,
    /// Whose they are, in the same order: `Name <address>`.
    pub approved_by: Vec<String>,
}

impl Recorded {
    /// Reads a commit of an environment's record.
    pub fn read(
        environment: &EnvironmentName,
        entry: Revision,
        author: &Signature,
        time: Timestamp,
        message: &str,
    ) -> Self {
        // Whoever may push to the branch may have written it.
        let message = cut_lines(&shown(message));
        let (subject, rest) = message.split_once('\n').unwrap_or((&message, ""));
        let rest = rest.trim_matches('\n');
        let facts = facts(environment, rest);
        let body = match &facts {
            Some(_) => rest.rsplit_once("\n\n").map_or("", |(body, _)| body),
            None => rest,
        };
        let prefix = format!("{environment}: ");
        let (subject, body) = match &facts {
            Some(_) => entry::uncut(subject, body),
            None => (subject, body),
        };
        let subject = match facts {
            Some(_) => subject.strip_prefix(&prefix).unwrap_or(subject),
            None => subject,
        };
        Self {
            entry,
            time,
            author: Signature {
                name: shown(&author.name).into_owned(),
                email: shown(&author.email).into_owned(),
                time: author.time,
            },
            subject: subject.to_owned(),
            body: body.to_owned(),
            facts,
        }
    }

    /// What happened, if that is known.
    pub fn event(&self) -> Option<Event> {
        self.facts.as_ref()?.event
    }

    /// The unit that it is about.
    pub fn unit(&self) -> Option<&UnitName> {
        self.facts.as_ref()?.unit.as_ref()
    }

    /// The objects that its text names, and what changed of them.
    pub fn objects(&self) -> Vec<Changed> {
        lines::changed(&self.body)
    }

    /// Whether its text names an object.
    pub fn names(&self, object: &ObjectPattern) -> bool {
        object.named_in(&self.subject) || self.body.lines().any(|line| object.named_in(line))
    }
}

fn facts(environment: &EnvironmentName, rest: &str) -> Option<Facts> {
    let trailers = entry::trailers(rest);
    let text = |wanted: &str| {
        let found = trailers.iter().find(|(key, _)| key == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let all = |wanted: &'static str| {
        let found = trailers.iter().filter(move |(key, _)| key == wanted);
        found.map(|(_, value)| value)
    };
    let cause = text("Cause")?.to_owned();
    if text("Environment")? != environment.as_str() {
        return None;
    }
    let state = text("State").and_then(state);
    Some(Facts {
        event: text("Event").and_then(|word| Event::read(word, state)),
        cause,
        unit: text("Unit").and_then(|name| name.parse().ok()),
        state,
        actor: text("Actor").map(str::to_owned),
        revision: text("Revision").and_then(|hash| hash.parse().ok()),
        committed: text("Committed").and_then(|time| time.parse().ok()),
        took: text("Took").and_then(|took| took.strip_suffix('s')?.parse().ok()),
        plan: text("Plan").and_then(|digest| Digest::try_from(digest.to_owned()).ok()),
        approvals: all("Approval")
            .filter_map(|hash| hash.parse().ok())
            .collect(),
        approved_by: all("Approved-By").cloned().collect(),
    })
}

fn state(word: &str) -> Option<State> {
    let all = [
        State::Synced,
        State::Progressing,
        State::Waiting,
        State::Drifted,
        State::Blocked,
        State::Failed,
        State::Suspended,
    ];
    all.into_iter().find(|state| state.to_string() == word)
}

#[cfg(test)]
mod tests;
