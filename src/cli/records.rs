//! The records that a command reads: those of a checkout, freshened from its origin, or
//! those of a repository elsewhere.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Args;
use tempfile::TempDir;

use super::access::RepositoryArgs;
use super::output::warn;
use crate::model::EnvironmentName;
use crate::record::{self, BranchPattern, RecordView};
use crate::source::{Checkout, Remote};

/// Whose records, and where they are.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// The environment to show; may be given several times [default: all with a record]
    #[arg(
        long,
        env = "AGENT_ENVIRONMENT",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub environment: Vec<EnvironmentName>,
    /// The environment repository [default: the checkout that the current directory is in]
    #[arg(long, env = "AGENT_REPO", hide_env_values = true, value_name = "URL")]
    pub repo: Option<String>,
    #[command(flatten)]
    pub names: NameArgs,
    #[command(flatten)]
    pub repository: RepositoryArgs,
}

/// Where the records are.
#[derive(Debug, Clone, Args)]
pub struct NameArgs {
    /// The branch of each environment's record, with {environment} for its name
    #[arg(
        long = "record-branch",
        env = "AGENT_RECORD_BRANCH",
        value_name = "PATTERN",
        default_value_t
    )]
    pub names: BranchPattern,
}

/// The records of environments, by name.
pub struct Records {
    /// One for each environment that was asked for.
    pub views: Vec<RecordView>,
    /// Why there may be newer entries.
    pub stale: Option<String>,
    /// What was fetched for this.
    _scratch: Option<TempDir>,
}

impl RecordArgs {
    /// Reads them.
    ///
    /// # Errors
    /// When there is none, or not the one that was asked for.
    pub fn open(&self) -> anyhow::Result<Records> {
        if let Some(address) = &self.repo {
            let remote = self.repository.remote(address)?;
            return of_remote(&remote, &self.environment, &self.names.names);
        }
        let Some(checkout) = Checkout::discover(Path::new(".")) else {
            bail!(
                "the current directory is in no checkout of a Git repository; \
                 go to a checkout of the environment repository, or name the repository with --repo"
            );
        };
        self.of_checkout(&checkout)
    }

    /// Reads those that a checkout knows of.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of_checkout(&self, checkout: &Checkout) -> anyhow::Result<Records> {
        let names = &self.names.names;
        let stale = freshen(checkout, &self.repository, names)
            .err()
            .map(|error| format!("origin could not be asked: {error:#}"));
        let known = record::environments_in_repository(&checkout.repository, names)?;
        let place = checkout.root.display().to_string();
        let chosen = chosen(&self.environment, known, &place, stale.as_deref(), names)?;
        let views = chosen.iter().map(|name| {
            let view = RecordView::in_repository(&checkout.repository, name, names)?;
            view.with_context(|| gone(name, names))
        });
        Ok(Records {
            views: views.collect::<anyhow::Result<_>>()?,
            stale,
            _scratch: None,
        })
    }
}

impl Records {
    /// Says on standard error why there may be newer entries.
    pub fn warn_if_stale(&self) {
        if let Some(stale) = &self.stale {
            warn(&format!(
                "this may be old (`git fetch` renews it too): {stale}"
            ));
        }
    }
}

/// Asks the checkout's origin, if it has one, for what is new.
fn freshen(
    checkout: &Checkout,
    access: &RepositoryArgs,
    names: &BranchPattern,
) -> anyhow::Result<()> {
    if let Some(address) = checkout.origin() {
        let origin = access.remote(address.expose())?;
        record::fetch(&checkout.repository, &origin, names)?;
    }
    Ok(())
}

fn of_remote(
    remote: &Remote,
    wanted: &[EnvironmentName],
    names: &BranchPattern,
) -> anyhow::Result<Records> {
    let known = record::environments_of_remote(remote, names)?;
    let chosen = chosen(wanted, known, &remote.url.to_string(), None, names)?;
    let scratch =
        tempfile::tempdir().context("a temporary directory is needed to fetch the record into")?;
    let views = chosen.iter().map(|name| {
        let copy = scratch.path().join(name.as_str());
        let view = RecordView::of_remote(remote, name, names, &copy)?;
        view.with_context(|| gone(name, names))
    });
    Ok(Records {
        views: views.collect::<anyhow::Result<_>>()?,
        stale: None,
        _scratch: Some(scratch),
    })
}

/// The environments to show. None at all is not an answer: the agent never ran, or
/// this is not the repository that it writes to.
fn chosen(
    wanted: &[EnvironmentName],
    known: BTreeSet<EnvironmentName>,
    place: &str,
    stale: Option<&str>,
    names: &BranchPattern,
) -> anyhow::Result<BTreeSet<EnvironmentName>> {
    let stale = stale.map(|why| {
        let branches = names.to_string().replace("{environment}", "*");
        format!(" ({why}; `git fetch origin '+refs/heads/{branches}:refs/remotes/origin/{branches}'` brings it, where you can reach it)")
    });
    let stale = stale.unwrap_or_default();
    if known.is_empty() {
        bail!(
            "{place} holds no record of any environment{stale}; \
             `agent run --repo URL --environment NAME` writes one, to its branch {}",
            names.to_string().replace("{environment}", "NAME")
        );
    }
    match wanted.iter().find(|name| !known.contains(name)) {
        None if wanted.is_empty() => Ok(known),
        None => Ok(wanted.iter().cloned().collect()),
        Some(missing) => {
            let known: Vec<&str> = known.iter().map(EnvironmentName::as_str).collect();
            bail!(
                "{place} holds no record of the environment {missing}{stale}; there are records of: {}",
                known.join(", ")
            )
        }
    }
}

fn gone(name: &EnvironmentName, names: &BranchPattern) -> String {
    format!("the branch {} is gone", names.of(name))
}
