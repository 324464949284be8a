//! The way out: what every connection to another machine has in common.
//!
//! Which proxy it goes through ([`Proxies`]), whom it trusts ([`Tls`]), and how a thread
//! that isn't async waits for it ([`wait`]).

mod client;
mod proxy;
mod retry_after;
mod tls;
mod wait;

pub use client::{CONNECT, client, proxies};
pub use proxy::{Loopback, Proxies, ProxyError, ProxyUrl, Target};
pub use retry_after::retry_after;
#[cfg(test)]
pub(crate) use tls::tests as tls_server;
pub use tls::{CertificateProblem, Identity, Tls, TlsError, VERSION_1, certificate_problem};
pub use wait::{Waited, wait, within};
