//! The API server without any agent: what it needs by itself, and changes behind an
//! agent's back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// A client of the API server.
pub struct Direct {
    runtime: Runtime,
    client: Client,
    namespace: String,
}

impl Direct {
    pub fn new(kubeconfig: &Path, namespace: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            anyhow::Ok(Client::try_from(config)?)
        })?;
        Ok(Self {
            runtime,
            client,
            namespace: namespace.to_owned(),
        })
    }

    /// Server-side apply of everything, by so many workers at once.
    pub fn apply(&self, objects: Vec<Value>, workers: usize) -> Result<()> {
        let (objects, next) = (Arc::new(objects), Arc::new(AtomicUsize::new(0)));
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..workers {
                let (client, namespace) = (self.client.clone(), self.namespace.clone());
                let (objects, next) = (Arc::clone(&objects), Arc::clone(&next));
                tasks.spawn(async move {
                    while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
                        apply(&client, &namespace, object).await?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            Ok(())
        })
    }

    /// Changes the value of a ConfigMap as somebody.
    pub fn set(&self, config_map: &str, value: &str) -> Result<()> {
        let patch = Patch::Merge(json!({"data": {"value": value}}));
        let parameters = PatchParams {
            field_manager: Some("somebody".into()),
            ..PatchParams::default()
        };
        self.runtime
            .block_on(self.config_maps().patch(config_map, &parameters, &patch))?;
        Ok(())
    }

    /// The value of a ConfigMap.
    pub fn value(&self, config_map: &str) -> Result<Option<String>> {
        let live = self.runtime.block_on(self.config_maps().get(config_map))?;
        Ok(live.data.and_then(|data| data.get("value").cloned()))
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

async fn apply(client: &Client, namespace: &str, object: &Value) -> Result<()> {
    let resource = match object["kind"].as_str() {
        Some("ConfigMap") => ApiResource::erase::<ConfigMap>(&()),
        Some("Service") => ApiResource::erase::<Service>(&()),
        Some("ServiceAccount") => ApiResource::erase::<ServiceAccount>(&()),
        Some("Deployment") => ApiResource::erase::<Deployment>(&()),
        other => bail!("{other:?} is not among what is measured"),
    };
    let name = object["metadata"]["name"]
        .as_str()
        .context("an object without a name")?;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let parameters = PatchParams::apply("bench").force();
    api.patch(name, &parameters, &Patch::Apply(object)).await?;
    Ok(())
}
