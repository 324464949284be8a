//! A new revision: read, validated, rendered, and made the one that is enforced.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, info, warn};

use super::lineage::Descent;
use super::reading::{Reading, Trust, Unread, environment_of, open};
use super::units::News;
use super::{Environment, Event, Purpose, RunMode};
use crate::model::{GroupKind, Revision, SourceCommit};
use crate::reconcile::declare::{self, Labels, RenderCache};
use crate::reconcile::declared::Declared;
use crate::reconcile::renders::Waits;
use crate::reconcile::target::{Hindrance, Target};
use crate::reconcile::unit::UnitState;
use crate::runtime::backoff::grown;
use crate::runtime::clock;
use crate::runtime::lock::lock;
use crate::source;

/// When to try again what failed for no reason that lies in the repository.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// The longest wait between two tries.
const LAST_AGAIN: Duration = Duration::from_mins(5);
/// How often what runs once tries again.
pub(super) const ONCE_TRIES: u32 = 2;
/// When to look again at a commit that is not trusted: its key may be by then.
const TRUST_AGAIN: Duration = Duration::from_secs(30);

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
                // Whoever follows the repository says so, once for all environments.
                debug!(environment = %self.context.environment, enforced, "{problem}");
            }
            self.source_problem = state.problem;
            self.record_revision();
        }
        let Some(head) = state.head else { return };
        if !self.declaring && self.target.head() != Some(&head) {
            self.declare(head, Purpose::Head);
        }
    }

    /// Starts to read a revision.
    pub(super) fn declare(&mut self, source: SourceCommit, purpose: Purpose) {
        self.declaring = true;
        let mut cache = self.cache.take().unwrap_or_default();
        cache.waits = match purpose {
            Purpose::Head => Waits::Briefly,
            Purpose::Fallback => Waits::ForAll,
        };
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
                cache: Box::new(cache),
            }
        });
    }

    /// Takes in a revision that was read, as far as it could be.
    pub(super) fn declared(
        &mut self,
        source: SourceCommit,
        purpose: Purpose,
        result: Result<Reading, Unread>,
    ) {
        match result {
            Ok(reading) => self.go_after(Box::new(Descent {
                source,
                purpose,
                reading,
            })),
            Err(unread) => self.judged(source, purpose, Err(unread)),
        }
    }

    /// Makes a revision the one that is enforced, unless it can't or may not be.
    pub(super) fn judged(
        &mut self,
        source: SourceCommit,
        purpose: Purpose,
        result: Result<Reading, Unread>,
    ) {
        self.declaring = false;
        match (purpose, result) {
            (Purpose::Head, Ok(reading)) => self.adopt(&source, purpose, reading),
            (Purpose::Head, Err(unread)) => self.refuse(source, unread),
            (Purpose::Fallback, Ok(reading)) if self.target.enforced().is_none() => {
                self.adopt(&source, purpose, reading);
            }
            (Purpose::Fallback, Ok(reading)) => self.fall_back(&source, reading),
            (Purpose::Fallback, Err(unread)) => {
                if matches!(unread, Unread::Again(_)) {
                    self.waker.suspect();
                    self.again = self.again.or_else(|| self.again_after(self.unread));
                }
                self.has_none(source.revision, &unread.to_string());
            }
        }
        self.tell_hindrance();
        self.look();
    }

    /// Whoever asks whether the environment is ready hears why nothing can be enforced, or
    /// that what is followed is not its source.
    fn tell_hindrance(&self) {
        let counts = self.target.is_estranged() || self.target.enforced().is_none();
        *lock(&self.context.hindrance) = self.target.problem().filter(|_| counts);
    }

    /// The last good revision stays; after a restart it is the recorded one. What is looked
    /// at again and again is told once.
    fn refuse(&mut self, source: SourceCommit, unread: Unread) {
        let environment = &self.context.environment;
        let (revision, stays) = (source.revision.short(), self.stays());
        let tries = self.unread;
        self.unread = 0;
        let hindrance = match unread {
            Unread::Again(problem) => {
                self.waker.suspect();
                self.again = self.again_after(tries);
                self.unread = tries + 1;
                Hindrance::Wrong(format!("{revision}: {problem}"))
            }
            Unread::Wrong(problem) => Hindrance::Wrong(format!("{revision}: {problem}")),
            Unread::Strange(problem) => Hindrance::Strange(format!("{revision}: {problem}")),
            Unread::Untrusted(why) => {
                if self.mode == RunMode::Forever {
                    self.again = Some(clock::now() + TRUST_AGAIN);
                }
                Hindrance::Untrusted(why)
            }
        };
        match &hindrance {
            Hindrance::Untrusted(why) if self.target.hindrance() != Some(&hindrance) => {
                warn!(%environment, revision, "the revision is not deployed, {stays}: {why}");
            }
            Hindrance::Untrusted(_) => {}
            Hindrance::Wrong(why) | Hindrance::Strange(why) => {
                warn!(%environment, "the revision cannot be used, {stays}:\n{why}");
            }
        }
        self.stay(source, hindrance);
    }

    /// When a revision is read again that so many tries could not read. What runs once ends
    /// after a few.
    fn again_after(&self, tries: u32) -> Option<Timestamp> {
        match self.mode {
            RunMode::Once if tries >= ONCE_TRIES => None,
            RunMode::Once | RunMode::Forever => {
                Some(clock::now() + grown((AGAIN, LAST_AGAIN), tries))
            }
        }
    }

    /// What is enforced instead of a revision that can't be used, in words.
    fn stays(&self) -> &'static str {
        let recorded = &self.journal.status().revision;
        if self.target.is_nothing() {
            "nor can the one before it, so nothing is applied"
        } else if self.target.enforced().is_some() || recorded.is_some() {
            "the last good one stays"
        } else {
            "and there is none before it, so nothing is applied"
        }
    }

    fn stay(&mut self, source: SourceCommit, hindrance: Hindrance) {
        self.context.begun.store(true, Ordering::Relaxed);
        self.target.stay(source, hindrance);
        let recorded = self.journal.status().revision.clone();
        match recorded.filter(|_| self.target.enforced().is_none()) {
            // Told once it is known whether that one can be enforced.
            Some(recorded) => self.declare_recorded(&recorded),
            None => self.record_revision(),
        }
    }

    fn declare_recorded(&mut self, revision: &Revision) {
        match source::commit(&self.repository, revision) {
            Ok(commit) => self.declare(commit, Purpose::Fallback),
            Err(error) => self.has_none(
                revision.clone(),
                &format!("it is not in the repository any more: {error}"),
            ),
        }
    }

    /// What was recorded can't be enforced either: nothing is, or nothing of the units that
    /// could not be rendered.
    fn has_none(&mut self, recorded: Revision, why: &str) {
        let environment = &self.context.environment;
        let revision = recorded.short().to_owned();
        if self.target.enforced().is_some() {
            warn!(%environment, revision, "the recorded revision can't be used either: {why}");
            self.tell_unrendered();
            return;
        }
        if self.target.is_without(recorded, why.to_owned()) {
            warn!(%environment, revision, "the recorded revision can't be used either, so that nothing is enforced: {why}");
        }
        self.record_revision();
    }

    fn adopt(&mut self, source: &SourceCommit, purpose: Purpose, reading: Reading) {
        let Reading { declared, approved } = reading;
        let environment = self.context.environment.clone();
        // What stands in for the newest revision does not end what is wrong with that.
        if purpose == Purpose::Head {
            self.unread = 0;
            self.again = None;
            self.target = Target::Follows(source.clone());
            self.record_follows();
        } else {
            self.target.stand_in(source.clone());
            self.record_revision();
        }
        let mut news = News {
            approvals: **self.approvals.digests() != approved.digests()
                || *self.adopted != approved.environments,
            neighbours: false,
        };
        self.approvals.take_in(approved.plans, approved.claims);
        self.adopted = Arc::new(approved.environments);
        let retired = self.retired(&declared);
        if !self.stands_as(&declared, &retired) {
            let mut neighbours =
                declared.neighbours(&environment, &self.context.namespace, &retired);
            if let Some(former) = &self.former {
                let before = declared.apply_sets(&environment, former, &retired);
                neighbours.apply_sets.extend(before);
            }
            news.neighbours = *self.neighbours != neighbours;
            self.neighbours = Arc::new(neighbours);
            self.definitions = Arc::new(definitions(&declared));
            let claims = &self.neighbours.claims;
            self.context.compared.retain(|id| claims.contains_key(id));
            self.context.spent.retain(|id| !claims.contains_key(id));
        }
        self.count(&declared, &retired);
        let (mut changed, mut fallback) = (0, None);
        for (name, unit) in declared.units {
            match unit.desired {
                Ok(desired) => {
                    changed += usize::from(self.enforce(&name, &unit.unit, desired, source, news));
                }
                Err(problem) => {
                    fallback = self
                        .unrendered(&name, &unit.unit, &problem, source)
                        .or(fallback);
                }
            }
        }
        for name in retired {
            changed += usize::from(self.retire(&name, source));
        }
        info!(%environment, revision = source.revision.short(), subject = source.subject, changed, "revision");
        if !self.units.values().any(UnitState::is_enforced) {
            self.context.begun.store(true, Ordering::Relaxed);
        }
        self.ask_anew();
        self.tell_suspended();
        match fallback.filter(|revision| *revision != source.revision) {
            Some(revision) => self.declare_recorded(&revision),
            None => self.tell_unrendered(),
        }
        self.record_due();
    }

    /// Whether the source has nothing that could be waited for.
    pub(super) fn source_rests(&self) -> bool {
        let source = self.source.borrow();
        match &source.head {
            // What has not been looked at yet is not known to be the end of it.
            None => source.problem.is_some() && source.problem == self.source_problem,
            Some(head) => self.target.head() == Some(head) && self.mode == RunMode::Once,
        }
    }
}

/// Waits for a unit that a revision went on without.
pub(super) async fn late(cache: Option<&mut RenderCache>) -> Option<()> {
    cache?.renders.next().await.then_some(())
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
