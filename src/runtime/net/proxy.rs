//! Which proxy a connection goes through: one reading of `http_proxy`, `https_proxy`,
//! `all_proxy` and `no_proxy` for the API server, Git and the forge.
//!
//! What Go's `httpproxy` (so `kubectl`) or curl (so `git`) reads is read: where they differ,
//! the one that connects directly wins, but for [`Loopback`].

// The types alone: `std::net` would be sockets as well.
use core::net::IpAddr;

use http::Uri;

use crate::model::Redacted;

/// The proxies of the environment, and what is reached without them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<ProxyUrl>,
    https: Option<ProxyUrl>,
    direct: Vec<Direct>,
}

/// A proxy's address. Shows no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    whole: Redacted,
    shown: String,
}

/// Where a connection is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// A name or an address; an IPv6 address with or without its brackets.
    pub host: &'a str,
    /// The port; that of the scheme where none is given.
    pub port: Option<u16>,
}

/// Whether this machine itself is reached by a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// Never, as Go's programs do it.
    Direct,
    /// Like any other, as curl does it.
    Proxied,
}

/// A proxy's address that can't be used. Says where it was read, not what it is: a
/// password may stand in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// No host, or a port that is no number.
    #[error("the proxy's address in {0} can't be read; write [http://][USER:PASSWORD@]HOST[:PORT]")]
    Address(String),
    /// A scheme that isn't supported.
    #[error(
        "proxies by `{1}://`, as {0} has it, are not supported; use http, https, socks5 or socks5h"
    )]
    Scheme(String, String),
}

/// An item of `no_proxy`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Direct {
    Everything,
    Network(IpAddr, u8),
    Address(IpAddr, Option<u16>),
    /// A domain and all below it.
    Domain(String, Option<u16>),
}

const SCHEMES: [&str; 6] = ["http", "https", "socks5", "socks5h", "socks4", "socks4a"];

impl Proxies {
    /// Reads variables by name, in lower case first, as curl does. An empty one is none.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let either = |name: &str| {
            [name.to_owned(), name.to_ascii_uppercase()]
                .into_iter()
                .find_map(|name| {
                    let value = variable(&name)?;
                    let value = value.trim().to_owned();
                    (!value.is_empty()).then_some((name, value))
                })
        };
        let proxy = |name| {
            let found = either(name).or_else(|| either("all_proxy"));
            found
                .map(|(name, value)| ProxyUrl::parse(&value, &name))
                .transpose()
        };
        let direct = either("no_proxy").map(|(_, value)| items(&value));
        Ok(Self {
            http: proxy("http_proxy")?,
            https: proxy("https_proxy")?,
            direct: direct.unwrap_or_default(),
        })
    }

    /// The same, but for one proxy that a program's own settings name for everything, or
    /// none; `no_proxy` holds beside it.
    #[must_use]
    pub fn instead(self, proxy: Option<ProxyUrl>) -> Self {
        Self {
            http: proxy.clone(),
            https: proxy,
            direct: self.direct,
        }
    }

    /// The proxy towards a target; `None` where it is reached directly.
    pub fn towards(&self, target: Target<'_>, loopback: Loopback) -> Option<&ProxyUrl> {
        let proxy = match target.scheme {
            "http" => self.http.as_ref(),
            _ => self.https.as_ref(),
        }?;
        let host = target.host.trim_start_matches('[').trim_end_matches(']');
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok();
        let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if here && loopback == Loopback::Direct {
            return None;
        }
        let port = target.port.or(match target.scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        });
        let direct = self
            .direct
            .iter()
            .any(|item| item.is_met(&host, address, port));
        (!direct).then_some(proxy)
    }
}

