//! What is live, for everything that a unit's plan has to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::pass::{Context, PlanInput};
use crate::fields::{self, Verdict};
use crate::health;
use crate::kube::{ApiError, ApplyMode, Conflicts, Finding, Retry, WatchState, find};
use crate::model::{Desired, Digest, FIELD_MANAGER, GroupKind, Live, ObjectId};
use crate::plan::{Dependencies, Members, Observation, Seen, dependencies};
use crate::runtime::clock;

/// Objects whose difference from desired the API server has called none, by what was
/// compared: a difference in spelling costs one dry-run, once.
#[derive(Debug, Default)]
pub struct KnownClean {
    seen: Mutex<BTreeMap<ObjectId, (Digest, Digest)>>,
}

/// What was observed for a unit.
pub(super) struct Observed {
    pub(super) objects: BTreeMap<ObjectId, Observation>,
    pub(super) members: Members,
    /// What kept something from being read, the one that passes by itself first.
    pub(super) problem: Option<ApiError>,
    /// What could not be verified, for people.
    pub(super) notes: BTreeSet<String>,
}

/// Reads the live view, and asks the API server only for what it does not hold.
pub(super) async fn observe(context: &Context, input: &PlanInput) -> Observed {
    let desired = &input.desired.objects;
    let kinds = kinds(input);
    context.view.ensure(&kinds).await;
    context.view.listed(kinds.keys()).await;
    let (members, problem) = match members(context, input) {
        Ok(members) => (Members::Known(members), None),
        Err((kind, error)) => (Members::Unknown(format!("{kind}: {error}")), Some(error)),
    };
    let found = lookup(
        context,
        input,
        &dependencies(desired, &input.neighbours.claims),
    )
    .await;
    let mut observed = Observed {
        objects: BTreeMap::new(),
        members,
        problem,
        notes: BTreeSet::new(),
    };
    let gone = match &observed.members {
        Members::Known(members) => members
            .iter()
            .filter(|id| !found.contains_key(*id))
            .cloned()
            .collect(),
        Members::Unknown(_) => BTreeSet::new(),
    };
    for id in gone {
        let observation = context
            .view
            .get(&id)
            .map_or(Observation::Absent, |live| present(live, Verdict::Clean));
        observed.objects.insert(id, observation);
    }
    for (id, finding) in found {
        let observation = match finding {
            Finding::Absent => Observation::Absent,
            Finding::Unknown(error) => {
                let text = error.to_string();
                observed.hinder(error);
                Observation::Unknown(text)
            }
            Finding::Present(live) => match desired.get(&id) {
                Some(desired) => {
                    let verdict =
                        verdict(context, input, desired, &live, &mut observed.notes).await;
                    present(live, verdict)
                }
                None => present(live, Verdict::Clean),
            },
        };
        observed.objects.insert(id, observation);
    }
    observed
}

fn present(live: Live, verdict: Verdict) -> Observation {
    Observation::Present(Box::new(Seen {
        health: health::health(&live.body, clock::now()),
        live,
        verdict,
    }))
}

/// The kinds to watch, each in the version that desired uses: managedFields hold paths
/// by version.
fn kinds(input: &PlanInput) -> BTreeMap<GroupKind, Option<String>> {
    let inventory = input
        .inventory
        .kinds
        .iter()
        .map(|kind| (kind.clone(), None));
    let desired = input.desired.objects.values().map(|desired| {
        let version = desired.api_version.rsplit('/').next().unwrap_or_default();
        (desired.id.kind.clone(), Some(version.to_owned()))
    });
    inventory.chain(desired).collect()
}

/// The unit's objects: complete only if each kind of its inventory could be listed. A
/// kind that the server does not serve any more has no objects.
fn members(
    context: &Context,
    input: &PlanInput,
) -> Result<BTreeSet<ObjectId>, (GroupKind, ApiError)> {
    for kind in &input.inventory.kinds {
        match context.view.state(kind) {
            WatchState::Synced | WatchState::Failed(ApiError::NoSuchKind(_)) => {}
            WatchState::Starting => {
                let error = ApiError::Unavailable("it is not listed yet".to_owned());
                return Err((kind.clone(), error));
            }
            WatchState::Failed(error) => return Err((kind.clone(), error)),
        }
    }
    Ok(context.view.members(&input.apply_set))
}

