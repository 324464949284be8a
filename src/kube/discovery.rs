//! Which kinds the API server serves, under which path.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kube::Client;
use kube::core::ApiResource;
use kube::discovery::{Discovery as Found, Scope};
use tokio::sync::RwLock;

use super::error::ApiError;
use super::wire::Wire;
use crate::model::GroupKind;
use crate::runtime::backoff::grown;
use crate::runtime::lock::lock;

/// A kind as the API server serves it, in one version.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Group, version, kind and plural.
    pub api: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether it can be listed and watched.
    pub watchable: bool,
}

/// The versions of a kind, the server's preferred one first.
type Table = BTreeMap<GroupKind, Vec<Resource>>;

/// How long a kind that is missing is not asked for again, doubled each time: first, and
/// at most.
const MISSING: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// The discovery cache: asked anew only when a kind is missing from it.
pub struct Discovery {
    wire: Arc<Wire>,
    table: RwLock<Option<Table>>,
    missing: Mutex<BTreeMap<GroupKind, Missing>>,
    missed: AtomicBool,
    /// Whether the server has turned out not to stream lists.
    pages: AtomicBool,
}

/// A kind that the server did not serve when it was asked last.
struct Missing {
    times: u32,
    again: Instant,
}

impl Discovery {
    /// An empty cache.
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        Self {
            wire,
            table: RwLock::new(None),
            missing: Mutex::default(),
            missed: AtomicBool::new(false),
            pages: AtomicBool::new(false),
        }
    }

    /// The kind, in the version asked for or else the preferred one. A kind that is
    /// not in the cache is looked for again on the server before the answer is no, but
    /// ever less often while that goes on, however many ask.
    pub async fn resource(
        &self,
        kind: &GroupKind,
        version: Option<&str>,
    ) -> Result<Resource, ApiError> {
        if let Some(table) = &*self.table.read().await
            && let Some(found) = pick(table, kind, version)
        {
            return Ok(found);
        }
        let mut slot = self.table.write().await;
        // Whoever had to wait here may find it read by now.
        if let Some(table) = &*slot {
            if let Some(found) = pick(table, kind, version) {
                return Ok(found);
            }
            if self.is_missing(kind) {
                return Err(ApiError::NoSuchKind(kind.clone()));
            }
        }
        let table = self.wire.paced(read_table).await?;
        let found = pick(&table, kind, version);
        *slot = Some(table);
        self.found(kind, found.is_some());
        found.ok_or_else(|| ApiError::NoSuchKind(kind.clone()))
    }

    /// The kinds of any group that go by a name, in whatever case.
    pub async fn named(&self, name: &str) -> Result<Vec<GroupKind>, ApiError> {
        let mut slot = self.table.write().await;
        if slot.is_none() {
            *slot = Some(self.wire.paced(read_table).await?);
        }
        let kinds = slot.iter().flat_map(BTreeMap::keys);
        let named = kinds.filter(|kind| kind.kind.eq_ignore_ascii_case(name));
        Ok(named.cloned().collect())
    }

    /// Forgets what it knows, after a kind has gone.
    pub async fn forget(&self) {
        *self.table.write().await = None;
    }

    /// CRDs have changed: what was missing may be there.
    pub fn expect(&self) {
        lock(&self.missing).clear();
    }

    /// Whether a kind was missing since this was asked last.
    pub fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }

    /// Whether lists come in pages rather than as the beginning of a watch.
    pub fn pages(&self) -> bool {
        self.pages.load(Ordering::Relaxed)
    }

    /// Remembers that the server does not stream lists.
    pub fn set_pages(&self) {
        self.pages.store(true, Ordering::Relaxed);
    }

    fn is_missing(&self, kind: &GroupKind) -> bool {
        lock(&self.missing)
            .get(kind)
            .is_some_and(|missing| Instant::now() < missing.again)
    }

    fn found(&self, kind: &GroupKind, found: bool) {
        let mut all = lock(&self.missing);
        if found {
            all.remove(kind);
            return;
        }
        self.missed.store(true, Ordering::Relaxed);
        let now = Instant::now();
        let missing = all.entry(kind.clone()).or_insert(Missing {
            times: 0,
            again: now,
        });
        missing.again = now + grown(MISSING, missing.times);
        missing.times += 1;
    }
}

fn pick(table: &Table, kind: &GroupKind, version: Option<&str>) -> Option<Resource> {
    let versions = table.get(kind)?;
    match version {
        Some(version) => versions
            .iter()
            .find(|resource| resource.api.version == version)
            .cloned(),
        None => versions.first().cloned(),
    }
}

async fn read_table(client: Client) -> Result<Table, ApiError> {
    let found = match Found::new(client.clone()).run_aggregated().await {
        Ok(found) => found,
        Err(error) => match ApiError::from(error) {
            error if error.passes() => return Err(error),
            _ => Found::new(client).run().await?,
        },
    };
    let mut table = Table::new();
    for group in found.groups() {
        let preferred = group.preferred_version_or_latest().to_owned();
        let mut versions: Vec<&str> = group.versions().collect();
        versions.sort_by_key(|version| *version != preferred);
        for version in versions {
            for (api, can) in group.versioned_resources(version) {
                let watchable = can.supports_operation("watch") && can.supports_operation("list");
                let resource = Resource {
                    namespaced: can.scope == Scope::Namespaced,
                    watchable,
                    api,
                };
                let kind = GroupKind::new(group.name(), resource.api.kind.clone());
                table.entry(kind).or_default().push(resource);
            }
        }
    }
    Ok(table)
}
