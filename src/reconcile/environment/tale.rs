//! The entries that tell of a unit.

use super::scene::at_fault;
use crate::model::UnitName;
use crate::reconcile::unit::UnitState;
use crate::record::status::State;
use crate::record::story::{self, By, Changes, Contention, Overruling, Scene, Told};
use crate::record::{Entry, path};

/// What there is to tell.
pub(super) struct Tale<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) unit: &'a UnitState,
    /// How it stood, by the record.
    pub(super) before: Option<State>,
    /// Whether it is to be told how it stands now.
    pub(super) news: bool,
    /// What was done for desired.
    pub(super) changed: Vec<Told>,
    /// What was put back.
    pub(super) reverted: Vec<Told>,
    /// What others keep taking back.
    pub(super) fights: Vec<Contention>,
    /// What the API server gives values of its own.
    pub(super) overruled: Vec<Overruling>,
    /// What an agent before this one put back, and did not tell.
    pub(super) put_back: Vec<Told>,
    /// What is recorded otherwise, by no deed of this agent's.
    pub(super) untold: Vec<Told>,
    /// Whether that is by a revision.
    pub(super) deployed: bool,
    /// By whose.
    pub(super) by: By,
}

impl Tale<'_> {
    /// The entries, with the files that they change. The last one says how the unit stands.
    pub(super) fn entries(&self, mut differing: Changes) -> Vec<Entry> {
        let mut entries = Vec::new();
        if !self.put_back.is_empty() {
            let files = self.files_of(&self.put_back, &mut differing);
            entries.push(story::found_reverted(&self.scene, &self.put_back, files));
        }
        if !self.untold.is_empty() {
            let last = self.is_quiet() && (self.deployed || !self.news);
            let files = if last {
                std::mem::take(&mut differing)
            } else {
                self.files_of(&self.untold, &mut differing)
            };
            entries.push(self.found(files, last));
            if last {
                return entries;
            }
        }
        if self.fights.is_empty() && self.overruled.is_empty() {
            entries.extend(self.deeds(differing));
        } else {
            entries.extend(self.quarrels(differing));
        }
        entries
    }

    /// Whether nothing was done or has happened.
    fn is_quiet(&self) -> bool {
        let nothing_done = self.changed.is_empty() && self.reverted.is_empty();
        nothing_done && self.fights.is_empty() && self.overruled.is_empty()
    }

    fn found(&self, files: Changes, last: bool) -> Entry {
        if !self.deployed {
            return story::found(&self.scene, &self.untold, files);
        }
        let scene = Scene {
            source: self.unit.begun.as_ref().or(self.scene.source),
            ..self.scene.clone()
        };
        let standing = &self.unit.standing;
        let stands = last.then_some((standing.state, &*standing.message));
        story::found_synced(&scene, self.by, &self.untold, stands, files)
    }

    /// What was done, or how the unit stands where nothing was.
    fn deeds(&self, mut differing: Changes) -> Vec<Entry> {
        let (scene, standing) = (&self.scene, &self.unit.standing);
        let (state, message) = (standing.state, standing.message.as_str());
        match (self.changed.is_empty(), self.reverted.is_empty()) {
            (true, true) if self.before.is_none() && state == State::Synced => {
                vec![story::found(scene, &[], differing)]
            }
            (true, true) if self.news => {
                let scene = at_fault(scene.clone(), self.unit);
                let entry = story::stands(&scene, self.before, state, message, differing);
                vec![entry]
            }
            (true, true) if differing.is_empty() => Vec::new(),
            (true, true) => vec![story::found(scene, &[], differing)],
            (true, false) => vec![story::reverted(scene, &self.reverted, differing)],
            (false, true) => {
                vec![story::synced(
                    scene,
                    &self.changed,
                    state,
                    message,
                    differing,
                )]
            }
            (false, false) => {
                let files = self.files_of(&self.reverted, &mut differing);
                let first = story::reverted(scene, &self.reverted, files);
                let then = story::synced(scene, &self.changed, state, message, differing);
                vec![first, then]
            }
        }
    }

    /// What was done, and what keeps being undone.
    fn quarrels(&self, mut differing: Changes) -> Vec<Entry> {
        let (scene, standing) = (&self.scene, &self.unit.standing);
        let mut entries = Vec::new();
        if !self.reverted.is_empty() {
            entries.push(story::reverted(scene, &self.reverted, Changes::new()));
        }
        if !self.changed.is_empty() {
            let (state, none) = (standing.state, Changes::new());
            let message = standing.message.as_str();
            entries.push(story::synced(scene, &self.changed, state, message, none));
        }
        for fight in &self.fights {
            let files = std::mem::take(&mut differing);
            entries.push(story::contended(scene, fight, files));
        }
        for one in &self.overruled {
            let files = std::mem::take(&mut differing);
            entries.push(story::overruled(scene, one, files));
        }
        entries
    }

    /// Takes the files of some objects out of what differs.
    fn files_of(&self, told: &[Told], differing: &mut Changes) -> Changes {
        let unit: &UnitName = self.scene.unit;
        let paths = told.iter().map(|one| path::of_object(unit, &one.object));
        paths
            .filter_map(|path| differing.remove_entry(&path))
            .collect()
    }
}
