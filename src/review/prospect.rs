//! The plans of what merging a pull request would bring, by the code of `agent diff`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::text::{Hindrance, Prospect};
use crate::config;
use crate::forge::{PullRequest, Standing};
use crate::kube::{Cluster, ListKey};
use crate::model::{DigestKey, EnvironmentName, Namespace};
use crate::reconcile::{AtHand, PlanEnvironment, PlannedEnvironment, Tools, plan_environment};
use crate::record::status::Last;
use crate::runtime::exec::Unconfined;
use crate::source::{Merge, Merged};

/// What environments are planned with.
#[derive(Clone)]
pub struct Planner {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// Where the daemon keeps the inventories.
    pub namespace: Namespace,
    /// Programs for rendering.
    pub tools: Tools,
    /// For digests of Secrets' values.
    pub key: DigestKey,
    /// What makes the lists of what was applied believed.
    pub list_key: ListKey,
}

impl Planner {
    /// As it may plan a pull request: a stranger's files come to no program that the
    /// kernel can't confine.
    pub fn for_pull(&self, pull: &PullRequest) -> Self {
        let mut planner = self.clone();
        planner.tools.unconfined = if is_members(pull) {
            Unconfined::Runs
        } else {
            Unconfined::Refused
        };
        planner
    }
}

/// Whether a pull request is of somebody who may write to the repository anyway, from a
/// branch of it.
pub(super) fn is_members(pull: &PullRequest) -> bool {
    pull.author.standing == Standing::Member && !pull.head.fork
}

/// What is known of an environment before it is planned.
#[derive(Default)]
pub struct Known {
    /// What the record says.
    pub recorded: Last,
    /// What makes it cheaper.
    pub at_hand: AtHand,
}

/// Plans the result of a merge for each environment, and adds to what is known.
pub async fn foresee(
    planner: &Planner,
    merge: &Merge,
    environments: &mut BTreeMap<EnvironmentName, Known>,
) -> Prospect {
    let merged = match merge {
        Merge::Conflict(files) => return Prospect::Conflict(files.clone()),
        Merge::TooLarge(paths) => {
            let why = format!(
                "the branch or the pull request has more than {paths} files and directories, too many to be merged to be looked at"
            );
            let each = environments.keys().cloned();
            let plans = each.map(|name| (name, Err(Hindrance::Wrong(why.clone()))));
            return Prospect::Planned(plans.collect());
        }
        Merge::Clean(merged) => merged,
    };
    let resolved = config::resolve(&*merged.tree);
    let mut plans = Vec::new();
    for (name, known) in environments {
        let plan = match resolved.environment(name) {
            Ok(environment) => plan(planner, merged, environment, known).await,
            Err(problems) => Err(Hindrance::Wrong(problems.to_string())),
        };
        plans.push((name.clone(), plan));
    }
    Prospect::Planned(plans)
}

async fn plan(
    with: &Planner,
    merged: &Merged,
    environment: &config::Environment,
    known: &mut Known,
) -> Result<PlannedEnvironment, Hindrance> {
    known.at_hand.approved = Arc::new(merged.approved.digests());
    known.at_hand.adopted = Arc::new(merged.approved.environments.clone());
    let planned = plan_environment(PlanEnvironment {
        environment,
        tree: &merged.tree,
        revision: None,
        cluster: &with.cluster,
        namespace: &with.namespace,
        tools: &with.tools,
        key: with.key.clone(),
        list_key: with.list_key.clone(),
        recorded: known.recorded.clone(),
        at_hand: &mut known.at_hand,
    });
    planned
        .await
        .map_err(|error| Hindrance::Passing(error.to_string()))
}
