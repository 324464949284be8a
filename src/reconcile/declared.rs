//! What the units of an environment declare, together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{self, Problem, Problems};
use crate::kube::InventoryParent;
use crate::model::{
    Desired, Digest, EnvironmentName, GroupKind, Namespace, ObjectId, Origin, UnitName,
};
use crate::plan::{Baseline, Neighbours};
use crate::render::RenderErrors;

/// What an environment declares at one revision.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Each unit of its configuration.
    pub units: BTreeMap<UnitName, DeclaredUnit>,
}

/// What one unit declares.
#[derive(Debug, Clone)]
pub struct DeclaredUnit {
    /// Its settings.
    pub unit: Arc<config::Unit>,
    /// Its objects, complete; or why they could not be had.
    pub desired: Result<Arc<UnitDesired>, RenderErrors>,
}

/// A complete render of a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitDesired {
    /// Its objects.
    pub objects: BTreeMap<ObjectId, Desired>,
    /// Their kinds, and how many are declared in which version.
    pub kinds: BTreeMap<GroupKind, BTreeMap<String, usize>>,
    /// Of all of them.
    pub digest: Digest,
    /// What people should know of, such as values that tools read differently.
    pub warnings: Problems,
    /// Of these, what nobody can have meant.
    pub slips: Problems,
}

impl UnitDesired {
    /// What all of it was like, if the record says that this very state was reached before:
    /// then what differs from it is drift.
    pub(super) fn baselines(&self, recorded: Option<Digest>) -> BTreeMap<ObjectId, Baseline> {
        let same = recorded == Some(self.digest);
        let objects = self.objects.values().filter(|_| same);
        let baseline = |object: &Desired| Baseline {
            digest: object.digest,
        };
        objects
            .map(|object| (object.id.clone(), baseline(object)))
            .collect()
    }

    /// Whether other units can't tell this from another: the same objects in the same
    /// versions, which define the same kinds.
    pub(super) fn same_ids(&self, other: &Self) -> bool {
        let defines = |unit: &Self| -> Vec<GroupKind> {
            let objects = unit.objects.values();
            objects.filter_map(|it| it.defines.clone()).collect()
        };
        self.objects.keys().eq(other.objects.keys())
            && self.kinds == other.kinds
            && defines(self) == defines(other)
    }
}

impl Declared {
    /// What the units declare, if every one could be rendered.
    pub(super) fn all(&self) -> Option<BTreeMap<UnitName, Arc<UnitDesired>>> {
        let units = self.units.iter();
        units
            .map(|(name, unit)| Some((name.clone(), Arc::clone(unit.desired.as_ref().ok()?))))
            .collect()
    }

    /// Whether these are the same units with the same ids.
    pub(super) fn same_ids(&self, before: &BTreeMap<UnitName, Arc<UnitDesired>>) -> bool {
        self.units.len() == before.len()
            && self
                .units
                .iter()
                .all(|(name, unit)| match (before.get(name), &unit.desired) {
                    (Some(before), Ok(now)) => Arc::ptr_eq(before, now) || before.same_ids(now),
                    _ => false,
                })
    }

    /// The first unit that declares an object has it; for another one it is an error that
    /// names both places.
    pub(super) fn claim(&mut self) {
        let mut taken: BTreeMap<&ObjectId, (&UnitName, &Origin)> = BTreeMap::new();
        let mut wrong: BTreeMap<UnitName, Problems> = BTreeMap::new();
        for (name, unit) in &self.units {
            let Ok(desired) = &unit.desired else { continue };
            let doubles: Problems = desired
                .objects
                .values()
                .filter_map(|object| Some(twice(object, taken.get(&object.id)?)))
                .collect();
            if doubles.is_empty() {
                let ours = desired.objects.values();
                taken.extend(ours.map(|object| (&object.id, (name, &object.origin))));
            } else {
                wrong.insert(name.clone(), doubles);
            }
        }
        for (name, problems) in wrong {
            if let Some(unit) = self.units.get_mut(&name) {
                unit.desired = Err(problems.into());
            }
        }
    }

    /// The version of each kind that most objects are declared in: it is watched in that one,
    /// and those that are declared in another are read by themselves.
    fn versions(&self) -> BTreeMap<GroupKind, String> {
        let mut counts: BTreeMap<&GroupKind, BTreeMap<&str, usize>> = BTreeMap::new();
        let units = self.units.values();
        for desired in units.filter_map(|unit| unit.desired.as_ref().ok()) {
            for (kind, versions) in &desired.kinds {
                let all = counts.entry(kind).or_default();
                for (version, count) in versions {
                    *all.entry(version).or_default() += count;
                }
            }
        }
        let most = |versions: BTreeMap<&str, usize>| {
            let versions = versions.into_iter();
            let most = versions.max_by_key(|(_, count)| *count)?;
            Some(most.0.to_owned())
        };
        counts
            .into_iter()
            .filter_map(|(kind, versions)| Some((kind.clone(), most(versions)?)))
            .collect()
    }

    /// What the plan of a unit has to know of the others.
    pub fn neighbours(
        &self,
        environment: &EnvironmentName,
        namespace: &Namespace,
        also: &BTreeSet<UnitName>,
    ) -> Neighbours {
        let mut neighbours = Neighbours {
            versions: self.versions(),
            ..Neighbours::default()
        };
        for (name, unit) in &self.units {
            match &unit.desired {
                Ok(desired) => {
                    let ids = desired.objects.keys();
                    neighbours
                        .claims
                        .extend(ids.map(|id| (id.clone(), name.clone())));
                    let crds = desired.objects.values().filter(|it| it.defines.is_some());
                    neighbours.crds.extend(crds.map(|crd| crd.id.clone()));
                }
                Err(_) => drop(neighbours.unrendered.insert(name.clone())),
            }
        }
        neighbours.apply_sets = self.apply_sets(environment, namespace, also);
        neighbours
    }

    /// The ids of the units' ApplySets, and of those of some others, where the inventories
    /// are in this namespace.
    pub(super) fn apply_sets(
        &self,
        environment: &EnvironmentName,
        namespace: &Namespace,
        also: &BTreeSet<UnitName>,
    ) -> BTreeMap<String, UnitName> {
        let units = self.units.keys().chain(also);
        let of = |unit: &UnitName| {
            let parent = InventoryParent::new(namespace, environment, unit);
            (parent.apply_set(), unit.clone())
        };
        units.map(of).collect()
    }
}

fn twice(object: &Desired, (unit, place): &(&UnitName, &Origin)) -> Problem {
    let message = format!(
        "{} is declared by the unit {unit} too, in {place}; only one unit may",
        object.id
    );
    let problem = Problem::in_file(object.origin.path.clone(), message);
    Problem {
        line: object.origin.line,
        ..problem
    }
}
