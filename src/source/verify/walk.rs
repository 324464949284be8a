//! Which commits have to be signed, and the first of them that is not.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use git2::{ObjectType, Oid, Repository};
use tracing::{info, warn};

use super::accepted::Accepted;
use super::refused::Refusal;
use super::{Distrust, Keys, KeysError, Signer, commit};
use crate::config::{self, AGENT_FILE, LastRead, Problem, Problems, VerifyMode as Mode};
use crate::model::{EnvironmentName, Revision, Tree as _, TreeError};
use crate::runtime::clock;
use crate::runtime::lock::lock;
use crate::source::tree::{Directories, GitTree};
use crate::source::{CheckoutError, checkout, commits, revision};

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

/// What commits are judged by.
struct Rules {
    mode: Mode,
    keys: Keys,
}

/// The commit from which on all have to be signed.
enum Base {
    /// By the word of somebody who may say so: the last accepted one, or the operator's.
    /// It can't be left behind.
    Trusted(Revision),
    /// The record's, which may have been written by anybody who may push.
    Recorded(Revision),
}

impl Base {
    fn revision(&self) -> &Revision {
        match self {
            Self::Trusted(revision) | Self::Recorded(revision) => revision,
        }
    }
}

/// Judges the commits of one environment.
#[derive(Debug)]
pub struct Verifier {
    policy: Option<Policy>,
    environment: EnvironmentName,
    accepted: Mutex<Accepted>,
    directories: Arc<Directories>,
    agent_file: Mutex<LastRead>,
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
    /// What a revision of the repository says of it can't be read.
    #[error("commits can't be verified as {revision} asks")]
    Config {
        /// The revision.
        revision: Revision,
        /// What is wrong there.
        #[source]
        source: Problems,
    },
    /// The repository can't be read.
    #[error("commits can't be verified")]
    Read(#[from] CheckoutError),
}

impl Verifier {
    /// For an environment; `mirror` is the repository's copy. Without a policy of the
    /// operator, what the last accepted revision says decides.
    pub fn new(
        policy: Option<Policy>,
        environment: &EnvironmentName,
        data_dir: &Path,
        mirror: &Path,
    ) -> Self {
        let name = mirror.file_name().unwrap_or_default().to_string_lossy();
        Self {
            policy,
            environment: environment.clone(),
            accepted: Mutex::new(Accepted::open(data_dir, environment, &name)),
            directories: Arc::default(),
            agent_file: Mutex::default(),
        }
    }

    /// Directories that were read, for others who read the same revisions.
    pub fn directories(&self) -> Arc<Directories> {
        Arc::clone(&self.directories)
    }

    /// `agent.yaml` as it was read last, for the same.
    pub fn agent_file(&self) -> MutexGuard<'_, LastRead> {
        lock(&self.agent_file)
    }

    /// Whether the newest commit may be deployed; it is then the last accepted one.
    /// `recorded` is what the record says that was deployed last. Blocks.
    pub fn head(
        &self,
        repository: &Path,
        head: &Revision,
        recorded: Option<&Revision>,
    ) -> Result<(), VerifyError> {
        let base = self.base(repository, recorded);
        let before = base.as_ref().map(Base::revision);
        if let Some(rules) = self.judging(repository, before, head)? {
            let signer = one(repository, head, head, &rules.keys)?;
            if rules.mode == Mode::SinceLast {
                self.between(repository, base.as_ref(), head, &rules.keys)?;
            }
            if self.lock().revision() != Some(head) {
                info!(environment = %self.environment, revision = head.short(), %signer, "signed");
            }
        }
        match self.rules(repository, head) {
            Ok(Some(_)) => self.lock().set(Some(head)),
            Ok(None) => self.lock().set(None),
            // By these rules nothing could be judged any more; the old ones stay.
            Err(_) => {}
        }
        Ok(())
    }

    /// The rules for a new head: those of the last accepted one.
    fn judging(
        &self,
        repository: &Path,
        base: Option<&Revision>,
        head: &Revision,
    ) -> Result<Option<Rules>, VerifyError> {
        let accepted = self.lock().revision().cloned();
        if let Some(accepted) = accepted {
            return self.rules(repository, &accepted);
        }
        let before = base.filter(|base| checkout::commit(repository, base).is_ok());
        match self.rules(repository, before.unwrap_or(head)) {
            // Nobody has asked for anything yet. Who reads the file tells what is wrong.
            Err(VerifyError::Config { .. }) => Ok(None),
            rules => rules,
        }
    }

