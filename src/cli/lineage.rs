//! Whether it is the environment that it is taken for: from the same history, in the same
//! cluster.

use std::collections::BTreeSet;

use anyhow::Context as _;

use super::tree::WorkingTree;
use crate::kube::{self, Cluster};
use crate::model::{EnvironmentName, Lineage};
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

/// Whether this is another cluster than the recorded one, in words.
///
/// # Errors
/// When the API server can't be asked.
pub async fn other_cluster(
    cluster: &Cluster,
    environment: &EnvironmentName,
    recorded: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let Some(recorded) = recorded else {
        return Ok(None);
    };
    let here = kube::cluster_uid(cluster).await?;
    let here = here.filter(|here| here != recorded);
    Ok(here.map(|here| another_cluster(environment, recorded, &here)))
}

/// In words, that the record is of another cluster than this one.
pub fn another_cluster(environment: &EnvironmentName, recorded: &str, here: &str) -> String {
    format!(
        "this is another cluster than the one that the record of {environment} is of, so that nothing is applied or deleted: its namespace kube-system has the uid {recorded} there, and {here} here. If the wrong cluster or environment was named, correct that; if this one takes its place, start `agent run` once with --new-cluster"
    )
}
