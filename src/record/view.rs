//! Reads a record: what an environment's branch says, without writing to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use git2::{ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use jiff::Timestamp;

use super::names::BranchPattern;
use super::path;
use super::status::{Last, StatusFile};
use super::status_files::{self, StatusError};
use crate::model::{EnvironmentName, Revision, UnitName};
use crate::source::{Remote, SourceProblem, contains, read_commit, revision, tree_of};

/// Why a record can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The repository or an object in it.
    #[error("the record of {environment} can't be read from {path}")]
    Read {
        /// The environment.
        environment: EnvironmentName,
        /// The repository.
        path: String,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
    /// The repository as a whole.
    #[error("{path} can't be read as a Git repository")]
    Open {
        /// The repository.
        path: String,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
    /// What is recorded of how everything stands.
    #[error("{file} can't be understood; is this agent older than the one that wrote it?")]
    Status {
        /// The branch and the path.
        file: String,
        /// What is wrong with it.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// The remote repository.
    #[error(transparent)]
    Source(#[from] SourceProblem),
}

/// An environment's record at its latest commit.
pub struct RecordView {
    pub(super) repository: Repository,
    pub(super) environment: EnvironmentName,
    pub(super) branch: String,
    pub(super) tip: Oid,
}

impl RecordView {
    /// From a repository on this disk: its own branch or what it last fetched,
    /// whichever is further. `None` if it knows of no record for the environment.
    pub fn in_repository(
        path: &Path,
        environment: &EnvironmentName,
        names: &BranchPattern,
    ) -> Result<Option<Self>, ViewError> {
        Self::of_branch(path, environment, names.of(environment))
    }

    /// The same of a branch by its name.
    pub fn of_branch(
        path: &Path,
        environment: &EnvironmentName,
        branch: String,
    ) -> Result<Option<Self>, ViewError> {
        let failed = |source| ViewError::Read {
            environment: environment.clone(),
            path: path.display().to_string(),
            source,
        };
        let repository = Repository::open(path).map_err(failed)?;
        let Some(tip) = furthest(&repository, &branch) else {
            return Ok(None);
        };
        Ok(Some(Self {
            repository,
            environment: environment.clone(),
            branch,
            tip,
        }))
    }

    /// From a remote repository, fetched into `scratch`, a directory to hold a bare
    /// copy of the branch; it may be used again.
    pub fn of_remote(
        remote: &Remote,
        environment: &EnvironmentName,
        names: &BranchPattern,
        scratch: &Path,
    ) -> Result<Option<Self>, ViewError> {
        if let Some(path) = remote.url.local_path() {
            return Self::in_repository(path, environment, names);
        }
        let branch = names.of(environment);
        if !remote.branches()?.contains_key(&branch) {
            return Ok(None);
        }
        let repository = Repository::init_bare(scratch).map_err(|source| ViewError::Read {
            environment: environment.clone(),
            path: scratch.display().to_string(),
            source,
        })?;
        let refspec = format!("+refs/heads/{branch}:refs/remotes/origin/{branch}");
        remote.fetch(&repository, &[refspec])?;
        drop(repository);
        Self::in_repository(scratch, environment, names)
    }

    /// The commit that is read.
    pub fn tip(&self) -> Revision {
        revision(self.tip)
    }

    /// When that commit was made.
    pub fn time(&self) -> Result<Timestamp, ViewError> {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method itself is of one lifetime alone"
        )]
        let time = read_commit(&self.repository, self.tip, |commit| commit.committed());
        time.map_err(|error| self.failed(error))
    }

    /// A file's content.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ViewError> {
        read(&self.repository, self.tip, path).map_err(|error| self.failed(error))
    }

    /// How everything stands; `None` if the branch does not say.
    pub fn status(&self) -> Result<Option<StatusFile>, ViewError> {
        let units = self.units().map_err(|error| self.failed(error))?;
        let paths = units.iter().map(path::of_status).collect::<Vec<_>>();
        let found = status_files::parse(paths.iter().map(String::as_str), |path| self.read(path));
        found.map_err(|error| match error {
            StatusError::Read(error) => error,
            StatusError::Parse { path, source } => ViewError::Status {
                file: format!("{}:{path}", self.branch),
                source,
            },
        })
    }

    /// What a plan has to know of it; `None` if the branch does not say how things stand.
    pub fn last(&self) -> Result<Option<Last>, ViewError> {
        let Some(status) = self.status()? else {
            return Ok(None);
        };
        let files = self.files()?;
        Ok(Some(status.last(files.keys().map(String::as_str))))
    }

    /// The units that the recorded tree has: its directories.
    fn units(&self) -> Result<Vec<UnitName>, git2::Error> {
        let tree = tree_of(&self.repository, self.tip)?;
        let directories = tree
            .iter()
            .filter(|entry| entry.kind() == Some(ObjectType::Tree));
        // What is no unit's name is none of ours.
        let names = directories.filter_map(|entry| entry.name().ok()?.parse().ok());
        Ok(names.collect())
    }

    /// Every file's path and the hash of its content.
    pub fn files(&self) -> Result<BTreeMap<String, Oid>, ViewError> {
        files(&self.repository, self.tip).map_err(|error| self.failed(error))
    }

    /// The branch.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// The environment.
    pub fn environment(&self) -> &EnvironmentName {
        &self.environment
    }

    pub(super) fn failed(&self, source: git2::Error) -> ViewError {
        ViewError::Read {
            environment: self.environment.clone(),
            path: self.repository.path().display().to_string(),
            source,
        }
    }
}

