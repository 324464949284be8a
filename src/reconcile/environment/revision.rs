//! A new revision: read, validated, rendered, and made the one that is enforced.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{info, warn};

use super::units::News;
use super::{Environment, Event, Purpose, RunMode};
use crate::config;
use crate::kube::InventoryParent;
use crate::model::{Digest, GroupKind, Revision, SourceCommit, Tree, UnitName, chain};
use crate::reconcile::declare::{self, Labels};
use crate::reconcile::declared::Declared;
use crate::reconcile::pass::Context;
use crate::reconcile::unit::UnitState;
use crate::runtime::clock;
use crate::source;
use crate::source::tree::GitTree;
use crate::source::verify::{Verifier, VerifyError};

/// When to try again what failed for no reason that lies in the repository.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// When to look again at a commit that is not trusted: its key may be by then.
const TRUST_AGAIN: Duration = Duration::from_secs(30);

/// What was read of a revision.
pub(super) struct Reading {
    pub(super) declared: Declared,
    approved: BTreeSet<Digest>,
}

/// Why a revision could not be read.
pub(super) enum Unread {
    /// The mirror is damaged, or a program was not there: trying again may help.
    Again(String),
    /// The configuration is wrong.
    Wrong(String),
    /// It is not signed by somebody who may.
    Untrusted(String),
}

impl Environment {
    /// Takes in what the source says.
    pub(super) fn look(&mut self) {
        let state = self.source.borrow_and_update().clone();
        if state.problem != self.source_problem {
            if let Some(problem) = &state.problem {
                let enforced = state
                    .head
                    .as_ref()
                    .map_or("nothing", |head| head.revision.short());
                warn!(environment = %self.context.environment, enforced, "{problem}");
            }
            self.source_problem = state.problem;
            self.record_revision();
        }
        let Some(head) = state.head else { return };
        if !self.declaring && self.head.as_ref() != Some(&head) {
            self.declare(head, Purpose::Head);
        }
    }

    /// Starts to read a revision.
    pub(super) fn declare(&mut self, source: SourceCommit, purpose: Purpose) {
        self.declaring = true;
        let mut cache = self.cache.take().unwrap_or_default();
        let (context, verifier, repository, tools) = (
            Arc::clone(&self.context),
            Arc::clone(&self.verifier),
            self.repository.clone(),
            self.tools.clone(),
        );
        let trust = Trust {
            verifier: Arc::clone(&verifier),
            purpose,
            recorded: self.journal.status().revision.clone(),
        };
        self.tasks.spawn(async move {
            let result = match open(&repository, &source.revision, trust).await {
                Ok((tree, approved)) => match environment_of(&*tree, &context, &verifier) {
                    Ok(environment) => {
                        let labels = Labels::ApplySet {
                            namespace: &context.namespace,
                        };
                        let cluster = Some(&*context.cluster);
                        let declared = declare::declare(
                            &tree,
                            &environment,
                            &tools,
                            labels,
                            cluster,
                            &mut cache,
                        )
                        .await;
                        Ok(Reading { declared, approved })
                    }
                    Err(problem) => Err(Unread::Wrong(problem)),
                },
                Err(unread) => Err(unread),
            };
            Event::Declared {
                source: Box::new(source),
                purpose,
                result,
                cache,
            }
        });
    }

    /// Makes a revision the one that is enforced, as far as it could be read.
    pub(super) async fn declared(
        &mut self,
        source: SourceCommit,
        purpose: Purpose,
        result: Result<Reading, Unread>,
    ) {
        self.declaring = false;
        match (purpose, result) {
            (Purpose::Head, Ok(reading)) => self.adopt(source, purpose, reading).await,
            (Purpose::Head, Err(Unread::Untrusted(why))) => self.distrust(source, why),
            (Purpose::Head, Err(unread)) => self.refuse(source, unread),
            (Purpose::Fallback, Ok(reading)) if self.enforced.is_none() => {
                self.adopt(source, purpose, reading).await;
            }
            (Purpose::Fallback, Ok(reading)) => self.fall_back(&source, reading),
            (Purpose::Fallback, Err(_)) => {
                let (environment, revision) = (&self.context.environment, source.revision.short());
                warn!(%environment, revision, "the recorded revision cannot be read either");
                self.tell_unrendered();
            }
        }
        self.look();
    }

    /// The last good revision stays; after a restart it is the recorded one.
    fn refuse(&mut self, source: SourceCommit, unread: Unread) {
        let (environment, revision) = (
            self.context.environment.clone(),
            source.revision.short().to_owned(),
        );
        let problem = match unread {
            Unread::Again(problem) => {
                self.waker.suspect();
                self.again = Some(clock::now() + AGAIN);
                problem
            }
            Unread::Wrong(problem) | Unread::Untrusted(problem) => problem,
        };
        warn!(%environment, revision, "the revision cannot be used, the last good one stays:\n{problem}");
        self.problem = Some(format!("{revision}: {problem}"));
        self.distrust = None;
        self.stay(source);
    }

    /// The same, and said once, since it is looked at again and again.
    fn distrust(&mut self, source: SourceCommit, why: String) {
        let (environment, revision) = (&self.context.environment, source.revision.short());
        if self.distrust.as_ref() != Some(&why) {
            warn!(%environment, revision, "the revision is not deployed, the last good one stays: {why}");
        }
        if self.mode == RunMode::Forever {
            self.again = Some(clock::now() + TRUST_AGAIN);
        }
        self.distrust = Some(why);
        self.problem = None;
        self.stay(source);
    }

