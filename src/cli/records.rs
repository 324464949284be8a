//! The records that a command reads: those of a checkout, freshened from its origin, or
//! those of a repository elsewhere, which may hold nothing but records.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Args;
use tempfile::TempDir;

use super::access::RepositoryArgs;
use super::output::warn;
use crate::model::{EnvironmentName, shell_quoted};
use crate::record::status::Last;
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
    pub place: PlaceArgs,
    #[command(flatten)]
    pub repository: RepositoryArgs,
}

/// Where the records are.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// The repository of the records, URL or path [default: the environment repository]
    #[arg(
        long,
        env = "AGENT_RECORD_REPO",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub record_repo: Option<String>,
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

impl PlaceArgs {
    /// The repository of the records, if they have one of their own.
    ///
    /// # Errors
    /// When its address or the login can't be used.
    pub fn elsewhere(&self, access: &RepositoryArgs) -> anyhow::Result<Option<Remote>> {
        let remote = self.record_repo.as_ref();
        remote.map(|address| access.remote(address)).transpose()
    }

    /// Reads the records of these environments, or all, from a repository of their own; `None`
    /// if they have none. Blocks.
    ///
    /// # Errors
    /// As [`RecordArgs::open`].
    pub fn open_elsewhere(
        &self,
        access: &RepositoryArgs,
        wanted: &[EnvironmentName],
    ) -> anyhow::Result<Option<Records>> {
        let remote = self.elsewhere(access)?;
        let read = |remote: Remote| of_remote(&remote, wanted, &self.names, "--record-repo");
        remote.map(read).transpose()
    }
}

impl PlaceArgs {
    /// What a plan has to know of an environment's record, by one of its own repository or
    /// the one that the checkout around `root` has. Without one, nothing.
    pub async fn last(
        &self,
        access: &RepositoryArgs,
        root: &Path,
        environment: &EnvironmentName,
    ) -> Last {
        let (place, access) = (self.clone(), access.clone());
        let (root, name) = (root.to_owned(), environment.clone());
        let read = tokio::task::spawn_blocking(move || place.read_last(&access, &root, &name));
        match read.await {
            Ok(Ok(found)) => found.unwrap_or_default(),
            Ok(Err(error)) => {
                warn(&format!(
                    "without the record, drift is taken for a change: {error:#}"
                ));
                Last::default()
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    fn read_last(
        &self,
        access: &RepositoryArgs,
        root: &Path,
        environment: &EnvironmentName,
    ) -> anyhow::Result<Option<Last>> {
        let wanted = std::slice::from_ref(environment);
        let last = if let Some(records) = self.open_elsewhere(access, wanted)? {
            let view = records.views.first();
            view.map(RecordView::last).transpose()?.flatten()
        } else {
            // That a checkout has none, or no whole one, is as usual as not.
            let view = Checkout::discover(root).and_then(|checkout| {
                RecordView::in_repository(&checkout.repository, environment, &self.names).ok()?
            });
            view.and_then(|view| view.last().ok()?)
        };
        Ok(last)
    }
}

impl RecordArgs {
    /// Reads them.
    ///
    /// # Errors
    /// When there is none, or not the one that was asked for.
    pub fn open(&self) -> anyhow::Result<Records> {
        let elsewhere = self.elsewhere()?;
        if let Some(records) = elsewhere {
            return Ok(records);
        }
        if let Some(address) = &self.repo {
            let remote = self.repository.remote(address)?;
            return of_remote(&remote, &self.environment, &self.place.names, "--repo");
        }
        let Some(checkout) = Checkout::find(Path::new("."))? else {
            bail!(
                "the current directory is in no checkout of a Git repository; \
                 go to a checkout of the environment repository, or name the repository with --repo"
            );
        };
        self.of_checkout(&checkout)
    }

    fn elsewhere(&self) -> anyhow::Result<Option<Records>> {
        let place = &self.place;
        place.open_elsewhere(&self.repository, &self.environment)
    }

    /// Reads those that a checkout knows of, unless they are said to be elsewhere.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of_checkout(&self, checkout: &Checkout) -> anyhow::Result<Records> {
        if let Some(records) = self.elsewhere()? {
            return Ok(records);
        }
        let names = &self.place.names;
        let stale = freshen(checkout, &self.repository, names)
            .err()
            .map(|error| format!("origin could not be asked: {error:#}"));
        let known = record::environments_in_repository(&checkout.repository, names)?;
        let place = checkout.root.display().to_string();
        let place = Place {
            name: &place,
            flag: "--repo",
            stale: stale.as_deref(),
        };
        let chosen = chosen(&self.environment, known, &place, names)?;
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
    /// Records that are on this disk anyhow.
    pub fn at_hand(views: Vec<RecordView>) -> Self {
        Self {
            views,
            stale: None,
            _scratch: None,
        }
    }

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
    flag: &'static str,
) -> anyhow::Result<Records> {
    let known = record::environments_of_remote(remote, names)?;
    let place = Place {
        name: &remote.url.to_string(),
        flag,
        stale: None,
    };
    let chosen = chosen(wanted, known, &place, names)?;
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

/// Where records were looked for, for messages.
struct Place<'a> {
    name: &'a str,
    /// The daemon's flag that makes it write there.
    flag: &'static str,
    /// Why there may be newer ones.
    stale: Option<&'a str>,
}

impl Place<'_> {
    /// What to do where the wanted record is not there.
    fn advice(&self, names: &BranchPattern) -> String {
        let branches = names.to_string().replace("{environment}", "*");
        let refs = format!("+refs/heads/{branches}:refs/remotes/origin/{branches}");
        let refs = shell_quoted(&refs);
        let fetch = self.stale.map(|why| {
            format!(" ({why}; `git fetch origin {refs}` brings it, where you can reach it)")
        });
        fetch.unwrap_or_default()
    }
}

/// The environments to show. None at all is not an answer: the agent never ran, or
/// this is not the repository that it writes to.
fn chosen(
    wanted: &[EnvironmentName],
    known: BTreeSet<EnvironmentName>,
    place: &Place<'_>,
    names: &BranchPattern,
) -> anyhow::Result<BTreeSet<EnvironmentName>> {
    let (name, advice, flag) = (place.name, place.advice(names), place.flag);
    if known.is_empty() {
        let branch = names.to_string().replace("{environment}", "NAME");
        let own = match flag {
            "--repo" => ". If it has a --record-repo, give that here too",
            _ => "",
        };
        bail!(
            "{name} holds no record of any environment{advice}; \
             `agent run {flag} URL --environment NAME` writes one, to its branch {branch}{own}"
        );
    }
    match wanted.iter().find(|name| !known.contains(name)) {
        None if wanted.is_empty() => Ok(known),
        None => Ok(wanted.iter().cloned().collect()),
        Some(missing) => {
            let known: Vec<&str> = known.iter().map(EnvironmentName::as_str).collect();
            bail!(
                "{name} holds no record of the environment {missing}{advice}; there are records of: {}",
                known.join(", ")
            )
        }
    }
}

fn gone(name: &EnvironmentName, names: &BranchPattern) -> String {
    format!("the branch {} is gone", names.of(name))
}
