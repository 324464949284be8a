#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
    Proxies::read(|name| {
        let found = variables.iter().find(|(key, _)| *key == name)?;
        Some(found.1.to_owned())
    })
}

fn towards(variables: &[(&str, &str)], url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, port) = split_port(rest).unwrap();
    let target = Target { scheme, host, port };
    let proxies = proxies(variables).unwrap();
    let proxy = proxies.towards(target, Loopback::Proxied)?;
    Some(proxy.whole().expose().to_owned())
}

#[test]
fn the_proxy_is_the_one_of_the_scheme_and_lower_case_comes_first() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Option<&'a str>);
    let cases: &[Case<'_>] = &[
        (&[], "https://git.example", None),
        (
            &[("https_proxy", "http://p:1")],
            "https://git.example",
            Some("http://p:1"),
        ),
        (&[("https_proxy", "http://p:1")], "http://git.example", None),
        (
            &[("http_proxy", "http://p:1")],
            "http://git.example",
            Some("http://p:1"),
        ),
        (
            &[("HTTPS_PROXY", "http://p:1")],
            "https://git.example",
            Some("http://p:1"),
        ),
        (
            &[("HTTP_PROXY", "http://p:1")],
            "http://git.example",
            Some("http://p:1"),
        ),
        (
            &[("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:1")],
            "https://git.example",
            Some("http://a:1"),
        ),
        (
            &[("https_proxy", ""), ("HTTPS_PROXY", "http://b:1")],
            "https://git.example",
            Some("http://b:1"),
        ),
        (
            &[("all_proxy", "socks5://p:1")],
            "http://git.example",
            Some("socks5://p:1"),
        ),
        (
            &[("ALL_PROXY", "socks5h://p")],
            "https://git.example",
            Some("socks5h://p"),
        ),
        (
            &[("all_proxy", "http://a:1"), ("https_proxy", "http://b:1")],
            "https://git.example",
            Some("http://b:1"),
        ),
        // Without a scheme, in capitals, with a path, with a login.
        (
            &[("https_proxy", "p.corp:3128")],
            "https://git.example",
            Some("http://p.corp:3128"),
        ),
        (
            &[("https_proxy", "p.corp")],
            "https://git.example",
            Some("http://p.corp"),
        ),
        (
            &[("https_proxy", "HTTP://p:1/")],
            "https://git.example",
            Some("http://p:1"),
        ),
        (
            &[("https_proxy", "u:s3@p:1")],
            "https://git.example",
            Some("http://u:s3@p:1"),
        ),
        (
            &[("https_proxy", "[::1]:3128")],
            "https://git.example",
            Some("http://[::1]:3128"),
        ),
    ];
    for (variables, url, expected) in cases {
        let found = towards(variables, url);
        assert_eq!(found.as_deref(), *expected, "{variables:?} {url}");
    }
}

