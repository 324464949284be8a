//! The last look before a plan may be executed: nothing big is deleted by accident.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use super::types::{Action, Blocked, Checked, Plan, Proposed, Standing, Step};
use crate::config::MaxPrune;
use crate::model::{Digest, GroupKind, ObjectId};

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

impl Plan<Proposed> {
    /// Blocks the prunes and replacements that need somebody's approval, unless this
    /// very plan was approved, or `granted` has them: what an approved plan was to
    /// delete and has not come to yet, by uid.
    ///
    /// `total` is the number of objects in the unit's inventory.
    pub fn check(
        mut self,
        limit: MaxPrune,
        total: usize,
        approvals: Approvals<'_>,
        granted: &Granted,
    ) -> Plan<Checked> {
        self.notes.extend(self.blind.clone());
        if !approvals.include(&self.digest) {
            let pruned = self
                .steps
                .iter()
                .filter(|step| step.action == Action::Prune)
                .count();
            let too_many = limit.exceeded_by(pruned, total);
            let how = approvals.how(&self.digest);
            for step in self
                .steps
                .iter_mut()
                .filter(|step| !matches!(step.standing, Standing::Blocked(_)))
                .filter(|step| !grants(granted, step))
            {
                if let Some(why) = objection(step, too_many, pruned, total) {
                    step.standing = Standing::Blocked(Blocked::Guard(format!("{why}; {how}")));
                }
            }
        }
        Plan {
            environment: self.environment,
            unit: self.unit,
            revision: self.revision,
            steps: self.steps,
            clean: self.clean,
            foreign: self.foreign,
            unhealthy: self.unhealthy,
            notes: self.notes,
            blind: self.blind,
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

fn objection(step: &Step, too_many: bool, pruned: usize, total: usize) -> Option<String> {
    let deletes = matches!(step.action, Action::Prune | Action::Replace);
    if deletes && takes_others_along(&step.object.kind) {
        return Some(format!(
            "deleting a {} takes everything in it along",
            step.object.kind.kind
        ));
    }
    (step.action == Action::Prune && too_many)
        .then(|| format!("{pruned} of the unit's {total} objects would be deleted at once"))
}

/// Kinds whose deletion deletes more than themselves, or data.
pub(super) fn takes_others_along(kind: &GroupKind) -> bool {
    matches!(
        (kind.group.as_str(), kind.kind.as_str()),
        (
            "",
            "Namespace" | "PersistentVolume" | "PersistentVolumeClaim"
        ) | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}
