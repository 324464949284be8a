//! `agent diff`: the daemon's plan, stopped before the first write.

mod json;
mod recorded;
mod text;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::sync::mpsc;

pub(super) use self::text::text;
use super::access::{ClusterArgs, RepositoryArgs, ToolArgs};
use super::exit;
use super::lineage;
use super::output::{self, Format, progress};
use super::pull_request::{self, PullRequestArgs};
use super::records::PlaceArgs;
use super::tree::{TreeArgs, WorkingTree};
use crate::config;
use crate::kube::{self, Cluster, ListKey};
use crate::model::{DigestKey, EnvironmentName, UnitName};
use crate::plan::{Blocked, Standing, Step};
use crate::reconcile::{self, AtHand, PlannedEnvironment};
use crate::runtime::random;
use crate::source::{Checkout, verify};

const EXAMPLES: &str = "Examples:
  agent diff --environment staging         the files as they are now
  agent diff --environment staging --revision main
  agent diff ./manifests                   a directory as the only unit
  agent diff --watch                       again whenever a file is saved
  agent diff --pull-request 7 --comment    in CI: what merging it would do
  agent diff --recorded                    against the record: needs no cluster

With --recorded, live is what the record says that it was last: fetch the branch
live/ENVIRONMENT before, or name the record's own repository with --record-repo.
Values of Secrets are not compared, since it has only digests of them; spellings
(1000m for 1) and the server's defaults are taken for no difference; and what
others have added is not shown.

Exit codes: 0 nothing differs, 1 something does, 2 it could not be told.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    #[command(flatten)]
    tree: TreeArgs,
    /// The environment to compare; may be given several times [default: all]
    #[arg(
        long,
        env = "AGENT_ENVIRONMENT",
        value_name = "NAME",
        value_delimiter = ','
    )]
    environment: Vec<EnvironmentName>,
    /// Plan again whenever a file is saved, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Compare with what the record says is live, without any cluster
    #[arg(long, conflicts_with = "watch")]
    recorded: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    record: PlaceArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    tools: ToolArgs,
    #[command(flatten)]
    pull_request: PullRequestArgs,
}

impl DiffArgs {
    fn access(&self) -> &RepositoryArgs {
        &self.pull_request.repository
    }
}

pub async fn run(args: DiffArgs) -> anyhow::Result<u8> {
    if args.recorded {
        let shown = progress("comparing with the record");
        let planned = recorded::plans(&args).await?;
        drop(shown);
        return tell(&args, &planned);
    }
    let cluster = Arc::new(kube::connect(&args.cluster.access()).await?);
    if let Some(number) = args.pull_request.pull_request {
        return pull_request(&args, number, &cluster).await;
    }
    if !args.watch {
        return once(&args, &cluster).await;
    }
    let root = args.tree.open()?.root;
    let (_watcher, mut saved) = watch(&root)?;
    loop {
        if let Err(error) = once(&args, &cluster).await {
            super::report_error(&error);
        }
        output::note(&format!(
            "watching {} for changes, Ctrl-C ends",
            root.display()
        ));
        if saved.recv().await.is_none() {
            bail!("{} can't be watched any longer", root.display());
        }
        // An editor writes several files for one save.
        while tokio::time::timeout(Duration::from_millis(100), saved.recv())
            .await
            .is_ok()
        {}
    }
}

async fn once(args: &DiffArgs, cluster: &Arc<Cluster>) -> anyhow::Result<u8> {
    let tree = args.tree.open()?;
    let shown = progress("comparing with the cluster");
    let wanted = environments(&args.environment, &tree.resolved)?;
    let tools = args.tools.tools();
    let mut planned = Vec::new();
    for environment in &wanted {
        let key = DigestKey::new(random::bytes());
        let mut at_hand = AtHand::adopting(lineage::adopted(&tree));
        let recorded = args
            .record
            .last(args.access(), &tree.root, &environment.name)
            .await;
        let tied = recorded.ties.clone();
        let namespace = args.cluster.namespace_of(&tied);
        let plan = reconcile::plan_environment(reconcile::PlanEnvironment {
            environment,
            tree: &tree.tree,
            revision: tree.revision.clone(),
            cluster,
            namespace: &namespace,
            tools: &tools,
            key,
            list_key: ListKey::Unknown,
            recorded,
            at_hand: &mut at_hand,
        });
        let mut plan = plan
            .await
            .with_context(|| format!("{} cannot be compared", environment.name))?;
        let name = &environment.name;
        let other = lineage::recorded_elsewhere(cluster, name, &tied, &namespace).await?;
        plan.refused = match other {
            Some(other) => Some(other),
            None => lineage::refusal(&tree, name, &plan.lineages)?,
        };
        if let Some(inside) = args.tree.inside(&tree.root)? {
            plan.retain(|unit| touches(environment, unit, &inside));
        }
        planned.push((environment.name.clone(), plan));
    }
    drop(shown);
    if let Some(why) = refused(&tree) {
        output::warn(&format!("the agent would not deploy this revision: {why}"));
    }
    tell(args, &planned)
}

