//! A snapshot and an environment's configuration -> what each unit declares.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::config::{self, Problem, Problems};
use crate::kube::{Cluster, InventoryParent};
use crate::model::{
    Desired, Digest, EnvironmentName, GroupKind, ObjectId, PART_OF, Tree, UnitName, holds_secret,
};
use crate::plan::Neighbours;
use crate::render::{self, RenderErrors, Rendered, Scope};

/// The outside programs that renderers need.
pub type Tools = render::Tools;

/// Whether objects get their ApplySet's label.
#[derive(Debug, Clone, Copy)]
pub enum Labels<'a> {
    /// As declared.
    Plain,
    /// As applied by an agent whose inventories are in this namespace.
    ApplySet {
        /// The agent's namespace.
        namespace: &'a str,
    },
}

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
    /// Of all of them.
    pub digest: Digest,
    /// What people should know of, such as values that tools read differently.
    pub warnings: Problems,
}

/// Renders that are kept as long as their inputs stay the same.
#[derive(Debug, Default)]
pub struct RenderCache {
    rendered: BTreeMap<UnitName, (Digest, Arc<Rendered>)>,
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
    cache
        .rendered
        .retain(|name, _| environment.units.contains_key(name));
    let mut rendered = BTreeMap::new();
    for (name, unit) in &environment.units {
        rendered.insert(name, cached(tree, unit, tools, cache).await);
    }
    let scopes = scopes(
        rendered.values().filter_map(|result| result.as_ref().ok()),
        cluster,
    )
    .await;
    let mut declared = Declared::default();
    let mut taken: BTreeMap<ObjectId, (UnitName, String)> = BTreeMap::new();
    for (name, result) in rendered {
        let unit = &environment.units[name];
        let desired = result.and_then(|rendered| resolve(&rendered, unit, &scopes));
        let desired = desired.and_then(|desired| claim(desired, name, &mut taken));
        let desired =
            desired.map(|desired| Arc::new(label(desired, &environment.name, name, labels)));
        declared.units.insert(
            name.clone(),
            DeclaredUnit {
                unit: Arc::new(unit.clone()),
                desired,
            },
        );
    }
    declared
}

async fn cached(
    tree: &Arc<dyn Tree>,
    unit: &config::Unit,
    tools: &Tools,
    cache: &mut RenderCache,
) -> Result<Arc<Rendered>, RenderErrors> {
    let inputs = render::inputs_digest(&**tree, unit)?;
    if let Some((before, rendered)) = cache.rendered.get(&unit.name)
        && *before == inputs
    {
        return Ok(Arc::clone(rendered));
    }
    let rendered = Arc::new(render::render(tree, unit, tools).await?);
    cache
        .rendered
        .insert(unit.name.clone(), (inputs, Arc::clone(&rendered)));
    Ok(rendered)
}

