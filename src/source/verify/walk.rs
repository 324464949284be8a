//! Which commits have to be signed, and the first of them that is not.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use git2::{ObjectType, Oid, Repository, Sort};
use tracing::{info, warn};

use super::accepted::Accepted;
use super::{Distrust, Keys, KeysError, Signer, commit};
use crate::model::{EnvironmentName, Revision, SourceCommit};
use crate::runtime::clock;
use crate::source::{CheckoutError, checkout};

/// Which commits have to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The newest.
    Head,
    /// All since the last one that was accepted.
    SinceLast,
}

/// What the operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which commits.
    pub mode: Mode,
    /// Files with the keys; read again for each new commit.
    pub keys: Vec<PathBuf>,
    /// The commit up to which history is trusted as it is, for the first time in
    /// [`Mode::SinceLast`].
    pub since: Option<Revision>,
}

/// Judges the commits of one environment.
#[derive(Debug)]
pub struct Verifier {
    policy: Policy,
    environment: EnvironmentName,
    accepted: Mutex<Accepted>,
}

/// A commit that is not deployed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The commit at fault.
    pub commit: SourceCommit,
    /// How many parents it has.
    pub parents: usize,
    /// The newest commit, where that is another one.
    pub head: Option<Revision>,
    /// Why.
    pub why: Distrust,
}

/// Why a commit is not known to be signed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It isn't.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The keys are missing.
    #[error("commits can't be verified")]
    Keys(#[from] KeysError),
    /// The repository can't be read.
    #[error("commits can't be verified")]
    Read(#[from] CheckoutError),
}

impl Verifier {
    /// For an environment; `repository` names the mirror's directory.
    pub fn new(
        policy: Policy,
        environment: &EnvironmentName,
        data_dir: &Path,
        repository: &Path,
    ) -> Self {
        let name = repository.file_name().unwrap_or_default().to_string_lossy();
        Self {
            policy,
            environment: environment.clone(),
            accepted: Mutex::new(Accepted::open(data_dir, environment, &name)),
        }
    }

    /// Whether the newest commit may be deployed; it is then the last accepted one.
    /// `recorded` is what the record says that was deployed last. Blocks.
    pub fn head(
        &self,
        repository: &Path,
        head: &Revision,
        recorded: Option<&Revision>,
    ) -> Result<(), VerifyError> {
        let keys = Keys::read(&self.policy.keys)?;
        let signer = one(repository, head, head, &keys)?;
        if self.policy.mode == Mode::SinceLast {
            let base = self.base(recorded);
            self.between(repository, base.as_ref(), head, &keys)?;
        }
        if self.lock().revision() != Some(head) {
            info!(environment = %self.environment, revision = head.short(), %signer, "signed");
        }
        self.lock().set(head);
        Ok(())
    }

    /// Whether a commit may be deployed in the newest one's stead: the last accepted, or
    /// one that is signed. What the record names may have been written by anybody. Blocks.
    pub fn fallback(&self, repository: &Path, revision: &Revision) -> Result<(), VerifyError> {
        if self.lock().revision() == Some(revision) {
            return Ok(());
        }
        let keys = Keys::read(&self.policy.keys)?;
        one(repository, revision, revision, &keys).map(|_| ())
    }

    /// The commit from which on all have to be signed; none to trust the head alone. The
    /// record comes last: it can be written by whoever may push to it.
    fn base(&self, recorded: Option<&Revision>) -> Option<Revision> {
        let accepted = self.lock().revision().cloned();
        accepted
            .or_else(|| self.policy.since.clone())
            .or_else(|| recorded.cloned())
    }

    fn between(
        &self,
        repository: &Path,
        base: Option<&Revision>,
        head: &Revision,
        keys: &Keys,
    ) -> Result<(), VerifyError> {
        let environment = &self.environment;
        let Some(base) = base else {
            warn!(%environment, revision = head.short(), "no commit was accepted before: this one's signature answers for all before it; name a commit with --verify-since to have those since then checked");
            return Ok(());
        };
        let failed = |source| CheckoutError::Read {
            revision: head.clone(),
            path: repository.display().to_string(),
            source,
        };
        let commits = reachable(repository, base, head).map_err(failed)?;
        for id in &commits {
            one(repository, &revision(*id), head, keys)?;
        }
        if commits.len() > 1 {
            info!(%environment, base = base.short(), head = head.short(), commits = commits.len(), "all commits since the last accepted one are signed");
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Accepted> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is reachable from `head` and not from `base`, oldest first. A base that is gone,
/// since the branch was rewritten, hides nothing.
fn reachable(repository: &Path, base: &Revision, head: &Revision) -> Result<Vec<Oid>, git2::Error> {
    let opened = Repository::open(repository)?;
    let base = Oid::from_str(base.as_str())?;
    let mut walk = opened.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(Oid::from_str(head.as_str())?)?;
    if opened.find_commit(base).is_ok() {
        walk.hide(base)?;
    }
    walk.collect()
}

/// Judges one commit, on the way to `head`.
fn one(
    repository: &Path,
    revision: &Revision,
    head: &Revision,
    keys: &Keys,
) -> Result<Signer, VerifyError> {
    let failed = |source| CheckoutError::Read {
        revision: revision.clone(),
        path: repository.display().to_string(),
        source,
    };
    let raw = raw(repository, revision).map_err(failed)?;
    commit::signer(&raw, keys, clock::now()).or_else(|why| {
        let parents = raw.split(|byte| *byte == b'\n');
        let parents = parents.take_while(|line| !line.is_empty());
        Err(VerifyError::Refused(Box::new(Refusal {
            commit: checkout::commit(repository, revision)?,
            parents: parents.filter(|line| line.starts_with(b"parent ")).count(),
            head: (revision != head).then(|| head.clone()),
            why,
        })))
    })
}

/// As it is hashed; libgit2 compares it with its hash.
fn raw(repository: &Path, revision: &Revision) -> Result<Vec<u8>, git2::Error> {
    let id = Oid::from_str(revision.as_str())?;
    let opened = Repository::open(repository)?;
    let objects = opened.odb()?;
    let object = objects.read(id)?;
    if object.kind() == ObjectType::Commit {
        return Ok(object.data().to_vec());
    }
    Err(git2::Error::from_str("it is no commit"))
}

fn revision(id: Oid) -> Revision {
    id.to_string()
        .parse()
        .expect("libgit2 prints an id as 40 hexadecimal digits")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SourceCommit {
            revision,
            author,
            subject,
            ..
        } = &self.commit;
        let what = if self.parents > 1 {
            "the merge"
        } else {
            "the commit"
        };
        let (short, name, email, why) = (revision.short(), &author.name, &author.email, &self.why);
        // The reason first: in the record's subject there is no room for all of it.
        write!(f, "{what} {short} {why} ({name} <{email}>: {subject})")?;
        if self.head.is_some() {
            f.write_str("; every commit since the last accepted one has to be signed")?;
        }
        let unsigned = matches!(self.why, Distrust::Unsigned | Distrust::UnknownKey(_));
        if unsigned && self.parents > 1 {
            f.write_str("; if the forge made it, let it sign its merges and trust its key")?;
        }
        Ok(())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "head" => Ok(Self::Head),
            "since-last" => Ok(Self::SinceLast),
            _ => Err(format!("`{text}` is neither `head` nor `since-last`")),
        }
    }
}
