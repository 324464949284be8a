//! The proxy towards the API server, as for every other connection: kube's own loader
//! compares `NO_PROXY` with the proxy's address instead of the server's.

use http::Uri;
use kube::Config;

use super::error::ApiError;
use crate::runtime::net::{self, Loopback, Proxies, ProxyError, ProxyUrl, Target};

/// The configuration with its way to the server: by the `proxy-url` that the kubeconfig gives
/// it, or as the environment says.
pub(super) fn through(config: Config, named: Option<&str>) -> Result<Config, ApiError> {
    let refuse = |error: ProxyError| ApiError::Rejected(error.to_string());
    let proxies = net::proxies().map_err(refuse)?;
    way(config, &proxies, named).map_err(refuse)
}

/// As client-go: what the kubeconfig names is gone through whatever the environment says.
fn way(mut config: Config, proxies: &Proxies, named: Option<&str>) -> Result<Config, ProxyError> {
    const PLACE: &str = "the kubeconfig's proxy-url";
    let own = named.map(|url| ProxyUrl::parse(url, PLACE)).transpose()?;
    let target = Target {
        scheme: config.cluster_url.scheme_str().unwrap_or("https"),
        host: config.cluster_url.host().unwrap_or_default(),
        port: config.cluster_url.port_u16(),
    };
    let proxy = own
        .as_ref()
        .or_else(|| proxies.towards(target, Loopback::Direct));
    config.proxy_url = proxy.map(uri).transpose()?;
    Ok(config)
}

fn uri(proxy: &ProxyUrl) -> Result<Uri, ProxyError> {
    // kube knows one kind of SOCKS 5, which leaves names to the proxy, as this one asks for.
    let whole = proxy
        .whole()
        .expose()
        .replacen("socks5h://", "socks5://", 1);
    let parsed = format!("{whole}/").parse();
    parsed.map_err(|_| ProxyError::Address(proxy.to_string()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn through(server: &str, variables: &[(&str, &str)], named: Option<&str>) -> Option<String> {
        let proxies = Proxies::read(|name| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        });
        let config = Config::new(server.parse().unwrap());
        let config = way(config, &proxies.unwrap(), named).unwrap();
        config.proxy_url.map(|uri| uri.to_string())
    }

    #[test]
    fn no_proxy_is_compared_with_the_server_and_not_with_the_proxy() {
        const SERVER: &str = "https://api.corp.example:6443";
        let proxy = ("HTTPS_PROXY", "http://proxy.corp.example:3128");
        let to_proxy = Some("http://proxy.corp.example:3128/".to_owned());
        assert_eq!(through(SERVER, &[proxy], None), to_proxy);
        assert_eq!(
            through(SERVER, &[proxy, ("NO_PROXY", "proxy.corp.example")], None),
            to_proxy
        );
        assert_eq!(
            through(SERVER, &[proxy, ("NO_PROXY", "api.corp.example")], None),
            None
        );
        assert_eq!(
            through(
                "https://10.1.2.3",
                &[proxy, ("NO_PROXY", "10.0.0.0/8")],
                None
            ),
            None
        );
        assert_eq!(through("https://127.0.0.1:6443", &[proxy], None), None);
        assert_eq!(
            through(SERVER, &[("https_proxy", "socks5h://p:1080")], None),
            Some("socks5://p:1080/".to_owned())
        );
        assert_eq!(
            through(SERVER, &[proxy, ("NO_PROXY", "*")], Some("own:1")),
            Some("http://own:1/".to_owned())
        );
    }
}
