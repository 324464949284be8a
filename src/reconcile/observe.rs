//! What is live, for everything that a unit's plan has to look at.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use git2::Oid;
use serde_json::Value;

use super::along;
use super::compared::key_of;
use super::pass::{Context, PlanInput};
use crate::fields::{self, Difference, Others, Verdict};
use crate::health;
use crate::kube::{ApiError, ApplyMode, Conflicts, Finding, LiveView, Retry, WatchState, find};
use crate::model::{Desired, Digest, FIELD_MANAGER, GroupKind, Json, Live, ObjectId, yaml};
use crate::plan::{AsDesired, Members, Observation, Seen, recorded_side};
use crate::record::content_id;
use crate::runtime::clock;

/// How many objects are compared before other tasks get their turn.
const AT_ONCE: usize = 32;

/// What was observed for a unit.
pub(super) struct Observed {
    pub(super) objects: BTreeMap<ObjectId, Observation>,
    /// The ids of the desired objects' recorded forms, for those that are there.
    pub(super) recorded: BTreeMap<ObjectId, Oid>,
    pub(super) members: Members,
    /// What kept something from being read, the one that passes by itself first.
    pub(super) problem: Option<ApiError>,
    /// Absent objects that went with their namespace or the definition of their kind, or
    /// are about to.
    pub(super) along: BTreeSet<ObjectId>,
    /// What could not be verified, for people.
    pub(super) notes: BTreeSet<String>,
    /// Objects that only the API server can tell to be as desired.
    doubtful: Vec<Doubtful>,
}

struct Doubtful {
    id: ObjectId,
    live: Live,
    differences: Vec<Difference>,
}

/// Reads the live view, and asks the API server only for what it does not hold.
pub(super) async fn observe(context: &Context, input: &PlanInput) -> Observed {
    let kinds = kinds(input);
    context.view.listed(&kinds, &namespaces(input)).await;
    let (members, problem) = match members(context, input) {
        Ok(members) => (Members::Known(members), None),
        Err((kind, error)) => (Members::Unknown(format!("{kind}: {error}")), Some(error)),
    };
    let mut observed = Observed {
        objects: BTreeMap::new(),
        recorded: BTreeMap::new(),
        members,
        problem,
        along: BTreeSet::new(),
        notes: BTreeSet::new(),
        doubtful: Vec::new(),
    };
    let missing = observed.look(context, input).await;
    for (id, finding) in find_missing(context, missing, &observed).await {
        observed.take(context, input, id, finding);
    }
    observed.ask(context, input).await;
    observed.leftovers(context);
    along::look(&mut observed, context, input).await;
    observed
}

