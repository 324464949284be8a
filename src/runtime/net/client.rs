//! The HTTP client that all connections but the API server's use.

use std::time::Duration;

use reqwest::Proxy;
use reqwest::redirect::Policy;
use rustls::ClientConfig;

use super::proxy::{Loopback, Proxies, ProxyError, Target};

/// How long to wait for a connection.
pub const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection is kept that nobody uses: shorter than what lies between drops it
/// without a word.
const IDLE: Duration = Duration::from_secs(20);

/// The proxies of this process's environment.
pub fn proxies() -> Result<Proxies, ProxyError> {
    Proxies::read(|name| std::env::var(name).ok())
}

/// What clients have in common. Redirects are the caller's, as is who may be given a
/// credential; so are deadlines.
pub fn client(proxies: Proxies, tls: ClientConfig) -> reqwest::ClientBuilder {
    let towards = move |url: &reqwest::Url| {
        let target = Target {
            scheme: url.scheme(),
            host: url.host_str()?,
            port: url.port(),
        };
        let proxy = proxies.towards(target, Loopback::Proxied)?;
        proxy.whole().expose().parse::<reqwest::Url>().ok()
    };
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .proxy(Proxy::custom(towards))
        .redirect(Policy::none())
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
}