impl Observed {
    /// Takes in why something could not be read.
    fn hinder(&mut self, error: ApiError) {
        // Nobody says when a kind that is declared nowhere appears.
        let error = match error {
            ApiError::NoSuchKind(_) => ApiError::Rejected(error.to_string()),
            other => other,
        };
        let passes = |error: &ApiError| matches!(error.retry(), Retry::After(_));
        if self.problem.is_none() || passes(&error) {
            self.problem = Some(error);
        }
    }
}

/// The desired objects and what they depend on.
async fn lookup(
    context: &Context,
    input: &PlanInput,
    dependencies: &Dependencies,
) -> BTreeMap<ObjectId, Finding> {
    let desired = &input.desired.objects;
    let mut found = BTreeMap::new();
    let mut missing = BTreeMap::new();
    let others = dependencies
        .of
        .values()
        .flatten()
        .filter(|id| !desired.contains_key(*id));
    for id in desired.keys().chain(others) {
        let api_version = desired
            .get(id)
            .map_or("", |desired| desired.api_version.as_str());
        if let Some(live) = context.view.get(id) {
            found.insert(id.clone(), Finding::Present(live));
        } else if let Some(finding) = unwatched(context, input, id) {
            found.insert(id.clone(), finding);
        } else {
            missing.insert(id.clone(), api_version.to_owned());
        }
    }
    let namespace = GroupKind::new("", "Namespace");
    let (namespaces, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = missing
        .into_iter()
        .partition(|(id, _)| id.kind == namespace);
    found.extend(find(&context.cluster, &namespaces).await);
    // What lies in a namespace that does not exist does not exist.
    let absent: BTreeSet<String> = found
        .iter()
        .filter(|(id, finding)| id.kind == namespace && **finding == Finding::Absent)
        .map(|(id, _)| id.name.clone())
        .collect();
    let (inside, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = rest.into_iter().partition(|(id, _)| {
        id.namespace
            .as_ref()
            .is_some_and(|name| absent.contains(name))
    });
    found.extend(inside.into_keys().map(|id| (id, Finding::Absent)));
    found.extend(find(&context.cluster, &rest).await);
    found
}

/// What can be said of an object whose kind can't be watched.
fn unwatched(context: &Context, input: &PlanInput, id: &ObjectId) -> Option<Finding> {
    if !input.desired.objects.contains_key(id) {
        return None;
    }
    match context.view.state(&id.kind) {
        WatchState::Failed(ApiError::NoSuchKind(kind)) => {
            let declared = input.definitions.contains(&kind);
            Some(if declared {
                Finding::Absent
            } else {
                Finding::Unknown(ApiError::NoSuchKind(kind))
            })
        }
        WatchState::Failed(error) => Some(Finding::Unknown(error)),
        WatchState::Starting | WatchState::Synced => None,
    }
}

/// Compares, and lets the API server decide where managedFields leave it open. Where
/// desired itself has moved, the apply will tell.
async fn verdict(
    context: &Context,
    input: &PlanInput,
    desired: &Desired,
    live: &Live,
    notes: &mut BTreeSet<String>,
) -> Verdict {
    let verdict = fields::compare(desired, live);
    let Verdict::Maybe(differences) = verdict else {
        return verdict;
    };
    let moved = input
        .applied
        .get(&desired.id)
        .is_some_and(|baseline| baseline.digest != desired.digest);
    if moved || live.terminating() {
        return Verdict::Drifted(differences);
    }
    let owned = fields::owned(live, FIELD_MANAGER);
    let projected = fields::project_desired_paths(live, desired, &owned);
    let compared = (desired.digest, Digest::of_json(&projected));
    if context.known.has(&desired.id, compared) {
        return Verdict::Clean;
    }
    let permit = context.requests.acquire().await;
    let answer = context
        .cluster
        .apply(desired, ApplyMode::DryRun, Conflicts::Take)
        .await;
    drop(permit);
    match answer {
        // Elsewhere a controller may have been at work since live was seen.
        Ok(result) if fields::project_desired_paths(&result, desired, &owned) == projected => {
            context.known.add(&desired.id, compared);
            Verdict::Clean
        }
        Err(ApiError::Forbidden(_)) => {
            notes.insert(
                "decided from managedFields alone where a value may only be spelled differently, since PATCH for a server dry-run is not granted"
                    .to_owned(),
            );
            Verdict::Maybe(differences)
        }
        // It differs, or would be refused: the apply will tell.
        Ok(_) | Err(_) => Verdict::Drifted(differences),
    }
}

impl KnownClean {
    fn has(&self, id: &ObjectId, compared: (Digest, Digest)) -> bool {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            == Some(&compared)
    }

    fn add(&self, id: &ObjectId, compared: (Digest, Digest)) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), compared);
    }
}
