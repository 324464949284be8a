//! One cluster under one identity: the requests that the agent makes.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::core::params::{GetParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::answer;
use super::discovery::{Discovery, Resource};
use super::error::ApiError;
use super::expected::Expected;
use super::fence::Fence;
use super::lines::Lines;
use super::login;
use super::pages::Pages;
use super::path::{path, segment, version_of};
use super::turns::Queue;
use super::wire::{Leave, Wire};
use crate::model::{
    Desired, FIELD_MANAGER, GroupKind, Live, Namespace, ObjectId, PART_OF, holds_secret,
    secret_values,
};

/// Whether an apply is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyMode {
    /// It changes the object.
    Write,
    /// The server says what it would become, and changes nothing.
    DryRun,
}

/// What to do about fields that another manager owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflicts {
    /// Take them.
    Take,
    /// Fail with [`ApiError::Conflict`].
    Fail,
}

/// A handle on a cluster; cheap to clone. All clones share one pace of requests.
#[derive(Clone)]
pub struct Cluster {
    wire: Arc<Wire>,
    discovery: Arc<Discovery>,
    withdrawn: Option<CancellationToken>,
    fence: Option<Fence>,
    queue: Queue,
}

/// Connects by KUBECONFIG (or `~/.kube/config`), else as the pod that we run in.
/// Nothing is sent yet, but a program that gives credentials is run.
///
/// # Errors
/// A text that says which configuration was tried and what is wrong with it.
pub async fn connect(access: &Access) -> Result<Cluster, ApiError> {
    let (client, server) = login::client(access).await?;
    let wire = Arc::new(Wire::new(&client));
    Ok(Cluster {
        discovery: Arc::new(Discovery::new(Arc::clone(&wire), server)),
        wire,
        withdrawn: None,
        fence: None,
        queue: Queue::Last,
    })
}

impl Cluster {
    /// The client, for watches.
    pub fn client(&self) -> Client {
        self.wire.client()
    }

    /// What is wrong with this machine's clock beside the server's, if anything is.
    pub fn clock_trouble(&self) -> Option<String> {
        self.wire.clocks().trouble()
    }

    /// The same cluster, for requests that are not sent any more once this is cancelled:
    /// they end with [`ApiError::Withdrawn`]. One that is under way is not cut off.
    pub fn until(&self, withdrawn: &CancellationToken) -> Self {
        Self {
            withdrawn: Some(withdrawn.clone()),
            ..self.clone()
        }
    }

    /// The same cluster, for requests that are not sent any more once a Lease can't be
    /// believed to be ours: they end with [`ApiError::Withdrawn`].
    pub fn fenced(&self, fence: &Fence) -> Self {
        Self {
            fence: Some(fence.clone()),
            ..self.clone()
        }
    }

    /// The same cluster, for requests that need not wait for all those that came before.
    pub fn urgently(&self) -> Self {
        Self {
            queue: Queue::First,
            ..self.clone()
        }
    }

    /// The same cluster, for requests that are sent at once, and not again, whatever the
    /// server asks of the others.
    pub fn unheld(&self) -> Self {
        Self {
            queue: Queue::Unheld,
            ..self.clone()
        }
    }

    /// The kind as served. `version` is an `apiVersion`'s version part.
    pub async fn resource(
        &self,
        kind: &GroupKind,
        version: Option<&str>,
    ) -> Result<Resource, ApiError> {
        self.discovery.resource(kind, version).await
    }

    /// The kinds of any group that go by a name, in whatever case.
    pub async fn kinds_named(&self, name: &str) -> Result<Vec<GroupKind>, ApiError> {
        self.discovery.named(name).await
    }

    /// Asks the server anew for its kinds when next one is needed.
    pub async fn forget_kinds(&self) {
        self.discovery.forget().await;
    }

