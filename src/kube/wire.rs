//! Requests to one API server, each in its turn. What the server refuses for lack of
//! time is asked again here, and nowhere else.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use kube::core::request::Error as BuildError;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::bounds::bounded;
use super::clocks::Clocks;
use super::error::{ApiError, from_status};
use super::fence::Fence;
use super::heed::{heeded, is_long};
use super::lines::Lines;
use super::turns::{Queue, Turns};
use crate::model::cut_lines;
use crate::runtime::clock;
use crate::runtime::lock::lock;
use crate::runtime::random;

/// How long the API server may take for one answer. Above its own limit of 60 s, so
/// that its words are heard.
const ANSWER: Duration = Duration::from_secs(65);
/// How long it may take until a watch is open.
const OPENED: Duration = Duration::from_secs(15);
/// How often a request is sent before its refusal is told.
const ATTEMPTS: u32 = 10;
/// How long one that is refused by itself waits where the server does not say.
const AGAIN: Duration = Duration::from_secs(1);

/// How often it is told that the server wants to be left alone for long.
const TOLD_AGAIN: Duration = Duration::from_mins(1);

/// The client, and whose turn it is.
pub(super) struct Wire {
    client: Client,
    turns: Turns,
    clocks: Clocks,
    /// When it was told last that the server wants to be left alone for long.
    told: Mutex<Option<Instant>>,
}

/// What keeps a request from being sent when its turn comes.
#[derive(Clone, Copy, Default)]
pub(super) struct Leave<'a> {
    /// It is not wanted any more.
    pub(super) withdrawn: Option<&'a CancellationToken>,
    /// It is not ours any more to send it.
    pub(super) fence: Option<&'a Fence>,
}

/// An answer that is not the one that was asked for.
enum Refusal {
    /// The server has no room for anybody's requests.
    Busy(ApiError, Option<Duration>),
    /// Not this request now, for a reason of its own.
    NotYet(ApiError, Option<Duration>),
    /// Nobody answered, or only a gateway.
    Lost(ApiError),
    /// A decision.
    No(ApiError),
}

impl Refusal {
    fn into_error(self) -> ApiError {
        match self {
            Self::Busy(error, _) | Self::NotYet(error, _) | Self::Lost(error) | Self::No(error) => {
                error
            }
        }
    }
}

impl Wire {
    pub(super) fn new(client: &Client) -> Self {
        Self {
            client: bounded(client),
            turns: Turns::default(),
            clocks: Clocks::default(),
            told: Mutex::default(),
        }
    }

    /// This machine's clock beside the server's.
    pub(super) fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// The client, for watches.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Sends a request when its turn has come, and again where the server had no time
    /// for it. Not sent (again) without `leave`.
    pub(super) async fn ask(
        &self,
        request: impl Fn() -> Result<Request<Vec<u8>>, BuildError>,
        queue: Queue,
        leave: Leave<'_>,
    ) -> Result<Value, ApiError> {
        let attempt = || async {
            match request() {
                Ok(request) => self.send(request).await,
                Err(error) => Err(sort(kube::Error::BuildRequest(error).into())),
            }
        };
        self.repeat(queue, leave, attempt).await
    }