/// Prints the plans; the exit code is as that of `kubectl diff`.
fn tell(args: &DiffArgs, planned: &[(EnvironmentName, PlannedEnvironment)]) -> anyhow::Result<u8> {
    match args.output {
        Format::Json => json::print(planned)?,
        Format::Text => {
            for (name, planned) in planned {
                planned.warnings.iter().for_each(|text| output::warn(text));
                output::print(&text(name, planned))?;
            }
        }
    }
    Ok(code(planned))
}

async fn pull_request(args: &DiffArgs, number: u64, cluster: &Arc<Cluster>) -> anyhow::Result<u8> {
    let shown = progress("comparing with the cluster");
    let wanted = pull_request::Wanted {
        environments: &args.environment,
        cluster,
        within: &args.cluster,
        tools: args.tools.tools(),
        record: &args.record,
    };
    let looked = args.pull_request.look(number, wanted).await;
    drop(shown);
    let looked = looked.with_context(|| format!("pull request {number} cannot be looked at"))?;
    match args.output {
        Format::Json => json::print(&looked.planned)?,
        Format::Text => output::print(&looked.text)?,
    }
    match looked.problem {
        Some(problem) => bail!("pull request {number}: {problem}"),
        None => Ok(code(&looked.planned)),
    }
}

/// As `kubectl diff`.
fn code(planned: &[(EnvironmentName, PlannedEnvironment)]) -> u8 {
    let failed = planned
        .iter()
        .any(|(_, planned)| !planned.failed.is_empty() || planned.refused.is_some());
    let plans = || planned.iter().flat_map(|(_, planned)| &planned.plans);
    let (unseen, seen): (Vec<&Step>, Vec<&Step>) = plans()
        .flat_map(|plan| &plan.steps)
        .partition(|step| is_unseen(step));
    let differs = !seen.is_empty();
    // What could not be looked for may be there.
    let blind = !unseen.is_empty() || plans().any(|plan| plan.blind.is_some());
    let unknown = !differs && blind;
    match (failed || unknown, differs) {
        (true, _) => exit::ERROR,
        (false, true) => exit::DIFFERENT,
        (false, false) => exit::SAME,
    }
}

/// Whether it is not known what there is of the object.
fn is_unseen(step: &Step) -> bool {
    matches!(step.standing, Standing::Blocked(Blocked::Unobserved(_)))
}

/// Why the agent would refuse the revision, if commits have to be signed.
fn refused(tree: &WorkingTree) -> Option<String> {
    let checkout = Checkout::discover(&tree.root)?;
    verify::refusal(&checkout.repository, tree.revision.as_ref()?)
}

/// Whether a unit lies in a directory of the repository, or around it. One that has left
/// the configuration lies nowhere.
fn touches(environment: &config::Environment, unit: &UnitName, inside: &Path) -> bool {
    let Some(unit) = environment.units.get(unit) else {
        return false;
    };
    let path = Path::new(&unit.path);
    path.starts_with(inside) || inside.starts_with(path)
}

fn environments(
    wanted: &[EnvironmentName],
    resolved: &config::Resolved,
) -> anyhow::Result<Vec<config::Environment>> {
    if wanted.is_empty() {
        return Ok(resolved
            .clone()
            .config()
            .context("the repository is not valid")?
            .environments
            .into_values()
            .collect());
    }
    wanted
        .iter()
        .map(|name| {
            Ok(resolved
                .environment(name)
                .context("the repository is not valid")?
                .clone())
        })
        .collect()
}

type Saved = (notify::RecommendedWatcher, mpsc::Receiver<()>);

fn watch(root: &Path) -> anyhow::Result<Saved> {
    use notify::Watcher as _;
    // One waiting save is enough: what it leads to sees all that came before.
    let (saved, receiver) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours = |path: &Path| path.components().any(|part| part.as_os_str() == ".git");
        if event.is_ok_and(|event| {
            !event.kind.is_access() && event.paths.iter().any(|path| !ours(path))
        }) {
            let _ = saved.try_send(());
        }
    })?;
    watcher
        .watch(root, notify::RecursiveMode::Recursive)
        .with_context(|| format!("{} cannot be watched", root.display()))?;
    Ok((watcher, receiver))
}
