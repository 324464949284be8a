//! Whether it is the environment that it is taken for: from the same history, in the same
//! cluster, with its inventories in the same namespace.

use std::collections::BTreeSet;

use anyhow::Context as _;

use super::tree::WorkingTree;
use crate::kube::{self, Cluster};
use crate::model::{EnvironmentName, Lineage, Namespace};
use crate::reconcile::{Elsewhere, Here};
use crate::record::status::Ties;
use crate::source::{self, Checkout};

/// The history that an environment was applied from, where the repository neither has a
/// commit of it nor says that it goes on from it; `None` as well where there is no commit.
///
/// # Errors
/// When the repository can't be read.
pub fn stranger(
    tree: &WorkingTree,
    lineages: &BTreeSet<Lineage>,
) -> anyhow::Result<Option<Lineage>> {
    let Some(checkout) = Checkout::discover(&tree.root).filter(|_| !lineages.is_empty()) else {
        return Ok(None);
    };
    let Some(revision) = tree.revision.clone().or_else(|| checkout.head()) else {
        return Ok(None);
    };
    let roots = source::roots(&checkout.repository, &revision, None);
    let roots = roots.context("it can't be told where the history of the repository begins")?;
    let strange = roots.strange(lineages, &BTreeSet::new());
    if roots.cut || strange.is_none() {
        // Of a shallow clone the rest may well have it.
        return Ok(None);
    }
    let approved = source::approvals(&checkout.repository, &revision)?;
    Ok(roots.strange(lineages, &approved.sources).cloned())
}

/// The environments whose objects are taken over, as commits of the repository say.
pub fn adopted(tree: &WorkingTree) -> BTreeSet<EnvironmentName> {
    let approved = Checkout::discover(&tree.root).and_then(|checkout| {
        let revision = tree.revision.clone().or_else(|| checkout.head())?;
        source::approvals(&checkout.repository, &revision).ok()
    });
    approved.map(|it| it.environments).unwrap_or_default()
}

/// Why the daemon would not touch an environment on behalf of this repository.
///
/// # Errors
/// As [`stranger`].
pub fn refusal(
    tree: &WorkingTree,
    environment: &EnvironmentName,
    lineages: &BTreeSet<Lineage>,
) -> anyhow::Result<Option<String>> {
    let strange = stranger(tree, lineages)?;
    Ok(strange.map(|other| {
        format!(
            "this repository shares no commit with {other}, from which the objects of {environment} were applied; is it the right cluster and repository? `agent adopt --source` tells how to go on from this one"
        )
    }))
}

/// In words, that an environment's record is of elsewhere; `None` where it is of here.
///
/// # Errors
/// When the API server can't be asked.
pub async fn recorded_elsewhere(
    cluster: &Cluster,
    environment: &EnvironmentName,
    recorded: &Ties,
    namespace: &Namespace,
) -> anyhow::Result<Option<String>> {
    let known = recorded.cluster.is_some();
    let here = Here {
        cluster: if known {
            kube::cluster_uid(cluster).await?
        } else {
            None
        },
        namespace: namespace.clone(),
    };
    let other = here.apart(recorded);
    Ok(other.map(|other| elsewhere(environment, &other, &here)))
}

/// In words, that an environment's record is of elsewhere.
pub fn elsewhere(environment: &EnvironmentName, other: &Elsewhere, here: &Here) -> String {
    match other {
        Elsewhere::Cluster(recorded) => {
            let here = here.cluster.as_deref().unwrap_or_default();
            format!(
                "this is another cluster than the one that the record of {environment} is of, so that nothing is applied or deleted: its namespace kube-system has the uid {recorded} there, and {here} here. If the wrong cluster or environment was named, correct that; if this one takes its place, start `agent run` once with --new-cluster"
            )
        }
        Elsewhere::Namespace(recorded) => {
            let here = &here.namespace;
            format!(
                "the agent of {environment} keeps its inventories in the namespace {recorded}, as the record says, and --namespace names {here}, so that nothing is applied or deleted: from here it is known neither what was applied nor whether that agent runs. Give --namespace {recorded}. If the inventories are to be in {here} from now on, end the agent and start `agent run` with --from-namespace {recorded}"
            )
        }
    }
}
