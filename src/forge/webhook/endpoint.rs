//! `POST /webhook`, on an address of its own: a forge has to reach it from outside, and
//! must not find metrics and probes there, which are for the inside.
//!
//! What a delivery may cost before it is known to be signed: its body is hashed as it
//! arrives, of at most [`LONGEST`] bytes, and only the first [`KEPT`] of it are kept, in
//! at most [`BODIES`] at once. A longer one that is properly signed is not read; what its
//! headers say is hint enough. TLS is the business of whatever stands before this.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::StreamExt as _;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::limit::Refusals;
use super::secrets::Trust;
use super::signature::{Check, Claim};
use super::{Delivery, Hint, Place, Sender, Verdict};
use crate::runtime::listener::{Listener, Peer};
use crate::runtime::lock::lock;
use crate::runtime::metrics::{DeliveryLabels, Metrics};
use crate::source::Waker;

/// The longest body: GitHub sends none that is longer.
const LONGEST: usize = 25 << 20;
/// How much of a body is kept to be read. A push of twenty commits is about 50 KiB.
const KEPT: usize = 256 << 10;
/// Bodies that are received at once: 8 MiB in all.
const BODIES: usize = 32;
/// How long a body may take. Forges give up after ten seconds themselves.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often refusals are told in the log.
const TELL: Duration = Duration::from_mins(1);

/// What to serve.
pub struct Endpoint {
    /// Where to listen.
    pub address: SocketAddr,
    /// Whose deliveries are taken.
    pub trust: Trust,
    /// What is followed.
    pub place: Place,
    /// Told that the branch may have moved.
    pub waker: Waker,
    /// Counted up when pull requests may have changed.
    pub pull_requests: watch::Sender<u64>,
    /// Where deliveries are counted.
    pub metrics: Metrics,
}

struct Door {
    endpoint: Endpoint,
    bodies: Semaphore,
    refusals: Mutex<Refusals>,
    told: Mutex<Told>,
}

/// When refusals were told last, and how many there were since.
#[derive(Default)]
struct Told {
    last: Option<Instant>,
    since: u64,
}

/// How a delivery ended; its name is the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Taken(Verdict),
    Unsigned,
    BadSignature,
    Unknown,
    Unreadable,
    TooLong,
    TooSlow,
    TooMany,
    Busy,
    NoSecret,
}

/// Takes the address, and gives what serves it until cancelled.
///
/// # Errors
/// When a secret can't be read, or the address can't be had.
pub async fn serve(
    endpoint: Endpoint,
    closing: CancellationToken,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + 'static> {
    endpoint.trust.secrets()?;
    let address = endpoint.address;
    let listener = Listener::bind(address).await.map_err(|error| {
        anyhow::anyhow!(
            "the webhook address {address} cannot be used: {error}; choose another with --webhook-addr"
        )
    })?;
    info!(address = %listener.address()?, "webhooks are taken at /webhook");
    if endpoint.trust == Trust::Anybody {
        warn!("webhooks are taken from everybody, signed or not");
    }
    let door = Arc::new(Door {
        endpoint,
        bodies: Semaphore::new(BODIES),
        refusals: Mutex::default(),
        told: Mutex::default(),
    });
    let router = Router::new()
        .route("/webhook", post(deliver))
        .with_state(door);
    Ok(async move {
        listener.serve(router, closing).await;
        Ok(())
    })
}

async fn deliver(
    State(door): State<Arc<Door>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let delivery = Delivery::of(&headers);
    let sender = delivery.as_ref().map(|delivery| delivery.sender);
    let end = match delivery {
        _ if door.hears_too_much_of(peer) => End::TooMany,
        Some(delivery) => door.take(&delivery, &headers, body).await,
        None if door.endpoint.trust == Trust::Anybody => {
            let delivery = Delivery::unsigned(&headers);
            door.take(&delivery, &headers, body).await
        }
        None => End::Unknown,
    };
    door.note(peer, sender, end);
    end.into_response()
}

