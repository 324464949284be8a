//! Which kinds the API server serves, under which path.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{StatusCode, Uri};
use kube::Client;
use kube::core::ApiResource;
use kube::discovery::{Discovery as Found, Scope};
use tokio::sync::RwLock;

use super::error::{ApiError, Unserved};
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

/// How long the server is not asked again for kinds that are missing, doubled each time:
/// first, and at most.
const MISSING: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long what the server has named is believed, although it is not there.
const DOUBTED: Duration = Duration::from_secs(2);

/// The reason that the client gives to an answer that is no Status.
const NO_STATUS: &str = "Failed to parse error data";

/// The discovery cache: asked anew only when a kind is missing from it.
pub struct Discovery {
    wire: Arc<Wire>,
    server: Uri,
    /// Whether the server has named its kinds, so that it is an API server.
    met: AtomicBool,
    table: RwLock<Option<Table>>,
    missing: Mutex<Missing>,
    /// Whether the server has turned out not to stream lists.
    pages: AtomicBool,
}

/// A kind, and the version that it is asked for in.
type Asked = (GroupKind, Option<String>);

/// What the server did not serve when it was asked last. One answer is of all kinds, so
/// whoever asks, all are asked for.
#[derive(Default)]
struct Missing {
    kinds: BTreeSet<Asked>,
    /// How often in a row one of them was still missing.
    times: u32,
    /// When the server was asked last.
    asked: Option<Instant>,
}

impl Missing {
    /// Whether the last answer holds for a kind. One that nobody has asked for before may
    /// have come since.
    fn holds_for(&self, asked: &Asked, now: Instant) -> bool {
        let wait = if self.kinds.contains(asked) {
            grown(MISSING, self.times)
        } else {
            MISSING.0
        };
        self.asked.is_some_and(|at| now < at + wait)
    }

    /// Takes in an answer, to whoever asked for a kind.
    fn answered(&mut self, asked: Asked, served: impl Fn(&Asked) -> bool, now: Instant) {
        self.kinds.retain(|kind| !served(kind));
        self.asked = Some(now);
        self.times = if served(&asked) || self.kinds.insert(asked) {
            0
        } else {
            self.times + 1
        };
    }
}

impl Discovery {
    /// An empty cache, of the server at this address.
    pub(super) fn new(wire: Arc<Wire>, server: Uri) -> Self {
        Self {
            wire,
            server,
            met: AtomicBool::new(false),
            table: RwLock::new(None),
            missing: Mutex::default(),
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
            && let Ok(found) = pick(table, kind, version)
        {
            return Ok(found);
        }
        let asked = (kind.clone(), version.map(str::to_owned));
        let mut slot = self.table.write().await;
        // Whoever had to wait here may find it read by now.
        if let Some(table) = &*slot {
            let found = pick(table, kind, version);
            if found.is_ok() {
                return found;
            }
            let mut missing = lock(&self.missing);
            if missing.holds_for(&asked, Instant::now()) {
                missing.kinds.insert(asked);
                return found;
            }
        }
        let table = self.read().await?;
        let found = pick(&table, kind, version);
        let served = |(kind, version): &Asked| pick(&table, kind, version.as_deref()).is_ok();
        lock(&self.missing).answered(asked, served, Instant::now());
        *slot = Some(table);
        found
    }

    /// The kinds of any group that go by a name, in whatever case.
    pub async fn named(&self, name: &str) -> Result<Vec<GroupKind>, ApiError> {
        let mut slot = self.table.write().await;
        if slot.is_none() {
            *slot = Some(self.read().await?);
        }
        let kinds = slot.iter().flat_map(BTreeMap::keys);
        let named = kinds.filter(|kind| kind.kind.eq_ignore_ascii_case(name));
        Ok(named.cloned().collect())
    }

    async fn read(&self) -> Result<Table, ApiError> {
        let met = self.met.load(Ordering::Relaxed);
        let stranger = (!met).then_some(&self.server);
        let table = self.wire.paced(|client| read_table(client, stranger));
        let table = table.await?;
        self.met.store(true, Ordering::Relaxed);
        Ok(table)
    }

    /// Takes in the versions in which the server was found to serve a kind, whatever it said
    /// of it before.
    pub async fn learn(&self, kind: &GroupKind, versions: Vec<Resource>) {
        if let Some(table) = &mut *self.table.write().await {
            table.insert(kind.clone(), versions);
        }
    }

    /// Forgets what it knows, as a path that is in it is not there; not again soon, since the
    /// server may go on naming it for a while.
    pub async fn doubt(&self) {
        let asked = lock(&self.missing).asked;
        if asked.is_none_or(|at| at.elapsed() >= DOUBTED) {
            self.forget().await;
        }
    }

    /// Forgets what it knows, after a kind has gone.
    pub async fn forget(&self) {
        *self.table.write().await = None;
    }

    /// What was missing may be there: the server is asked again when it is needed next.
    pub fn expect(&self) {
        lock(&self.missing).asked = None;
    }

    /// Whether a kind of a group was missing when it was asked for last.
    pub fn lacks(&self, group: &str) -> bool {
        let missing = lock(&self.missing);
        missing.kinds.iter().any(|(kind, _)| kind.group == *group)
    }

    /// Whether lists come in pages rather than as the beginning of a watch.
    pub fn pages(&self) -> bool {
        self.pages.load(Ordering::Relaxed)
    }

    /// Remembers that the server does not stream lists.
    pub fn set_pages(&self) {
        self.pages.store(true, Ordering::Relaxed);
    }
}

/// # Errors
/// [`ApiError::NoSuchKind`], or [`ApiError::NoSuchVersion`] where it is served otherwise.
fn pick(table: &Table, kind: &GroupKind, version: Option<&str>) -> Result<Resource, ApiError> {
    let versions = table.get(kind).map_or(&[][..], Vec::as_slice);
    let mut fitting = versions
        .iter()
        .filter(|resource| version.is_none_or(|version| resource.api.version == version));
    match (fitting.next(), version) {
        (Some(found), _) => Ok(found.clone()),
        (None, Some(version)) if !versions.is_empty() => {
            let unserved = Unserved {
                kind: kind.clone(),
                version: version.to_owned(),
                served: versions.iter().map(|it| it.api.version.clone()).collect(),
            };
            Err(ApiError::NoSuchVersion(Box::new(unserved)))
        }
        (None, _) => Err(ApiError::NoSuchKind(kind.clone())),
    }
}

/// `stranger` is the address of a server that has not named its kinds before.
async fn read_table(client: Client, stranger: Option<&Uri>) -> Result<Table, ApiError> {
    let told = |error: kube::Error| {
        let foreign = stranger.and_then(|server| foreign(&error, server));
        foreign.unwrap_or_else(|| error.into())
    };
    let found = match Found::new(client.clone()).run_aggregated().await {
        Ok(found) => found,
        Err(error) => match told(error) {
            error if error.passes() => return Err(error),
            _ => Found::new(client).run().await.map_err(told)?,
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
                // What nobody can declare, nobody looks for.
                if let Ok(kind) = GroupKind::new(group.name(), &resource.api.kind) {
                    table.entry(kind).or_default().push(resource);
                }
            }
        }
    }
    Ok(table)
}

