//! Following the objects of one kind that carry an ApplySet's label, everywhere or in
//! one namespace.
//!
//! The first list comes as the beginning of the watch (KEP-3157), in pages where the
//! server can't do that. A watch that was interrupted goes on where it was; only where
//! the server has forgotten that place (410), or has gone back behind it (it was restored
//! from a backup), is the list had anew, and then not by all watches at once.
//!
//! Guarantees: what is listed is complete or it is no list; a watch that says nothing is
//! noticed, and so is one that the server opens and ends again and again; whatever the
//! server says, there is a pause between two requests that come to nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::answer;
use super::cluster::Cluster;
use super::course::{Beginning, Course, number, version};
use super::discovery::Resource;
use super::error::{ApiError, Retry};
use super::failures::{AWAY, Failures, NEEDLESS, REFUSED};
use super::lines::{Line, Lines};
use super::pages::Pages;
use super::view::{List, Shared};
use super::watches::{Place, WatchState};
use crate::model::{Live, ObjectId, PART_OF};
use crate::runtime::backoff::grown;
use crate::runtime::random;

/// A server that was asked to stream its list and says nothing for so long can't.
const UNSTREAMED: Duration = Duration::from_secs(15);
/// Where many kinds are to be listed again, they take this much time each, and no more
/// than that altogether.
const SPREAD: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// The wait after a list that the server forgot at once: first, and at most.
const FORGOTTEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Longer than anything lasts.
pub(super) const NEVER: Duration = Duration::from_hours(24 * 365);

/// A watch.
pub(super) struct Follow {
    pub(super) cluster: Arc<Cluster>,
    pub(super) shared: Arc<Shared>,
    pub(super) place: Place,
    pub(super) resource: Resource,
    /// How often the list is had anew although nothing seems to be missing.
    pub(super) relist: Option<Duration>,
}

/// How a list is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    Streamed,
    Paged,
}

/// What a watch does next.
enum Next {
    /// Has all objects; then opens the watch, or reads on where the list came by one.
    List(Listing),
    /// Asks whether the server is still where it was, after an interruption; then opens the
    /// watch, or lists.
    Probe,
    /// Opens the watch where it was; then reads it.
    Open,
    /// Reads what the watch says until it ends; then opens it again, probes or lists.
    Read(Box<Lines>),
    /// Lists, and goes on, in another version: the one before is not served any more.
    Move(Resource),
    /// The server does not serve the kind any more.
    End,
}

impl Follow {
    /// Follows the kind until its API disappears.
    pub(super) async fn run(mut self) {
        let mut course = Course::new(self.due(), self.shared.restored());
        let mut next = Next::List(Listing::Streamed);
        loop {
            next = match next {
                Next::List(how) => self.list(how, &mut course).await,
                Next::Probe => self.probe(&mut course).await,
                Next::Open => self.open(&mut course).await,
                Next::Read(lines) => self.read(*lines, &mut course).await,
                Next::Move(to) => {
                    self.resource = to;
                    Next::List(Listing::Streamed)
                }
                Next::End => return,
            };
        }
    }

    /// A list is the truth, whatever its numbers.
    async fn list(&self, how: Listing, course: &mut Course) -> Next {
        let how = if self.cluster.discovery().pages() {
            Listing::Paged
        } else {
            how
        };
        course.restored.mark_unchanged();
        let mut list = self.shared.begin();
        let listed = match how {
            Listing::Streamed => self.stream(&mut list, course).await,
            Listing::Paged => self.pages(&mut list).await,
        };
        match listed {
            Ok((version, lines)) => {
                course.failures = Failures::default();
                course.due = self.due();
                self.shared.end(&self.place, &list);
                if number(&version) < number(&course.at) {
                    return self.gone_back(version, course);
                }
                course.at = version;
                self.shared.set(&self.place, &WatchState::Synced);
                course.speaks |= lines.is_some();
                lines.map_or(Next::Open, |lines| Next::Read(Box::new(lines)))
            }
            // The feature gate WatchList is off, or it does not know of it.
            Err(Unlisted::Unstreamed) => {
                self.cluster.discovery().set_pages();
                Next::List(Listing::Paged)
            }
            // A server that is busy ends it early: pages say at once what there is.
            Err(Unlisted::BrokenOff) => Next::List(Listing::Paged),
            Err(Unlisted::Failed(error)) => self.failed(error, course, Next::List(how)).await,
        }
    }