    fn stay(&mut self, source: SourceCommit) {
        self.context.begun.store(true, Ordering::Relaxed);
        self.head = Some(source);
        self.record_revision();
        let recorded = self.journal.status().revision.clone();
        if self.enforced.is_none()
            && let Some(recorded) = recorded
        {
            self.declare_recorded(&recorded);
        }
    }

    fn declare_recorded(&mut self, revision: &Revision) {
        match source::commit(&self.repository, revision) {
            Ok(commit) => self.declare(commit, Purpose::Fallback),
            Err(error) => {
                warn!(environment = %self.context.environment, %error, "the recorded revision is not in the repository any more");
                self.tell_unrendered();
            }
        }
    }

    async fn adopt(&mut self, source: SourceCommit, purpose: Purpose, reading: Reading) {
        let Reading { declared, approved } = reading;
        let environment = self.context.environment.clone();
        // What stands in for the newest revision does not end what is wrong with that.
        if purpose == Purpose::Head {
            self.head = Some(source.clone());
            self.problem = None;
            self.distrust = None;
        }
        self.enforced = Some(source.clone());
        self.record_follows();
        let mut news = News {
            approvals: *self.approved != approved,
            neighbours: false,
        };
        self.approved = Arc::new(approved);
        self.read_inventories().await;
        let retired: BTreeSet<UnitName> = self
            .known_units()
            .filter(|name| !declared.units.contains_key(name))
            .collect();
        if !self.stands_as(&declared, &retired) {
            let neighbours = declared.neighbours(&environment, &self.context.namespace, &retired);
            news.neighbours = *self.neighbours != neighbours;
            self.neighbours = Arc::new(neighbours);
            self.definitions = Arc::new(definitions(&declared));
            let claims = &self.neighbours.claims;
            self.context.compared.retain(|id| claims.contains_key(id));
        }
        let (mut changed, mut fallback) = (0, None);
        for (name, unit) in declared.units {
            match unit.desired {
                Ok(desired) => {
                    changed += usize::from(self.enforce(&name, &unit.unit, desired, &source, news));
                }
                Err(problem) => {
                    fallback = self.unrendered(&name, &unit.unit, &problem).or(fallback);
                }
            }
        }
        for name in retired {
            changed += usize::from(self.retire(&name, &source));
        }
        info!(%environment, revision = source.revision.short(), subject = source.subject, changed, "revision");
        if !self.units.values().any(UnitState::is_enforced) {
            self.context.begun.store(true, Ordering::Relaxed);
        }
        self.tell_suspended();
        match fallback.filter(|revision| *revision != source.revision) {
            Some(revision) => self.declare_recorded(&revision),
            None => self.tell_unrendered(),
        }
        self.record_due();
    }

    /// The inventories are read until they could be: once known, only we change them.
    pub(super) async fn read_inventories(&mut self) {
        if self.inventories.is_ok() {
            return;
        }
        let context = &self.context;
        let before = self.inventories.as_ref().err().cloned();
        self.inventories =
            InventoryParent::read_all(&context.cluster, &context.namespace, &context.environment)
                .await;
        match &self.inventories {
            Ok(inventories) => {
                self.inventories_again = None;
                let known = inventories.values().flat_map(|inventory| &inventory.known);
                context.compared.recall(known.cloned());
                for (name, unit) in &mut self.units {
                    unit.inventory = inventories.get(name).cloned().unwrap_or_default();
                    unit.dirty = true;
                }
            }
            Err(error) => {
                if before.as_ref() != Some(error) {
                    warn!(environment = %context.environment, %error, "the inventories cannot be read, so nothing is applied or pruned; trying again");
                }
                self.inventories_again = Some(clock::now() + AGAIN);
            }
        }
    }

    /// Whether the source has nothing that could be waited for.
    pub(super) fn source_rests(&self) -> bool {
        let source = self.source.borrow();
        match &source.head {
            // What has not been looked at yet is not known to be the end of it.
            None => source.problem.is_some() && source.problem == self.source_problem,
            Some(_) => self.head == source.head && self.mode == RunMode::Once,
        }
    }
}

type Opened = (Arc<dyn Tree>, BTreeSet<Digest>);

/// What decides whether a revision may be read at all.
struct Trust {
    verifier: Arc<Verifier>,
    purpose: Purpose,
    recorded: Option<Revision>,
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

async fn open(repository: &Path, revision: &Revision, trust: Trust) -> Result<Opened, Unread> {
    let (repository, revision) = (repository.to_owned(), revision.clone());
    let opened = tokio::task::spawn_blocking(move || {
        trust.check(&repository, &revision)?;
        let again = |error: &dyn Error| Unread::Again(error.to_string());
        let approved = source::approvals(&repository, &revision).map_err(|error| again(&error))?;
        let tree = GitTree::open_after(&repository, &revision, trust.verifier.directories())
            .map_err(|error| again(&error))?;
        Ok((
            Arc::new(tree) as Arc<dyn Tree>,
            approved.into_iter().collect(),
        ))
    });
    opened
        .await
        .map_err(|error| Unread::Again(error.to_string()))?
}

/// The environment's configuration, or everything that is wrong with it.
fn environment_of(
    tree: &dyn Tree,
    context: &Context,
    verifier: &Verifier,
) -> Result<config::Environment, String> {
    config::resolve_after(tree, &mut verifier.agent_file())
        .into_environment(&context.environment)
        .map_err(|problems| problems.to_string())
}

/// The kinds that CRDs of the environment define.
pub(in crate::reconcile) fn definitions(declared: &Declared) -> BTreeSet<GroupKind> {
    let desired = declared
        .units
        .values()
        .filter_map(|unit| unit.desired.as_ref().ok());
    let objects = desired.flat_map(|desired| desired.objects.values());
    objects
        .filter_map(|object| object.defines.clone())
        .collect()
}
