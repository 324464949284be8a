//! Entries of what is left as it is on purpose, and of the end of that: a unit that the
//! repository suspends, and what was changed in the cluster while a proposal to keep it is
//! open.

use std::fmt;

use super::super::entry::Entry;
use super::super::event::Event;
use super::super::lines::drift_body;
use super::super::status::Proposal;
use super::{Changes, Scene, Told, deployer, entry};
use crate::model::SourceCommit;

/// The unit is left alone since a commit, which is the scene's. Gives what is said of it
/// in `status.yaml` as well.
pub fn suspended(scene: &Scene<'_>) -> (Entry, String) {
    let unit = scene.unit;
    let by = scene.source.map_or("suspended".to_owned(), |source| {
        let (author, revision) = (&source.author.name, source.revision.short());
        format!("suspended by {author} in {revision}")
    });
    let body = said(
        scene.source,
        "Nothing of it is applied, put back or deleted until `suspend` is taken away.",
    );
    let author = deployer(scene.source, scene.now);
    let subject = format!("{unit} is {by}");
    let none = Changes::new();
    let entry = entry(scene, &subject, body, Event::Suspended, author, none);
    (entry, by)
}

/// It no longer is. What differs by now is told by itself.
pub fn resumed(scene: &Scene<'_>) -> Entry {
    let subject = format!("resume {}", scene.unit);
    let body = said(
        scene.source,
        "What differs by now is found and put right, and told next.",
    );
    let author = deployer(scene.source, scene.now);
    let none = Changes::new();
    entry(scene, &subject, body, Event::Resumed, author, none)
}

/// What is kept while a proposal is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The proposal.
    pub proposal: Proposal,
    /// What was changed.
    pub told: Vec<Told>,
}

/// What was changed in the cluster is kept while people decide about a proposal.
pub fn kept(scene: &Scene<'_>, kept: &Kept) -> Entry {
    let (unit, proposal) = (scene.unit, &kept.proposal);
    let number = proposal.pull_request;
    let until = match proposal.until {
        Some(until) => format!(", at most until {until}"),
        None => String::new(),
    };
    let subject = format!("keep drift of {unit} while pull request {number} is open{until}");
    let body = drift_body(&kept.told);
    entry(scene, &subject, body, Event::Kept, None, Changes::new())
}

/// Why what was changed in the cluster is no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The proposal was closed.
    Closed,
    /// The time that the unit's `keepFor` gives is over.
    Over,
    /// It is declared by now, was put back, or was changed again.
    Moot,
    /// The unit does not say `drift: propose` any more.
    Policy,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "was closed",
            Self::Over => "is still open, and `keepFor` is over",
            Self::Moot => "has nothing left to decide",
            Self::Policy => "counts no more, since the unit does not say `drift: propose`",
        })
    }
}

/// It is not kept any longer. What comes of that is told by itself.
pub fn released(scene: &Scene<'_>, proposal: &Proposal, why: Release) -> Entry {
    let (unit, number) = (scene.unit, proposal.pull_request);
    let subject = format!("release drift of {unit}: pull request {number} {why}");
    let body = match why {
        Release::Closed | Release::Over | Release::Policy => {
            "What was changed is no longer kept, and told next if it is put back."
        }
        Release::Moot => "What it is about is declared by now, was put back, or changed again.",
    };
    let none = Changes::new();
    entry(
        scene,
        &subject,
        body.to_owned(),
        Event::Released,
        None,
        none,
    )
}

/// What the commit says, and what that means.
fn said(source: Option<&SourceCommit>, meaning: &str) -> String {
    match source {
        Some(source) => format!(
            "{} {}\n\n{meaning}",
            source.revision.short(),
            source.subject
        ),
        None => meaning.to_owned(),
    }
}