    /// What its requests go over.
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// What it serves, as far as is known.
    pub(super) fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// Server-side apply of an object under our field manager.
    pub async fn apply(
        &self,
        desired: &Desired,
        mode: ApplyMode,
        conflicts: Conflicts,
    ) -> Result<Live, ApiError> {
        self.apply_to(desired, Expected::Anything, mode, conflicts)
            .await
    }

    /// The same, to an object that is what is expected.
    pub async fn apply_to(
        &self,
        desired: &Desired,
        expected: Expected<'_>,
        mode: ApplyMode,
        conflicts: Conflicts,
    ) -> Result<Live, ApiError> {
        let resource = self
            .resource(&desired.id.kind, Some(version_of(&desired.api_version)))
            .await?;
        let mut params = PatchParams::apply(FIELD_MANAGER);
        params.dry_run = mode == ApplyMode::DryRun;
        params.force = conflicts == Conflicts::Take;
        let text = expected.declared_in(desired);
        let body: &RawValue = serde_json::from_str(&text).expect("it was written from a value");
        let request = || {
            path(&resource, desired.id.namespace.as_ref()).patch(
                &segment(&desired.id.name),
                &params,
                &Patch::Apply(body),
            )
        };
        let error = match self.written(&desired.id, request).await {
            Ok(live) => return Ok(live),
            Err(error) => expected.unmet(error),
        };
        Err(if holds_secret(&desired.id) {
            error.of_secret(&secret_values(&desired.body()))
        } else {
            error
        })
    }

    /// A merge patch under our field manager that holds only at this resourceVersion
    /// (where the patch itself names it).
    pub async fn merge(&self, id: &ObjectId, patch: &Value) -> Result<Live, ApiError> {
        let resource = self.resource(&id.kind, None).await?;
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = || {
            path(&resource, id.namespace.as_ref()).patch(
                &segment(&id.name),
                &params,
                &Patch::Merge(patch),
            )
        };
        self.written(id, request).await
    }

    /// A JSON patch (RFC 6902) under our field manager, of the object in a version: each has
    /// paths of its own.
    pub async fn patch(
        &self,
        id: &ObjectId,
        api_version: &str,
        operations: &Value,
    ) -> Result<Live, ApiError> {
        let version = Some(version_of(api_version));
        let resource = self.resource(&id.kind, version).await?;
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = || {
            let mut request = path(&resource, id.namespace.as_ref()).patch(
                &segment(&id.name),
                &params,
                &Patch::Merge(operations),
            )?;
            // kube's own type of a JSON patch would have to be taken in by parsing it again.
            request.headers_mut().insert(
                http::header::CONTENT_TYPE,
                http::HeaderValue::from_static("application/json-patch+json"),
            );
            Ok(request)
        };
        self.written(id, request).await
    }

    /// The object, or `None` where the server says that it does not exist.
    pub async fn get(
        &self,
        id: &ObjectId,
        api_version: Option<&str>,
    ) -> Result<Option<Live>, ApiError> {
        let version = api_version.filter(|it| !it.is_empty()).map(version_of);
        let resource = self.resource(&id.kind, version).await?;
        let request = || {
            path(&resource, id.namespace.as_ref()).get(&segment(&id.name), &GetParams::default())
        };
        match self.ask(request).await {
            Ok(body) => answer::of(id, body).map(Some),
            Err(error) if error.denies(id) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The objects of a kind, in one namespace or in all, page by page; all of them, or an
    /// error.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: Option<&Namespace>,
        labels: Option<&str>,
        mut take: impl FnMut(ObjectId, Live),
    ) -> Result<(), ApiError> {
        let mut pages = Pages::new(labels);
        while let Some(params) = pages.next() {
            let page = self.page(resource, namespace, params).await;
            for item in pages.read(page)? {
                let (id, live) = answer::item(item, resource, namespace)?;
                take(id, live);
            }
        }
        Ok(())
    }

    /// One page of a list.
    pub(super) async fn page(
        &self,
        resource: &Resource,
        namespace: Option<&Namespace>,
        params: &ListParams,
    ) -> Result<Value, ApiError> {
        self.ask(|| path(resource, namespace).list(params)).await
    }

    /// The newest resourceVersion of the store that a kind is in: had by the smallest list
    /// there is.
    pub(super) async fn newest(
        &self,
        resource: &Resource,
        namespace: Option<&Namespace>,
    ) -> Result<String, ApiError> {
        let params = ListParams::default().limit(1);
        let mut pages = Pages::new(None);
        pages.read(self.page(resource, namespace, &params).await)?;
        Ok(pages.version().to_owned())
    }

    /// Watches the objects that carry an ApplySet's label, from a resourceVersion on; for
    /// `None` all of them are told first.
    pub(super) async fn watch(
        &self,
        resource: &Resource,
        namespace: Option<&Namespace>,
        at: Option<&str>,
        lasts: Duration,
    ) -> Result<Lines, ApiError> {
        let mut params = WatchParams::default()
            .labels(PART_OF)
            .timeout(u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX));
        params.send_initial_events = at.is_none();
        let request = path(resource, namespace).watch(&params, at.unwrap_or_default());
        self.wire.watch(request).await
    }

