//! The client of an API server whose credentials and authorities are had anew: when they
//! expire, when the server does not take them any more, when the server's certificate is not
//! known any more, and when a file that they were read from has changed.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode, Uri};
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_service::Service;
use tracing::{info, warn};

use super::access::{Access, Configured};
use super::error::ApiError;
use super::kubeconfig::Place;
use crate::model::Digest;
use crate::runtime::backoff::grown;
use crate::runtime::clock;
use crate::runtime::lock::lock;
use crate::runtime::net::{CertificateProblem, VERSION_1, certificate_problem};

/// The least and the most time between two attempts to have credentials anew, while none
/// of them is taken.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// How often it is looked whether a file has changed; as client-go does it with tokens.
const LOOKED_AT: Duration = Duration::from_mins(1);

/// A client that has its credentials anew by itself, and the one server that it talks to.
///
/// # Errors
/// When there are none to begin with.
pub(super) async fn client(access: &Access) -> Result<(Client, Uri), ApiError> {
    client_by(access, Place::here()).await
}

async fn client_by(access: &Access, place: Place) -> Result<(Client, Uri), ApiError> {
    let session = Session::of(access.configured(&place).await?)?;
    let (namespace, server) = (
        session.client.default_namespace().to_owned(),
        session.server.clone(),
    );
    let pinned = Access {
        // Somebody may switch to another context meanwhile, for other work.
        context: session.context.clone(),
    };
    let login = Login {
        access: pinned,
        place,
        server: server.clone(),
        session: Mutex::new(Arc::new(session)),
        renewals: tokio::sync::Mutex::default(),
    };
    let client = Client::new(Renewing(Arc::new(login)), namespace);
    Ok((client, server))
}

struct Login {
    access: Access,
    place: Place,
    /// The one server that is ever talked to.
    server: Uri,
    session: Mutex<Arc<Session>>,
    renewals: tokio::sync::Mutex<Renewals>,
}

/// A client by one reading of the configuration.
struct Session {
    client: Client,
    server: Uri,
    context: Option<String>,
    until: Option<Timestamp>,
    files: Vec<(PathBuf, Option<Digest>)>,
    looked: Mutex<Instant>,
    /// Whether the server has taken its credentials.
    taken: AtomicBool,
}

#[derive(Default)]
struct Renewals {
    /// The one under way, which outlives whoever waits for it.
    running: JoinSet<Result<Session, ApiError>>,
    /// In a row, that led to nothing.
    failures: u32,
    next: Option<Instant>,
    told: Option<ApiError>,
}

impl Renewals {
    /// Takes note that what there was is not good any more, or never was.
    fn ended(&mut self, stale: &Session) {
        if stale.taken.load(Ordering::Relaxed) {
            info!("the credentials for the API server are had anew");
            (self.failures, self.told) = (0, None);
        } else {
            self.failures = self.failures.saturating_add(1);
            let text = "not even what was had anew; it is asked for again until it is taken";
            self.tell(ApiError::Unauthorized(text.to_owned()));
        }
        self.next = Some(Instant::now() + grown(AGAIN, self.failures));
    }

    /// Tells people once.
    fn tell(&mut self, error: ApiError) {
        if self.told.as_ref() != Some(&error) {
            warn!(%error, "the credentials for the API server cannot be had anew");
            self.told = Some(error);
        }
    }
}

impl Session {
    fn of(configured: Configured) -> Result<Self, ApiError> {
        let files = configured.files.into_iter();
        let files = files.map(|path| (digest(&path), path));
        let files = files.map(|(digest, path)| (path, digest)).collect();
        let server = configured.config.cluster_url.clone();
        let client = Client::try_from(configured.config).map_err(|error| match error {
            // What an auth-provider's program wrote may be a token.
            kube::Error::Auth(_) => ApiError::Unauthorized(
                "the kubeconfig's auth-provider gives no credentials".to_owned(),
            ),
            error if certificate_problem(&error) == Some(CertificateProblem::Version1) => {
                ApiError::Rejected(format!(
                    "the kubeconfig cannot be used: {} is {VERSION_1}",
                    configured.certificate
                ))
            }
            error => ApiError::Rejected(format!("the API server cannot be connected to: {error}")),
        })?;
        Ok(Self {
            client,
            server,
            context: configured.context,
            until: configured.until,
            files,
            looked: Mutex::new(Instant::now()),
            taken: AtomicBool::new(false),
        })
    }

