//! The plans of a whole environment, without a daemon: what `agent diff` prints.

mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use survey::{Survey, in_force, retired};

use super::acting::Acting;
use super::budget::Roster;
use super::compared::Compared;
use super::declare::{self, Labels, RenderCache, Tools};
use super::declared::UnitDesired;
use super::environment::definitions;
use super::intents::Intents;
use super::lists::Lists;
use super::others::Others;
use super::pass::{self, Context, PlanInput};
use super::places::watches;
use super::planned::PlannedEnvironment;
use super::spent::Spent;
use super::tried;
use super::witness::Witness;
use crate::config::{self, Problems};
use crate::kube::{ApiError, Cluster, Inventory, InventoryParent, ListKey, LiveView, TallyParent};
use crate::model::{
    Digest, DigestKey, EnvironmentName, Lineage, Namespace, Origin, Revision, Tally, Tree, UnitName,
};
use crate::plan::{Checked, Neighbours, Plan};
use crate::record::status::Last;
use crate::runtime::metrics::Metrics;

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
    pub namespace: &'a Namespace,
    /// Programs for rendering.
    pub tools: &'a Tools,
    /// For digests of Secrets' values.
    pub key: DigestKey,
    /// What makes the lists of what was applied believed.
    pub list_key: ListKey,
    /// What the record says, as far as it is at hand.
    pub recorded: Last,
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
    /// Environments whose objects are taken over.
    pub adopted: Arc<BTreeSet<EnvironmentName>>,
    renders: RenderCache,
    compared: Compared,
}

impl AtHand {
    /// Nothing but that the objects of these environments are taken over.
    pub fn adopting(environments: BTreeSet<EnvironmentName>) -> Self {
        Self {
            adopted: Arc::new(environments),
            ..Self::default()
        }
    }

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
        list_key,
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
    let inventories =
        InventoryParent::read_all(cluster, namespace, &environment.name, &list_key).await;
    if let Err(error) = &inventories
        && error.passes()
    {
        return Err(error.clone());
    }
    let tally = remembered(cluster, (namespace, &environment.name), &list_key).await;
    let known = inventories.iter().flat_map(BTreeMap::values);
    let known = known.flat_map(|inventory| inventory.known.iter().cloned());
    at_hand.compared.recall(known);
    let (retired, unknown) = retired(&inventories, &declared, &recorded);
    let neighbours = Arc::new(declared.neighbours(&environment.name, namespace, &retired));
    let none = BTreeMap::new();
    let place = (namespace, &environment.name);
    let known = inventories.as_ref().unwrap_or(&none);
    let survey = Survey {
        place,
        revision,
        roster: Arc::new(Roster::of(
            &declared,
            &retired,
            &neighbours,
            known,
            place,
            |unit| in_force(&recorded, unit),
        )),
        neighbours,
        defined: Arc::new(definitions(&declared)),
        inventories: &inventories,
        recorded: &recorded,
        approved: &at_hand.approved,
        adopted: &at_hand.adopted,
    };
    let mut planned = PlannedEnvironment {
        lineages: lineages(&inventories),
        warnings: unknown.iter().map(unheard_of).collect(),
        suspended: suspended(environment),
        ..PlannedEnvironment::default()
    };
    let mut inputs = Vec::new();
    for name in in_order(environment) {
        let Some(unit) = declared.units.get(&name).filter(|unit| !unit.unit.suspend) else {
            continue;
        };
        match &unit.desired {
            Ok(desired) => {
                planned
                    .warnings
                    .extend(desired.warnings.iter().map(ToString::to_string));
                inputs.push(survey.declared(&unit.unit, desired));
            }
            Err(problem) => drop(planned.failed.insert(name, problem.to_string())),
        }
    }
    inputs.extend(retired.iter().map(|name| survey.retired(name)));
    let neighbours = Arc::clone(&survey.neighbours);
    let view = at_hand.view(cluster, &inputs);
    let compared = std::mem::take(&mut at_hand.compared);
    let context = context(
        environment,
        cluster,
        namespace,
        key,
        view,
        compared,
        &recorded,
    );
    context.lists.put_all(place, known);
    context.spent.recall(&tally);
    let plans = stream::iter(&inputs)
        .map(|input| plan(&context, input))
        .buffered(UNITS);
    planned.plans = plans.collect().await;
    at_hand.keep(context.compared, &neighbours);
    Ok(planned)
}

/// What the cluster remembers of what was deleted lately. Who may not read the inventories
/// may not read that either.
async fn remembered(
    cluster: &Cluster,
    (namespace, environment): (&Namespace, &EnvironmentName),
    key: &ListKey,
) -> Tally {
    let parent = TallyParent {
        namespace: namespace.clone(),
        environment: environment.clone(),
    };
    let testimony = parent.read(cluster, key).await.ok().flatten();
    testimony.map(|it| it.tally).unwrap_or_default()
}

fn suspended(environment: &config::Environment) -> BTreeSet<UnitName> {
    let units = environment.units.values().filter(|unit| unit.suspend);
    units.map(|unit| unit.name.clone()).collect()
}

fn unheard_of(unit: &UnitName) -> String {
    format!(
        "there is an inventory of a unit {unit} that neither the repository nor the record has ever had; nothing is deleted for it"
    )
}

/// From which histories what is live was applied.
fn lineages(all: &Result<BTreeMap<UnitName, Inventory>, ApiError>) -> BTreeSet<Lineage> {
    let inventories = all.iter().flat_map(BTreeMap::values);
    let sources = inventories.filter_map(|inventory| inventory.source.clone());
    sources.collect()
}

/// What the passes share.
fn context(
    environment: &config::Environment,
    cluster: &Arc<Cluster>,
    namespace: &Namespace,
    key: DigestKey,
    view: Arc<LiveView>,
    compared: Compared,
    recorded: &Last,
) -> Context {
    Context {
        environment: environment.name.clone(),
        cluster: Arc::clone(cluster),
        view,
        begun: AtomicBool::new(false),
        hindrance: Mutex::default(),
        compared,
        key,
        namespace: namespace.to_owned(),
        others: Others::default(),
        lists: Lists::default(),
        spent: Spent::after(recorded.tally.clone()),
        witness: Witness::default(),
        intents: Intents::default(),
        acting: Acting::default(),
        metrics: Metrics::default(),
        given_up: CancellationToken::new(),
    }
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
            slips: Problems::default(),
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
    let refusals = tried::refusals(context, input, &planned).await;
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
