#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::runtime::net::{Proxies, client, wait};

/// One of the certificates and keys that tests use.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/tls")
        .join(name)
}

fn trusting(identity: Option<&str>) -> Tls {
    Tls {
        authorities: Some(file("ca.pem")),
        identity: identity.map(|name| Identity {
            certificate: file(&format!("{name}.pem")),
            key: file(&format!("{name}.key")),
        }),
    }
}

/// A server with a certificate, which wants one of its clients or not. Gives its port.
pub(crate) fn serve(name: &str, wants: bool) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&file("ca.pem")).unwrap());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if wants {
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let chain = certificates(&file(&format!("{name}.pem"))).unwrap();
    let key = key(&file(&format!("{name}.key"))).unwrap();
    // Not looked at as rustls would: others serve what it does not take.
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let config = Arc::new(builder.with_cert_resolver(Arc::new(shown)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            // A client that does not like it goes away.
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        }
    });
    port
}

fn ask(tls: &Tls, port: u16) -> Result<(), Option<CertificateProblem>> {
    let client = client(Proxies::default(), tls.configuration().unwrap());
    let request = client
        .build()
        .unwrap()
        .get(format!("https://127.0.0.1:{port}/"));
    let minute = Duration::from_mins(1);
    let sent = wait(minute, || false, async move { request.send().await });
    sent.unwrap()
        .map(|_| ())
        .map_err(|error| certificate_problem(&error))
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_apart() {
    let trusted = trusting(None);
    assert_eq!(ask(&trusted, serve("server", false)), Ok(()));
    let unknown = ask(&Tls::default(), serve("server", false));
    assert_eq!(unknown, Err(Some(CertificateProblem::UnknownAuthority)));
    let expired = ask(&trusted, serve("expired", false));
    assert_eq!(expired, Err(Some(CertificateProblem::Expired)));
    let old = ask(&trusted, serve("v1", false));
    assert_eq!(old, Err(Some(CertificateProblem::Version1)));
    let Err(Some(CertificateProblem::WrongName(name))) = ask(&trusted, serve("elsewhere", false))
    else {
        panic!("the name is not compared");
    };
    assert!(name.contains("git.example"), "{name}");
}

#[test]
fn a_server_may_want_to_know_who_we_are() {
    let port = serve("server", true);
    assert_eq!(ask(&trusting(Some("client")), port), Ok(()));
    let nobody = ask(&trusting(None), port);
    assert!(
        matches!(nobody, Err(Some(CertificateProblem::Ours(_)))),
        "{nobody:?}"
    );
}

#[test]
fn files_are_read_anew_and_named_when_they_cannot_be_used() {
    let directory = tempfile::tempdir().unwrap();
    let tls = Tls {
        authorities: Some(directory.path().join("ca.pem")),
        identity: None,
    };
    let port = serve("server", false);
    for content in [None, Some("no certificate")] {
        if let Some(content) = content {
            std::fs::write(directory.path().join("ca.pem"), content).unwrap();
        }
        let error = tls.configuration().unwrap_err().to_string();
        assert!(error.contains("ca.pem"), "{error}");
    }
    std::fs::copy(file("client.pem"), directory.path().join("ca.pem")).unwrap();
    assert_eq!(
        ask(&tls, port),
        Err(Some(CertificateProblem::UnknownAuthority))
    );
    std::fs::copy(file("ca.pem"), directory.path().join("ca.pem")).unwrap();
    assert_eq!(ask(&tls, port), Ok(()));
}