/// The environments of which a repository on this disk knows a record.
pub fn environments_in_repository(
    path: &Path,
    names: &BranchPattern,
) -> Result<BTreeSet<EnvironmentName>, ViewError> {
    let failed = |source| ViewError::Open {
        path: path.display().to_string(),
        source,
    };
    let repository = Repository::open(path).map_err(failed)?;
    let references = repository.references().map_err(failed)?;
    let mut found = BTreeSet::new();
    for reference in references {
        let reference = reference.map_err(failed)?;
        // A name that isn't UTF-8 is none of ours.
        let name = reference.name().unwrap_or_default();
        let branch = name
            .strip_prefix("refs/heads/")
            .or_else(|| name.strip_prefix("refs/remotes/origin/"));
        found.extend(branch.and_then(|branch| names.environment(branch)));
    }
    Ok(found)
}

/// The environments of which a remote repository has a record.
pub fn environments_of_remote(
    remote: &Remote,
    names: &BranchPattern,
) -> Result<BTreeSet<EnvironmentName>, ViewError> {
    if let Some(path) = remote.url.local_path() {
        return environments_in_repository(path, names);
    }
    let branches = remote.branches()?;
    Ok(branches
        .keys()
        .filter_map(|branch| names.environment(branch))
        .collect())
}

/// Brings what a checkout knows of the records at its `origin` up to date, as
/// `git fetch` would.
pub fn fetch(repository: &Path, origin: &Remote, names: &BranchPattern) -> Result<(), ViewError> {
    let opened = Repository::open(repository).map_err(|source| ViewError::Open {
        path: repository.display().to_string(),
        source,
    })?;
    let mut moved = Vec::new();
    for (branch, tip) in origin.branches()? {
        let ours = format!("refs/remotes/origin/{branch}");
        let known = opened.refname_to_id(&ours).ok().map(|id| id.to_string());
        if names.environment(&branch).is_some() && known.as_deref() != Some(tip.as_str()) {
            moved.push(format!("+refs/heads/{branch}:{ours}"));
        }
    }
    if !moved.is_empty() {
        origin.fetch(&opened, &moved)?;
    }
    Ok(())
}

fn furthest(repository: &Repository, branch: &str) -> Option<Oid> {
    let own = repository.refname_to_id(&format!("refs/heads/{branch}"));
    let fetched = repository.refname_to_id(&format!("refs/remotes/origin/{branch}"));
    match (own.ok(), fetched.ok()) {
        (Some(own), Some(fetched)) => {
            let own_is_further = contains(repository, own, fetched);
            Some(if own_is_further.unwrap_or(false) {
                own
            } else {
                fetched
            })
        }
        (own, fetched) => own.or(fetched),
    }
}

pub(super) fn read(
    repository: &Repository,
    tip: Oid,
    path: &str,
) -> Result<Option<Vec<u8>>, git2::Error> {
    let tree = tree_of(repository, tip)?;
    match tree.get_path(Path::new(path)) {
        Ok(entry) if entry.kind() == Some(ObjectType::Blob) => {
            let blob = repository.find_blob(entry.id())?;
            Ok(Some(blob.content().to_vec()))
        }
        Ok(_) => Ok(None),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn files(
    repository: &Repository,
    tip: Oid,
) -> Result<BTreeMap<String, Oid>, git2::Error> {
    let mut files = BTreeMap::new();
    let tree = tree_of(repository, tip)?;
    tree.walk(TreeWalkMode::PreOrder, |directory, entry| {
        // A name that isn't UTF-8 is none of ours.
        if let (Some(ObjectType::Blob), Ok(name)) = (entry.kind(), entry.name()) {
            files.insert(format!("{directory}{name}"), entry.id());
        }
        TreeWalkResult::Ok
    })?;
    Ok(files)
}
