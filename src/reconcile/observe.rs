//! What is live, for everything that a unit's plan has to look at.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use git2::Oid;

use super::along;
use super::asked::{Doubtful, answer, compared};
use super::membership::Carriers;
use super::pass::{Context, PlanInput};
use super::places::{kinds, namespaces};
use super::unread;
use crate::fields::{self, Hold, Others, Verdict};
use crate::health;
use crate::kube::{self, ApiError, Era, Finding, Retry, WatchState, find, find_each};
use crate::model::{Desired, GroupKind, Json, Live, Name, ObjectId, PART_OF, yaml};
use crate::plan::{
    AsDesired, Dependents, Members, Observation, Seen, recorded_side, takes_others_along,
};
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
    /// What carries the ApplySet's label, and what is proven of it.
    pub(super) carriers: Carriers,
    /// What kept something from being read, the one that passes by itself first.
    pub(super) problem: Option<ApiError>,
    /// Absent objects that went with their namespace or the definition of their kind, or
    /// are about to.
    pub(super) along: BTreeSet<ObjectId>,
    /// What is deleted with its owner, and is more than that.
    pub(super) dependents: Dependents,
    /// ApplySets that are not the environment's, of objects that are declared.
    pub(super) strange: BTreeSet<String>,
    /// What could not be verified, for people.
    pub(super) notes: BTreeSet<String>,
    /// When it was looked.
    era: Era,
    /// Objects that only the API server can tell to be as desired.
    doubtful: Vec<Doubtful>,
}

/// Reads the live view, and asks the API server only for what it does not hold.
pub(super) async fn observe(context: &Context, input: &PlanInput) -> Observed {
    let kinds = kinds(input);
    context.view.listed(&kinds, &namespaces(input)).await;
    let era = context.view.era();
    context.compared.begin(era);
    let (members, problem) = match unread::blind(context, input) {
        None => (Members::Known(BTreeSet::new()), None),
        Some((kind, error)) => (Members::Unknown(format!("{kind}: {error}")), Some(error)),
    };
    let mut observed = Observed {
        objects: BTreeMap::new(),
        recorded: BTreeMap::new(),
        members,
        carriers: Carriers::of(context, input).await,
        problem,
        along: BTreeSet::new(),
        dependents: Dependents::new(),
        strange: BTreeSet::new(),
        notes: BTreeSet::new(),
        era,
        doubtful: Vec::new(),
    };
    let missing = observed.look(context, input).await;
    for (id, finding) in find_missing(context, input, missing, &observed).await {
        observed.take(context, input, id, finding);
    }
    let unread: Vec<ApiError> = observed.carriers.unread.values().cloned().collect();
    for error in unread {
        observed.hinder(error);
    }
    observed.ask(context, input).await;
    let left = observed.undeclared(context);
    observed.prove(&input.apply_set);
    along::look(&mut observed, context, input).await;
    if left || !input.refusals.is_empty() {
        observed.dependents = context.view.dependents(takes_others_along);
    }
    observed
}

