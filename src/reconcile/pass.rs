//! The pass: observe -> plan -> check -> apply what is ready. What has to be waited
//! for ends the pass; an event, not this function, begins the next one. `agent diff`
//! is [`plan_unit`] alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use git2::Oid;
use tokio_util::sync::CancellationToken;

use super::acting::Acting;
use super::budget::{self, Roster};
use super::compared::Compared;
use super::declared::UnitDesired;
use super::execute::{self, Done};
use super::intents::Intents;
use super::listing;
use super::lists::Lists;
use super::membership::Carriers;
use super::observe;
use super::others::{self, Others};
use super::pinned;
use super::spent::Spent;
use super::upkeep::upkeep;
use super::witness::{self, Witness};
use crate::config::Unit;
use crate::kube::{ApiError, Cluster, Inventory, InventoryParent, LiveView};
use crate::model::{
    Digest, DigestKey, EnvironmentName, GroupKind, Lineage, Namespace, ObjectId, Revision,
};
use crate::plan::{
    self, Approvals, Baseline, Cause, Checked, Deletions, Dependencies, Granted, Limits, Members,
    Neighbours, Observation, Plan, Proposals, Proposed, Question, Refusal, Subject,
};
use crate::runtime::clock;
use crate::runtime::metrics::Metrics;

/// What all passes of an environment share.
pub struct Context {
    /// The environment.
    pub environment: EnvironmentName,
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// What is live.
    pub view: Arc<LiveView>,
    /// Whether it is known by now which kinds have to be watched.
    pub begun: AtomicBool,
    /// Why nothing can be enforced, or not what is followed.
    pub hindrance: Mutex<Option<String>>,
    /// What comparisons came to.
    pub compared: Compared,
    /// For digests of Secrets' values.
    pub key: DigestKey,
    /// Where the inventories are.
    pub namespace: Namespace,
    /// What objects of others belong to.
    pub others: Others,
    /// What each unit's inventory says was applied.
    pub lists: Lists,
    /// What was deleted of the environment lately, and what may be.
    pub spent: Spent,
    /// Who remembers that in the cluster.
    pub witness: Witness,
    /// As which revision units are about to be made.
    pub intents: Intents,
    /// Whether something is being done.
    pub acting: Acting,
    /// Counted here.
    pub metrics: Metrics,
    /// Cancelled when the process ends and the API server does not answer: the requests
    /// under way are given up.
    pub given_up: CancellationToken,
}

/// What a unit's plan is made from.
#[derive(Debug, Clone)]
pub struct PlanInput {
    /// The unit.
    pub unit: Arc<Unit>,
    /// The ApplySet's id.
    pub apply_set: String,
    /// What it declares.
    pub desired: Arc<UnitDesired>,
    /// Rendered from this.
    pub revision: Option<Revision>,
    /// The rest of the environment.
    pub neighbours: Arc<Neighbours>,
    /// The kinds that CRDs of the environment define.
    pub definitions: Arc<BTreeSet<GroupKind>>,
    /// What the inventory's parent says now.
    pub inventory: Inventory,
    /// Whether the inventory could be read; why not.
    pub inventory_problem: Option<String>,
    /// What its objects depend on.
    pub dependencies: Arc<Dependencies>,
    /// What was applied before.
    pub applied: Arc<BTreeMap<ObjectId, Baseline>>,
    /// What the API server refused before.
    pub refusals: BTreeMap<ObjectId, Refusal>,
    /// Plans that somebody approved.
    pub approved: Arc<BTreeSet<Digest>>,
    /// Environments whose objects are taken over.
    pub adopted: Arc<BTreeSet<EnvironmentName>>,
    /// What approved plans were to delete and have not come to yet.
    pub granted: Granted,
    /// The units of the environment.
    pub roster: Arc<Roster>,
    /// What is known of proposals to keep drift.
    pub proposals: Arc<Proposals>,
    /// Desired objects that were found to be gone before.
    pub deletions: Arc<Deletions>,
    /// What has to happen before changes of desired may be applied.
    pub waits: Option<String>,
    /// From which history the unit is applied, as its inventory is to say.
    pub source: Option<Lineage>,
}

