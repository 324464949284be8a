//! Holds on to how many objects there are while some of them leave. A pass adds before it
//! deletes: measured by what is there by then, a revision that adds enough could delete
//! anything.

use super::budget;
use super::pass::{Context, PlanInput, Planned};
use super::witness;
use crate::kube::ApiError;
use crate::plan::{Action, Members};
use crate::runtime::clock;

/// What becomes of a number of objects that deletions are measured by.
#[derive(Debug, Clone, Copy)]
enum Pin {
    /// It stays as it is.
    Keep,
    /// It is as many as there are.
    Release,
    /// It is this, unless it was pinned before.
    At(usize),
}

impl Pin {
    fn put(self, pinned: Option<usize>) -> Option<usize> {
        match self {
            Self::Keep => pinned,
            Self::Release => None,
            Self::At(total) => pinned.or(Some(total)),
        }
    }
}

/// Takes in how many objects there are before a plan adds some while others leave, and has
/// the cluster know of it; forgets it once nothing leaves.
///
/// # Errors
/// When the cluster can't be told: then nothing may be added.
pub(super) async fn hold(
    context: &Context,
    input: &PlanInput,
    planned: &Planned,
) -> Result<(), ApiError> {
    let of_environment = environment(context, input, planned).await;
    let (name, of_unit) = (&input.unit.name, unit(planned));
    let news = context.spent.pin(|pinned| {
        pinned.environment = of_environment.put(pinned.environment);
        let total = of_unit.put(pinned.units.remove(name));
        let total = total.map(|total| (name.clone(), total));
        pinned.units.extend(total);
    });
    if news || !context.spent.pinned().is_empty() {
        return witness::testify(context).await;
    }
    Ok(())
}

fn adds(planned: &Planned) -> bool {
    planned.plan.ready().any(|step| step.action.applies())
}

fn unit(planned: &Planned) -> Pin {
    let Members::Known(members) = &planned.members else {
        return Pin::Keep;
    };
    let mut steps = planned.plan.steps.iter();
    if !steps.any(|step| step.action == Action::Prune) {
        return Pin::Release;
    }
    if adds(planned) {
        Pin::At(members.len())
    } else {
        Pin::Keep
    }
}

async fn environment(context: &Context, input: &PlanInput, planned: &Planned) -> Pin {
    let adds = adds(planned);
    if !adds && context.spent.pinned().environment.is_none() {
        return Pin::Keep;
    }
    if !input.roster.is_left_by_something(&context.lists) {
        return Pin::Release;
    }
    let budget = budget::budget(context, input, clock::now()).await;
    if budget.leaving.objects.is_empty() {
        Pin::Release
    } else if adds {
        Pin::At(budget.leaving.extent.objects + budget.lately.objects())
    } else {
        Pin::Keep
    }
}