/// What answers as no API server does: a wrong address or path, or a gateway. What API
/// servers say in plain text as well (429, 503, or 400 to HTTP for HTTPS) is left as it is.
fn foreign(error: &kube::Error, server: &Uri) -> Option<ApiError> {
    const CHECK: &str = "check its address and path in the kubeconfig";
    const UNLIKE: &str = "not as an API server does";
    let server = shown(server);
    let status = match error {
        kube::Error::Api(status) if status.reason == NO_STATUS => status.code,
        kube::Error::SerdeError(error) if !error.is_eof() => {
            let text = format!("{server} answered, but {UNLIKE}; {CHECK}");
            return Some(ApiError::Unavailable(text));
        }
        _ => return None,
    };
    let status = StatusCode::from_u16(status).ok()?;
    let answered = format!("{server} answered {status}, and {UNLIKE}");
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            Some(ApiError::Unavailable(answered))
        }
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Some(ApiError::Away(format!("{answered}; {CHECK}")))
        }
        _ => None,
    }
}

/// An address without a login that may stand in it.
fn shown(server: &Uri) -> String {
    let scheme = server.scheme_str().unwrap_or_default();
    let host = server.host().unwrap_or_default();
    let port = server.port().map(|port| format!(":{port}"));
    let path = server.path().trim_end_matches('/');
    format!("{scheme}://{host}{}{path}", port.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_is_of_all_kinds_that_are_missing() {
        let kind = |name| (GroupKind::known("example.com", name), None);
        let (one, two, three) = (kind("One"), kind("Two"), kind("Three"));
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut missing = Missing::default();
        assert!(!missing.holds_for(&one, start));
        missing.answered(one.clone(), |_| false, start);
        // Whoever asks at the same time is answered by that.
        assert!(missing.holds_for(&two, after(400)));
        missing.kinds.insert(two.clone());
        assert!(!missing.holds_for(&one, after(600)));
        missing.answered(one.clone(), |_| false, after(600));
        assert!(missing.holds_for(&two, after(1500)));
        // One that nobody has asked for is looked for; the pause begins anew.
        assert!(!missing.holds_for(&three, after(1500)));
        missing.answered(three, |_| false, after(1500));
        assert!(!missing.holds_for(&one, after(2100)));
        missing.answered(one.clone(), |asked| *asked == one, after(2100));
        assert!(missing.kinds.contains(&two) && !missing.kinds.contains(&one));
    }
}