    /// Creates an object unless it exists; gives back what is there then.
    pub async fn create_or_get(&self, id: &ObjectId, body: &Value) -> Result<Live, ApiError> {
        let resource = self.resource(&id.kind, None).await?;
        let request = || {
            path(&resource, id.namespace.as_ref())
                .create(&PostParams::default(), body.to_string().into_bytes())
        };
        match self.written(id, request).await {
            Ok(live) => Ok(live),
            Err(ApiError::Conflict(message)) => {
                self.get(id, None).await?.ok_or(ApiError::Conflict(message))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the server is there, and what it keeps objects in: whether it says anything of
    /// one within a time, which this takes in any case.
    pub async fn answers(&self, id: &ObjectId, limit: Duration) -> bool {
        let cluster = self.unheld();
        let asked = tokio::time::timeout(limit, cluster.get(id, None));
        let (answer, ()) = tokio::join!(asked, tokio::time::sleep(limit));
        !matches!(answer, Err(_) | Ok(Err(ApiError::Unavailable(_))))
    }

    /// The object that was written, and no other.
    async fn written(&self, id: &ObjectId, request: impl Fn() -> Built) -> Result<Live, ApiError> {
        answer::of(id, self.write(id, request).await?)
    }

    /// The answer to a write; a fault of the server's is looked into.
    pub(super) async fn write(
        &self,
        id: &ObjectId,
        request: impl Fn() -> Built,
    ) -> Result<Value, ApiError> {
        match self.ask(request).await {
            Err(ApiError::Faulted(message)) => Err(self.fault(id, message).await),
            answer => answer,
        }
    }

    /// Whose fault it is that a write failed with 500. The server says so of what it can't
    /// convert or decode, and when it is in trouble itself; but then it can't read either.
    async fn fault(&self, id: &ObjectId, message: String) -> ApiError {
        // The agent's own Lease is nothing that it couldn't make sense of.
        if self.queue == Queue::Unheld {
            return ApiError::Unavailable(message);
        }
        match self.get(id, None).await {
            Ok(_) => ApiError::Faulted(message),
            Err(_) => ApiError::Unavailable(message),
        }
    }

    /// `request` is made when its turn has come: many may wait, and their bodies are big.
    async fn ask(&self, request: impl Fn() -> Built) -> Result<Value, ApiError> {
        let leave = Leave {
            withdrawn: self.withdrawn.as_ref(),
            fence: self.fence.as_ref(),
        };
        let answer = self.wire.ask(request, self.queue, leave).await;
        if let Err(ApiError::Away(_)) = &answer {
            self.discovery.doubt().await;
        }
        answer
    }
}

type Built = Result<http::Request<Vec<u8>>, kube::core::request::Error>;
