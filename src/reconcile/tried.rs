//! What the API server would make of a plan's steps, by a dry run of each.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};

use super::pass::{Context, PlanInput, Planned};
use super::refused::refusal;
use crate::kube::{ApiError, ApplyMode, Cluster, Conflicts};
use crate::model::{Desired, GroupKind, ObjectId};
use crate::plan::{Action, Refusal, Refused, Standing, Step};
use crate::runtime::clock;

/// So many objects are asked about at once. How many requests that makes is the
/// cluster's affair.
const AT_ONCE: usize = 64;

/// What the API server would refuse, in its words. What it can't be asked about (a
/// namespace or kind that is declared and not there yet, a right that is missing) is left
/// open.
pub(super) async fn refusals(
    context: &Context,
    input: &PlanInput,
    planned: &Planned,
) -> BTreeMap<ObjectId, Refusal> {
    let steps = planned
        .plan
        .steps
        .iter()
        .filter(|step| step.action.applies() && step.standing == Standing::Ready);
    let steps: Vec<(&Step, &Desired)> = steps
        .filter_map(|step| Some((step, input.desired.objects.get(&step.object)?)))
        .collect();
    let answers = stream::iter(steps)
        .map(|(step, desired)| async move {
            let answer = tried(&context.cluster, step, desired).await;
            let answer = answer.map_err(|error| match homeless(input, desired, &error) {
                Some(why) => ApiError::Rejected(why),
                None => error,
            });
            match answer {
                Err(
                    error @ (ApiError::Invalid { .. }
                    | ApiError::Denied(_)
                    | ApiError::Faulted(_)
                    | ApiError::Rejected(_)),
                ) => Some((
                    desired.id.clone(),
                    refusal(Refused::Desired(desired.digest), &error, clock::now()),
                )),
                _ => None,
            }
        })
        .buffer_unordered(AT_ONCE);
    answers.filter_map(std::future::ready).collect().await
}

/// In words, that an object's namespace is neither there nor declared, where that is what
/// was refused.
fn homeless(input: &PlanInput, desired: &Desired, error: &ApiError) -> Option<String> {
    let ApiError::NotFound { message, .. } = error else {
        return None;
    };
    let namespace = desired.id.namespace.as_ref()?;
    let home = ObjectId::new(
        GroupKind::known("", "Namespace"),
        None,
        namespace.clone().into(),
    );
    let declared = input.neighbours.claims.contains_key(&home);
    let about = message.contains(&format!("namespaces \"{namespace}\" not found"));
    (about && !declared).then(|| {
        format!("the namespace {namespace} is not there, and no unit declares it: declare it in the repository, or create it (kubectl create namespace {namespace}), or correct the name")
    })
}

async fn tried(cluster: &Cluster, step: &Step, desired: &Desired) -> Result<(), ApiError> {
    let answer = cluster.apply(desired, ApplyMode::DryRun, Conflicts::Take);
    match answer.await {
        Ok(_) => Ok(()),
        Err(error) if step.action == Action::Create => Err(error),
        Err(error) => Err(cluster.refused_change(desired, error).await),
    }
}
