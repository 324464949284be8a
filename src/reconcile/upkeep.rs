//! What the agent writes for itself, as far as a plan has to know of it: where a unit declares
//! what could have the API server refuse that.

use std::collections::BTreeMap;

use super::declared::UnitDesired;
use super::pass::{Context, PlanInput};
use crate::kube::{self, OwnObject};
use crate::model::{EnvironmentName, GroupKind, Live, Namespace, ObjectId, UnitName};
use crate::plan::{Kept, Upkeep, is_admission};

/// What the agent writes for itself for a unit. Costs a request only where a unit declares
/// an admission policy or a webhook.
pub(super) async fn upkeep(context: &Context, input: &PlanInput) -> Upkeep {
    if !matters(&input.desired) {
        return Upkeep::default();
    }
    let kind = GroupKind::known("", "Namespace");
    let home = ObjectId::new(kind, None, context.namespace.clone().into());
    let home = context.cluster.get(&home, None).await.ok();
    let labels = home.map(|live| live.iter().flat_map(Live::labels).collect());
    let unit = &input.unit.name;
    written(&context.namespace, &context.environment, unit, labels)
}

/// The same without a cluster.
pub(super) fn recorded(
    namespace: &Namespace,
    environment: &EnvironmentName,
    unit: &UnitName,
    desired: &UnitDesired,
) -> Upkeep {
    if matters(desired) {
        written(namespace, environment, unit, None)
    } else {
        Upkeep::default()
    }
}

fn matters(desired: &UnitDesired) -> bool {
    desired.objects.keys().any(is_admission)
}

fn written(
    namespace: &Namespace,
    environment: &EnvironmentName,
    unit: &UnitName,
    labels: Option<BTreeMap<String, String>>,
) -> Upkeep {
    let kept = |own: OwnObject| Kept {
        id: own.id,
        version: own.version,
        resource: own.resource,
        labels: own.labels,
    };
    let objects = kube::kept(namespace, environment, unit);
    Upkeep {
        namespace: Some(namespace.clone()),
        labels,
        objects: objects.into_iter().map(kept).collect(),
    }
}
