//! `agent adopt`: what exists or was changed only in the cluster, written into the files
//! of the working tree, for a person to commit.

mod drift;
mod environment;
mod object;
mod source;

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Args;
use similar::TextDiff;

use super::access::{ClusterArgs, RepositoryArgs, ToolArgs};
use super::output::{GREEN, RED, print};
use super::records::PlaceArgs;
use super::tree::{TreeArgs, WorkingTree};
use crate::config::{self, Resolved};
use crate::edit::{EditedTree, Others};
use crate::model::{EnvironmentName, UnitName, shell_quoted};
use crate::record::ObjectPattern;

const EXAMPLES: &str = "Examples:
  agent adopt Deployment/shop/web --unit shop   an object that no unit declares yet
  agent adopt --drift --environment staging     what was changed or deleted by hand, everywhere
  agent adopt --drift --unit shop
  agent adopt --source                          go on from this repository in place of another
  agent adopt --from staging --environment test take over all that was another environment's

Files are changed where they are, with nothing else in them; nothing is committed, and
nothing in the cluster is touched.

Exit codes: 0 written, or nothing to write; 1 something could not be written; 2 an error.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AdoptArgs {
    /// An object to declare, as Kind/namespace/name
    #[arg(
        value_name = "OBJECT",
        required_unless_present_any = ["drift", "source", "from"],
        conflicts_with_all = ["drift", "source", "from"]
    )]
    object: Option<ObjectPattern>,
    /// Make the files say what was changed or deleted in the cluster
    #[arg(long)]
    drift: bool,
    /// Show what it would do if the environment went on from this repository, where its
    /// objects were applied from another one, and say how to have it so
    #[arg(long, conflicts_with_all = ["drift", "unit"])]
    source: bool,
    /// Show what it would do if the environment took the place of another one, as after it
    /// was renamed, and say how to have it so
    #[arg(long, value_name = "ENVIRONMENT", conflicts_with_all = ["drift", "unit", "source"])]
    from: Option<EnvironmentName>,
    /// The unit [default: for an object the one that is in its namespace, for --drift all]
    #[arg(long, value_name = "NAME")]
    unit: Option<UnitName>,
    /// The environment that the cluster is [default: the only one]
    #[arg(long, env = "AGENT_ENVIRONMENT", value_name = "NAME")]
    environment: Option<EnvironmentName>,
    #[command(flatten)]
    record: PlaceArgs,
    #[command(flatten)]
    repository: RepositoryArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    tools: ToolArgs,
}

pub async fn run(args: AdoptArgs) -> anyhow::Result<u8> {
    let arguments = TreeArgs {
        path: None,
        revision: None,
    };
    let tree = arguments.open()?;
    let environment = environment(&args, &tree.resolved)?;
    if let Some(unit) = &args.unit
        && !environment.units.contains_key(unit)
    {
        let names: Vec<&str> = environment.units.keys().map(UnitName::as_str).collect();
        bail!(
            "{} has no unit {unit}; it has {}",
            environment.name,
            names.join(", ")
        );
    }
    if let Some(from) = &args.from {
        return environment::adopt(&args, &tree, &environment, from).await;
    }
    if args.source {
        return source::adopt(&args, &tree, &environment).await;
    }
    match &args.object {
        Some(object) => object::adopt(&args, &tree, &environment, object).await,
        None => drift::adopt(&args, &tree, &environment).await,
    }
}

fn environment(args: &AdoptArgs, resolved: &Resolved) -> anyhow::Result<config::Environment> {
    if let Some(name) = &args.environment {
        let found = resolved.environment(name);
        return Ok(found.context("the repository is not valid")?.clone());
    }
    let config = resolved.clone().config();
    let config = config.context("the repository is not valid")?;
    let names: Vec<&str> = config
        .environments
        .keys()
        .map(EnvironmentName::as_str)
        .collect();
    if let [_] = names[..] {
        let mut only = config.environments.into_values();
        return only.next().context("the repository has no environment");
    }
    bail!(
        "say which environment the cluster is, with --environment: {}",
        names.join(", ")
    )
}

/// All units of the repository but one, by names for people.
fn others(resolved: &Resolved, environment: &config::Environment, unit: &config::Unit) -> Others {
    let environments = resolved
        .environments
        .values()
        .filter_map(|it| it.as_ref().ok());
    let units = environments.flat_map(|environment| {
        let units = environment.units.values();
        units.map(|unit| (environment.name.clone(), unit.clone()))
    });
    let other = |(name, other): &(EnvironmentName, config::Unit)| {
        *name != environment.name || other.name != unit.name
    };
    units
        .filter(other)
        .map(|(environment, unit)| (format!("{environment}/{}", unit.name), unit))
        .collect()
}

/// Writes the edited files into the working tree, and shows what changed in them.
fn write(tree: &WorkingTree, edited: &EditedTree) -> anyhow::Result<()> {
    for (path, content) in edited.files() {
        let (on_disk, before) = (tree.root.join(path), edited.before(path));
        let written = match content {
            Some(content) => put(&on_disk, content),
            None => std::fs::remove_file(&on_disk),
        };
        written.with_context(|| format!("{path} can't be written"))?;
        show(path, before.as_deref(), content.as_deref())?;
    }
    Ok(())
}

fn put(file: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(file, content)
}

fn show(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> anyhow::Result<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let name = |side: &str, content: Option<&[u8]>| match content {
        Some(_) => format!("{side}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let (from, to) = (name("a", before), name("b", after));
    let before = before.map(text).unwrap_or_default();
    let after = after.map(text).unwrap_or_default();
    let difference = TextDiff::from_lines(&before, &after);
    let unified = difference
        .unified_diff()
        .context_radius(3)
        .header(&from, &to)
        .to_string();
    for line in unified.lines() {
        match line.as_bytes().first() {
            Some(b'+') => print(&format!("{GREEN}{line}{GREEN:#}\n"))?,
            Some(b'-') => print(&format!("{RED}{line}{RED:#}\n"))?,
            _ => print(&format!("{line}\n"))?,
        }
    }
    Ok(())
}

/// What a person does next with files that were written.
fn next(tree: &WorkingTree, edited: &EditedTree) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let shown = |path: &String| {
        let on_disk = tree.root.join(path);
        let short = on_disk.strip_prefix(&here).map(Path::to_owned);
        short.unwrap_or(on_disk).display().to_string()
    };
    let files: Vec<String> = edited.files().keys().map(shown).collect();
    command(&files)
}

/// Names may be of somebody who would have a command run.
fn command(files: &[String]) -> String {
    // Git takes some names for patterns, for options, or for more than a name.
    let special =
        |name: &String| name.starts_with(['-', ':']) || name.contains(['*', '?', '[', '\\']);
    let git = if files.iter().any(special) {
        "git --literal-pathspecs add --"
    } else {
        "git add"
    };
    let files: Vec<_> = files.iter().map(|file| shell_quoted(file)).collect();
    format!("{git} {} && git commit", files.join(" "))
}

#[cfg(test)]
mod tests;