/// The scopes of the kinds in use: built-in, declared by a CRD of the environment, or
/// as the cluster has them.
async fn scopes(
    rendered: impl Iterator<Item = &Arc<Rendered>>,
    cluster: Option<&Cluster>,
) -> BTreeMap<GroupKind, Scope> {
    let mut scopes = BTreeMap::new();
    let mut kinds = BTreeSet::new();
    for rendered in rendered {
        scopes.extend(render::scopes_of_crds(rendered.manifests()));
        kinds.extend(
            rendered
                .manifests()
                .iter()
                .map(|manifest| manifest.kind.clone()),
        );
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
    unit: &config::Unit,
    scopes: &BTreeMap<GroupKind, Scope>,
) -> Result<UnitDesired, RenderErrors> {
    let set = render::resolve_scope(rendered, unit.namespace.as_deref(), &|kind| {
        scopes.get(kind).copied()
    })?;
    let objects: BTreeMap<ObjectId, Desired> = set
        .objects()
        .iter()
        .map(|(id, desired)| (id.clone(), encoded(desired.clone())))
        .collect();
    Ok(UnitDesired {
        digest: digest(&objects),
        objects,
        warnings: rendered.warnings().clone(),
    })
}

/// `stringData` of a Secret as `data`. The API server stores it so, but keeps our field
/// ownership at `stringData`, so that a key that leaves it would stay for ever.
fn encoded(desired: Desired) -> Desired {
    if !holds_secret(&desired.id) || desired.body().get("stringData").is_none() {
        return desired;
    }
    let mut body = desired.body();
    if let Some(object) = body.as_object_mut()
        && let Some(Value::Object(strings)) = object.remove("stringData")
        && let Value::Object(data) = object.entry("data").or_insert_with(|| json!({}))
    {
        for (name, value) in strings {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            data.insert(name, Value::String(STANDARD.encode(text)));
        }
    }
    Desired::new(desired.id, &body, desired.origin)
}

/// The first unit that declares an object has it; for another one it is an error that
/// names both places.
fn claim(
    desired: UnitDesired,
    name: &UnitName,
    taken: &mut BTreeMap<ObjectId, (UnitName, String)>,
) -> Result<UnitDesired, RenderErrors> {
    let doubles: Vec<(&Desired, &(UnitName, String))> = desired
        .objects
        .values()
        .filter_map(|object| Some((object, taken.get(&object.id)?)))
        .collect();
    if !doubles.is_empty() {
        let problems: Problems = doubles
            .into_iter()
            .map(|(object, (unit, place))| {
                let message = format!(
                    "{} is declared by the unit {unit} too, in {place}; only one unit may",
                    object.id
                );
                let problem = Problem::in_file(object.origin.path.clone(), message);
                Problem {
                    line: object.origin.line,
                    ..problem
                }
            })
            .collect();
        return Err(problems.into());
    }
    for object in desired.objects.values() {
        taken.insert(object.id.clone(), (name.clone(), object.origin.to_string()));
    }
    Ok(desired)
}

fn label(
    desired: UnitDesired,
    environment: &EnvironmentName,
    unit: &UnitName,
    labels: Labels<'_>,
) -> UnitDesired {
    let Labels::ApplySet { namespace } = labels else {
        return desired;
    };
    let parent = InventoryParent {
        namespace: namespace.to_owned(),
        environment: environment.clone(),
        unit: unit.clone(),
    };
    let id = parent.apply_set();
    let objects: BTreeMap<ObjectId, Desired> = desired
        .objects
        .into_iter()
        .map(|(object, desired)| (object, labelled(desired, &id)))
        .collect();
    UnitDesired {
        digest: digest(&objects),
        objects,
        warnings: desired.warnings,
    }
}

fn labelled(desired: Desired, apply_set: &str) -> Desired {
    let mut body = desired.body();
    let metadata = body
        .as_object_mut()
        .map(|object| object.entry("metadata").or_insert_with(|| json!({})));
    if let Some(Value::Object(metadata)) = metadata
        && let Value::Object(labels) = metadata.entry("labels").or_insert_with(|| json!({}))
    {
        labels.insert(PART_OF.to_owned(), Value::String(apply_set.to_owned()));
    }
    Desired::new(desired.id, &body, desired.origin)
}

fn digest(objects: &BTreeMap<ObjectId, Desired>) -> Digest {
    let digests: Vec<String> = objects
        .values()
        .map(|object| object.digest.to_string())
        .collect();
    Digest::of_bytes(digests.join("\n").as_bytes())
}

impl Declared {
    /// What the plan of a unit has to know of the others.
    pub fn neighbours(
        &self,
        environment: &EnvironmentName,
        namespace: &str,
        also: &BTreeSet<UnitName>,
    ) -> Neighbours {
        let mut neighbours = Neighbours::default();
        for (name, unit) in &self.units {
            match &unit.desired {
                Ok(desired) => {
                    neighbours
                        .claims
                        .extend(desired.objects.keys().map(|id| (id.clone(), name.clone())));
                }
                Err(_) => drop(neighbours.unrendered.insert(name.clone())),
            }
        }
        for unit in self.units.keys().chain(also) {
            let parent = InventoryParent {
                namespace: namespace.to_owned(),
                environment: environment.clone(),
                unit: unit.clone(),
            };
            neighbours
                .apply_sets
                .insert(parent.apply_set(), unit.clone());
        }
        neighbours
    }
}