/// A plan, and what it was made from.
pub struct Planned {
    /// The plan.
    pub plan: Plan<Checked>,
    /// What the unit declared then; by the time the plan is done, it may be more.
    pub desired: Arc<UnitDesired>,
    /// What was live.
    pub observed: BTreeMap<ObjectId, Observation>,
    /// The ids of the desired objects' recorded forms, for those that are there.
    pub recorded: BTreeMap<ObjectId, Oid>,
    /// The objects that are proven to be the unit's.
    pub members: Members,
    /// What carries the ApplySet's label, and what is proven of it.
    pub(super) carriers: Carriers,
    /// What somebody is asked about that is not the unit's alone.
    pub(super) asked: Option<Question>,
    /// What could not be read.
    pub problem: Option<ApiError>,
}

impl Planned {
    /// What somebody has to approve for the unit to go on, or to be rid of what is left over.
    pub(super) fn asks(&self) -> Option<Digest> {
        self.plan.asks.or(self.carriers.leftovers.asks())
    }
}

/// How a pass ended.
pub struct Outcome {
    /// The plan that it followed.
    pub planned: Planned,
    /// What it did.
    pub done: Vec<Done>,
    /// The inventory as it stands in the cluster now, where it was written.
    pub inventory: Option<Inventory>,
    /// What stopped it, to be tried again.
    pub problem: Option<ApiError>,
}

/// Observes, plans and checks. Writes nothing.
pub async fn plan_unit(context: &Context, input: &PlanInput) -> Planned {
    let started = Instant::now();
    let observed = observe::observe(context, input).await;
    let members = match &input.inventory_problem {
        Some(problem) => Members::Unknown(problem.clone()),
        None => observed.members,
    };
    let others = others::named(context, &observed.strange).await;
    let upkeep = upkeep(context, input).await;
    let proposed = plan::plan(&Subject {
        environment: &context.environment,
        unit: &input.unit,
        revision: input.revision.as_ref(),
        apply_set: &input.apply_set,
        desired: &input.desired.objects,
        observed: &observed.objects,
        members: &members,
        list: &input.inventory.applied,
        neighbours: &input.neighbours,
        others: &others,
        adopted: &input.adopted,
        dependencies: &input.dependencies,
        applied: &input.applied,
        refusals: &input.refusals,
        proposals: &input.proposals,
        deletions: &input.deletions,
        along: &observed.along,
        dependents: &observed.dependents,
        upkeep: &upkeep,
        waits: input.waits.as_deref(),
        key: &context.key,
        now: clock::now(),
    });
    let (mut plan, asked) = check(context, input, proposed, members.count()).await;
    if input.approved.contains(&plan.digest) {
        let objects = plan.steps.iter().map(|step| &step.object);
        context.spent.approve(objects, plan.digest);
    }
    plan.notes.extend(observed.notes);
    plan.notes.extend(observed.carriers.leftovers.briefly());
    context
        .metrics
        .plan_seconds
        .observe(started.elapsed().as_secs_f64());
    Planned {
        plan,
        desired: Arc::clone(&input.desired),
        observed: observed.objects,
        recorded: observed.recorded,
        members,
        carriers: observed.carriers,
        asked,
        problem: observed.problem,
    }
}

/// Has the guard look at a plan, with all that leaves the environment where the plan
/// deletes something.
async fn check(
    context: &Context,
    input: &PlanInput,
    proposed: Plan<Proposed>,
    total: usize,
) -> (Plan<Checked>, Option<Question>) {
    let approvals = Approvals::ByDigest(&input.approved);
    let granted = || {
        let mut granted = context.spent.granted();
        granted.extend(input.granted.clone());
        granted
    };
    let mut limits = Limits {
        unit: input.unit.max_prune,
        total: context.spent.pinned().of_unit(&input.unit.name, total),
        environment: None,
    };
    if input.unit.prunes_for_itself() || !proposed.deletes_more_than(&granted()) {
        return (proposed.check(limits, approvals, &granted()), None);
    }
    let budget = budget::budget(context, input, clock::now()).await;
    if input.approved.contains(&budget.leaving.digest) {
        context.spent.grant(&budget.leaving);
    }
    limits.environment = Some(&budget);
    // Asked for after what leaves was looked at: of what is no longer there by then,
    // another unit's pass had granted all.
    let plan = proposed.check(limits, approvals, &granted());
    let asked = plan.leaving.is_some().then(|| budget.question());
    (plan, asked)
}