    /// The list as the beginning of the watch.
    async fn stream(&self, list: &mut List, course: &mut Course) -> Listed {
        let opened = self.watch(None, course);
        let mut lines = match timeout(UNSTREAMED, opened).await {
            Ok(Ok(lines)) => lines,
            Ok(Err(ApiError::Invalid { .. })) | Err(_) => return Err(Unlisted::Unstreamed),
            Ok(Err(error)) => return Err(error.into()),
        };
        loop {
            let Ok(said) = timeout(UNSTREAMED, lines.next()).await else {
                return Err(Unlisted::Unstreamed);
            };
            match said? {
                Some(Line::Changed(object)) => {
                    let (id, live) = self.item(object)?;
                    self.shared.listed(list, id, &live)?;
                }
                Some(Line::Listed(object)) => {
                    let version = version(&object).to_owned();
                    return Ok((version, Some(lines)));
                }
                Some(Line::Deleted(object)) => {
                    let (id, live) = self.item(object)?;
                    self.shared.unlisted(list, &id, &live);
                }
                Some(Line::UpTo(_)) => {}
                None => return Err(Unlisted::BrokenOff),
            }
        }
    }

    async fn pages(&self, list: &mut List) -> Listed {
        let namespace = self.place.namespace.as_ref();
        let mut pages = Pages::new(Some(PART_OF));
        let (cluster, resource) = (&self.cluster, &self.resource);
        while let Some(params) = pages.next() {
            let page = cluster.page(resource, namespace, params).await;
            for item in pages.read(page)? {
                let (id, live) = self.item(item)?;
                self.shared.listed(list, id, &live)?;
            }
        }
        Ok((pages.version().to_owned(), None))
    }

    /// Whether the server is where it was: a watch from a place that it has not come to yet
    /// would say nothing until it has, and then leave out what came before.
    async fn probe(&self, course: &mut Course) -> Next {
        let namespace = self.place.namespace.as_ref();
        match self.cluster.newest(&self.resource, namespace).await {
            Ok(version) if number(&version) < number(&course.at) => self.gone_back(version, course),
            Ok(_) => Next::Open,
            Err(error) => self.failed(error, course, Next::Probe).await,
        }
    }

    /// What any watch has seen may be of a history that is not the server's any more.
    fn gone_back(&self, version: String, course: &mut Course) -> Next {
        let (kind, before) = (&self.place.kind, &course.at);
        warn!(%kind, %before, now = %version, "the API server has gone back, as one that was restored from a backup; everything is listed anew");
        course.at = version;
        self.shared.go_back();
        Next::List(Listing::Streamed)
    }

    async fn open(&self, course: &mut Course) -> Next {
        let at = course.at.clone();
        match self.watch(Some(&at), course).await {
            Ok(lines) => Next::Read(Box::new(lines)),
            Err(error) => self.failed(error, course, Next::Probe).await,
        }
    }

    /// A watch that lasts long where the server speaks, and ends at another time than others.
    async fn watch(&self, at: Option<&str>, course: &mut Course) -> Result<Lines, ApiError> {
        let lasts = course.begin(match at {
            None => Beginning::List,
            Some(_) => Beginning::There,
        });
        let namespace = self.place.namespace.as_ref();
        self.cluster
            .watch(&self.resource, namespace, at, lasts)
            .await
    }

    async fn read(&self, mut lines: Lines, course: &mut Course) -> Next {
        loop {
            let until = course.until();
            // Both are cancel-safe: what was read is kept, and a channel keeps its mark.
            let line = tokio::select! {
                line = timeout_at(until, lines.next()) => line,
                _ = course.restored.changed() => return Next::List(Listing::Streamed),
            };
            match line {
                Ok(Ok(Some(line))) => {
                    course.failures = Failures::default();
                    course.forgotten = 0;
                    course.speaks = true;
                    if let Err(error) = self.take(line, course) {
                        return self.failed(error, course, Next::List(Listing::Paged)).await;
                    }
                }
                Ok(Ok(None)) if course.is_over() => {
                    course.speaks = true;
                    return Next::Open;
                }
                Ok(Ok(None)) => {
                    let error = ApiError::Unavailable("the watch was broken off".to_owned());
                    return self.failed(error, course, Next::Probe).await;
                }
                Ok(Err(error)) => return self.failed(error, course, Next::Probe).await,
                // Had from the store, not from what the server remembers.
                Err(_) => {
                    let kind = &self.place.kind;
                    let due = Instant::now() >= course.due;
                    debug!(%kind, due, "listing anew");
                    course.speaks &= due;
                    return Next::List(Listing::Paged);
                }
            }
        }
    }

    /// Takes a failure in, and waits before what is next, `then` unless it was a failure of
    /// a special kind.
    async fn failed(&self, error: ApiError, course: &mut Course, then: Next) -> Next {
        course.speaks = false;
        match error {
            ApiError::Away(_) => self.lost(error, course, then).await,
            ApiError::Expired(_) => self.forgotten(course).await,
            error => self.again(error, course, then).await,
        }
    }

