//! One cluster under one identity: the requests that the agent makes.

use std::sync::Arc;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::params::{
    DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions,
    PropagationPolicy,
};
use kube::core::{DynamicObject, Request, Resource as _};
use kube::{Client, Config};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::discovery::{Discovery, Resource};
use super::error::ApiError;
use super::turns::Queue;
use super::wire::Wire;
use crate::model::{
    Desired, FIELD_MANAGER, GroupKind, Live, ObjectId, holds_secret, secret_values,
};

/// How long a connection may be silent. A watch gets a bookmark each minute, so one that
/// hangs is noticed.
const SILENCE: Duration = Duration::from_secs(150);
/// How many objects one page of a list holds, as in client-go.
const PAGE: u32 = 500;

/// Which cluster to talk to.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The context of the kubeconfig; the current one if `None`.
    pub context: Option<String>,
}

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

/// How a delete went.
#[derive(Debug, Clone, PartialEq)]
pub enum Deletion {
    /// It is under way: finalizers or a grace period keep the object as it is here.
    Accepted(Box<Live>),
    /// The object is gone.
    Gone,
}

/// A handle on a cluster; cheap to clone. All clones share one pace of requests.
#[derive(Clone)]
pub struct Cluster {
    wire: Arc<Wire>,
    discovery: Arc<Discovery>,
    withdrawn: Option<CancellationToken>,
    queue: Queue,
}

/// Connects by KUBECONFIG (or `~/.kube/config`), else as the pod that we run in.
/// Nothing is sent yet.
///
/// # Errors
/// A text that says which configuration was tried and what is wrong with it.
pub async fn connect(access: &Access) -> Result<Cluster, ApiError> {
    let config = configuration(access).await?;
    let wire = Arc::new(Wire::new(Client::try_from(config)?));
    Ok(Cluster {
        discovery: Arc::new(Discovery::new(Arc::clone(&wire))),
        wire,
        withdrawn: None,
        queue: Queue::Last,
    })
}

