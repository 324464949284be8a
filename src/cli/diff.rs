//! `agent diff`: the daemon's plan, stopped before the first write.

mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;

use super::access::{ClusterArgs, RepositoryArgs, ToolArgs};
use super::exit;
use super::output::{self, BOLD, DIM, Format, GREEN, RED, YELLOW, progress};
use super::pull_request::{self, PullRequestArgs};
use super::records::PlaceArgs;
use super::tree::{TreeArgs, WorkingTree};
use crate::config;
use crate::kube::{self, Cluster};
use crate::model::{DigestKey, EnvironmentName, UnitName};
use crate::plan::{self, Action, Blocked, Checked, ForeignField, Plan, Standing, Step};
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
        return Ok(tell(&args, &planned));
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
        anstream::eprintln!(
            "{DIM}watching {} for changes, Ctrl-C ends{DIM:#}",
            root.display()
        );
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
        let mut at_hand = AtHand::default();
        let plan = reconcile::plan_environment(reconcile::PlanEnvironment {
            environment,
            tree: &tree.tree,
            revision: tree.revision.clone(),
            cluster,
            namespace: &args.cluster.namespace,
            tools: &tools,
            key,
            recorded: args
                .record
                .last_declared(args.access(), &tree.root, &environment.name)
                .await,
            at_hand: &mut at_hand,
        });
        let mut plan = plan
            .await
            .with_context(|| format!("{} cannot be compared", environment.name))?;
        if let Some(inside) = args.tree.inside(&tree.root)? {
            plan.retain(|unit| touches(environment, unit, &inside));
        }
        planned.push((environment.name.clone(), plan));
    }
    drop(shown);
    if let Some(why) = refused(&tree) {
        anstream::eprintln!(
            "{YELLOW}warning:{YELLOW:#} the agent would not deploy this revision: {why}"
        );
    }
    Ok(tell(args, &planned))
}

/// Prints the plans; the exit code is as that of `kubectl diff`.
fn tell(args: &DiffArgs, planned: &[(EnvironmentName, PlannedEnvironment)]) -> u8 {
    match args.output {
        Format::Json => print_json(planned),
        Format::Text => planned
            .iter()
            .for_each(|(name, planned)| print(name, planned)),
    }
    code(planned)
}

async fn pull_request(args: &DiffArgs, number: u64, cluster: &Arc<Cluster>) -> anyhow::Result<u8> {
    let shown = progress("comparing with the cluster");
    let wanted = pull_request::Wanted {
        environments: &args.environment,
        cluster,
        namespace: &args.cluster.namespace,
        tools: args.tools.tools(),
        record: &args.record,
    };
    let looked = args.pull_request.look(number, wanted).await;
    drop(shown);
    let looked = looked.with_context(|| format!("pull request {number} cannot be looked at"))?;
    match args.output {
        Format::Json => print_json(&looked.planned),
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
        .any(|(_, planned)| !planned.failed.is_empty());
    let differs = planned
        .iter()
        .flat_map(|(_, planned)| &planned.plans)
        .any(|plan| !plan.is_empty());
    let mut plans = planned.iter().flat_map(|(_, planned)| &planned.plans);
    // What could not be looked for may be there.
    let unknown = !differs && plans.any(|plan| plan.blind.is_some());
    match (failed || unknown, differs) {
        (true, _) => exit::ERROR,
        (false, true) => exit::DIFFERENT,
        (false, false) => exit::SAME,
    }
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

fn print(name: &EnvironmentName, planned: &PlannedEnvironment) {
    for (unit, problem) in &planned.failed {
        anstream::println!("{BOLD}{name}/{unit}{BOLD:#} {RED}cannot be rendered{RED:#}");
        for line in problem.lines() {
            anstream::println!("  {line}");
        }
        println!();
    }
    for warning in &planned.warnings {
        anstream::eprintln!("{YELLOW}warning:{YELLOW:#} {warning}");
    }
    for plan in &planned.plans {
        if !plan.is_empty() || !plan.notes.is_empty() || !plan.foreign.is_empty() {
            print_plan(plan);
        }
    }
    anstream::println!("{name}: {}", planned.summary());
}

fn print_plan(plan: &Plan<Checked>) {
    anstream::println!("{BOLD}{}/{}{BOLD:#}", plan.environment, plan.unit);
    for step in &plan.steps {
        print_step(step);
    }
    print_foreign(&plan.foreign);
    for note in &plan.notes {
        anstream::println!("  {YELLOW}note:{YELLOW:#} {note}");
    }
    println!();
}

/// What others have added, object by object. It is no difference.
fn print_foreign(foreign: &[ForeignField]) {
    if !foreign.is_empty() {
        anstream::println!(
            "  {BOLD}fields of others{BOLD:#} {DIM}left as they are: not declared, and no drift{DIM:#}"
        );
    }
    for fields in foreign.chunk_by(|one, other| one.object == other.object) {
        anstream::println!("    {}", fields[0].object);
        for field in fields {
            anstream::println!("      {field}");
        }
    }
}

fn print_step(step: &Step) {
    let colour = match step.action {
        Action::Create => GREEN,
        Action::Change | Action::Adopt | Action::Clear | Action::Detach => YELLOW,
        Action::Replace | Action::Prune => RED,
    };
    let place = step
        .origin
        .as_ref()
        .map(|origin| format!(" {origin}"))
        .unwrap_or_default();
    let word = match step.standing {
        Standing::Blocked(_) => "blocked",
        _ => "",
    };
    let separator = if word.is_empty() { "" } else { " " };
    anstream::println!(
        "  {colour}{word}{separator}{}{colour:#} {}{DIM}{place}{DIM:#}",
        step.action,
        step.object
    );
    let reason = match &step.standing {
        Standing::Blocked(why) => format!("{}; blocked: {}", step.reason, words(why)),
        Standing::Waits(what) => format!("{}; waits for {what}", step.reason),
        Standing::Reported => format!(
            "{}; left as it is, since the `drift` of the unit is not `revert`",
            step.reason
        ),
        Standing::Ready => step.reason.clone(),
    };
    anstream::println!("    {DIM}{}{DIM:#}", reason.trim_start_matches("; "));
    for field in step.fields.iter().filter(|field| field.actor().is_some()) {
        anstream::println!("    {field}");
    }
    for line in plan::diff(step).lines().skip(2) {
        match line.as_bytes().first() {
            Some(b'+') => anstream::println!("    {GREEN}{line}{GREEN:#}"),
            Some(b'-') => anstream::println!("    {RED}{line}{RED:#}"),
            _ => anstream::println!("    {line}"),
        }
    }
}

fn words(why: &Blocked) -> String {
    why.to_string()
}

fn print_json(planned: &[(EnvironmentName, PlannedEnvironment)]) {
    let environments: Vec<_> = planned
        .iter()
        .map(|(name, planned)| {
            let units: Vec<_> = planned.plans.iter().map(plan_json).collect();
            let failed: BTreeMap<&UnitName, &String> = planned.failed.iter().collect();
            let warnings: BTreeSet<&String> = planned.warnings.iter().collect();
            json!({ "environment": name, "units": units, "failed": failed, "warnings": warnings })
        })
        .collect();
    println!("{:#}", json!(environments));
}

fn plan_json(plan: &Plan<Checked>) -> serde_json::Value {
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            let mut shown = json!(step);
            shown["diff"] = json!(plan::diff(step));
            shown
        })
        .collect();
    json!({
        "unit": plan.unit,
        "revision": plan.revision,
        "digest": plan.digest,
        "clean": plan.clean,
        "steps": steps,
        "foreign": plan.foreign,
        "notes": plan.notes,
    })
}
