//! `agent adopt --drift`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::bail;

use super::super::output::{BOLD, print, progress, warn};
use super::super::tree::WorkingTree;
use super::super::{exit, lineage};
use super::{AdoptArgs, others};
use crate::config;
use crate::edit::{Adoption, LiveObject, Wanted, adopt_changes};
use crate::fields::{self, Absence};
use crate::kube::{self, Cluster, Finding};
use crate::model::{
    Desired, Digest, FIELD_MANAGER, Live, ObjectId, UnitName, number_of, shows_secret,
};
use crate::plan::{dependencies, never_left};
use crate::reconcile::{Labels, RenderCache, UnitDesired, declare, went_along};

pub(super) async fn adopt(
    args: &AdoptArgs,
    tree: &WorkingTree,
    environment: &config::Environment,
) -> anyhow::Result<u8> {
    let shown = progress("comparing with the cluster");
    let cluster = kube::connect(&args.cluster.access()).await?;
    let tools = args.tools.tools();
    let mut environment = environment.clone();
    let wanted = |name: &UnitName| args.unit.as_ref().is_none_or(|unit| unit == name);
    environment.units.retain(|name, _| wanted(name));
    let recorded = args
        .record
        .last(&args.repository, &tree.root, &environment.name)
        .await;
    let (name, ties) = (&environment.name, &recorded.ties);
    let namespace = &args.cluster.namespace_of(ties);
    if let Some(why) = lineage::recorded_elsewhere(&cluster, name, ties, namespace).await? {
        bail!(why);
    }
    let labels = Labels::ApplySet { namespace };
    let mut cache = RenderCache::default();
    let declared = declare(
        &tree.tree,
        &environment,
        &tools,
        labels,
        Some(&cluster),
        &mut cache,
    )
    .await;
    let mut found = Found::default();
    // Units may share files: each begins with what was written for those before it.
    let mut files = Arc::clone(&tree.tree);
    for (name, unit) in &declared.units {
        let desired = match &unit.desired {
            Ok(desired) => desired,
            Err(error) => {
                warn(&format!(
                    "{name} can't be rendered, and is left out:\n{error}"
                ));
                found.complete = false;
                continue;
            }
        };
        let last = recorded.desired.get(name);
        let (mut objects, gone) = drifted(&cluster, desired, last, &mut found).await;
        if last == Some(&desired.digest) {
            objects.extend(meant(&cluster, &unit.unit, desired, gone, &mut found).await);
        } else if last.is_none() && !gone.is_empty() {
            let count = gone.len();
            let (are, them) = if count == 1 {
                ("is", "it")
            } else {
                ("are", "them")
            };
            warn(&format!(
                "{} of {name} {are} not there, and whether somebody deleted {them} only the record tells; `git fetch` gets it",
                number_of(count, "object")
            ));
            found.complete = false;
        }
        if objects.is_empty() {
            continue;
        }
        let others = others(&tree.resolved, &environment, &unit.unit);
        let adoption = adopt_changes(&files, &unit.unit, &others, &tools, &objects).await;
        files = Arc::new(adoption.tree.clone());
        found.adoptions.push((name.clone(), adoption));
    }
    drop(shown);
    report(tree, &found)
}

/// What was found.
struct Found {
    adoptions: Vec<(UnitName, Adoption)>,
    /// Secrets that have drifted.
    secrets: Vec<ObjectId>,
    /// Whether everything could be looked at.
    complete: bool,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            adoptions: Vec::new(),
            secrets: Vec::new(),
            complete: true,
        }
    }
}