impl Observed {
    /// Takes in what the view has of the desired objects and of what they depend on; gives
    /// back those that it does not have, each with its `apiVersion`.
    async fn look(&mut self, context: &Context, input: &PlanInput) -> BTreeMap<ObjectId, String> {
        let mut missing = BTreeMap::new();
        let mut compared = 0;
        for desired in input.desired.objects.values() {
            let version = context.view.version(&desired.id);
            if let Some(same) = version.and_then(|it| context.compared.same(desired, it)) {
                self.recorded.insert(desired.id.clone(), same.recorded);
                let found = Observation::AsDesired(same.found);
                self.objects.insert(desired.id.clone(), found);
                continue;
            }
            match known(context, input, &desired.id) {
                Some(finding) => self.take(context, input, desired.id.clone(), finding),
                None => drop(missing.insert(desired.id.clone(), desired.api_version.clone())),
            }
            compared += 1;
            if compared % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        let others = input.dependencies.of.values().flatten();
        for id in others.filter(|id| !input.desired.objects.contains_key(*id)) {
            match context.view.get(id) {
                Some(live) => self.take(context, input, id.clone(), Finding::Present(live)),
                None => drop(missing.insert(id.clone(), String::new())),
            }
        }
        missing
    }

    /// Takes in what was found of an object.
    fn take(&mut self, context: &Context, input: &PlanInput, id: ObjectId, finding: Finding) {
        let observation = match finding {
            Finding::Absent => Observation::Absent,
            Finding::Unknown(error) => {
                let text = error.to_string();
                self.hinder(error);
                Observation::Unknown(text)
            }
            Finding::Present(live) => match input.desired.objects.get(&id) {
                Some(desired) => return self.compare(context, input, desired, live),
                None => present(&live, Verdict::Clean, Others::default()),
            },
        };
        self.objects.insert(id, observation);
    }

    /// Compares. Where desired itself has moved, the apply will tell what managedFields
    /// leave open.
    fn compare(&mut self, context: &Context, input: &PlanInput, desired: &Desired, live: Live) {
        let differences = match fields::compare(desired, &live) {
            Verdict::Maybe(differences) => differences,
            // What was called no difference is none again once drift was put back.
            Verdict::Drifted(differences) => {
                let verdict = Verdict::Drifted(differences);
                return self.settle(context, desired, &live, verdict);
            }
            Verdict::Clean => {
                context.compared.unknow(&desired.id);
                return self.settle(context, desired, &live, Verdict::Clean);
            }
        };
        let moved = input
            .applied
            .get(&desired.id)
            .is_some_and(|baseline| baseline.digest != desired.digest);
        if moved || live.terminating() {
            return self.settle(context, desired, &live, Verdict::Drifted(differences));
        }
        let (_, compared) = compared(context, desired, &live);
        if context.compared.is_known(&desired.id, &compared) {
            return self.settle(context, desired, &live, Verdict::Clean);
        }
        self.doubtful.push(Doubtful {
            id: desired.id.clone(),
            live,
            differences,
        });
    }

    /// Takes in how an object compares.
    fn settle(&mut self, context: &Context, desired: &Desired, live: &Live, verdict: Verdict) {
        let text = yaml(&recorded_side(desired, live, &context.key));
        let recorded = content_id(text.as_bytes());
        self.recorded.insert(desired.id.clone(), recorded);
        let others = fields::others(desired, live);
        let observation = if verdict == Verdict::Clean && !live.terminating() {
            let found = AsDesired {
                health: health::health(&live.body, clock::now()),
                others,
            };
            if let Ok(version) = live.resource_version().parse() {
                context
                    .compared
                    .note(desired, version, found.clone(), recorded);
            }
            Observation::AsDesired(found)
        } else {
            present(live, verdict, others)
        };
        self.objects.insert(desired.id.clone(), observation);
    }

    /// Lets the API server decide where managedFields leave it open.
    async fn ask(&mut self, context: &Context, input: &PlanInput) {
        let doubtful = std::mem::take(&mut self.doubtful);
        let mut answers: FuturesUnordered<_> = doubtful
            .into_iter()
            .filter_map(|doubtful| {
                let desired = input.desired.objects.get(&doubtful.id)?;
                Some(answer(context, desired, doubtful))
            })
            .collect();
        while let Some((desired, live, verdict)) = answers.next().await {
            if let Verdict::Maybe(_) = verdict {
                self.notes.insert(
                    "decided from managedFields alone where a value may only be spelled differently, since PATCH for a server dry-run is not granted"
                        .to_owned(),
                );
            }
            self.settle(context, desired, &live, verdict);
        }
    }

    /// Members that nobody declares any more, as far as they were not looked at.
    fn leftovers(&mut self, context: &Context) {
        let Members::Known(members) = &self.members else {
            return;
        };
        for id in members {
            if !self.objects.contains_key(id) {
                let observation = context.view.get(id).map_or(Observation::Absent, |live| {
                    present(&live, Verdict::Clean, Others::default())
                });
                self.objects.insert(id.clone(), observation);
            }
        }
    }

    /// Takes in why something could not be read.
    pub(super) fn hinder(&mut self, error: ApiError) {
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

fn present(live: &Live, verdict: Verdict, others: Others) -> Observation {
    Observation::Present(Box::new(Seen {
        health: health::health(&live.body, clock::now()),
        live: Json::from(&live.body),
        verdict,
        others,
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
    let desired = input
        .desired
        .kinds
        .iter()
        .map(|(kind, version)| (kind.clone(), Some(version.clone())));
    inventory.chain(desired).collect()
}

/// Whether a view has every kind that the unit needs to be planned.
pub(super) fn watches(view: &LiveView, input: &PlanInput) -> bool {
    let namespaces = namespaces(input);
    let mut kinds = kinds(input).into_keys();
    kinds.all(|kind| view.state(&kind, &namespaces) == WatchState::Synced)
}

/// The namespaces that its objects are or were in.
fn namespaces(input: &PlanInput) -> BTreeSet<String> {
    let mut namespaces = input.inventory.namespaces.clone();
    for id in input.desired.objects.keys() {
        if let Some(namespace) = &id.namespace
            && !namespaces.contains(namespace)
        {
            namespaces.insert(namespace.clone());
        }
    }
    namespaces
}

/// The unit's objects: complete only if each kind of its inventory could be listed in
/// each namespace of it. A kind that the server does not serve any more has no objects.
fn members(
    context: &Context,
    input: &PlanInput,
) -> Result<BTreeSet<ObjectId>, (GroupKind, ApiError)> {
    for kind in &input.inventory.kinds {
        match context.view.state(kind, &input.inventory.namespaces) {
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

/// What the view, or the state of its watch, says of a desired object.
fn known(context: &Context, input: &PlanInput, id: &ObjectId) -> Option<Finding> {
    match context.view.get(id) {
        Some(live) => Some(Finding::Present(live)),
        None => unwatched(context, input, id),
    }
}

/// Asks the API server for what the view does not have. What lies in a namespace that
/// does not exist does not exist.
async fn find_missing(
    context: &Context,
    missing: BTreeMap<ObjectId, String>,
    observed: &Observed,
) -> BTreeMap<ObjectId, Finding> {
    let namespace = GroupKind::new("", "Namespace");
    let (namespaces, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = missing
        .into_iter()
        .partition(|(id, _)| id.kind == namespace);
    let mut found = find(&context.cluster, &namespaces).await;
    let told = observed.objects.iter();
    let absent: BTreeSet<String> = told
        .filter(|(_, observation)| **observation == Observation::Absent)
        .map(|(id, _)| id)
        .chain(
            found
                .iter()
                .filter(|(_, finding)| **finding == Finding::Absent)
                .map(|(id, _)| id),
        )
        .filter(|id| id.kind == namespace)
        .map(|id| id.name.clone())
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
    let namespace = id.namespace.iter().cloned().collect();
    match context.view.state(&id.kind, &namespace) {
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

/// Live at the fields in question, and what stands for the comparison.
fn compared(context: &Context, desired: &Desired, live: &Live) -> (Value, String) {
    let owned = fields::owned(live, FIELD_MANAGER);
    let projected = fields::project_desired_paths(live, desired, &owned);
    let compared = key_of(desired, &Digest::of_json(&projected), &context.key);
    (projected, compared)
}

/// What an apply would do, by a dry-run of it.
async fn answer<'a>(
    context: &Context,
    desired: &'a Desired,
    doubtful: Doubtful,
) -> (&'a Desired, Live, Verdict) {
    let Doubtful {
        live, differences, ..
    } = doubtful;
    let (projected, compared) = compared(context, desired, &live);
    let owned = fields::owned(&live, FIELD_MANAGER);
    let answer = context
        .cluster
        .apply(desired, ApplyMode::DryRun, Conflicts::Take)
        .await;
    let verdict = match answer {
        // Elsewhere a controller may have been at work since live was seen.
        Ok(result) if fields::project_desired_paths(&result, desired, &owned) == projected => {
            context.compared.know(&desired.id, compared);
            Verdict::Clean
        }
        Err(ApiError::Forbidden(_)) => Verdict::Maybe(differences),
        // It differs, or would be refused: the apply will tell.
        Ok(_) | Err(_) => Verdict::Drifted(differences),
    };
    (desired, live, verdict)
}
