//! An API server that lies: a proxy on loopback before the real one, which passes on what is
//! asked and alters chosen answers.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures::stream;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::control_plane::ControlPlane;

/// A proxy that lies when it is told to. Gone when dropped.
pub struct Liar {
    address: SocketAddr,
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    /// Serves as long as it lives.
    runtime: Option<Runtime>,
}

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`, `PATCH` and so on.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The query; empty where there is none.
    pub query: String,
}

impl Asked {
    /// Whether it is a watch, or a list that comes as the beginning of one.
    pub fn is_watch(&self) -> bool {
        self.query.contains("watch=true")
    }

    /// Whether it is a list that comes as the beginning of a watch.
    pub fn is_streamed(&self) -> bool {
        self.query.contains("sendInitialEvents=true")
    }

    /// Whether it reads all objects of a kind, such as `configmaps`, in pages.
    pub fn is_list_of(&self, resource: &str) -> bool {
        self.method == "GET" && !self.is_watch() && self.path.ends_with(&format!("/{resource}"))
    }

    /// Whether it watches a kind, such as `configmaps`.
    pub fn is_watch_of(&self, resource: &str) -> bool {
        self.is_watch() && self.path.ends_with(&format!("/{resource}"))
    }
}

/// An answer that is not the API server's.
#[derive(Clone)]
pub enum Lie {
    /// This, without asking the API server.
    Say {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// What it makes of the API server's answer.
    Alter(fn(Value) -> Value),
    /// This, and then the same without an end.
    Endless(&'static str, &'static str),
    /// The API server's answer, dated so.
    Dated(String),
    /// The beginning of the API server's answer, so many bytes, as if that were all.
    Cut(usize),
    /// Headers, and then nothing for ever.
    Silence,
    /// What the API server answers to it after so long.
    Late(Duration),
}

impl Lie {
    /// A Status in the API server's own form.
    pub fn status(status: u16, reason: &str, message: &str) -> Self {
        let body = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "code": status, "reason": reason, "message": message});
        Self::Say {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string(),
        }
    }
}

struct Shared {
    rules: Mutex<Vec<Rule>>,
    asked: Mutex<Vec<Asked>>,
    told: Mutex<usize>,
    server: String,
    client: reqwest::Client,
}

struct Rule {
    matches: Box<dyn Fn(&Asked) -> bool + Send>,
    lie: Lie,
    /// How often it is told yet.
    times: usize,
}

impl Liar {
    /// One before a control plane, that tells the truth at first. Whoever uses its
    /// kubeconfig is the administrator.
    pub fn before(cluster: &ControlPlane) -> Self {
        // Another test of the process may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .danger_accept_invalid_certs(true)
            .build()
            .unwrap();
        let shared = Arc::new(Shared {
            rules: Mutex::default(),
            asked: Mutex::default(),
            told: Mutex::default(),
            server: cluster.server(),
            client,
        });
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, router).await });
        let kubeconfig = cluster.kubeconfig_at(&format!("http://{address}"));
        Self {
            address,
            kubeconfig,
            shared,
            runtime: Some(runtime),
        }
    }

    /// A kubeconfig by which the proxy is talked to.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on answers what matches with a lie.
    pub fn lie(&self, matches: impl Fn(&Asked) -> bool + Send + 'static, lie: Lie) {
        self.lie_times(usize::MAX, matches, lie);
    }

    /// The same, for the next so many.
    pub fn lie_times(
        &self,
        times: usize,
        matches: impl Fn(&Asked) -> bool + Send + 'static,
        lie: Lie,
    ) {
        let matches = Box::new(matches);
        let rule = Rule {
            matches,
            lie,
            times,
        };
        self.shared.rules.lock().unwrap().push(rule);
    }

    /// Tells the truth again. What was begun stays as it is.
    pub fn be_true(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// How many lies it has told.
    pub fn told(&self) -> usize {
        *self.shared.told.lock().unwrap()
    }

    /// What was asked for since the last call.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap())
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

impl Shared {
    fn lie_for(&self, asked: &Asked) -> Option<Lie> {
        self.asked.lock().unwrap().push(asked.clone());
        let mut rules = self.rules.lock().unwrap();
        let mut due = rules.iter_mut().filter(|rule| rule.times > 0);
        let rule = due.find(|rule| (rule.matches)(asked))?;
        rule.times -= 1;
        *self.told.lock().unwrap() += 1;
        Some(rule.lie.clone())
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let asked = Asked {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
    };
    match shared.lie_for(&asked) {
        None => pass_on(&shared, request, Part::All).await,
        Some(Lie::Cut(bytes)) => pass_on(&shared, request, Part::First(bytes)).await,
        Some(Lie::Dated(date)) => {
            let mut response = pass_on(&shared, request, Part::All).await;
            let date = header::HeaderValue::from_str(&date).unwrap();
            response.headers_mut().insert(header::DATE, date);
            response
        }
        Some(Lie::Alter(alter)) => {
            let response = pass_on(&shared, request, Part::All).await;
            let (head, body) = response.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let altered = alter(serde_json::from_slice(&body).unwrap_or_default());
            Response::from_parts(head, altered.to_string().into())
        }
        Some(Lie::Say {
            status,
            headers,
            body,
        }) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(body.into()).unwrap()
        }
        Some(Lie::Endless(first, next)) => {
            let chunk = Bytes::from(next.repeat(65_536 / next.len()));
            let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(first.as_bytes()))]);
            let rest = stream::repeat_with(move || Ok(chunk.clone()));
            json(Body::from_stream(futures::StreamExt::chain(first, rest)))
        }
        Some(Lie::Late(by)) => {
            tokio::time::sleep(by).await;
            pass_on(&shared, request, Part::All).await
        }
        Some(Lie::Silence) => json(Body::from_stream(stream::pending::<
            Result<Bytes, Infallible>,
        >())),
    }
}

fn json(body: Body) -> Response {
    let mut response = Response::new(body);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// How much of an answer is passed on.
#[derive(Clone, Copy)]
enum Part {
    All,
    First(usize),
}

async fn pass_on(shared: &Shared, request: Request, part: Part) -> Response {
    let (head, body) = request.into_parts();
    let target = format!("{}{}", shared.server, head.uri);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut headers = head.headers;
    headers.remove(header::HOST);
    // So that it can be altered.
    headers.remove(header::ACCEPT_ENCODING);
    let sent = shared.client.request(head.method, target);
    let Ok(answer) = sent.headers(headers).body(body).send().await else {
        return refused();
    };
    let (status, headers) = (answer.status(), passed(answer.headers()));
    let left = match part {
        Part::All => usize::MAX,
        Part::First(bytes) => bytes,
    };
    let chunks = stream::unfold((answer, left), |(mut answer, left)| async move {
        match answer.chunk().await {
            Ok(Some(mut chunk)) if left > 0 => {
                chunk.truncate(left);
                let left = left - chunk.len();
                Some((Ok(chunk), (answer, left)))
            }
            Ok(_) => None,
            Err(error) => Some((Err(error), (answer, 0))),
        }
    });
    let mut response = Response::new(Body::from_stream(chunks));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What is said of a connection, and of a length that may not be kept, is not passed on.
fn passed(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
    headers
}

/// The API server is away.
fn refused() -> Response {
    let mut response = Response::new("the API server is away".into());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
