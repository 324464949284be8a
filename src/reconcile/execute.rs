//! Executing the steps of a plan that are ready, in its order.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::pass::{Context, PlanInput, Planned};
use crate::config::ConflictPolicy;
use crate::fields::{self, Sharing};
use crate::kube::{ApiError, ApplyMode, Cluster, Conflicts, Deletion};
use crate::model::{Desired, Live, PART_OF};
use crate::plan::{Action, Cause, Observation, Step, rank};

/// How many states of an object are tried to be patched in a row.
const ATTEMPTS: u32 = 5;

/// A step and what became of it.
#[derive(Debug)]
pub struct Done {
    /// The step.
    pub step: Step,
    /// Whether it could be done.
    pub result: Result<(), ApiError>,
}

/// Runs the ready steps, those of one rank side by side. One that fails does not stop
/// the others: what depends on it was not ready. Cancellation takes effect between
/// steps.
pub(super) async fn execute(
    context: &Context,
    input: &PlanInput,
    planned: &Planned,
    cancel: &CancellationToken,
) -> Vec<Done> {
    let steps: Vec<&Step> = planned.plan.ready().collect();
    let mut done = Vec::new();
    for batch in steps.chunk_by(|one, other| rank(&one.object.kind) == rank(&other.object.kind)) {
        let mut running = FuturesUnordered::new();
        for step in batch {
            running.push(run(context, input, planned, step, cancel));
        }
        while let Some(ended) = running.next().await {
            done.extend(ended);
        }
    }
    done
}

/// Waits for its turn among the requests, unless it is too late by then.
async fn run(
    context: &Context,
    input: &PlanInput,
    planned: &Planned,
    step: &Step,
    cancel: &CancellationToken,
) -> Option<Done> {
    let cluster = match step.cause {
        Cause::Drift => context.cluster.urgently().until(cancel),
        Cause::Change | Cause::Ownership => context.cluster.until(cancel),
    };
    let result = match step.action {
        Action::Create => apply(&cluster, input, step).await,
        Action::Change | Action::Adopt => take_over(&cluster, input, step).await,
        Action::Clear => clear(&cluster, input, step).await,
        Action::Replace => replace(context, &cluster, input, planned, step).await,
        Action::Prune => prune(context, &cluster, planned, step).await,
        Action::Detach => detach(&cluster, planned, step).await,
    };
    if result == Err(ApiError::Withdrawn) {
        return None;
    }
    let result = result.map(|live| {
        if let Some(live) = live {
            context.view.put(&live);
        }
    });
    Some(Done {
        step: step.clone(),
        result,
    })
}

async fn apply(
    cluster: &Cluster,
    input: &PlanInput,
    step: &Step,
) -> Result<Option<Live>, ApiError> {
    let Some(desired) = input.desired.objects.get(&step.object) else {
        return Ok(None);
    };
    let conflicts = match input.unit.conflicts {
        // Drift is reverted under either policy: the field was ours.
        ConflictPolicy::Fail if step.action != Action::Change => Conflicts::Fail,
        ConflictPolicy::Take | ConflictPolicy::Fail => Conflicts::Take,
    };
    cluster
        .apply(desired, ApplyMode::Write, conflicts)
        .await
        .map(Some)
}

/// Applies, takes ownership of our fields off those who deployed the object before, and
/// takes off what others have added if it is to go.
async fn take_over(
    cluster: &Cluster,
    input: &PlanInput,
    step: &Step,
) -> Result<Option<Live>, ApiError> {
    let live = apply(cluster, input, step).await?;
    let (Some(live), Some(desired)) = (live, input.desired.objects.get(&step.object)) else {
        return Ok(None);
    };
    // What fails here is seen by the next pass as an object that is to be cleared.
    let cleared = cleared(cluster, input, desired, live.clone(), step).await;
    Ok(Some(cleared.unwrap_or_else(|error| {
        debug!(object = %step.object, %error, "what others own of it is left for the next pass");
        live
    })))
}

/// Takes off what others have added, of the object as it is by now.
async fn clear(
    cluster: &Cluster,
    input: &PlanInput,
    step: &Step,
) -> Result<Option<Live>, ApiError> {
    let Some(desired) = input.desired.objects.get(&step.object) else {
        return Ok(None);
    };
    let api_version = Some(desired.api_version.as_str());
    let Some(live) = cluster.get(&step.object, api_version).await? else {
        return Ok(None);
    };
    cleared(cluster, input, desired, live, step).await.map(Some)
}

/// The patch is for exactly one state of the object, and controllers write to it while it
/// rolls out: so it is made anew for each state that it meets.
async fn cleared(
    cluster: &Cluster,
    input: &PlanInput,
    desired: &Desired,
    mut live: Live,
    step: &Step,
) -> Result<Live, ApiError> {
    let sharing = match input.unit.conflicts {
        ConflictPolicy::Take => Sharing::End,
        ConflictPolicy::Fail => Sharing::Leave,
    };
    let mut attempts = 0;
    while let Some(patch) = fields::clear(desired, &live, &step.removes, sharing) {
        attempts += 1;
        match cluster.patch(&step.object, &patch).await {
            Ok(cleared) => {
                debug!(object = %step.object, cause = ?step.cause, "what others own of it is taken off");
                return Ok(cleared);
            }
            Err(ApiError::Conflict(_)) if attempts < ATTEMPTS => {
                let api_version = Some(desired.api_version.as_str());
                match cluster.get(&step.object, api_version).await? {
                    Some(newer) => live = newer,
                    None => return Ok(live),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(live)
}

/// Deletes and creates again, in two passes: the create follows when the delete has
/// been seen, finalizers included. What is deleted is not left like that, whatever else
/// is withdrawn.
async fn replace(
    context: &Context,
    cluster: &Cluster,
    input: &PlanInput,
    planned: &Planned,
    step: &Step,
) -> Result<Option<Live>, ApiError> {
    prune(context, cluster, planned, step).await?;
    match apply(&context.cluster, input, step).await {
        Err(ApiError::Conflict(_)) => Ok(None),
        other => other,
    }
}

async fn prune(
    context: &Context,
    cluster: &Cluster,
    planned: &Planned,
    step: &Step,
) -> Result<Option<Live>, ApiError> {
    let Some(live) = seen(planned, step) else {
        return Ok(None);
    };
    match cluster.delete(&step.object, &live).await? {
        Deletion::Accepted(live) => Ok(Some(*live)),
        Deletion::Gone => {
            context.view.remove(&step.object);
            Ok(None)
        }
    }
}

/// Takes the label off, at exactly the state that was seen.
async fn detach(
    cluster: &Cluster,
    planned: &Planned,
    step: &Step,
) -> Result<Option<Live>, ApiError> {
    let Some(live) = seen(planned, step) else {
        return Ok(None);
    };
    let patch = json!({"metadata": {
        "uid": live.uid(),
        "resourceVersion": live.resource_version(),
        "labels": { PART_OF: null },
    }});
    cluster.merge(&step.object, &patch).await.map(Some)
}

fn seen(planned: &Planned, step: &Step) -> Option<Live> {
    match planned.observed.get(&step.object) {
        Some(Observation::Present(seen)) => Some(seen.live()),
        _ => None,
    }
}