#[test]
fn what_no_proxy_names_is_reached_directly() {
    let cases = [
        // no_proxy, target, direct?
        ("corp.example", "https://corp.example", true),
        ("corp.example", "https://git.corp.example", true),
        ("corp.example", "https://notcorp.example", false),
        ("corp.example", "https://corp.example.org", false),
        (".corp.example", "https://git.corp.example", true),
        (".corp.example", "https://corp.example", true),
        ("*.corp.example", "https://git.corp.example", true),
        ("CORP.Example", "https://git.corp.example", true),
        ("corp.example", "https://GIT.CORP.EXAMPLE", true),
        ("corp.example.", "https://git.corp.example", true),
        ("corp.example", "https://git.corp.example.", true),
        ("*", "https://git.example", true),
        ("a, *", "https://git.example", true),
        ("", "https://git.example", false),
        (",, ,", "https://git.example", false),
        // Separated by commas, blanks, tabs.
        ("a.example,corp.example", "https://git.corp.example", true),
        ("a.example, corp.example", "https://git.corp.example", true),
        ("a.example corp.example", "https://git.corp.example", true),
        (
            " a.example\t, corp.example ",
            "https://git.corp.example",
            true,
        ),
        // Ports.
        ("git.example:8443", "https://git.example:8443", true),
        ("git.example:8443", "https://git.example:9443", false),
        ("git.example:443", "https://git.example", true),
        ("git.example:80", "https://git.example", false),
        ("git.example:80", "http://git.example", true),
        ("git.example", "https://git.example:9443", true),
        ("git.example:x", "https://git.example", false),
        // Addresses and networks.
        ("10.1.2.3", "https://10.1.2.3", true),
        ("10.1.2.3", "https://10.1.2.30", false),
        ("10.1.2.3:6443", "https://10.1.2.3:6443", true),
        ("10.1.2.3:6443", "https://10.1.2.3", false),
        ("10.0.0.0/8", "https://10.1.2.3:6443", true),
        ("10.0.0.0/8", "https://11.1.2.3", false),
        ("10.1.0.0/17", "https://10.1.127.255", true),
        ("10.1.0.0/17", "https://10.1.128.0", false),
        ("0.0.0.0/0", "https://10.1.2.3", true),
        ("0.0.0.0/0", "https://[fd00::1]", false),
        ("10.0.0.0/33", "https://10.1.2.3", false),
        ("10.0.0.0/x", "https://10.1.2.3", false),
        ("10.0.0.0/8", "https://ten.example", false),
        ("fd00::/8", "https://[fd00::1]:6443", true),
        ("fd00::/8", "https://[fe80::1]", false),
        ("::/0", "https://[fe80::1]", true),
        ("::1", "https://[::1]", true),
        ("[::1]", "https://[::1]:6443", true),
        ("[::1]:6443", "https://[::1]:6443", true),
        ("[::1]:6443", "https://[::1]:7443", false),
        ("localhost", "https://localhost:3000", true),
        ("127.0.0.0/8", "https://127.0.0.1:3000", true),
    ];
    for (no_proxy, url, direct) in cases {
        for name in ["no_proxy", "NO_PROXY"] {
            let variables = [(name, no_proxy), ("all_proxy", "http://p:1")];
            assert_eq!(
                towards(&variables, url).is_none(),
                direct,
                "{name}={no_proxy} {url}"
            );
        }
    }
}

#[test]
fn this_machine_is_reached_directly_where_go_does_it() {
    let proxies = proxies(&[("https_proxy", "http://p:1")]).unwrap();
    for host in [
        "localhost",
        "LOCALHOST.",
        "127.0.0.1",
        "127.8.0.1",
        "[::1]",
        "::1",
    ] {
        let target = Target {
            scheme: "https",
            host,
            port: Some(6443),
        };
        assert_eq!(proxies.towards(target, Loopback::Direct), None, "{host}");
        assert!(
            proxies.towards(target, Loopback::Proxied).is_some(),
            "{host}"
        );
    }
}

#[test]
fn a_program_s_own_proxy_takes_the_place_of_the_environment_s_beside_no_proxy() {
    let environment = [("https_proxy", "http://a:1"), ("no_proxy", "corp.example")];
    let own = ProxyUrl::parse("b:1", "http.proxy").unwrap();
    let proxies = proxies(&environment).unwrap();
    let both = proxies.clone().instead(Some(own.clone()));
    let target = |host| Target {
        scheme: "https",
        host,
        port: None,
    };
    let towards =
        |proxies: &Proxies, host| proxies.towards(target(host), Loopback::Proxied).cloned();
    assert_eq!(towards(&both, "git.example"), Some(own));
    assert_eq!(towards(&both, "git.corp.example"), None);
    assert_eq!(towards(&proxies.instead(None), "git.example"), None);
}

#[test]
fn an_address_that_cannot_be_used_is_told_without_its_password() {
    for wrong in [
        "ftp://u:s3cr3t@p:1",
        "http://u:s3cr3t@",
        "http://u:s3cr3t@p:port",
        "s3cr3t p",
    ] {
        let error = proxies(&[("HTTPS_PROXY", wrong)]).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(
            told.contains("HTTPS_PROXY") && !told.contains("s3cr3t"),
            "{told}"
        );
    }
    let proxy = ProxyUrl::parse("u:s3cr3t@p:1", "http.proxy").unwrap();
    assert_eq!(proxy.to_string(), "http://p:1");
    assert!(!format!("{proxy:?}").contains("s3cr3t"), "{proxy:?}");
}
