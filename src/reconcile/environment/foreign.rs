//! Fields that others have added to a unit's objects, as they are told in the record.

use jiff::Timestamp;

use super::{Environment, scene::scene};
use crate::model::UnitName;
use crate::plan::{Action, Blocked, Checked, ForeignField, Plan, Step};
use crate::record::foreign::ForeignFile;
use crate::record::story;

/// Those that are left, as a file; `None` where an object could not be looked at.
pub(super) fn file(plan: &Plan<Checked>) -> Option<ForeignFile> {
    let unseen = |(_, why): (&Step, &Blocked)| matches!(why, Blocked::Unobserved(_));
    if plan.blocked().any(unseen) {
        return None;
    }
    let mut file = ForeignFile::default();
    for ForeignField { object, field } in &plan.foreign {
        file.add(object, &field.path, &field.manager);
    }
    Some(file)
}

/// Whether everything that a step removes was told before.
pub(super) fn is_told(file: &ForeignFile, step: &Step) -> bool {
    let mut removed = step.fields.iter().filter_map(|field| {
        let owner = field.owner.as_ref()?;
        step.removes
            .contains(&field.path)
            .then_some((&field.path, owner))
    });
    step.action == Action::Clear && removed.all(|(path, owner)| file.has(&step.object, path, owner))
}

/// Adds those that a step removes.
pub(super) fn add_removed(file: &mut ForeignFile, step: &Step) {
    for field in &step.fields {
        if let Some(owner) = field
            .owner
            .as_ref()
            .filter(|_| step.removes.contains(&field.path))
        {
            file.add(&step.object, &field.path, owner);
        }
    }
}

impl Environment {
    /// Tells of fields that no entry tells of yet. One whose value changes is no news,
    /// one that another manager takes is.
    pub(super) fn tell_foreign(&mut self, name: &UnitName, plan: &Plan<Checked>, now: Timestamp) {
        let Some(unit) = self.units.get(name) else {
            return;
        };
        let mut recorded = self.journal.foreign(name);
        let is_news = |one: &&ForeignField| {
            let field = &one.field;
            !recorded.has(&one.object, &field.path, &field.manager)
        };
        let news: Vec<&ForeignField> = plan.foreign.iter().filter(is_news).collect();
        if news.is_empty() {
            return;
        }
        for one in &news {
            recorded.add(&one.object, &one.field.path, &one.field.manager);
        }
        let scene = scene(&self.context.environment, name, unit, now);
        let changes = self.journal.foreign_change(name, &recorded);
        let entry = story::others(&scene, &news, changes);
        let status = self.journal.status().unchanged();
        self.journal.enter(entry, status);
    }
}