impl ProxyUrl {
    /// Reads an address; without a scheme it is an HTTP proxy's. `place` says where it was
    /// read, for the error.
    pub fn parse(text: &str, place: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        if !SCHEMES.contains(&scheme.as_str()) {
            let plain = scheme.len() <= 16 && scheme.chars().all(|c| c.is_ascii_alphanumeric());
            let named = if plain { scheme } else { "…".to_owned() };
            return Err(ProxyError::Scheme(place.to_owned(), named));
        }
        let whole = format!("{scheme}://{}", rest.split('/').next().unwrap_or_default());
        let uri = whole.parse::<Uri>().ok();
        let authority = uri.as_ref().and_then(Uri::authority);
        let Some(authority) = authority.filter(|authority| has_place(authority)) else {
            return Err(ProxyError::Address(place.to_owned()));
        };
        let port = authority.port().map(|port| format!(":{port}"));
        let shown = format!(
            "{scheme}://{}{}",
            authority.host(),
            port.unwrap_or_default()
        );
        Ok(Self {
            whole: Redacted::new(whole),
            shown,
        })
    }

    /// The address with its login, for whoever connects.
    pub fn whole(&self) -> &Redacted {
        &self.whole
    }
}

impl std::fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Whether there is a host, and what stands behind its colon is a port.
fn has_place(authority: &http::uri::Authority) -> bool {
    let behind = authority
        .as_str()
        .rsplit_once('@')
        .map_or(authority.as_str(), |(_, place)| place);
    let port = behind.strip_prefix(authority.host()).unwrap_or(behind);
    let port = port.strip_prefix(':').unwrap_or(port);
    !authority.host().is_empty() && (port.is_empty() || port.parse::<u16>().is_ok())
}

fn items(text: &str) -> Vec<Direct> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|item| !item.is_empty())
        .filter_map(Direct::parse)
        .collect()
}

impl Direct {
    fn parse(item: &str) -> Option<Self> {
        let item = item.to_ascii_lowercase();
        if item == "*" {
            return Some(Self::Everything);
        }
        if let Some((address, length)) = item.split_once('/') {
            let address = address.parse::<IpAddr>().ok()?;
            let length = length.parse::<u8>().ok()?;
            return (length <= width(address)).then_some(Self::Network(address, length));
        }
        if let Ok(address) = item.parse::<IpAddr>() {
            return Some(Self::Address(address, None));
        }
        let (name, port) = split_port(&item)?;
        if let Ok(address) = name.parse::<IpAddr>() {
            return Some(Self::Address(address, port));
        }
        let name = name.strip_prefix('*').unwrap_or(name);
        let name = name.trim_start_matches('.').trim_end_matches('.');
        (!name.is_empty()).then(|| Self::Domain(name.to_owned(), port))
    }

    fn is_met(&self, host: &str, address: Option<IpAddr>, port: Option<u16>) -> bool {
        let port_fits = |wanted: Option<u16>| wanted.is_none() || wanted == port;
        match self {
            Self::Everything => true,
            Self::Network(network, length) => {
                address.is_some_and(|address| lies_in(address, *network, *length))
            }
            Self::Address(direct, wanted) => address == Some(*direct) && port_fits(*wanted),
            Self::Domain(domain, wanted) => {
                let below = host.strip_suffix(domain.as_str());
                below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                    && port_fits(*wanted)
            }
        }
    }
}

/// `name`, `name:port`, `[address]`, `[address]:port`; nothing where the port is none.
fn split_port(item: &str) -> Option<(&str, Option<u16>)> {
    if let Some(inner) = item.strip_prefix('[') {
        let (address, rest) = inner.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((address, Some(port.parse().ok()?))),
            None => Some((address, None)),
        };
    }
    match item.rsplit_once(':') {
        Some((name, port)) => Some((name, Some(port.parse().ok()?))),
        None => Some((item, None)),
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn lies_in(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    let rest = 128 - u32::from(length);
    width(address) == width(network)
        && bits(address).checked_shr(rest) == bits(network).checked_shr(rest)
}

#[cfg(test)]
mod tests;
