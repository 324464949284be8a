//! A listener of HTTP for addresses that others may reach: so many connections at once, so
//! many of them from one source, each for so long, and heads of so many bytes.
//!
//! Whoever comes is let in: what makes room is the oldest connection of the source that has
//! the most. So nobody who only holds connections keeps others out, and all of them together
//! never take the descriptors that Git, the record and the API server need.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Connections at once. Probes and forges are done in milliseconds.
const PLACES: usize = 64;
/// Which share of the process's descriptors one listener may take: of 1,024 there are two
/// listeners with 64 each.
const SHARE: u64 = 16;
/// Which share of the places one source may take.
const OF_ONE: usize = 4;
/// How long a head may be, in bytes: forges send about two KiB.
const HEAD: usize = 16 << 10;
/// How long a head may take, and how long a connection may rest between two requests.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may last. Forges wait for an answer for ten seconds at most.
const LIFE: Duration = Duration::from_secs(30);
/// How long an answer that is under way by then may take.
const LAST: Duration = Duration::from_secs(5);
/// How long to wait where no connection can be taken, for lack of descriptors.
const AGAIN: Duration = Duration::from_millis(200);
/// How often it is told that connections are cut.
const TELL: Duration = Duration::from_mins(1);

/// An address that is taken.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    places: Places,
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Who counts as one: an address, or a network of IPv6 as one customer has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source(IpAddr);

/// The connections that there are, the oldest first.
#[derive(Debug)]
struct Places {
    taken: VecDeque<(Source, Id, AbortHandle)>,
    most: usize,
    cut: u64,
    told: Option<Instant>,
}

impl Listener {
    /// Takes an address.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self {
            inner: TcpListener::bind(address).await?,
            places: Places::new(places()),
        })
    }

    /// The address, with the port that was chosen.
    ///
    /// # Errors
    /// When the system can't tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Serves until cancelled, then ends what is under way. Handlers find the [`Peer`] as
    /// [`ConnectInfo`].
    pub async fn serve(mut self, router: Router, closing: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            // All arms are cancel-safe: what is not taken stays where it is.
            tokio::select! {
                () = closing.cancelled() => break,
                Some(ended) = connections.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    self.places.leave(id);
                }
                accepted = self.inner.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let connection = connection(stream, peer, router.clone(), closing.clone());
                        let handle = connections.spawn(connection);
                        self.places.enter(Source::of(peer.ip()), handle);
                    }
                    // The next one may have gone away, or there is no descriptor left.
                    Err(_) => tokio::time::sleep(AGAIN).await,
                },
            }
        }
        while connections.join_next().await.is_some() {}
    }
}

/// How many places there are where the process may have so many descriptors.
fn places() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current;
    let share = descriptors.map_or(PLACES, |all| usize::try_from(all / SHARE).unwrap_or(PLACES));
    share.clamp(OF_ONE, PLACES)
}

/// One connection from beginning to end.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    closing: CancellationToken,
) {
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request
            .extensions_mut()
            .insert(ConnectInfo(Peer(peer.ip())));
        service.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD);
    let mut served = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // What went wrong on the other side is its own affair.
        _ = &mut served => return,
        () = closing.cancelled() => {}
        () = tokio::time::sleep(LIFE) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST, served).await;
}

impl Source {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(network.into())
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl Places {
    fn new(most: usize) -> Self {
        Self {
            taken: VecDeque::new(),
            most,
            cut: 0,
            told: None,
        }
    }

    /// Gives a connection a place, for which another one may have to go.
    fn enter(&mut self, source: Source, connection: AbortHandle) {
        let from = if self.count(source) >= (self.most / OF_ONE).max(1) {
            Some(source)
        } else if self.taken.len() >= self.most {
            let sources = self.taken.iter().rev().map(|(source, _, _)| *source);
            sources.max_by_key(|source| self.count(*source))
        } else {
            None
        };
        if let Some(from) = from {
            self.cut(from);
        }
        self.taken.push_back((source, connection.id(), connection));
    }

    fn leave(&mut self, id: Id) {
        self.taken.retain(|(_, taken, _)| *taken != id);
    }

    fn count(&self, source: Source) -> usize {
        let taken = self.taken.iter();
        taken.filter(|(other, _, _)| *other == source).count()
    }

    fn cut(&mut self, source: Source) {
        let oldest = self.taken.iter().position(|(other, _, _)| *other == source);
        let Some((_, _, connection)) = oldest.and_then(|oldest| self.taken.remove(oldest)) else {
            return;
        };
        connection.abort();
        self.cut += 1;
        let now = Instant::now();
        if self
            .told
            .is_none_or(|told| now.duration_since(told) >= TELL)
        {
            warn!(source = %source.0, count = self.cut, "connections are cut, as too many are open at once");
            (self.told, self.cut) = (Some(now), 0);
        }
    }
}

#[cfg(test)]
mod tests;
