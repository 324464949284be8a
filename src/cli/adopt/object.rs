//! `agent adopt Kind/namespace/name`.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::super::exit;
use super::super::output::{print, progress};
use super::super::tree::WorkingTree;
use super::AdoptArgs;
use crate::config;
use crate::edit::{EditedTree, adopt_object};
use crate::kube::{self, Cluster};
use crate::model::{GroupKind, Live, ObjectId, Tree, UnitName};
use crate::reconcile::{Declared, Labels, RenderCache, Tools, declare};
use crate::record::ObjectPattern;

pub(super) async fn adopt(
    args: &AdoptArgs,
    tree: &WorkingTree,
    environment: &config::Environment,
    object: &ObjectPattern,
) -> anyhow::Result<u8> {
    let shown = progress("looking for it");
    let cluster = kube::connect(&args.cluster.access()).await?;
    let (id, live) = find(&cluster, object).await?;
    let tools = args.tools.tools();
    let declared = declared(&tree.tree, environment, &tools, &cluster).await;
    if let Some((unit, place)) = declares(&declared, &id) {
        bail!(
            "{id} is declared already, by {unit} in {place}; `agent adopt --drift` writes what was changed of it"
        );
    }
    let unit = unit(args, environment, &declared, &id)?;
    let (edited, path) = adopt_object(&tree.tree, unit, &id, &live)?;
    renders(&edited, environment, unit, &tools, &cluster, &id).await?;
    drop(shown);
    super::write(tree, &edited)?;
    print(&format!(
        "\n{id} is declared in {path}, as the unit {} has it. Look through it, then:\n  {}\n",
        unit.name,
        super::next(tree, &edited)
    ))?;
    Ok(exit::SAME)
}

/// The object in the cluster.
async fn find(cluster: &Cluster, object: &ObjectPattern) -> anyhow::Result<(ObjectId, Live)> {
    let kinds = cluster.kinds_named(object.kind()).await?;
    let kinds: Vec<GroupKind> = kinds
        .into_iter()
        .filter(|kind| object.is_kind(kind))
        .collect();
    if kinds.is_empty() {
        bail!("the cluster knows no kind {}", object.kind());
    }
    let mut found = Vec::new();
    let mut missed = None;
    for kind in kinds {
        let id = ObjectId::parse(kind, object.namespace(), object.name())?;
        let namespaced = cluster.resource(&id.kind, None).await?.namespaced;
        if namespaced != id.namespace.is_some() {
            let form = if namespaced {
                "Kind/namespace/name"
            } else {
                "Kind/name"
            };
            missed = Some(format!("a {} is named as {form}", id.kind));
            continue;
        }
        match cluster.get(&id, None).await? {
            Some(live) => found.push((id, live)),
            None => missed = Some(format!("the cluster has no {id}")),
        }
    }
    match (found.len(), found.pop()) {
        (1, Some(only)) => Ok(only),
        (_, Some((id, _))) => bail!(
            "several kinds are called {}; name the group, such as {}",
            object.kind(),
            id.kind
        ),
        (_, None) => bail!(missed.unwrap_or_default()),
    }
}

async fn declared(
    tree: &Arc<dyn Tree>,
    environment: &config::Environment,
    tools: &Tools,
    cluster: &Cluster,
) -> Declared {
    let mut cache = RenderCache::default();
    declare(
        tree,
        environment,
        tools,
        Labels::Plain { namespace: None },
        Some(cluster),
        &mut cache,
    )
    .await
}

fn declares(declared: &Declared, id: &ObjectId) -> Option<(UnitName, String)> {
    declared.units.iter().find_map(|(name, unit)| {
        let object = unit.desired.as_ref().ok()?.objects.get(id)?;
        Some((name.clone(), object.origin.to_string()))
    })
}

/// The unit that was named, or the only one that has objects in that namespace.
fn unit<'a>(
    args: &AdoptArgs,
    environment: &'a config::Environment,
    declared: &Declared,
    id: &ObjectId,
) -> anyhow::Result<&'a config::Unit> {
    if let Some(unit) = &args.unit {
        return environment
            .units
            .get(unit)
            .context("it was looked for before");
    }
    let lives_there = |name: &UnitName| {
        let desired = declared
            .units
            .get(name)
            .and_then(|unit| unit.desired.as_ref().ok());
        let namespace = environment.units[name].namespace.as_ref();
        namespace.is_some() && namespace == id.namespace.as_ref()
            || desired.is_some_and(|desired| {
                desired
                    .objects
                    .keys()
                    .any(|other| other.namespace == id.namespace)
            })
    };
    let names: BTreeSet<&UnitName> = environment.units.keys().collect();
    let there: Vec<&UnitName> = names
        .iter()
        .copied()
        .filter(|name| lives_there(name))
        .collect();
    match (&there[..], names.len()) {
        ([only], _) => Ok(&environment.units[*only]),
        (_, 1) => environment.units.values().next().context("there is one"),
        _ => {
            let all = if there.is_empty() {
                names.into_iter().collect()
            } else {
                there
            };
            let all: Vec<&str> = all.into_iter().map(UnitName::as_str).collect();
            bail!(
                "say which unit is to declare {id}, with --unit: {}",
                all.join(", ")
            )
        }
    }
}

/// Whether the unit declares it then, and all else as before.
async fn renders(
    edited: &EditedTree,
    environment: &config::Environment,
    unit: &config::Unit,
    tools: &Tools,
    cluster: &Cluster,
    id: &ObjectId,
) -> anyhow::Result<()> {
    let mut alone = environment.clone();
    alone.units.retain(|name, _| *name == unit.name);
    let tree: Arc<dyn Tree> = Arc::new(edited.clone());
    let declared = declared(&tree, &alone, tools, cluster).await;
    for unit in declared.units.values() {
        let desired = unit.desired.as_ref();
        let desired = desired.map_err(|error| anyhow::anyhow!("{error}"));
        let desired = desired.context("the unit can't be rendered with it")?;
        if !desired.objects.contains_key(id) {
            bail!(
                "the unit {} would not render {id} as it is called: its kustomization changes names or namespaces; choose another unit with --unit",
                unit.unit.name
            );
        }
    }
    Ok(())
}
