//! A snapshot and an environment's configuration -> what each unit declares.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::declared::{Declared, DeclaredUnit, UnitDesired};
use super::renders::{Renders, Waits, late};
use crate::config::{self, Problem, Problems};
use crate::kube::{Cluster, InventoryParent, Own, version_of};
use crate::model::{
    Budget, Cost, Desired, Digest, GroupKind, Namespace, ObjectId, PART_OF, Tree, UnitName,
    holds_secret, text_of,
};
use crate::plan;
use crate::render::{self, Inputs, RenderErrors, Rendered, Scope};

/// The outside programs that renderers need.
pub type Tools = render::Tools;

/// Whether objects get their ApplySet's label.
#[derive(Debug, Clone, Copy)]
pub enum Labels<'a> {
    /// As declared.
    Plain {
        /// The agent's namespace, where it matters what the agent keeps there.
        namespace: Option<&'a Namespace>,
    },
    /// As applied by an agent whose inventories are in this namespace.
    ApplySet {
        /// The agent's namespace.
        namespace: &'a Namespace,
    },
}

/// What units declare, kept as long as their inputs stay the same.
#[derive(Debug, Default)]
pub struct RenderCache {
    units: BTreeMap<UnitName, Cached>,
    /// The units that were found to declare no object twice; empty where some did.
    disjoint: BTreeMap<UnitName, Arc<UnitDesired>>,
    /// What is under way, and what has failed.
    pub(super) renders: Renders,
    /// Whether what takes long is waited for.
    pub(super) waits: Waits,
}

/// A unit that was rendered.
#[derive(Debug)]
struct Cached {
    unit: Arc<config::Unit>,
    inputs: Inputs,
    /// What it takes of a revision's budget.
    cost: Cost,
    /// The scopes that it uses, as they were.
    scopes: BTreeMap<GroupKind, Option<Scope>>,
    /// The scopes of the kinds that it defines.
    defines: BTreeMap<GroupKind, Scope>,
    desired: Arc<UnitDesired>,
}

/// What stands for a unit while the scopes of its kinds are found out.
enum Draft {
    Fresh(Inputs, Rendered),
    Kept(Cached),
}

impl Draft {
    /// The same, if a revision's budget still has room for it.
    fn within(self, budget: &mut Budget, unit: &config::Unit) -> Result<Self, RenderErrors> {
        let cost = match &self {
            Self::Fresh(_, rendered) => rendered.cost(),
            Self::Kept(cached) => &cached.cost,
        };
        match budget.take(cost) {
            Ok(()) => Ok(self),
            Err(error) => Err(render::exceeded(&unit.path, error).into()),
        }
    }

    fn kinds(&self) -> impl Iterator<Item = &GroupKind> {
        let (fresh, kept) = match self {
            Self::Fresh(_, rendered) => (Some(rendered), None),
            Self::Kept(cached) => (None, Some(cached)),
        };
        let fresh = fresh.into_iter().flat_map(Rendered::manifests);
        let kept = kept.into_iter().flat_map(|cached| cached.scopes.keys());
        fresh.map(|manifest| &manifest.kind).chain(kept)
    }

    fn defines(&self) -> BTreeMap<GroupKind, Scope> {
        match self {
            Self::Fresh(_, rendered) => render::scopes_of_crds(rendered.manifests()),
            Self::Kept(cached) => cached.defines.clone(),
        }
    }
}

/// Renders the units whose inputs changed, and resolves them together: the scope of a
/// custom kind may be declared in another unit, and an object belongs to one unit only.
pub async fn declare(
    tree: &Arc<dyn Tree>,
    environment: &config::Environment,
    tools: &Tools,
    labels: Labels<'_>,
    cluster: Option<&Cluster>,
    cache: &mut RenderCache,
) -> Declared {
    let mut drafts = drafts(tree, environment, tools, cache).await;
    // In the order of the configuration, whichever was ready first.
    drafts.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let sound = drafts.iter().filter_map(|(_, draft)| draft.as_ref().ok());
    let scopes = scopes(sound, cluster).await;
    let mut declared = Declared::default();
    for (unit, draft) in drafts {
        let done = match draft {
            Ok(draft) => finish(tree, environment, unit, tools, labels, &scopes, draft).await,
            Err(error) => Err(error),
        };
        let name = unit.name.clone();
        let one = match done {
            Ok(done) => {
                let (unit, desired) = (Arc::clone(&done.unit), Ok(Arc::clone(&done.desired)));
                cache.units.insert(name.clone(), done);
                DeclaredUnit { unit, desired }
            }
            Err(error) => DeclaredUnit {
                unit: Arc::new(unit.clone()),
                desired: Err(error),
            },
        };
        declared.units.insert(name, one);
    }
    // As long as the ids stay the same there is nothing to look for.
    if !declared.same_ids(&cache.disjoint) {
        declared.claim();
    }
    cache.disjoint = declared.all().unwrap_or_default();
    declared
}