    /// The path is not there: the kind is served in another version now, or not at all, or
    /// the server says so for a moment only. What was listed stays until that is known.
    async fn lost(&self, error: ApiError, course: &mut Course, then: Next) -> Next {
        let kind = &self.place.kind;
        let before = &self.resource.api.version;
        let found = match self.cluster.found(kind).await {
            Ok(found) => found,
            Err(error) => return self.again(error, course, then).await,
        };
        let Some(to) = found.first() else {
            debug!(%kind, "the kind is gone from the API server");
            self.cluster.forget_kinds().await;
            let gone = WatchState::Failed(ApiError::NoSuchKind(kind.clone()));
            self.shared.set(&self.place, &gone);
            self.shared.end(&self.place, &self.shared.begin());
            return Next::End;
        };
        if found.iter().any(|it| it.api.version == *before) {
            return self.again(error, course, then).await;
        }
        info!(%kind, %before, now = %to.api.version, "the version that was watched is not served any more; another one is watched");
        self.shared.moved(&self.place, before, &to.api.version);
        tokio::time::sleep(course.failures.wait(&error, AWAY)).await;
        Next::Move(to.clone())
    }

    /// Tries again after a while.
    async fn again(&self, error: ApiError, course: &mut Course, then: Next) -> Next {
        let (kind, place) = (&self.place.kind, &self.place);
        let wanting = matches!(error, ApiError::Forbidden(_)) && place.namespace.is_none();
        let told = course.failures.last.as_ref() == Some(&error);
        let expected = wanting && self.shared.is_split(kind);
        if !told && !expected {
            let namespace = place.namespace.as_ref();
            let namespace = namespace.map_or("all namespaces", |name| name.as_str());
            warn!(%kind, namespace, %error, "watch failed, trying again");
        }
        // What was listed before stays: a failed read is never absence.
        if !self.shared.is_synced(place) {
            self.shared.set(place, &WatchState::Failed(error.clone()));
        }
        let waits = match error.retry() {
            _ if matches!(error, ApiError::TooLarge(_)) => NEEDLESS,
            _ if matches!(error, ApiError::Unauthorized(_)) => REFUSED,
            Retry::After(_) => AWAY,
            Retry::WhenInputsChange if wanting && self.resource.namespaced => NEEDLESS,
            Retry::WhenInputsChange => REFUSED,
        };
        tokio::time::sleep(course.failures.wait(&error, waits)).await;
        then
    }

    /// The server has forgotten where the watch was: all is listed anew. Not by all watches
    /// at once, and ever less often where it forgets at once what it has just listed.
    async fn forgotten(&self, course: &mut Course) -> Next {
        let watches = u32::try_from(self.shared.watches()).unwrap_or(u32::MAX);
        let spread = SPREAD.0.saturating_mul(watches).min(SPREAD.1);
        let wait = match course.forgotten {
            0 => Duration::ZERO,
            times => grown(FORGOTTEN, times - 1),
        };
        course.forgotten += 1;
        tokio::time::sleep(wait + random::up_to(spread)).await;
        Next::List(Listing::Streamed)
    }

    /// When the list is to be had anew: not for all kinds at once.
    fn due(&self) -> Instant {
        let after = self
            .relist
            .map_or(NEVER, |relist| relist / 4 * 3 + random::up_to(relist / 2));
        Instant::now() + after
    }

    fn take(&self, said: Line, course: &mut Course) -> Result<(), ApiError> {
        let object = match said {
            Line::Changed(object) => {
                let (id, live) = self.item(object)?;
                self.definitions(&id);
                self.shared.changed(&id, &live);
                live.body
            }
            Line::Deleted(object) => {
                let (id, live) = self.item(object)?;
                self.shared.deleted(&id, &live);
                live.body
            }
            Line::UpTo(object) | Line::Listed(object) => object,
        };
        let version = version(&object);
        if !version.is_empty() {
            version.clone_into(&mut course.at);
        }
        Ok(())
    }

    fn item(&self, object: Value) -> Result<(ObjectId, Live), ApiError> {
        answer::item(object, &self.resource, self.place.namespace.as_ref())
    }

    /// A CRD may bring a kind that was missing.
    fn definitions(&self, id: &ObjectId) {
        if id
            .kind
            .is("apiextensions.k8s.io", "CustomResourceDefinition")
        {
            self.cluster.discovery().expect();
        }
    }
}

/// A list, and the watch that it was the beginning of.
type Listed = Result<(String, Option<Lines>), Unlisted>;

/// Why there is no list.
enum Unlisted {
    /// The server does not stream lists.
    Unstreamed,
    /// The stream ended before the list did.
    BrokenOff,
    Failed(ApiError),
}

impl From<ApiError> for Unlisted {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}