/// The unit's objects of which others have changed fields, and those that are not there.
async fn drifted(
    cluster: &Cluster,
    desired: &Arc<UnitDesired>,
    recorded: Option<&Digest>,
    found: &mut Found,
) -> (Vec<LiveObject>, BTreeSet<ObjectId>) {
    // What was synced as it is declared now, and is gone, was taken away.
    let absence = if recorded == Some(&desired.digest) {
        Absence::Removed
    } else {
        Absence::Unexplained
    };
    let ids = desired.objects.values();
    let ids: BTreeMap<ObjectId, String> = ids
        .map(|object| (object.id.clone(), object.api_version.clone()))
        .collect();
    let (mut drifted, mut gone) = (Vec::new(), BTreeSet::new());
    for (id, finding) in kube::find(cluster, &ids).await {
        let live = match finding {
            Finding::Present(live) => live,
            Finding::Absent => {
                gone.insert(id);
                continue;
            }
            Finding::Unknown(error) => {
                warn(&format!("{id} can't be read, and is left out: {error}"));
                found.complete = false;
                continue;
            }
        };
        let Some(desired) = desired.objects.get(&id) else {
            continue;
        };
        let Some(wanted) = changed(desired, &live, absence) else {
            continue;
        };
        if shows_secret(&id, &live.body) {
            found.secrets.push(id);
        } else {
            let wanted = Wanted::As(wanted);
            drifted.push(LiveObject { id, wanted });
        }
    }
    (drifted, gone)
}

/// Of the objects that are gone those that may be declared no more; of the others it is
/// said why not.
async fn meant(
    cluster: &Cluster,
    unit: &config::Unit,
    desired: &UnitDesired,
    gone: BTreeSet<ObjectId>,
    found: &mut Found,
) -> Vec<LiveObject> {
    if gone.is_empty() {
        return Vec::new();
    }
    let mut went = went_along(cluster, gone.clone()).await;
    let needs = dependencies(&desired.objects, &BTreeMap::new());
    let mut objects = Vec::new();
    for id in &gone {
        let why = if let Some(error) = went.unknown.remove(id) {
            Some(format!(
                "whether its namespace is there can't be read: {error}"
            ))
        } else if went.along.contains(id) {
            Some("it went with its namespace or the definition of its kind".to_owned())
        } else {
            never_left(unit, &desired.objects, &needs, &gone, gone.len(), id)
        };
        if let Some(why) = why {
            warn(&format!(
                "{id} was deleted, and is declared as before: {why}"
            ));
            found.complete = false;
            continue;
        }
        objects.push(LiveObject {
            id: id.clone(),
            wanted: Wanted::Gone,
        });
    }
    objects
}

/// The object with what others have changed of it since we applied it.
fn changed(desired: &Desired, live: &Live, absence: Absence) -> Option<serde_json::Value> {
    if fields::owned(live, FIELD_MANAGER).is_empty() {
        return None;
    }
    let kept = fields::kept(desired, live, absence);
    (kept != desired.body()).then_some(kept)
}

fn report(tree: &WorkingTree, found: &Found) -> anyhow::Result<u8> {
    let mut complete = found.complete;
    let mut files = Vec::new();
    for (unit, adoption) in &found.adoptions {
        super::write(tree, &adoption.tree)?;
        for (id, fields) in &adoption.taken {
            print(&format!(
                "{BOLD}{unit}{BOLD:#} {id}: {}\n",
                fields.join(", ")
            ))?;
        }
        if !adoption.also.is_empty() {
            let also: Vec<&str> = adoption.also.iter().map(String::as_str).collect();
            warn(&format!(
                "{} read these files too, and will have the same",
                also.join(", ")
            ));
        }
        for left in &adoption.left {
            complete = false;
            warn(&format!("{} is left as it is: {}", left.object, left.why));
            if let Some(patch) = &left.patch {
                print(&format!("What would have to change:\n{patch}"))?;
            }
        }
        if !adoption.tree.files().is_empty() {
            files.push(super::next(tree, &adoption.tree));
        }
    }
    for id in &found.secrets {
        complete = false;
        warn(&format!(
            "{id} was changed, and is left as it is: what is in a Secret is never written to Git"
        ));
    }
    if files.is_empty() && complete {
        print("nothing was changed in the cluster by others\n")?;
    } else if !files.is_empty() {
        print(&format!(
            "\nLook through it, then:\n  {}\n",
            files.join("\n  ")
        ))?;
    }
    Ok(if complete {
        exit::SAME
    } else {
        exit::DIFFERENT
    })
}
