//! The plans of a whole environment, without a daemon: what `agent diff` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures::{StreamExt, stream};

use super::compared::Compared;
use super::declare::{self, Labels, RenderCache, Tools};
use super::declared::UnitDesired;
use super::environment::definitions;
use super::observe::watches;
use super::pass::{self, Context, PlanInput, Planned};
use super::planned::PlannedEnvironment;
use super::unit::refusal;
use crate::config::{self, Problems};
use crate::kube::{ApiError, ApplyMode, Cluster, Conflicts, Inventory, InventoryParent, LiveView};
use crate::model::{Desired, Digest, DigestKey, ObjectId, Origin, Revision, Tree, UnitName};
use crate::plan::{Checked, Granted, Neighbours, Plan, Refusal, Standing, dependencies};
use crate::runtime::clock;
use crate::runtime::metrics::Metrics;

/// So many objects are asked about at once. How many requests that makes is the
/// cluster's affair.
const AT_ONCE: usize = 64;

/// How many units are planned side by side.
const UNITS: usize = 8;

/// What to plan.
pub struct PlanEnvironment<'a> {
    /// The environment.
    pub environment: &'a config::Environment,
    /// Its files.
    pub tree: &'a Arc<dyn Tree>,
    /// Their revision; `None` for a working tree.
    pub revision: Option<Revision>,
    /// The cluster.
    pub cluster: &'a Arc<Cluster>,
    /// Where the daemon keeps the inventories.
    pub namespace: &'a str,
    /// Programs for rendering.
    pub tools: &'a Tools,
    /// For digests of Secrets' values.
    pub key: DigestKey,
    /// What each unit declared when the record last called it synced, as far as the
    /// record is at hand: tells drift from a change of desired.
    pub recorded: BTreeMap<UnitName, Digest>,
    /// What makes it cheaper, and is added to.
    pub at_hand: &'a mut AtHand,
}

/// What somebody has at hand who plans an environment more than once.
#[derive(Default)]
pub struct AtHand {
    /// The daemon's view. It is used where it has every kind that is looked for, so that
    /// nothing that is only planned is watched for ever.
    pub view: Option<Arc<LiveView>>,
    /// The plans that are approved.
    pub approved: Arc<BTreeSet<Digest>>,
    renders: RenderCache,
    compared: Compared,
}

impl AtHand {
    fn view(&self, cluster: &Arc<Cluster>, inputs: &[PlanInput]) -> Arc<LiveView> {
        let watched = |view: &&Arc<LiveView>| inputs.iter().all(|input| watches(view, input));
        let given = self.view.as_ref().filter(watched).map(Arc::clone);
        given.unwrap_or_else(|| Arc::new(LiveView::new(Arc::clone(cluster), None)))
    }

    fn keep(&mut self, compared: Compared, neighbours: &Neighbours) {
        compared.retain(|id| neighbours.claims.contains_key(id));
        self.compared = compared;
    }
}

/// Plans each unit as the daemon would, and asks the API server by a dry-run whether it
/// would take what is to be applied.
///
/// # Errors
/// When the API server can't be talked to at all.
pub async fn plan_environment(wanted: PlanEnvironment<'_>) -> Result<PlannedEnvironment, ApiError> {
    let PlanEnvironment {
        environment,
        tree,
        revision,
        cluster,
        namespace,
        tools,
        key,
        recorded,
        at_hand,
    } = wanted;
    let labels = Labels::ApplySet { namespace };
    let declared = declare::declare(
        tree,
        environment,
        tools,
        labels,
        Some(cluster),
        &mut at_hand.renders,
    )
    .await;
    let inventories = InventoryParent::read_all(cluster, namespace, &environment.name).await;
    if let Err(error) = &inventories
        && (error.passes() || matches!(error, ApiError::Unauthorized(_)))
    {
        return Err(error.clone());
    }
    let known = inventories.iter().flat_map(BTreeMap::values);
    let known = known.flat_map(|inventory| inventory.known.iter().cloned());
    at_hand.compared.recall(known);
    let retired: BTreeSet<UnitName> = inventories
        .iter()
        .flatten()
        .map(|(name, _)| name)
        .filter(|name| !declared.units.contains_key(*name))
        .cloned()
        .collect();
    let neighbours = Arc::new(declared.neighbours(&environment.name, namespace, &retired));
    let defined = Arc::new(definitions(&declared));
    let mut planned = PlannedEnvironment::default();
    let mut inputs = Vec::new();
    let input = |unit: Arc<config::Unit>,
                 desired: Arc<UnitDesired>,
                 neighbours: Arc<Neighbours>| PlanInput {
        apply_set: InventoryParent::new(namespace, &environment.name, &unit.name).apply_set(),
        inventory: inventory(&inventories, &unit.name),
        inventory_problem: inventories.as_ref().err().map(ToString::to_string),
        dependencies: Arc::new(dependencies(&desired.objects, &neighbours.claims)),
        applied: Arc::new(desired.baselines(recorded.get(&unit.name).copied())),
        unit,
        desired,
        revision: revision.clone(),
        neighbours,
        definitions: Arc::clone(&defined),
        refusals: BTreeMap::new(),
        approved: Arc::clone(&at_hand.approved),
        granted: Granted::new(),
        proposals: Arc::default(),
        deletions: Arc::default(),
        waits: None,
    };
    for name in in_order(environment) {
        let Some(unit) = declared.units.get(&name).filter(|unit| !unit.unit.suspend) else {
            continue;
        };
        match &unit.desired {
            Ok(desired) => {
                planned
                    .warnings
                    .extend(desired.warnings.iter().map(ToString::to_string));
                inputs.push(input(
                    Arc::clone(&unit.unit),
                    Arc::clone(desired),
                    Arc::clone(&neighbours),
                ));
            }
            Err(problem) => drop(planned.failed.insert(name, problem.to_string())),
        }
    }
    for name in retired {
        let neighbours = Arc::new(Neighbours {
            retired: true,
            ..Neighbours::clone(&neighbours)
        });
        let unit = retired_unit(&name, inventory(&inventories, &name).prune);
        let nothing = Arc::new(UnitDesired::nothing());
        inputs.push(input(Arc::new(unit), nothing, neighbours));
    }
    let view = at_hand.view(cluster, &inputs);
    let compared = std::mem::take(&mut at_hand.compared);
    let context = context(environment, cluster, namespace, key, view, compared);
    let plans = stream::iter(&inputs)
        .map(|input| plan(&context, input))
        .buffered(UNITS);
    planned.plans = plans.collect().await;
    at_hand.keep(context.compared, &neighbours);
    Ok(planned)
}

