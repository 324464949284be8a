//! What a commit declares, as far as it can be rendered.

use std::collections::BTreeSet;

use anyhow::bail;

use super::{Place, WhyArgs};
use crate::config;
use crate::model::{Desired, EnvironmentName, ObjectId, UnitName};
use crate::reconcile::{Labels, RenderCache, declare};

/// The object as the environment declares it, or what can't be rendered where it may be.
/// To render one unit is enough where the record says which.
pub(super) async fn desired(
    args: &WhyArgs,
    place: &Place,
    environment: &config::Environment,
    unit: Option<&UnitName>,
) -> (Option<(config::Unit, Desired)>, Vec<String>) {
    let mut alone = environment.clone();
    alone.units.retain(|name, _| Some(name) == unit);
    let found = declared_in(args, place, &alone).await.0;
    if found.is_some() {
        return (found, Vec::new());
    }
    match declared_in(args, place, environment).await {
        (None, unrendered) => (None, unrendered),
        (found, _) => (found, Vec::new()),
    }
}

/// All objects that these environments declare, as this command takes them.
async fn declared_objects(
    place: &Place,
    resolved: &config::Resolved,
    names: &[EnvironmentName],
) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in names {
        let Ok(environment) = resolved.environment(name) else {
            continue;
        };
        let labels = Labels::Plain { namespace: None };
        let (tree, tools, mut cache) = (&place.tree, &place.tools, RenderCache::default());
        let declared = declare(tree, environment, tools, labels, None, &mut cache).await;
        let units = declared.units.values();
        let desired = units.filter_map(|unit| unit.desired.as_ref().ok());
        all.extend(desired.flat_map(|desired| desired.objects.keys().map(written)));
    }
    all
}

fn written(id: &ObjectId) -> String {
    let kind = &id.kind.kind;
    match &id.namespace {
        Some(namespace) => format!("{kind}/{namespace}/{}", id.name),
        None => format!("{kind}/{}", id.name),
    }
}

async fn declared_in(
    args: &WhyArgs,
    place: &Place,
    environment: &config::Environment,
) -> (Option<(config::Unit, Desired)>, Vec<String>) {
    let (tree, tools) = (&place.tree, &place.tools);
    let mut cache = RenderCache::default();
    let labels = Labels::Plain { namespace: None };
    let declared = declare(tree, environment, tools, labels, None, &mut cache).await;
    let mut wrong = Vec::new();
    for unit in declared.units.values() {
        match &unit.desired {
            Ok(desired) => {
                let mut objects = desired.objects.values();
                if let Some(found) = objects.find(|desired| args.object.matches(&desired.id)) {
                    return (
                        Some((config::Unit::clone(&unit.unit), found.clone())),
                        wrong,
                    );
                }
            }
            Err(problem) => wrong.push(problem.to_string()),
        }
    }
    (None, wrong)
}

/// No environment has it: what may have been meant.
pub(super) async fn nowhere(
    args: &WhyArgs,
    place: &Place,
    resolved: &config::Resolved,
    names: &[EnvironmentName],
) -> anyhow::Result<u8> {
    let declared = declared_objects(place, resolved, names).await;
    let hint = config::did_you_mean(&args.object.written(), declared.iter().map(|id| &**id));
    let hint = hint.unwrap_or_else(|| "write Kind/namespace/name".to_owned());
    bail!(
        "{} declares no {}, and no record has it; {hint}",
        place.revision.short(),
        args.object
    )
}