async fn configuration(access: &Access) -> Result<Config, ApiError> {
    let options = KubeConfigOptions {
        context: access.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = match Kubeconfig::read() {
        Ok(file) => Config::from_custom_kubeconfig(file, &options).await,
        Err(_) if access.context.is_none() && std::env::var_os("KUBECONFIG").is_none() => {
            return Config::incluster().map(tuned).map_err(|_| {
                ApiError::Rejected(
                    "no cluster to talk to: KUBECONFIG is not set, there is no ~/.kube/config, and this is not a pod"
                        .to_owned(),
                )
            });
        }
        Err(error) => Err(error),
    };
    config
        .map(tuned)
        .map_err(|error| ApiError::Rejected(format!("the kubeconfig cannot be used: {error}")))
}

fn tuned(mut config: Config) -> Config {
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(SILENCE);
    // Ours knows of all requests; the client's would repeat each by itself.
    config.default_retry = false;
    config.headers.push((
        http::header::USER_AGENT,
        http::HeaderValue::from_static(concat!("gitops-agent/", env!("CARGO_PKG_VERSION"))),
    ));
    config
}

impl Cluster {
    /// The client, for watches.
    pub fn client(&self) -> Client {
        self.wire.client()
    }

    /// The same cluster, for requests that are not sent any more once this is cancelled:
    /// they end with [`ApiError::Withdrawn`]. One that is under way is not cut off.
    pub fn until(&self, withdrawn: &CancellationToken) -> Self {
        Self {
            withdrawn: Some(withdrawn.clone()),
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
        let resource = self
            .resource(&desired.id.kind, Some(version_of(&desired.api_version)))
            .await?;
        let mut params = PatchParams::apply(FIELD_MANAGER);
        params.dry_run = mode == ApplyMode::DryRun;
        params.force = conflicts == Conflicts::Take;
        let body: &RawValue =
            serde_json::from_slice(desired.json.bytes()).expect("it was written from a value");
        let request = || {
            path(&resource, desired.id.namespace.as_deref()).patch(
                &desired.id.name,
                &params,
                &Patch::Apply(body),
            )
        };
        self.ask(request).await.map(Live::new).map_err(|error| {
            if holds_secret(&desired.id) {
                return error.without(&secret_values(&desired.body()));
            }
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
            path(&resource, id.namespace.as_deref()).patch(&id.name, &params, &Patch::Merge(patch))
        };
        self.ask(request).await.map(Live::new)
    }

    /// A JSON patch (RFC 6902) under our field manager.
    pub async fn patch(&self, id: &ObjectId, operations: &Value) -> Result<Live, ApiError> {
        let resource = self.resource(&id.kind, None).await?;
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = || {
            let mut request = path(&resource, id.namespace.as_deref()).patch(
                &id.name,
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
        self.ask(request).await.map(Live::new)
    }

    /// The object, or `None` where the server says that it does not exist.
    pub async fn get(
        &self,
        id: &ObjectId,
        api_version: Option<&str>,
    ) -> Result<Option<Live>, ApiError> {
        let resource = self.resource(&id.kind, api_version.map(version_of)).await?;
        let request =
            || path(&resource, id.namespace.as_deref()).get(&id.name, &GetParams::default());
        match self.ask(request).await {
            Ok(body) => Ok(Some(Live::new(body))),
            Err(ApiError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind, in one namespace or in all, page by page.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        labels: Option<&str>,
    ) -> Result<Vec<Live>, ApiError> {
        let mut params = ListParams {
            limit: Some(PAGE),
            ..ListParams::default()
        };
        params.label_selector = labels.map(str::to_owned);
        let mut found = Vec::new();
        loop {
            let request = || path(resource, namespace).list(&params);
            let mut page: Value = self.ask(request).await?;
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                found.extend(
                    items
                        .into_iter()
                        .map(|item| Live::new(typed(item, resource))),
                );
            }
            params.continue_token = page
                .pointer("/metadata/continue")
                .and_then(Value::as_str)
                .filter(|t| !t.is_empty())
                .map(str::to_owned);
            if params.continue_token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Deletes exactly the object that was seen: same uid and resourceVersion.
    /// [`ApiError::Conflict`] if it is another one by now, or has changed.
    pub async fn delete(&self, id: &ObjectId, seen: &Live) -> Result<Deletion, ApiError> {
        let resource = self.resource(&id.kind, None).await?;
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions {
                uid: Some(seen.uid().to_owned()),
                resource_version: Some(seen.resource_version().to_owned()),
            }),
            ..DeleteParams::default()
        };
        let request = || path(&resource, id.namespace.as_deref()).delete(&id.name, &params);
        match self.ask(request).await {
            // A Status, or for some kinds (Service, ServiceAccount) the object as it was.
            Ok(body) => {
                let live = Live::new(body);
                Ok(if live.terminating() {
                    Deletion::Accepted(Box::new(live))
                } else {
                    Deletion::Gone
                })
            }
            Err(ApiError::NotFound(_)) => Ok(Deletion::Gone),
            Err(error) => Err(error),
        }
    }

    /// Creates an object unless it exists; gives back what is there then.
    pub async fn create_or_get(&self, id: &ObjectId, body: &Value) -> Result<Live, ApiError> {
        let resource = self.resource(&id.kind, None).await?;
        let request = || {
            path(&resource, id.namespace.as_deref())
                .create(&PostParams::default(), body.to_string().into_bytes())
        };
        match self.ask(request).await {
            Ok(body) => Ok(Live::new(body)),
            Err(ApiError::Conflict(message)) => {
                self.get(id, None).await?.ok_or(ApiError::Conflict(message))
            }
            Err(error) => Err(error),
        }
    }

    /// `request` is made when its turn has come: many may wait, and their bodies are big.
    async fn ask(&self, request: impl Fn() -> Built) -> Result<Value, ApiError> {
        let withdrawn = self.withdrawn.as_ref();
        self.wire.ask(request, self.queue, withdrawn).await
    }
}

type Built = Result<http::Request<Vec<u8>>, kube::core::request::Error>;

/// The version part of an `apiVersion`.
pub fn version_of(api_version: &str) -> &str {
    api_version
        .rsplit_once('/')
        .map_or(api_version, |(_, version)| version)
}

/// An item of a typed list has no `apiVersion` and `kind` of its own.
fn typed(mut item: Value, resource: &Resource) -> Value {
    if let Value::Object(object) = &mut item {
        object
            .entry("apiVersion")
            .or_insert_with(|| Value::String(resource.api.api_version.clone()));
        object
            .entry("kind")
            .or_insert_with(|| Value::String(resource.api.kind.clone()));
    }
    item
}

fn path(resource: &Resource, namespace: Option<&str>) -> Request {
    let namespace = namespace.filter(|_| resource.namespaced);
    Request::new(DynamicObject::url_path(&resource.api, namespace))
}