/// What the passes share.
fn context(
    environment: &config::Environment,
    cluster: &Arc<Cluster>,
    namespace: &str,
    key: DigestKey,
    view: Arc<LiveView>,
    compared: Compared,
) -> Context {
    Context {
        environment: environment.name.clone(),
        cluster: Arc::clone(cluster),
        view,
        begun: AtomicBool::new(false),
        compared,
        key,
        namespace: namespace.to_owned(),
        metrics: Metrics::default(),
    }
}

fn inventory(all: &Result<BTreeMap<UnitName, Inventory>, ApiError>, unit: &UnitName) -> Inventory {
    all.as_ref()
        .ok()
        .and_then(|all| all.get(unit))
        .cloned()
        .unwrap_or_default()
}

/// What stands for a unit that left the configuration: nothing is declared any more.
pub(super) fn retired_unit(name: &UnitName, prune: bool) -> config::Unit {
    let origin = Origin {
        path: config::AGENT_FILE.to_owned(),
        line: 0,
    };
    let unit = config::Unit::new(
        name.clone(),
        String::new(),
        config::UnitType::Manifests,
        origin,
    );
    config::Unit { prune, ..unit }
}

impl UnitDesired {
    /// Of a unit that declares nothing.
    pub(super) fn nothing() -> Self {
        Self {
            objects: BTreeMap::new(),
            kinds: BTreeMap::new(),
            digest: Digest::of_bytes(b""),
            warnings: Problems::default(),
        }
    }
}

/// Units after those that they name in `after`, otherwise by name.
pub(super) fn in_order(environment: &config::Environment) -> Vec<UnitName> {
    let mut order: Vec<UnitName> = Vec::new();
    while order.len() < environment.units.len() {
        let next = environment.units.values().find(|unit| {
            !order.contains(&unit.name) && unit.after.iter().all(|before| order.contains(before))
        });
        // Validation leaves no cycle; were there one, its units would not be ordered.
        let Some(next) = next else { break };
        order.push(next.name.clone());
    }
    order
}

async fn plan(context: &Context, input: &PlanInput) -> Plan<Checked> {
    let planned = pass::plan_unit(context, input).await;
    let refusals = refusals(context, input, &planned).await;
    if refusals.is_empty() {
        return planned.plan;
    }
    // As the daemon would plan after it was refused.
    let refused = PlanInput {
        refusals,
        ..input.clone()
    };
    pass::plan_unit(context, &refused).await.plan
}

/// What the API server would refuse, in its words. What it can't be asked about (a
/// namespace or kind that is not there yet, a right that is missing) is left open.
async fn refusals(
    context: &Context,
    input: &PlanInput,
    planned: &Planned,
) -> BTreeMap<ObjectId, Refusal> {
    let steps = planned
        .plan
        .steps
        .iter()
        .filter(|step| step.action.applies() && step.standing == Standing::Ready);
    let desired: Vec<&Desired> = steps
        .filter_map(|step| input.desired.objects.get(&step.object))
        .collect();
    let answers = stream::iter(desired)
        .map(|desired| async move {
            let answer = context
                .cluster
                .apply(desired, ApplyMode::DryRun, Conflicts::Take)
                .await;
            match answer {
                Err(
                    error
                    @ (ApiError::Invalid { .. } | ApiError::Denied(_) | ApiError::Rejected(_)),
                ) => Some((
                    desired.id.clone(),
                    refusal(desired, &error, 0, clock::now()),
                )),
                _ => None,
            }
        })
        .buffer_unordered(AT_ONCE);
    answers.filter_map(std::future::ready).collect().await
}
