//! The admin endpoints: `/livez`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use super::listener::Listener;
use super::metrics::Metrics;
use crate::model::shown_line;
use crate::runtime::lock::lock;

/// A condition of readiness: says what is still missing, or nothing.
type Condition = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// What makes the process ready. Each condition is derived when it is asked for, so
/// that it can't be forgotten to be taken back.
#[derive(Clone, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<Vec<Condition>>>,
    troubles: Arc<Mutex<Vec<Condition>>>,
}

impl Readiness {
    /// Adds a condition, which says what is missing.
    pub fn require(&self, condition: impl Fn() -> Option<String> + Send + Sync + 'static) {
        lock(&self.conditions).push(Box::new(condition));
    }

    /// Adds what may be wrong and is told, though the process does its work all the same.
    pub fn mention(&self, trouble: impl Fn() -> Option<String> + Send + Sync + 'static) {
        lock(&self.troubles).push(Box::new(trouble));
    }

    /// What is wrong, a line for each.
    fn troubles(&self) -> String {
        let troubles = lock(&self.troubles);
        let lines = troubles.iter().filter_map(|trouble| trouble());
        lines.fold(String::new(), |text, line| text + &shown_line(&line) + "\n")
    }

    /// What is missing.
    pub fn missing(&self) -> Vec<String> {
        let conditions = lock(&self.conditions);
        conditions
            .iter()
            .filter_map(|condition| condition())
            .collect()
    }
}

#[derive(Clone)]
struct Shown {
    readiness: Readiness,
    metrics: Metrics,
    age: Age,
}

/// Seconds since the source was last seen, if it ever was.
type Age = Arc<dyn Fn() -> Option<f64> + Send + Sync>;

/// Takes the address, and gives what serves it until cancelled.
///
/// # Errors
/// When the address can't be had.
pub async fn serve(
    address: SocketAddr,
    readiness: Readiness,
    metrics: Metrics,
    age: impl Fn() -> Option<f64> + Send + Sync + 'static,
    closing: CancellationToken,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + 'static> {
    let listener = Listener::bind(address).await.map_err(|error| {
        anyhow::anyhow!(
            "the admin address {address} cannot be used: {error}; choose another with --admin-addr"
        )
    })?;
    tracing::info!(address = %listener.address()?, "admin endpoints: /livez, /readyz, /metrics");
    let router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_page))
        .with_state(Shown {
            readiness,
            metrics,
            age: Arc::new(age),
        });
    Ok(async move {
        listener.serve(router, closing).await;
        Ok(())
    })
}

async fn ready(State(shown): State<Shown>) -> impl IntoResponse {
    let (missing, troubles) = (shown.readiness.missing(), shown.readiness.troubles());
    if missing.is_empty() {
        return (StatusCode::OK, format!("ready\n{troubles}"));
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("not ready: {}\n{troubles}", shown_line(&missing.join("; "))),
    )
}

async fn metrics_page(State(shown): State<Shown>) -> impl IntoResponse {
    if let Some(age) = (shown.age)() {
        shown.metrics.source_age.set(age);
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shown.metrics.encode())
}
