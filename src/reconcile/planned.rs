//! The plans of an environment, and what they come to in a line.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Lineage, UnitName, named, number_of};
use crate::plan::{Action, Checked, Plan, Standing, Step};

/// The plans of an environment.
#[derive(Debug, Default)]
pub struct PlannedEnvironment {
    /// In the order in which the daemon would go about it.
    pub plans: Vec<Plan<Checked>>,
    /// Units that could not be rendered, and why.
    pub failed: BTreeMap<UnitName, String>,
    /// Units that are left alone on purpose.
    pub suspended: BTreeSet<UnitName>,
    /// For people.
    pub warnings: Vec<String>,
    /// The histories that what is live was applied from.
    pub lineages: BTreeSet<Lineage>,
    /// Why the daemon would do none of it.
    pub refused: Option<String>,
}

impl PlannedEnvironment {
    /// Leaves out all units but these.
    pub fn retain(&mut self, keep: impl Fn(&UnitName) -> bool) {
        self.plans.retain(|plan| keep(&plan.unit));
        self.failed.retain(|unit, _| keep(unit));
        self.suspended.retain(|unit| keep(unit));
    }

    /// `1 to create, 2 to change, 1 blocked; 47 as declared`
    pub fn summary(&self) -> String {
        let mut left_alone = String::new();
        let mut parts = counted(self.plans.iter().flat_map(|plan| &plan.steps));
        let clean: usize = self.plans.iter().map(|plan| plan.clean).sum();
        if !self.failed.is_empty() {
            let count = self.failed.len();
            let units = number_of(count, "unit");
            parts.push(format!("{units} cannot be rendered"));
        }
        if !self.suspended.is_empty() {
            let count = self.suspended.len();
            let units = named(count, "unit");
            left_alone = format!("; {count} suspended {units} not compared");
        }
        let foreign: usize = self.plans.iter().map(|plan| plan.foreign.len()).sum();
        let others = match foreign {
            0 => String::new(),
            many => format!("; {} of others", number_of(many, "field")),
        };
        if parts.is_empty() {
            let objects = number_of(clean, "object");
            return format!("no difference, {objects} as declared{others}{left_alone}");
        }
        format!(
            "{}; {clean} as declared{others}{left_alone}",
            parts.join(", ")
        )
    }
}

/// `1 to create`, `2 to change`, `1 blocked`
pub fn counted<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut blocked = 0;
    for step in steps {
        match step.standing {
            Standing::Blocked(_) => blocked += 1,
            _ => *counts.entry(word(step)).or_default() += 1,
        }
    }
    let mut parts: Vec<String> = counts
        .into_iter()
        .map(|(word, count)| format!("{count} to {word}"))
        .collect();
    if blocked > 0 {
        parts.push(format!("{blocked} blocked"));
    }
    parts
}

fn word(step: &Step) -> &'static str {
    match (&step.standing, step.action) {
        (Standing::Reported, _) => "leave drifted",
        (_, Action::Create) => "create",
        (_, Action::Change) => "change",
        (_, Action::Adopt) => "adopt",
        (_, Action::Clear) => "clear",
        (_, Action::Replace) => "replace",
        (_, Action::Prune) => "prune",
        (_, Action::Detach) => "let go",
    }
}