/// How far a pass came.
pub enum Passed {
    /// It is over.
    Ended(Box<Outcome>),
    /// It has found drift that it would put back. That is told first: afterwards nothing live
    /// says that it was there.
    Found(Box<Planned>),
}

/// One pass over a unit, as far as it goes by itself.
pub async fn pass(context: &Context, input: &PlanInput, cancel: &CancellationToken) -> Passed {
    let planned = plan_unit(context, input).await;
    if planned.plan.ready().any(|step| step.cause == Cause::Drift) {
        return Passed::Found(Box::new(planned));
    }
    Passed::Ended(Box::new(follow(context, input, planned, cancel).await))
}

/// Does what a plan says can be done now. The inventory is widened before the first write and
/// narrowed when nothing is left to do, so that a crash in between loses sight of no object.
/// Nothing is begun once it is cancelled.
pub async fn follow(
    context: &Context,
    input: &PlanInput,
    planned: Planned,
    cancel: &CancellationToken,
) -> Outcome {
    let mut outcome = Outcome {
        problem: planned.problem.clone(),
        planned,
        done: Vec::new(),
        inventory: None,
    };
    if cancel.is_cancelled() {
        return outcome;
    }
    let _act = context.acting.begin();
    if let Err(error) = witness::notice(context, input, &outcome.planned.carriers).await {
        outcome.problem = Some(error);
        return outcome;
    }
    if let Err(error) = pinned::hold(context, input, &outcome.planned).await {
        outcome.problem = Some(error);
        return outcome;
    }
    let is_ready = outcome.planned.plan.ready().next().is_some();
    let wanted = if is_ready {
        Some(listing::wide(input, &outcome.planned))
    } else {
        listing::settled(context, input, &outcome.planned)
    };
    if let Some(wanted) = wanted
        && let Err(error) = keep(context, input, wanted, &mut outcome).await
    {
        outcome.problem = Some(error);
        return outcome;
    }
    if is_ready {
        let doomed = budget::doomed(&input.unit, &outcome.planned.plan);
        if !doomed.is_empty() {
            // Before they are gone for others, who count as well.
            context.spent.count(&doomed, clock::now());
            if let Err(error) = witness::testify(context).await {
                outcome.problem = Some(error);
                return outcome;
            }
        }
        intend(context, input, &outcome.planned);
        let started = Instant::now();
        outcome.done = execute::execute(context, input, &outcome.planned, cancel).await;
        context
            .metrics
            .apply_seconds
            .observe(started.elapsed().as_secs_f64());
        settle_account(context, &doomed, &outcome.done);
    }
    outcome
}

/// Notes which revision is about to be applied, if one is.
fn intend(context: &Context, input: &PlanInput, planned: &Planned) {
    let mut ready = planned.plan.ready();
    if let Some(revision) = &input.revision
        && ready.any(|step| step.cause == Cause::Change)
    {
        context.intents.note(&input.unit.name, revision);
    }
}

/// Counts no longer what was not deleted after all. Where the server did not answer it may
/// have been.
fn settle_account(context: &Context, doomed: &[(ObjectId, String)], done: &[Done]) {
    let may_be_gone = |done: &&Done| match &done.result {
        Ok(()) => true,
        Err(error) => error.passes(),
    };
    let gone = done.iter().filter(may_be_gone);
    let gone: BTreeSet<&ObjectId> = gone.map(|done| &done.step.object).collect();
    for (id, uid) in doomed.iter().filter(|(id, _)| !gone.contains(id)) {
        context.spent.uncount(id, uid);
    }
}

async fn keep(
    context: &Context,
    input: &PlanInput,
    wanted: Inventory,
    outcome: &mut Outcome,
) -> Result<(), ApiError> {
    if input.inventory != wanted {
        let unit = &input.unit.name;
        let parent = InventoryParent::new(&context.namespace, &context.environment, unit);
        parent
            .write(&context.cluster, &wanted, &context.key)
            .await?;
        context
            .lists
            .put(input.apply_set.clone(), wanted.applied.clone());
        outcome.inventory = Some(wanted);
    }
    Ok(())
}
