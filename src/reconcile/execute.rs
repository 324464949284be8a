//! Executing the steps of a plan that are ready, in its order.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::asked;
use super::pass::{Context, PlanInput, Planned};
use crate::config::ConflictPolicy;
use crate::fields::{self, Sharing};
use crate::kube::{ApiError, ApplyMode, Cluster, Conflicts, Deletion, Expected};
use crate::model::{Desired, Live, PART_OF};
use crate::plan::{Action, Cause, Observation, Step, rank};

/// How many states of an object are tried to be patched in a row.
const ATTEMPTS: u32 = 5;
/// How often in a pass what was refused is tried again, as long as that helps: each may be
/// what the next one has waited for.
const ROUNDS: u32 = 2;

/// A step and what became of it.
#[derive(Debug)]
pub struct Done {
    /// The step.
    pub step: Step,
    /// Whether it could be done.
    pub result: Result<(), ApiError>,
}

impl Done {
    /// Whether it was refused for what another step may change.
    fn may_wait(&self) -> bool {
        matches!(
            self.result,
            Err(ApiError::Invalid {
                immutable: false,
                ..
            } | ApiError::Denied(_)
                | ApiError::Forbidden(_))
        )
    }
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
    let mut rounds = 0..ROUNDS;
    while rounds.next().is_some() && again(context, input, planned, &mut done, cancel).await {}
    done
}

/// Runs once more what was refused, where something else was done: what one object had to
/// give up first, such as a port or a part of a quota, may be free by now. Whether that did
/// something.
async fn again(
    context: &Context,
    input: &PlanInput,
    planned: &Planned,
    done: &mut [Done],
    cancel: &CancellationToken,
) -> bool {
    if !done.iter().any(|done| done.result.is_ok()) {
        return false;
    }
    let mut running = FuturesUnordered::new();
    for (place, refused) in done.iter().enumerate().filter(|(_, done)| done.may_wait()) {
        let step = refused.step.clone();
        running.push(async move { (place, run(context, input, planned, &step, cancel).await) });
    }
    let mut ended = Vec::new();
    while let Some((place, result)) = running.next().await {
        ended.extend(result.map(|result| (place, result)));
    }
    drop(running);
    let helped = ended.iter().any(|(_, done)| done.result.is_ok());
    for (place, result) in ended {
        done[place] = result;
    }
    helped
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
        Cause::Change | Cause::Ownership | Cause::Admission => context.cluster.until(cancel),
    };
    let asked = context.view.era();
    let act = async {
        match step.action {
            Action::Create => apply(context, &cluster, input, planned, step).await,
            Action::Change | Action::Adopt => {
                take_over(context, &cluster, input, planned, step).await
            }
            Action::Clear => clear(&cluster, input, step).await,
            Action::Replace => replace(context, &cluster, input, planned, step).await,
            Action::Prune => prune(context, &cluster, planned, step).await,
            Action::Detach => detach(&cluster, planned, step).await,
        }
    };
    let result = tokio::select! {
        // Whether it was done is not known then, as after a crash; what others have done
        // is not forgotten over it.
        () = context.given_up.cancelled() => Err(ApiError::Unavailable(
            "no answer before the agent ended".to_owned(),
        )),
        result = act => result,
    };
    if result == Err(ApiError::Withdrawn) {
        return None;
    }
    let result = result.map(|live| {
        if let Some(live) = live {
            context.view.put(&live, asked);
        }
    });
    Some(Done {
        step: step.clone(),
        result,
    })
}

/// Applies. The answer is the proof of what the API server makes of what is declared: it is
/// not asked again, unless that is another value, which may be another at each write.
async fn apply(
    context: &Context,
    cluster: &Cluster,
    input: &PlanInput,
    planned: &Planned,
    step: &Step,
) -> Result<Option<Live>, ApiError> {
    let Some(desired) = input.desired.objects.get(&step.object) else {
        return Ok(None);
    };
    let conflicts = match input.unit.conflicts {
        // Nobody else was there when it was planned; whoever is by now is planned for anew.
        _ if matches!(step.action, Action::Create | Action::Replace) => Conflicts::Fail,
        // Drift is reverted under either policy: the field was ours.
        ConflictPolicy::Fail if step.action != Action::Change && step.cause != Cause::Drift => {
            Conflicts::Fail
        }
        ConflictPolicy::Take | ConflictPolicy::Fail => Conflicts::Take,
    };
    let seen = seen(planned, step).filter(|_| step.action == Action::Adopt);
    let expected = match (step.action, &step.uid, &seen) {
        (Action::Adopt, _, Some(live)) => Expected::Unchanged {
            uid: live.uid(),
            resource_version: live.resource_version(),
        },
        (Action::Change | Action::Adopt, Some(uid), _) => Expected::Same { uid },
        _ => Expected::Anything,
    };
    let mode = ApplyMode::Write;
    let live = cluster.apply_to(desired, expected, mode, conflicts).await?;
    asked::learn(context, desired, &live);
    Ok(Some(live))
}

/// Applies, takes ownership of our fields off those who deployed the object before, and
/// takes off what others have added if it is to go.
async fn take_over(
    context: &Context,
    cluster: &Cluster,
    input: &PlanInput,
    planned: &Planned,
    step: &Step,
) -> Result<Option<Live>, ApiError> {
    let Some(desired) = input.desired.objects.get(&step.object) else {
        return Ok(None);
    };
    let live = match apply(context, cluster, input, planned, step).await {
        Ok(Some(live)) => live,
        Ok(None) => return Ok(None),
        Err(error) => return Err(cluster.refused_change(desired, error).await),
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
        let api_version = &desired.api_version;
        match cluster.patch(&step.object, api_version, &patch).await {
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
    match apply(context, &context.cluster, input, planned, step).await {
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
    let asked = context.view.era();
    match cluster.delete(&step.object, &live).await? {
        Deletion::Accepted(live) => Ok(Some(*live)),
        Deletion::Gone => {
            context.view.remove(&step.object, asked);
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