impl Door {
    /// One delivery from beginning to end.
    async fn take(&self, delivery: &Delivery, headers: &HeaderMap, body: Body) -> End {
        let trusts_all = self.endpoint.trust == Trust::Anybody;
        if delivery.claim == Claim::None && !trusts_all {
            return End::Unsigned;
        }
        if content_length(headers).is_some_and(|length| length > LONGEST) {
            return End::TooLong;
        }
        let secrets = match self.endpoint.trust.secrets() {
            Ok(secrets) => secrets,
            Err(problem) => {
                error!(%problem, "a webhook cannot be checked");
                return End::NoSecret;
            }
        };
        let mut check = Check::new(&delivery.claim, &secrets);
        if check.failed() && !trusts_all {
            return End::BadSignature;
        }
        let Ok(Ok(_permit)) = tokio::time::timeout(PATIENCE, self.bodies.acquire()).await else {
            return End::Busy;
        };
        let kept = match tokio::time::timeout(PATIENCE, receive(body, &mut check)).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(end)) => return end,
            Err(_) => return End::TooSlow,
        };
        if !check.holds() && !trusts_all {
            return End::BadSignature;
        }
        match kept {
            Some(body) => match delivery.hint(&body) {
                Ok(hint) => self.act(delivery, &hint),
                Err(problem) => {
                    debug!(%problem, "a webhook cannot be read");
                    End::Unreadable
                }
            },
            None => self.act(delivery, &delivery.hint_unread()),
        }
    }

    fn act(&self, delivery: &Delivery, hint: &Hint) -> End {
        let verdict = self.endpoint.place.judge(hint);
        match verdict {
            Verdict::Fetch => self.endpoint.waker.hint(),
            Verdict::PullRequests => {
                self.endpoint.pull_requests.send_modify(|count| *count += 1);
            }
            Verdict::OtherRepository | Verdict::OtherBranch | Verdict::Nothing => {}
        }
        debug!(sender = %delivery.sender, event = delivery.event, ?verdict, "webhook");
        End::Taken(verdict)
    }

    fn hears_too_much_of(&self, peer: IpAddr) -> bool {
        let refusals = lock(&self.refusals);
        refusals.too_many(peer, Instant::now())
    }

    /// Counts a delivery, and tells of those that were refused, but not of each.
    fn note(&self, peer: IpAddr, sender: Option<Sender>, end: End) {
        let labels = DeliveryLabels {
            sender: sender.map_or("unknown", label),
            result: end.label(),
        };
        let deliveries = &self.endpoint.metrics.webhook_deliveries;
        deliveries.get_or_create(&labels).inc();
        if !matches!(end, End::BadSignature | End::Unsigned | End::Unknown) {
            return;
        }
        let now = Instant::now();
        if end == End::BadSignature {
            let mut refusals = lock(&self.refusals);
            refusals.note(peer, now);
        }
        let mut told = lock(&self.told);
        told.since += 1;
        if told
            .last
            .is_none_or(|last| now.duration_since(last) >= TELL)
        {
            let (why, count) = (end.message(), told.since);
            warn!(%peer, sender = labels.sender, count, "webhook refused: {why}");
            *told = Told {
                last: Some(now),
                since: 0,
            };
        }
    }
}

/// Hashes a body as it comes and keeps its beginning; none if it is longer than that.
async fn receive(body: Body, check: &mut Check) -> Result<Option<Vec<u8>>, End> {
    let (mut kept, mut length) = (Vec::new(), 0_usize);
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        // The sender went away, or was cut off.
        let part = part.map_err(|_| End::TooSlow)?;
        check.update(&part);
        length += part.len();
        if length > LONGEST {
            return Err(End::TooLong);
        }
        if length <= KEPT {
            kept.extend_from_slice(&part);
        } else {
            kept = Vec::new();
        }
    }
    Ok((length <= KEPT).then_some(kept))
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn label(sender: Sender) -> &'static str {
    match sender {
        Sender::GitHub => "github",
        Sender::GitLab => "gitlab",
        Sender::Gitea => "gitea",
        Sender::Bitbucket => "bitbucket",
        Sender::Generic => "generic",
    }
}

impl End {
    fn label(self) -> &'static str {
        match self {
            Self::Taken(Verdict::Fetch) => "fetch",
            Self::Taken(Verdict::PullRequests) => "pull_requests",
            Self::Taken(Verdict::OtherRepository) => "other_repository",
            Self::Taken(Verdict::OtherBranch) => "other_branch",
            Self::Taken(Verdict::Nothing) => "nothing",
            Self::Unsigned => "unsigned",
            Self::BadSignature => "bad_signature",
            Self::Unknown => "unknown_sender",
            Self::Unreadable => "unreadable",
            Self::TooLong => "too_long",
            Self::TooSlow => "too_slow",
            Self::TooMany => "too_many",
            Self::Busy => "busy",
            Self::NoSecret => "no_secret",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Taken(_) => StatusCode::ACCEPTED,
            Self::Unsigned | Self::BadSignature => StatusCode::UNAUTHORIZED,
            Self::Unknown | Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoSecret => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Taken(Verdict::Fetch) => "the repository is asked for news",
            Self::Taken(Verdict::PullRequests) => "pull requests are looked at",
            Self::Taken(Verdict::OtherRepository) => "ignored: another repository is followed here",
            Self::Taken(Verdict::OtherBranch) => "ignored: another branch is followed here",
            Self::Taken(Verdict::Nothing) => "ignored: nothing that could have changed a branch",
            Self::Unsigned => "it is not signed; give the webhook the secret that the agent has",
            Self::BadSignature => {
                "its signature does not hold; the webhook and the agent have different secrets"
            }
            Self::Unknown => {
                "it has no headers of GitHub, GitLab, Gitea, Forgejo or Bitbucket, and no X-Signature"
            }
            Self::Unreadable => "the body is not what its sender usually sends",
            Self::TooLong => "the body is longer than 25 MiB",
            Self::TooSlow => "the body did not come within ten seconds",
            Self::TooMany => "too many badly signed deliveries came from there; try again later",
            Self::Busy => "too many deliveries at once; try again later",
            Self::NoSecret => "the agent cannot read its webhook secret",
        }
    }
}

impl IntoResponse for End {
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{}\n", self.message())).into_response();
        if matches!(self, Self::TooMany | Self::Busy) {
            let seconds = header::HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
