//! A revision as it is read from the mirror: whether it may be, its configuration, and what
//! every unit of it declares.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::Purpose;
use crate::config;
use crate::model::{Revision, Tree, chain};
use crate::reconcile::declared::Declared;
use crate::reconcile::pass::Context;
use crate::source::tree::GitTree;
use crate::source::verify::{Verifier, VerifyError};
use crate::source::{self, Approved};

/// What was read of a revision.
pub(super) struct Reading {
    pub(super) declared: Declared,
    pub(super) approved: Approved,
}

/// Why a revision could not be read.
pub(super) enum Unread {
    /// The mirror is damaged, or a program was not there: trying again may help.
    Again(String),
    /// The configuration is wrong.
    Wrong(String),
    /// It is not signed by somebody who may.
    Untrusted(String),
    /// It does not go on from what was applied.
    Strange(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again(why) | Self::Wrong(why) | Self::Untrusted(why) | Self::Strange(why) => {
                f.write_str(why)
            }
        }
    }
}

/// The files of a revision, and what its message approves.
pub(super) type Opened = (Arc<dyn Tree>, Approved);

/// What decides whether a revision may be read at all.
pub(super) struct Trust {
    pub(super) verifier: Arc<Verifier>,
    pub(super) purpose: Purpose,
    pub(super) recorded: Option<Revision>,
}

impl Trust {
    fn check(&self, repository: &Path, revision: &Revision) -> Result<(), Unread> {
        let verifier = &self.verifier;
        let judged = match self.purpose {
            Purpose::Head => verifier.head(repository, revision, self.recorded.as_ref()),
            Purpose::Fallback => verifier.fallback(repository, revision),
        };
        judged.map_err(|error| match error {
            VerifyError::Read(_) => Unread::Again(chain(&error)),
            VerifyError::Refused(_) | VerifyError::Keys(_) | VerifyError::Config { .. } => {
                Unread::Untrusted(chain(&error))
            }
        })
    }
}

/// Opens a revision that may be read.
pub(super) async fn open(
    repository: &Path,
    revision: &Revision,
    trust: Trust,
) -> Result<Opened, Unread> {
    let (repository, revision) = (repository.to_owned(), revision.clone());
    let opened = tokio::task::spawn_blocking(move || {
        trust.check(&repository, &revision)?;
        let again = |error: &dyn Error| Unread::Again(error.to_string());
        let odd = source::oddity(&repository, &revision).map_err(|error| again(&error))?;
        if let Some(odd) = odd {
            return Err(Unread::Wrong(format!("the commit can't be read: {odd}")));
        }
        let approved = source::approvals(&repository, &revision).map_err(|error| again(&error))?;
        let tree = GitTree::open_after(&repository, &revision, trust.verifier.directories())
            .map_err(|error| again(&error))?;
        Ok((Arc::new(tree) as Arc<dyn Tree>, approved))
    });
    opened
        .await
        .map_err(|error| Unread::Again(error.to_string()))?
}

/// The environment's configuration, or everything that is wrong with it.
pub(super) fn environment_of(
    tree: &dyn Tree,
    context: &Context,
    verifier: &Verifier,
) -> Result<config::Environment, String> {
    config::resolve_after(tree, &mut verifier.agent_file())
        .into_environment(&context.environment)
        .map_err(|problems| problems.to_string())
}