impl Cached {
    /// Whether the unit is what it was, and so is all that it is rendered from.
    fn holds(&self, unit: &config::Unit, tree: &dyn Tree) -> bool {
        *self.unit == *unit && self.inputs.hold(tree)
    }
}

type Drafted<'a> = (&'a config::Unit, Result<Draft, RenderErrors>);

/// Renders the units that are not as they were, side by side.
async fn drafts<'a>(
    tree: &Arc<dyn Tree>,
    environment: &'a config::Environment,
    tools: &Tools,
    cache: &mut RenderCache,
) -> Vec<Drafted<'a>> {
    let mut before = std::mem::take(&mut cache.units);
    let mut budget = Budget::new(tools.scale());
    let (mut drafts, mut begun) = (Vec::new(), Vec::new());
    cache.renders.retain(&environment.units);
    for unit in environment.units.values() {
        match kept(tree, unit, tools, before.remove(&unit.name)) {
            Ok(Before::Same(kept)) => {
                cache.renders.forget(&unit.name);
                drafts.push((unit, Draft::Kept(kept).within(&mut budget, unit)));
            }
            Ok(Before::Other(inputs)) => {
                cache.renders.begin(tree, unit, tools, inputs);
                begun.push(unit);
            }
            Err(error) => drafts.push((unit, Err(error))),
        }
        // Reading what a unit is made from takes its time.
        tokio::task::yield_now().await;
    }
    loop {
        begun.retain(|unit| match cache.renders.take(&unit.name, cache.waits) {
            Some(result) => {
                let draft = result.map(|(inputs, rendered)| Draft::Fresh(inputs, rendered));
                drafts.push((unit, draft.and_then(|it| it.within(&mut budget, unit))));
                false
            }
            None => true,
        });
        if begun.is_empty() || !cache.renders.next_within(cache.waits).await {
            break;
        }
    }
    drafts.extend(begun.into_iter().map(|unit| (unit, Err(late(unit)))));
    drafts
}

/// What becomes of the last render of a unit.
enum Before {
    /// It is the same.
    Same(Cached),
    /// It has to be rendered from these.
    Other(Inputs),
}

fn kept(
    tree: &Arc<dyn Tree>,
    unit: &config::Unit,
    tools: &Tools,
    before: Option<Cached>,
) -> Result<Before, RenderErrors> {
    let before = match before {
        Some(before) if before.holds(unit, &**tree) => return Ok(Before::Same(before)),
        before => before,
    };
    let inputs = render::inputs(&**tree, unit, tools)?;
    Ok(match before.filter(|before| before.inputs == inputs) {
        Some(before) => {
            let unit = Arc::new(unit.clone());
            Before::Same(Cached { unit, ..before })
        }
        None => Before::Other(inputs),
    })
}

/// What a unit declares. One whose kinds have got other scopes is rendered again.
async fn finish(
    tree: &Arc<dyn Tree>,
    environment: &config::Environment,
    unit: &config::Unit,
    tools: &Tools,
    labels: Labels<'_>,
    scopes: &BTreeMap<GroupKind, Scope>,
    draft: Draft,
) -> Result<Cached, RenderErrors> {
    let (inputs, rendered) = match draft {
        Draft::Fresh(inputs, rendered) => (inputs, rendered),
        Draft::Kept(cached) => {
            let same = |(kind, scope): (_, &Option<Scope>)| scopes.get(kind) == scope.as_ref();
            if cached.scopes.iter().all(same) {
                return Ok(cached);
            }
            let rendered = render::render_in_turn(tree, unit, tools).await?;
            (cached.inputs, rendered)
        }
    };
    let kinds = rendered.manifests().iter().map(|manifest| &manifest.kind);
    Ok(Cached {
        unit: Arc::new(unit.clone()),
        inputs,
        cost: *rendered.cost(),
        scopes: kinds
            .map(|kind| (kind.clone(), scopes.get(kind).copied()))
            .collect(),
        defines: render::scopes_of_crds(rendered.manifests()),
        desired: Arc::new(resolve(&rendered, environment, unit, labels, scopes)?),
    })
}

