//! The last look before a plan may be executed: nothing big is deleted by accident, and
//! nothing is applied by which the agent would shut itself out.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use super::leaving::Budget;
use super::types::{Action, Blocked, Checked, Plan, Proposed, Standing, Step};
use crate::config::MaxPrune;
use crate::model::{Digest, ObjectId, number_of};

/// How a plan is approved.
#[derive(Debug, Clone, Copy)]
pub enum Approvals<'a> {
    /// By its digest, as these were.
    ByDigest(&'a BTreeSet<Digest>),
    /// Not this one: it lacks something that is in the digest of the plan that will be
    /// executed, such as each object's uid.
    Elsewhere,
}

/// Objects that may be deleted, and the uid that each must have.
pub type Granted = BTreeMap<ObjectId, String>;

/// What deletions are measured by.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// How much of the unit may be deleted unasked.
    pub unit: MaxPrune,
    /// The number of objects in the unit's inventory, but for those that were added while
    /// others were leaving.
    pub total: usize,
    /// The same of the environment; `None` where no prune has to be measured.
    pub environment: Option<&'a Budget>,
}

impl Plan<Proposed> {
    /// Whether something would be deleted that is not granted yet, and so has to be
    /// measured by what leaves the environment in all.
    pub fn deletes_more_than(&self, granted: &Granted) -> bool {
        let prunes = |step: &&Step| step.action == Action::Prune;
        let mut prunes = self.steps.iter().filter(prunes);
        prunes.any(|step| !grants(granted, step))
    }

    /// Blocks the prunes, replacements and policies that need somebody's approval, unless this
    /// very plan, or all that leaves the environment, was approved, or `granted` has them:
    /// what was approved to be deleted and has not come to that yet, by uid.
    pub fn check(
        mut self,
        limits: Limits<'_>,
        approvals: Approvals<'_>,
        granted: &Granted,
    ) -> Plan<Checked> {
        self.notes.extend(self.blind.clone());
        let pruned = self
            .steps
            .iter()
            .filter(|step| step.action == Action::Prune)
            .count();
        let guard = Guard::of(limits, pruned);
        let all = limits.environment.map(|budget| budget.leaving.digest);
        let (plan, all) = (self.digest, all.unwrap_or(self.digest));
        let mut asked = BTreeSet::new();
        for step in self
            .steps
            .iter_mut()
            .filter(|step| !matches!(step.standing, Standing::Blocked(_)))
            .filter(|step| !grants(granted, step))
        {
            // While all that leaves is held back it stays the same. Where other units go on,
            // what leaves them gets less meanwhile, and its digest another.
            let digest = match step.action {
                Action::Prune if guard.environment.is_some() => all,
                _ => plan,
            };
            if approvals.include(&plan) || approvals.include(&digest) {
                continue;
            }
            if let Some(why) = guard.objection(step) {
                let how = approvals.how(&digest);
                asked.insert(digest);
                step.standing = Standing::Blocked(Blocked::Guard(format!("{why}; {how}")));
            }
        }
        let leaving = limits.environment.filter(|_| asked.contains(&all));
        // That of the plan is good for all of it.
        let asks = match asked.len() {
            0 | 1 => asked.first().copied(),
            _ => Some(plan),
        };
        self.leaving = leaving.map(|budget| {
            format!(
                "approving it deletes {} of the environment: {}",
                number_of(budget.leaving.objects.len(), "object"),
                budget.leaving.listed()
            )
        });
        self.notes.extend(self.leaving.clone());
        Plan {
            environment: self.environment,
            unit: self.unit,
            revision: self.revision,
            steps: self.steps,
            clean: self.clean,
            foreign: self.foreign,
            overruled: self.overruled,
            unhealthy: self.unhealthy,
            notes: self.notes,
            blind: self.blind,
            leaving: self.leaving,
            asks,
            digest: self.digest,
            stage: PhantomData,
        }
    }
}

impl Approvals<'_> {
    fn include(self, digest: &Digest) -> bool {
        match self {
            Self::ByDigest(approved) => approved.contains(digest),
            Self::Elsewhere => false,
        }
    }

    fn how(self, digest: &Digest) -> String {
        match self {
            Self::ByDigest(_) => format!(
                "to approve, push a commit whose message ends with the line `Approve-Plan: {digest}`"
            ),
            Self::Elsewhere => {
                "`agent diff` with the cluster, and `agent status`, tell how to approve it"
                    .to_owned()
            }
        }
    }
}

impl Plan<Checked> {
    /// What is granted by an approval of this plan.
    pub fn deletions(&self) -> Granted {
        let deletes = |step: &&Step| matches!(step.action, Action::Prune | Action::Replace);
        let steps = self.steps.iter().filter(deletes);
        steps
            .filter_map(|step| Some((step.object.clone(), step.uid.clone()?)))
            .collect()
    }
}

fn grants(granted: &Granted, step: &Step) -> bool {
    step.uid.is_some() && granted.get(&step.object) == step.uid.as_ref()
}

/// What there is to say against steps.
struct Guard {
    environment: Option<String>,
    unit: Option<String>,
}

impl Guard {
    fn of(limits: Limits<'_>, pruned: usize) -> Self {
        let Limits { unit, total, .. } = limits;
        let exceeded = unit.exceeded_by(pruned, total);
        Self {
            environment: limits.environment.and_then(Budget::objection),
            unit: exceeded.then(|| {
                let total = number_of(total, "object");
                format!("{pruned} of the unit's {total} would be deleted at once")
            }),
        }
    }

    fn objection(&self, step: &Step) -> Option<String> {
        let many = || self.environment.clone().or_else(|| self.unit.clone());
        match step.action {
            Action::Prune => step.along.clone().or_else(many),
            Action::Replace => step.along.clone().or_else(|| step.locks_out.clone()),
            Action::Create | Action::Change | Action::Adopt => step.locks_out.clone(),
            Action::Clear | Action::Detach => None,
        }
    }
}
