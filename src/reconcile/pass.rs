//! The pass: observe -> plan -> check -> apply what is ready. What has to be waited
//! for ends the pass; an event, not this function, begins the next one. `agent diff`
//! is [`plan_unit`] alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use git2::Oid;
use tokio_util::sync::CancellationToken;

use super::compared::Compared;
use super::declared::UnitDesired;
use super::execute::{self, Done};
use super::observe;
use crate::config::Unit;
use crate::kube::{ApiError, Cluster, Inventory, InventoryParent, LiveView};
use crate::model::{Digest, DigestKey, EnvironmentName, GroupKind, ObjectId, PART_OF, Revision};
use crate::plan::{
    self, Approvals, Baseline, Checked, Deletions, Dependencies, Granted, Members, Neighbours,
    Observation, Plan, Proposals, Refusal, Subject,
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
    /// What comparisons came to.
    pub compared: Compared,
    /// For digests of Secrets' values.
    pub key: DigestKey,
    /// Where the inventories are.
    pub namespace: String,
    /// Counted here.
    pub metrics: Metrics,
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
    /// What approved plans were to delete and have not come to yet.
    pub granted: Granted,
    /// What is known of proposals to keep drift.
    pub proposals: Arc<Proposals>,
    /// Desired objects that were found to be gone before.
    pub deletions: Arc<Deletions>,
    /// What has to happen before changes of desired may be applied.
    pub waits: Option<String>,
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
    /// What the inventory has.
    pub members: Members,
    /// What could not be read.
    pub problem: Option<ApiError>,
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
    let proposed = plan::plan(&Subject {
        environment: &context.environment,
        unit: &input.unit,
        revision: input.revision.as_ref(),
        apply_set: &input.apply_set,
        desired: &input.desired.objects,
        observed: &observed.objects,
        members: &members,
        neighbours: &input.neighbours,
        dependencies: &input.dependencies,
        applied: &input.applied,
        refusals: &input.refusals,
        proposals: &input.proposals,
        deletions: &input.deletions,
        along: &observed.along,
        waits: input.waits.as_deref(),
        key: &context.key,
        now: clock::now(),
    });
    let mut plan = proposed.check(
        input.unit.max_prune,
        members.count(),
        Approvals::ByDigest(&input.approved),
        &input.granted,
    );
    plan.notes.extend(observed.notes);
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
        problem: observed.problem,
    }
}

/// One pass over a unit. The inventory is widened before the first write and narrowed
/// when nothing is left to do, so that a crash in between loses sight of no object.
pub async fn pass(context: &Context, input: &PlanInput, cancel: &CancellationToken) -> Outcome {
    let planned = plan_unit(context, input).await;
    let mut outcome = Outcome {
        problem: planned.problem.clone(),
        planned,
        done: Vec::new(),
        inventory: None,
    };
    let unit = &input.unit.name;
    let parent = InventoryParent::new(&context.namespace, &context.environment, unit);
    let wanted = wanted(input, &outcome.planned);
    if outcome.planned.plan.ready().next().is_some() {
        let wide = input.inventory.widened(&wanted);
        if let Err(error) = keep(context, &parent, &input.inventory, wide, &mut outcome).await {
            outcome.problem = Some(error);
            return outcome;
        }
        let started = Instant::now();
        outcome.done = execute::execute(context, input, &outcome.planned, cancel).await;
        context
            .metrics
            .apply_seconds
            .observe(started.elapsed().as_secs_f64());
    } else if outcome.planned.plan.is_empty()
        && let Members::Known(members) = &outcome.planned.members
        && !input.neighbours.retired
    {
        // What is kept though it left the unit stays in sight.
        let mut narrow = Inventory::of(
            members.iter().chain(input.desired.objects.keys()),
            input.unit.prune,
        );
        narrow.known = context.compared.known(input.desired.objects.keys());
        if let Err(error) = keep(context, &parent, &input.inventory, narrow, &mut outcome).await {
            outcome.problem = Some(error);
        }
    }
    outcome
}

/// What the inventory has to hold: what is declared, and what is kept although it is not.
fn wanted(input: &PlanInput, planned: &Planned) -> Inventory {
    let ours = |observation: &Observation| match observation {
        Observation::AsDesired(_) => true,
        Observation::Present(seen) => seen.live().label(PART_OF) == Some(&input.apply_set),
        Observation::Absent | Observation::Unknown(_) => false,
    };
    let members = planned
        .observed
        .iter()
        .filter(|(_, seen)| ours(seen))
        .map(|(id, _)| id);
    Inventory::of(
        input.desired.objects.keys().chain(members),
        input.unit.prune,
    )
}

async fn keep(
    context: &Context,
    parent: &InventoryParent,
    now: &Inventory,
    wanted: Inventory,
    outcome: &mut Outcome,
) -> Result<(), ApiError> {
    if *now != wanted {
        parent.write(&context.cluster, &wanted).await?;
        outcome.inventory = Some(wanted);
    }
    Ok(())
}
