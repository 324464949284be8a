//! How many badly signed deliveries an address may send: each costs reading and hashing
//! it.
//!
//! A token bucket for each address. Behind a proxy all senders are one address, and a
//! flood of bad deliveries then keeps good ones away as well, until it ends; meanwhile
//! the repository is polled. To believe a header such as `X-Forwarded-For` instead would
//! let the sender choose who he is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many may be refused at once.
const BURST: u32 = 20;
/// How long until one more may be.
const REFILL: Duration = Duration::from_millis(200);
/// How many addresses are remembered. With more, those that are longest quiet go.
const ADDRESSES: usize = 1024;

/// What was refused, by address.
#[derive(Debug, Default)]
pub(super) struct Refusals(HashMap<IpAddr, Bucket>);

/// Leaks one refusal each [`REFILL`].
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u32,
    since: Instant,
}

impl Refusals {
    /// Whether an address has been refused too often to be heard now.
    pub(super) fn too_many(&self, peer: IpAddr, now: Instant) -> bool {
        let bucket = self.0.get(&network(peer));
        bucket.is_some_and(|bucket| bucket.at(now).level >= BURST)
    }

    /// Notes that a delivery was refused.
    pub(super) fn note(&mut self, peer: IpAddr, now: Instant) {
        if self.0.len() >= ADDRESSES {
            self.forget(now);
        }
        let empty = Bucket {
            level: 0,
            since: now,
        };
        let bucket = self.0.entry(network(peer)).or_insert(empty);
        *bucket = bucket.at(now);
        bucket.level = bucket.level.saturating_add(1);
    }

    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, bucket| bucket.at(now).level > 0);
        if self.0.len() >= ADDRESSES {
            let quietest = self.0.iter().min_by_key(|(_, bucket)| bucket.since);
            if let Some(peer) = quietest.map(|(peer, _)| *peer) {
                self.0.remove(&peer);
            }
        }
    }
}

impl Bucket {
    fn at(self, now: Instant) -> Self {
        let passed = now.saturating_duration_since(self.since);
        let leaked = u32::try_from(passed.as_millis() / REFILL.as_millis()).unwrap_or(u32::MAX);
        if leaked >= self.level {
            return Self {
                level: 0,
                since: now,
            };
        }
        Self {
            level: self.level - leaked,
            since: self.since + REFILL * leaked,
        }
    }
}

/// Of IPv6 a whole network is one sender's, so the first half of the address counts.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6((six.to_bits() & (u128::MAX << 64)).into()),
        four @ IpAddr::V4(_) => four,
    }
}