    /// Runs something that makes a few requests by itself in one turn.
    pub(super) async fn paced<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        work: impl Fn(Client) -> F,
    ) -> Result<T, ApiError> {
        let attempt = || async {
            let done = within(ANSWER, async { Ok(work(self.client()).await) }).await;
            done.and_then(|result| result.map_err(sort))
        };
        self.repeat(Queue::First, Leave::default(), attempt).await
    }

    async fn repeat<T, F: Future<Output = Result<T, Refusal>>>(
        &self,
        queue: Queue,
        leave: Leave<'_>,
        attempt: impl Fn() -> F,
    ) -> Result<T, ApiError> {
        if queue == Queue::Unheld {
            return attempt().await.map_err(Refusal::into_error);
        }
        let mut attempts = 0;
        loop {
            let turn = match leave.withdrawn {
                None => self.turns.take(queue).await,
                // Both are cancel-safe: who leaves the queue holds nothing.
                Some(withdrawn) => tokio::select! {
                    biased;
                    () = withdrawn.cancelled() => return Err(ApiError::Withdrawn),
                    turn = self.turns.take(queue) => turn,
                },
            };
            if leave.fence.is_some_and(Fence::is_over) {
                turn.answered();
                return Err(ApiError::Withdrawn);
            }
            attempts += 1;
            let last = attempts == ATTEMPTS;
            match attempt().await {
                Ok(value) => {
                    turn.answered();
                    return Ok(value);
                }
                Err(Refusal::No(error)) => {
                    turn.answered();
                    return Err(error);
                }
                Err(Refusal::Lost(error)) => {
                    turn.lost();
                    return Err(error);
                }
                Err(Refusal::Busy(error, after)) => {
                    turn.busy(after.map(heeded));
                    if last || after.is_some_and(is_long) {
                        self.tell(&error, after);
                        return Err(error);
                    }
                }
                Err(Refusal::NotYet(error, after)) => {
                    turn.answered();
                    if last || after.is_some_and(is_long) {
                        self.tell(&error, after);
                        return Err(error);
                    }
                    let wait = after.unwrap_or(AGAIN);
                    tokio::time::sleep(wait + random::up_to(wait / 4)).await;
                }
            }
        }
    }

    /// Opens a watch. It waits for no turn: watches are few, and each has its own pauses.
    pub(super) async fn watch(
        &self,
        request: Result<Request<Vec<u8>>, BuildError>,
    ) -> Result<Lines, ApiError> {
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        // Each event would be a gzip member of its own (Kubernetes 1.37), of which the
        // client decodes the first alone.
        let plain = HeaderValue::from_static("identity");
        request.headers_mut().insert(header::ACCEPT_ENCODING, plain);
        let opened = within(OPENED, async {
            let response = self.client.send(request.map(Body::from)).await?;
            let (head, body) = response.into_parts();
            if head.status.is_success() {
                return Ok(Ok(Lines::new(body)));
            }
            let body = body.collect_bytes().await?;
            let refusal = refusal(head.status, &head.headers, &body, Fault::Servers);
            Ok(Err(refusal))
        });
        match opened.await {
            Ok(Ok(lines)) => Ok(lines),
            Ok(Err(refusal)) | Err(refusal) => {
                let error = refusal.into_error();
                if let ApiError::Throttled { after, .. } = &error {
                    self.tell(&error, *after);
                }
                Err(error)
            }
        }
    }

    /// Tells people of a server that wants to be left alone for long; once in a while, since
    /// it says so to everybody who asks.
    fn tell(&self, error: &ApiError, after: Option<Duration>) {
        let Some(after) = after.filter(|after| is_long(*after)) else {
            return;
        };
        let now = Instant::now();
        let mut told = lock(&self.told);
        if told.is_none_or(|told| now >= told + TOLD_AGAIN) {
            *told = Some(now);
            drop(told);
            let (asked, heeded) = (after.as_secs(), heeded(after).as_secs());
            warn!(%error, "the API server wants to be left alone for {asked} s; it is asked again after {heeded} s");
        }
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Value, Refusal> {
        let method = request.method().clone();
        let asked = clock::now();
        let answer = within(ANSWER, async {
            let response = self.client.send(request.map(Body::from)).await?;
            let (head, body) = response.into_parts();
            let body = body.collect_bytes().await?;
            Ok((head, body))
        });
        let (head, body) = answer.await?;
        let date = head.headers.get(header::DATE);
        if let Some(date) = date.and_then(|date| date.to_str().ok()) {
            self.clocks.heard(date, asked, clock::now());
        }
        // A read says nothing of an object that the server could not make sense of.
        let fault = if method == Method::GET {
            Fault::Servers
        } else {
            Fault::MaybeObjects
        };
        if head.status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                Refusal::Lost(ApiError::Unavailable(format!(
                    "its answer cannot be read: {error}"
                )))
            });
        }
        Err(refusal(head.status, &head.headers, &body, fault))
    }
}

/// Whose fault it may be that the server fails with 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Servers,
    MaybeObjects,
}

/// The filters that protect the server as a whole, and gateways before it, answer in
/// plain text; a Status says what is wrong with this request. (kube-apiserver's
/// `tooManyRequests` against `NewTooManyRequests`.)
fn refusal(code: StatusCode, headers: &HeaderMap, body: &[u8], fault: Fault) -> Refusal {
    let after = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    // Any JSON object reads as a Status, in which nothing is said.
    let status = serde_json::from_slice::<Status>(body).ok();
    let status = status.filter(|status| status.code == code.as_u16());
    let told = status.is_some();
    let status = status.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        let text = cut_lines(text.trim());
        let text = if text.is_empty() || text == "{}" {
            format!("the API server answered {code} and no more")
        } else {
            text
        };
        Status::failure(&text, "").with_code(code.as_u16())
    });
    let mut error = from_status(&status);
    if let ApiError::Throttled { after: named, .. } = &mut error {
        *named = after.or(*named);
    }
    if let ApiError::Unavailable(message) = &error
        && code == StatusCode::INTERNAL_SERVER_ERROR
        && told
        && fault == Fault::MaybeObjects
        && !names_others(message)
    {
        return Refusal::No(ApiError::Faulted(message.clone()));
    }
    match (code, &error) {
        (_, ApiError::Throttled { after, .. }) => {
            let after = *after;
            if told {
                Refusal::NotYet(error, after)
            } else {
                Refusal::Busy(error, after)
            }
        }
        (StatusCode::SERVICE_UNAVAILABLE, _) if after.is_some() => Refusal::Busy(error, after),
        (
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT,
            _,
        ) => Refusal::Lost(error),
        _ => Refusal::No(error),
    }
}

/// Whether the server says itself that what it needs is away: its store, a webhook.
fn names_others(message: &str) -> bool {
    [
        "etcdserver:",
        "failed calling webhook",
        "failed to call webhook",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// What a part of the client that keeps the answer to itself makes of a refusal.
fn sort(error: ApiError) -> Refusal {
    match error {
        ApiError::Throttled { after, .. } => Refusal::Busy(error, after),
        ApiError::Unavailable(_) => Refusal::Lost(error),
        other => Refusal::No(other),
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Refusal> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(|error| sort(error.into())),
        Err(_) => Err(Refusal::Lost(ApiError::Unavailable(format!(
            "no answer within {}",
            humantime::format_duration(limit)
        )))),
    }
}