    /// Takes note of an answer that doesn't refuse us. None at all says nothing of us.
    fn answered(&self, answer: &Answered) {
        if answer.is_ok() {
            self.taken.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it is known, without asking the server, that it is not good any more.
    fn is_stale(&self) -> bool {
        self.until.is_some_and(|until| until <= clock::now()) || self.has_changed()
    }

    fn has_changed(&self) -> bool {
        {
            let mut looked = lock(&self.looked);
            if looked.elapsed() < LOOKED_AT {
                return false;
            }
            *looked = Instant::now();
        }
        self.files
            .iter()
            .any(|(path, before)| digest(path) != *before)
    }
}

fn digest(path: &PathBuf) -> Option<Digest> {
    std::fs::read(path)
        .ok()
        .map(|bytes| Digest::of_bytes(&bytes))
}

impl Login {
    fn session(&self) -> Arc<Session> {
        Arc::clone(&lock(&self.session))
    }

    /// Another session than this one, if one can be had now.
    async fn renewed(&self, stale: &Arc<Session>) -> Option<Arc<Session>> {
        let mut renewals = self.renewals.lock().await;
        let current = self.session();
        if !Arc::ptr_eq(&current, stale) {
            return Some(current);
        }
        if renewals.running.is_empty() {
            if renewals.next.is_some_and(|next| Instant::now() < next) {
                return None;
            }
            let (access, place) = (self.access.clone(), self.place.clone());
            let session = async move { Session::of(access.configured(&place).await?) };
            renewals.running.spawn(session);
        }
        // Cancel-safe: who comes next waits for the same one.
        let ended = renewals.running.join_next().await?;
        let had = ended.unwrap_or_else(|error| Err(ApiError::Rejected(error.to_string())));
        renewals.ended(stale);
        match had.and_then(|session| self.same_server(session)) {
            Ok(session) => {
                let session = Arc::new(session);
                *lock(&self.session) = Arc::clone(&session);
                Some(session)
            }
            Err(error) => {
                renewals.tell(error);
                None
            }
        }
    }

    /// What a kubeconfig says of its context may come to mean another cluster, where nothing
    /// of what was read before holds.
    fn same_server(&self, session: Session) -> Result<Session, ApiError> {
        if session.server == self.server {
            return Ok(session);
        }
        Err(ApiError::Rejected(format!(
            "the configuration now leads to {} and not to {}; start the agent again if that is right",
            session.server, self.server
        )))
    }
}

#[derive(Clone)]
struct Renewing(Arc<Login>);

type Answered = Result<Response<Body>, kube::Error>;

impl Service<Request<Body>> for Renewing {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Answered> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let login = Arc::clone(&self.0);
        Box::pin(async move { send(&login, request).await })
    }
}

async fn send(login: &Login, request: Request<Body>) -> Answered {
    let mut session = login.session();
    if session.is_stale()
        && let Some(other) = login.renewed(&session).await
    {
        session = other;
    }
    let again = copy(&request);
    let answered = session.client.send(request).await;
    if !is_refused(&answered) {
        session.answered(&answered);
        return answered;
    }
    let Some(other) = login.renewed(&session).await else {
        return answered;
    };
    let Some(request) = again else {
        return answered;
    };
    let answered = other.client.send(request).await;
    if !is_refused(&answered) {
        other.answered(&answered);
    }
    answered
}

/// Whether the server does not take us for who we are, or we don't it.
fn is_refused(answered: &Answered) -> bool {
    match answered {
        Ok(response) => response.status() == StatusCode::UNAUTHORIZED,
        Err(error) => certificate_problem(error).is_some(),
    }
}

fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

#[cfg(test)]
mod tests;