impl Observed {
    /// Takes in what the view has of the desired objects and of what they depend on; gives
    /// back those that it does not have, each with its `apiVersion`.
    async fn look(&mut self, context: &Context, input: &PlanInput) -> BTreeMap<ObjectId, String> {
        let mut missing = BTreeMap::new();
        let mut compared = 0;
        let left = context.view.left();
        for desired in input.desired.objects.values() {
            let version = context.view.version(&desired.id);
            let version = version.filter(|_| !is_left(&left, desired));
            if let Some(same) = version.and_then(|it| context.compared.same(desired, it)) {
                self.recorded.insert(desired.id.clone(), same.recorded);
                let found = Observation::AsDesired(same.found);
                self.objects.insert(desired.id.clone(), found);
                continue;
            }
            match known(context, input, desired) {
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
        let others = &input.neighbours.apply_sets;
        let strange = |id: &&str| *id != input.apply_set && !others.contains_key(*id);
        let strange = live.label(PART_OF).filter(strange);
        self.strange.extend(strange.map(str::to_owned));
        let differences = match fields::compare(desired, &live) {
            Verdict::Maybe(differences) => differences,
            // What was called no difference is none again once drift was put back.
            verdict @ (Verdict::Drifted(_) | Verdict::Overruled(..)) => {
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
        match context.compared.known(&desired.id, &compared, clock::now()) {
            Some(made) => self.settle(context, desired, &live, made.verdict(differences)),
            None => self.doubtful.push(Doubtful {
                id: desired.id.clone(),
                live,
                differences,
            }),
        }
    }

    /// Takes in how an object compares.
    fn settle(&mut self, context: &Context, desired: &Desired, live: &Live, verdict: Verdict) {
        let text = yaml(&recorded_side(desired, live, &context.key));
        let recorded = content_id(text.as_bytes());
        self.recorded.insert(desired.id.clone(), recorded);
        let version = kube::version_of(live.api_version());
        if context.view.has_in_another(&desired.id.kind, version) {
            context.compared.keep_form(&desired.id, text);
        }
        let others = fields::others(desired, live);
        let overruled = match &verdict {
            _ if live.terminating() => None,
            Verdict::Clean => Some(Vec::new()),
            Verdict::Overruled(differences, Hold::Steady) => Some(differences.clone()),
            Verdict::Overruled(_, Hold::Changing) | Verdict::Maybe(_) | Verdict::Drifted(_) => None,
        };
        let observation = if let Some(overruled) = overruled {
            let found = AsDesired {
                health: health::health(&live.body, clock::now()),
                others,
                overruled,
            };
            if let Ok(version) = live.resource_version().parse() {
                context
                    .compared
                    .note(desired, (self.era, version), found.clone(), recorded);
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

    /// Takes in members that the unit does not declare any more, as far as they were not
    /// looked at; whether there are any.
    fn undeclared(&mut self, context: &Context) -> bool {
        let mut any = false;
        for id in &self.carriers.members {
            if self.objects.contains_key(id) {
                continue;
            }
            any = true;
            let carriers = &self.carriers;
            let observation = if let Some(error) = carriers.unread.get(id) {
                Observation::Unknown(error.to_string())
            } else if let Some(error) = carriers.unclear.get(id) {
                Observation::Unknown(format!(
                    "whether it is what is declared under another group: {error}"
                ))
            } else if let Some(live) = context.view.get(id) {
                present(&live, Verdict::Clean, Others::default())
            } else {
                Observation::Absent
            };
            self.objects.insert(id.clone(), observation);
        }
        any
    }

    /// What was looked at after it was found to be a member may be another object by then,
    /// or have lost what proved it.
    fn prove(&mut self, apply_set: &str) {
        let Members::Known(members) = &mut self.members else {
            return;
        };
        let proven = |id: &&ObjectId| match self.objects.get(*id) {
            Some(Observation::Present(seen)) => {
                let live = seen.live();
                let owned = kube::owned(&live);
                owned.as_ref() == self.carriers.owned.get(*id)
                    && live.label(PART_OF) == Some(apply_set)
            }
            _ => true,
        };
        let proven = self.carriers.members.iter().filter(proven);
        *members = proven.cloned().collect();
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

/// Whether an object is declared in a version that is not served any more.
fn is_left(left: &BTreeSet<(GroupKind, String)>, desired: &Desired) -> bool {
    let version = || kube::version_of(&desired.api_version).to_owned();
    !left.is_empty() && left.contains(&(desired.id.kind.clone(), version()))
}

fn present(live: &Live, verdict: Verdict, others: Others) -> Observation {
    Observation::Present(Box::new(Seen {
        health: health::health(&live.body, clock::now()),
        live: Json::from(&live.body),
        verdict,
        others,
    }))
}

/// What the view, or the state of its watch, says of a desired object. One that is watched in
/// another version than it is declared in can't be compared like that.
fn known(context: &Context, input: &PlanInput, desired: &Desired) -> Option<Finding> {
    match context.view.get(&desired.id) {
        Some(live) if live.api_version() == desired.api_version => Some(Finding::Present(live)),
        Some(_) => None,
        None => unwatched(context, input, &desired.id),
    }
}

/// Asks the API server for what the view does not have. What lies in a namespace that
/// does not exist does not exist.
async fn find_missing(
    context: &Context,
    input: &PlanInput,
    missing: BTreeMap<ObjectId, String>,
    observed: &Observed,
) -> BTreeMap<ObjectId, Finding> {
    let namespace = GroupKind::known("", "Namespace");
    let (namespaces, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = missing
        .into_iter()
        .partition(|(id, _)| id.kind == namespace);
    let mut found = find(&context.cluster, &namespaces).await;
    let told = observed.objects.iter();
    let absent: BTreeSet<Name> = told
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
            .is_some_and(|name| absent.contains(name.as_str()))
    });
    found.extend(inside.into_keys().map(|id| (id, Finding::Absent)));
    // What was there, and whose end nobody told: a list that lacks it may be half a list.
    let (doubtful, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = rest
        .into_iter()
        .partition(|(id, _)| input.applied.contains_key(id) && !context.view.was_told_gone(id));
    let (each, others) = tokio::join!(
        find_each(&context.cluster, &doubtful),
        find(&context.cluster, &rest)
    );
    found.extend(each);
    found.extend(others);
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
