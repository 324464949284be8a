//! `agent diff --pull-request`: what the daemon says about a pull request, for CI.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use tracing::warn;

use super::access::{ClusterArgs, ForgeArgs, RepositoryArgs};
use super::records::PlaceArgs;
use super::{lineage, output};
use crate::config;
use crate::forge::{Forge, Kept, PullRequest, keep_comment};
use crate::kube::{self, Cluster, ListKey};
use crate::model::{DigestKey, EnvironmentName, Namespace};
use crate::reconcile::{PlannedEnvironment, Tools};
use crate::record::status::{Last, Ties};
use crate::record::{BranchPattern, RecordView};
use crate::review::{self, Hindrance, Known, Occasion, Planner, Prospect, foresee};
use crate::runtime::random;
use crate::source::{Checkout, Merge, Pull, Pulls, Remote};

/// Which pull request, and where it is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pull request")]
pub struct PullRequestArgs {
    /// Show what merging a pull request of the forge would do, as a comment there says it
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["watch", "revision", "path"])]
    pub pull_request: Option<u64>,
    /// Write that comment, or bring it up to date
    #[arg(long, requires = "pull_request")]
    pub comment: bool,
    /// The environment repository, for a pull request [default: the remote `origin`]
    #[arg(long, env = "AGENT_REPO", hide_env_values = true, value_name = "URL")]
    pub repo: Option<String>,
    #[command(flatten)]
    pub repository: RepositoryArgs,
    #[command(flatten)]
    pub forge: ForgeArgs,
}

/// What to plan it for.
pub struct Wanted<'a> {
    pub environments: &'a [EnvironmentName],
    pub cluster: &'a Arc<Cluster>,
    pub within: &'a ClusterArgs,
    pub tools: Tools,
    pub record: &'a PlaceArgs,
}

/// What merging a pull request would do.
pub struct Looked {
    /// The text of the comment.
    pub text: String,
    /// Each environment's plan.
    pub planned: Vec<(EnvironmentName, PlannedEnvironment)>,
    /// What kept it from being planned as a whole.
    pub problem: Option<String>,
}

impl PullRequestArgs {
    /// Plans a pull request, and tells the forge if that is wanted.
    ///
    /// # Errors
    /// When the forge, the repository or the cluster can't be asked.
    pub async fn look(&self, number: u64, wanted: Wanted<'_>) -> anyhow::Result<Looked> {
        let remote = self.remote()?;
        let Some(forge) = self.forge.connect(&remote)? else {
            bail!(
                "the forge of {} cannot be asked for the pull request: name it with --forge, and give a token with --forge-token-file or AGENT_FORGE_TOKEN",
                remote.url
            );
        };
        let pull = forge.pull_request(number).await?;
        let scratch = tempfile::tempdir().context("a temporary directory can't be made")?;
        let merge = merge(&*forge, &remote, &pull, scratch.path()).await?;
        let names = match &merge {
            Merge::Clean(merged) => names(wanted.environments, &*merged.tree),
            Merge::Conflict(_) | Merge::TooLarge(_) => wanted.environments.to_vec(),
        };
        let records = scratch.path().join("record.git");
        let elsewhere = wanted.record.elsewhere(&self.repository)?;
        let record = elsewhere.as_ref().unwrap_or(&remote);
        let known = |name: EnvironmentName| {
            let recorded = recorded(record, &name, &wanted.record.names, &records);
            let known = Known {
                recorded,
                ..Known::default()
            };
            (name, known)
        };
        let mut environments: BTreeMap<_, _> = names.into_iter().map(known).collect();
        let ties: Vec<(&EnvironmentName, &Ties)> = environments
            .iter()
            .map(|(name, known)| (name, &known.recorded.ties))
            .collect();
        let namespace = namespace(&wanted, &ties).await?;
        let (key, list_key) = keys(wanted.cluster, &namespace).await;
        let planner = Planner {
            cluster: Arc::clone(wanted.cluster),
            namespace,
            tools: wanted.tools,
            key,
            list_key,
        }
        .for_pull(&pull);
        let prospect = foresee(&planner, &merge, &mut environments).await;
        let occasion = Occasion {
            number,
            head: &pull.head.revision,
            base: &pull.base,
            url: &pull.url,
        };
        let names: Vec<EnvironmentName> = environments.into_keys().collect();
        let sections = review::sections(occasion, &names, &prospect, forge.comment_limit());
        if self.comment {
            match keep_comment(&*forge, number, review::PREVIEW, &sections).await? {
                Kept::Same => output::note("the comment is up to date"),
                Kept::Written | Kept::Changed => output::note("the comment was written"),
            }
        }
        let text = sections.into_iter().map(|section| section.text);
        Ok(looked(text.collect(), prospect))
    }