    /// Whether a commit may be deployed in the newest one's stead: the last accepted, or
    /// one that is signed. What the record names may have been written by anybody. Blocks.
    pub fn fallback(&self, repository: &Path, revision: &Revision) -> Result<(), VerifyError> {
        let accepted = self.lock().revision().cloned();
        if accepted.as_ref() == Some(revision) {
            return Ok(());
        }
        match self.rules(repository, accepted.as_ref().unwrap_or(revision))? {
            Some(rules) => one(repository, revision, revision, &rules.keys).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The operator's rules, else those of a revision of the repository.
    fn rules(&self, repository: &Path, of: &Revision) -> Result<Option<Rules>, VerifyError> {
        if let Some(policy) = &self.policy {
            let keys = Keys::read(&policy.keys)?;
            let mode = policy.mode;
            return Ok(Some(Rules { mode, keys }));
        }
        rules_in(repository, of, self.directories(), &mut self.agent_file())
    }

    /// None to trust the head alone. The operator's word counts anew when it names a
    /// commit outside of what was accepted: so a branch can be rewritten on purpose.
    fn base(&self, repository: &Path, recorded: Option<&Revision>) -> Option<Base> {
        let accepted = self.lock().revision().cloned();
        let since = self.policy.as_ref().and_then(|policy| policy.since.clone());
        match (accepted, since) {
            (Some(accepted), Some(since)) => {
                // What can't be compared, as it is gone, leaves the stricter one.
                let older = contains(repository, &accepted, &since).unwrap_or(true);
                Some(Base::Trusted(if older { accepted } else { since }))
            }
            (Some(one), None) | (None, Some(one)) => Some(Base::Trusted(one)),
            (None, None) => recorded.cloned().map(Base::Recorded),
        }
    }

    fn between(
        &self,
        repository: &Path,
        base: Option<&Base>,
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
        if let Base::Trusted(base) = base
            && !contains(repository, head, base).unwrap_or(false)
        {
            let why = Distrust::LeavesBehind(base.clone());
            return Err(refused(repository, head, head, why));
        }
        let base = base.revision();
        let commits = reachable(repository, base, head).map_err(failed)?;
        for id in &commits {
            one(repository, &revision(*id), head, keys)?;
        }
        if commits.len() > 1 {
            info!(%environment, base = base.short(), head = head.short(), commits = commits.len(), "all commits since the last accepted one are signed");
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Accepted> {
        lock(&self.accepted)
    }
}

/// What the daemon says of a revision by the rules that stand in itself, which are those
/// of its predecessor unless it changes them; none if it is fine, or there are none.
pub fn refusal(repository: &Path, revision: &Revision) -> Option<String> {
    let judged = rules_in(
        repository,
        revision,
        Arc::default(),
        &mut LastRead::default(),
    );
    let judged = judged.and_then(|rules| match rules {
        Some(rules) => one(repository, revision, revision, &rules.keys).map(|_| ()),
        None => Ok(()),
    });
    match judged {
        Err(error @ (VerifyError::Refused(_) | VerifyError::Keys(_))) => Some(error.to_string()),
        Ok(()) | Err(VerifyError::Config { .. } | VerifyError::Read(_)) => None,
    }
}

fn rules_in(
    repository: &Path,
    revision: &Revision,
    directories: Arc<Directories>,
    last: &mut LastRead,
) -> Result<Option<Rules>, VerifyError> {
    let wrong = |source| VerifyError::Config {
        revision: revision.clone(),
        source,
    };
    let unreadable = |error: TreeError| {
        let hint =
            "if the branch was rewritten on purpose, remove `verified` from the data directory";
        wrong(
            Problem::in_file(AGENT_FILE, error.to_string())
                .hint(hint)
                .into(),
        )
    };
    let tree = GitTree::open_beside(repository, revision, directories).map_err(unreadable)?;
    let Some(verify) = config::verify(&tree, last).map_err(wrong)? else {
        return Ok(None);
    };
    let mut keys = Keys::default();
    for path in &verify.keys {
        let text = tree.read(path).map_err(unreadable)?;
        keys.add(path, &String::from_utf8_lossy(&text))?;
    }
    Ok(Some(Rules {
        mode: verify.mode,
        keys,
    }))
}

/// What is reachable from `head` and not from `base`, oldest first. A base that is gone,
/// since the branch was rewritten, hides nothing. No commit is left out because it can't be
/// read: its signature is that of its bytes.
fn reachable(repository: &Path, base: &Revision, head: &Revision) -> Result<Vec<Oid>, git2::Error> {
    let opened = Repository::open(repository)?;
    let [head, base] = [head, base].map(|revision| Oid::from_str(revision.as_str()));
    let commits = commits::between(&opened, head?, [base?])?;
    Ok(commits.into_iter().map(|commit| commit.id).collect())
}

/// Whether a commit is another one or has it below itself.
fn contains(repository: &Path, head: &Revision, base: &Revision) -> Result<bool, git2::Error> {
    let opened = Repository::open(repository)?;
    let [head, base] = [head, base].map(|revision| Oid::from_str(revision.as_str()));
    commits::contains(&opened, head?, base?)
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
    commit::signer(&raw, keys, clock::now()).map_err(|why| refused(repository, revision, head, why))
}

fn refused(repository: &Path, revision: &Revision, head: &Revision, why: Distrust) -> VerifyError {
    let commit = match checkout::commit(repository, revision) {
        Ok(commit) => commit,
        Err(error) => return error.into(),
    };
    VerifyError::Refused(Box::new(Refusal {
        commit,
        parents: parents(repository, revision).unwrap_or_default(),
        head: (revision != head).then(|| head.clone()),
        why,
    }))
}

fn parents(repository: &Path, revision: &Revision) -> Result<usize, git2::Error> {
    let opened = Repository::open(repository)?;
    let id = Oid::from_str(revision.as_str())?;
    commits::read(&opened, id, |commit| commit.parents.len())
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