/// The scopes of the kinds in use: built-in, declared by a CRD of the environment, or
/// as the cluster has them.
async fn scopes(
    drafts: impl Iterator<Item = &Draft>,
    cluster: Option<&Cluster>,
) -> BTreeMap<GroupKind, Scope> {
    let mut scopes = BTreeMap::new();
    let mut kinds = BTreeSet::new();
    for draft in drafts {
        scopes.extend(draft.defines());
        for kind in draft.kinds() {
            if !kinds.contains(kind) {
                kinds.insert(kind.clone());
            }
        }
    }
    for kind in kinds {
        if scopes.contains_key(&kind) {
            continue;
        }
        if let Some(scope) = render::builtin_scope(&kind) {
            scopes.insert(kind, scope);
        } else if let Some(cluster) = cluster
            && let Ok(resource) = cluster.resource(&kind, None).await
        {
            scopes.insert(
                kind,
                if resource.namespaced {
                    Scope::Namespaced
                } else {
                    Scope::Cluster
                },
            );
        }
    }
    scopes
}

fn resolve(
    rendered: &Rendered,
    environment: &config::Environment,
    unit: &config::Unit,
    labels: Labels<'_>,
    scopes: &BTreeMap<GroupKind, Scope>,
) -> Result<UnitDesired, RenderErrors> {
    let (namespace, apply_set) = match labels {
        Labels::Plain { namespace } => (namespace, None),
        Labels::ApplySet { namespace } => {
            let parent = InventoryParent::new(namespace, &environment.name, &unit.name);
            (Some(namespace), Some(parent.apply_set()))
        }
    };
    let finish = |id: &ObjectId, body: &mut Value| {
        if holds_secret(id) {
            encode(body);
        }
        if let Some(apply_set) = &apply_set {
            label(body, apply_set);
        }
    };
    let scope = |kind: &GroupKind| scopes.get(kind).copied();
    let objects = render::resolve_scope(rendered, unit.namespace.as_ref(), &scope, &finish)?;
    let objects = objects.into_objects();
    let reserved = |desired| namespace.and_then(|namespace| reserved(desired, namespace));
    let reserved: Problems = objects.values().filter_map(reserved).collect();
    if !reserved.is_empty() {
        return Err(reserved.into());
    }
    let mut warnings = rendered.warnings().clone();
    warnings.append(plan::ignored_in_vain(unit, &objects));
    warnings.extend(unit.outdated.iter().cloned());
    let mut kinds: BTreeMap<GroupKind, BTreeMap<String, usize>> = BTreeMap::new();
    for desired in objects.values() {
        let version = version_of(&desired.api_version).to_owned();
        let versions = kinds.entry(desired.id.kind.clone()).or_default();
        *versions.entry(version).or_default() += 1;
    }
    Ok(UnitDesired {
        digest: digest(&objects),
        kinds,
        objects,
        warnings,
        slips: rendered.slips().clone(),
    })
}

/// What is wrong with an object that the agent keeps for itself.
fn reserved(desired: &Desired, namespace: &Namespace) -> Option<Problem> {
    // Parsed only where it may be one.
    if desired.id.namespace.as_ref() != Some(namespace) {
        return None;
    }
    let own = Own::of(&desired.id, &desired.body(), namespace)?;
    let message = format!(
        "{} is {own}, which the agent keeps for itself in its namespace",
        desired.id
    );
    let problem = Problem {
        line: desired.origin.line,
        ..Problem::in_file(&desired.origin.path, message)
    };
    Some(problem.hint("a unit can't declare it; choose another name or namespace"))
}

/// `stringData` of a Secret as `data`. The API server stores it so, but keeps our field
/// ownership at `stringData`, so that a key that leaves it would stay for ever.
fn encode(body: &mut Value) {
    if let Some(object) = body.as_object_mut()
        && let Some(Value::Object(strings)) = object.remove("stringData")
        && let Value::Object(data) = object.entry("data").or_insert_with(|| json!({}))
    {
        for (name, value) in strings {
            data.insert(name, Value::String(STANDARD.encode(text_of(&value))));
        }
    }
}

fn label(body: &mut Value, apply_set: &str) {
    let metadata = body
        .as_object_mut()
        .map(|object| object.entry("metadata").or_insert_with(|| json!({})));
    if let Some(Value::Object(metadata)) = metadata
        && let Value::Object(labels) = metadata.entry("labels").or_insert_with(|| json!({}))
    {
        labels.insert(PART_OF.to_owned(), Value::String(apply_set.to_owned()));
    }
}

fn digest(objects: &BTreeMap<ObjectId, Desired>) -> Digest {
    let digests: Vec<String> = objects
        .values()
        .map(|object| object.digest.to_string())
        .collect();
    Digest::of_bytes(digests.join("\n").as_bytes())
}