    fn remote(&self) -> anyhow::Result<Remote> {
        if let Some(repo) = &self.repo {
            return self.repository.remote(repo);
        }
        let checkout = Checkout::discover(Path::new("."));
        let origin = checkout.and_then(|checkout| checkout.origin());
        let Some(origin) = origin else {
            bail!(
                "it is not known where the repository is: run this in a checkout of it, or give --repo"
            );
        };
        self.repository.remote(origin.expose())
    }
}

async fn merge(
    forge: &dyn Forge,
    remote: &Remote,
    pull: &PullRequest,
    scratch: &Path,
) -> anyhow::Result<Merge> {
    let (remote, repository) = (remote.clone(), scratch.join("pull.git"));
    let (base, wanted) = (
        pull.base.clone(),
        Pull {
            number: pull.number,
            reference: forge.head_ref(pull.number),
            head: pull.head.revision.clone(),
        },
    );
    let merged = tokio::task::spawn_blocking(move || {
        let pulls = Pulls {
            repository: &repository,
            remote: &remote,
        };
        let base = pulls.fetch_branch(&base)?;
        pulls.fetch(&wanted)?;
        pulls.merge(&base, &wanted.head)
    });
    Ok(merged.await??)
}

/// Those that were asked for, else all that the result of the merge has.
fn names(wanted: &[EnvironmentName], tree: &dyn crate::model::Tree) -> Vec<EnvironmentName> {
    if wanted.is_empty() {
        config::resolve(tree).environments.into_keys().collect()
    } else {
        wanted.to_vec()
    }
}

/// What the record says; without it, drift is taken for a change.
fn recorded(
    remote: &Remote,
    environment: &EnvironmentName,
    names: &BranchPattern,
    scratch: &Path,
) -> Last {
    let view = RecordView::of_remote(remote, environment, names, scratch);
    let last = view.and_then(|view| view.map(|view| view.last()).transpose());
    let last = last.unwrap_or_else(|error| {
        warn!(%environment, %error, "the record cannot be read");
        None
    });
    last.flatten().unwrap_or_default()
}

/// Where the agent of all these environments keeps its inventories.
async fn namespace(
    wanted: &Wanted<'_>,
    ties: &[(&EnvironmentName, &Ties)],
) -> anyhow::Result<Namespace> {
    let none = Ties::default();
    let mut all = ties.iter().map(|(_, ties)| *ties);
    let first = all.find(|ties| ties.namespace.is_some());
    let namespace = wanted.within.namespace_of(first.unwrap_or(&none));
    for (name, recorded) in ties {
        let other = lineage::recorded_elsewhere(wanted.cluster, name, recorded, &namespace).await?;
        if let Some(why) = other {
            bail!(why);
        }
    }
    Ok(namespace)
}

/// The daemon's key where it may be read, so that both write the same.
async fn keys(cluster: &Cluster, namespace: &Namespace) -> (DigestKey, ListKey) {
    match kube::known_digest_key(cluster, namespace).await {
        Ok(Some(key)) => (key.clone(), ListKey::Ours(key)),
        Ok(None) | Err(_) => (DigestKey::new(random::bytes()), ListKey::Unknown),
    }
}

fn looked(text: String, prospect: Prospect) -> Looked {
    let environments = match prospect {
        Prospect::Conflict(files) => {
            return Looked {
                text,
                planned: Vec::new(),
                problem: Some(format!("it conflicts in {}", files.join(", "))),
            };
        }
        Prospect::Planned(environments) => environments,
    };
    let (mut planned, mut problem) = (Vec::new(), None);
    for (name, plan) in environments {
        match plan {
            Ok(plan) => planned.push((name, plan)),
            Err(Hindrance::Wrong(why) | Hindrance::Passing(why)) => {
                problem = Some(format!("{name} cannot be planned: {why}"));
            }
        }
    }
    Looked {
        text,
        planned,
        problem,
    }
}
