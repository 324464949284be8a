#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::*;

fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/tls")
        .join(name)
}

/// An API server of one answer: 401, unless a request has the token of its file, or its
/// client a certificate.
struct Server {
    directory: TempDir,
    port: u16,
    asked: Arc<AtomicUsize>,
}

enum Wants {
    Token,
    Certificate,
}

impl Server {
    fn start(certificate: &str, wants: &Wants) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<AtomicUsize>::default();
        let tls = Arc::new(tls(certificate, wants));
        let (counted, token) = (Arc::clone(&asked), directory.path().join("valid"));
        let wants_token = matches!(wants, Wants::Token);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, token, counted) = (Arc::clone(&tls), token.clone(), Arc::clone(&counted));
                std::thread::spawn(move || {
                    let token = wants_token.then_some(&*token);
                    answer(stream, &tls, token, &counted);
                });
            }
        });
        Self {
            directory,
            port,
            asked,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    /// A script that counts its runs and says what a file has.
    fn plugin(&self) -> String {
        let (runs, says) = (self.file("runs"), self.file("says"));
        let script = format!("echo >> {}; cat {}", runs.display(), says.display());
        format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never, args: [-c, '{script}']}}}}"
        )
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.file("runs"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// What the plugin is to give next.
    fn gives(&self, status: &serde_json::Value) {
        self.write("says", &serde_json::json!({"status": status}).to_string());
    }

    async fn client(&self, user: &str) -> Result<Client, ApiError> {
        let text = format!(
            "current-context: a
contexts: [{{name: a, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority: ca.pem}}}}]
users: [{{name: u, user: {user}}}]
",
            self.port
        );
        if !self.file("ca.pem").exists() {
            fs::copy(pem("ca.pem"), self.file("ca.pem")).unwrap();
        }
        self.write("config", &text);
        let place = Place::Listed(vec![self.file("config")]);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = client_by(&Access::default(), place).await;
        client.map(|(client, _)| client)
    }
}

fn tls(certificate: &str, wants: &Wants) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let certificates = |name| {
        CertificateDer::pem_file_iter(pem(name))
            .unwrap()
            .map(Result::unwrap)
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates("ca.pem"));
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match wants {
        Wants::Token => builder.with_no_client_auth(),
        Wants::Certificate => builder.with_client_cert_verifier(verifier.build().unwrap()),
    };
    let key = PrivateKeyDer::from_pem_file(pem(&format!("{certificate}.key"))).unwrap();
    let chain = certificates(&format!("{certificate}.pem")).collect();
    builder.with_single_cert(chain, key).unwrap()
}

/// Answers one request. A client that does not like it, or is not liked, goes away.
fn answer(stream: TcpStream, tls: &Arc<ServerConfig>, token: Option<&Path>, asked: &AtomicUsize) {
    let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let mut bytes = [0; 8192];
    let Ok(count) = stream.read(&mut bytes) else {
        return;
    };
    asked.fetch_add(1, Ordering::Relaxed);
    let request = String::from_utf8_lossy(&bytes[..count]).into_owned();
    let valid = token.map(|file| fs::read_to_string(file).unwrap_or_default());
    let valid = valid.map(|token| format!("Bearer {token}\r\n"));
    let status = match valid {
        Some(valid) if !request.contains(&valid) => "401 Unauthorized",
        _ => "200 OK",
    };
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
    let _ = stream.write_all(text.as_bytes());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

async fn ask(client: &Client) -> Result<StatusCode, ApiError> {
    let request = Request::get("/version").body(Body::empty()).unwrap();
    Ok(client.send(request).await?.status())
}

#[tokio::test]
async fn a_token_without_an_expiry_is_had_anew_once_it_is_not_taken() {
    let server = Server::start("server", &Wants::Token);
    server.write("valid", "one");
    server.gives(&serde_json::json!({"token": "one"}));
    let client = server.client(&server.plugin()).await.unwrap();
    assert_eq!(ask(&client).await, Ok(StatusCode::OK));
    assert_eq!(server.runs(), 1);

    server.write("valid", "two");
    server.gives(&serde_json::json!({"token": "two"}));
    assert_eq!(ask(&client).await, Ok(StatusCode::OK));
    assert_eq!(ask(&client).await, Ok(StatusCode::OK));
    assert_eq!(server.runs(), 2);
}

#[tokio::test]
async fn a_program_whose_credentials_are_never_taken_is_not_run_for_each_request() {
    let server = Server::start("server", &Wants::Token);
    server.write("valid", "one");
    server.gives(&serde_json::json!({"token": "other"}));
    let client = server.client(&server.plugin()).await.unwrap();
    for _ in 0..50 {
        assert_eq!(ask(&client).await, Ok(StatusCode::UNAUTHORIZED));
    }
    assert!(server.runs() <= 4, "{}", server.runs());
}

#[tokio::test]
async fn a_token_that_expires_is_had_anew_before_it_is_sent() {
    let server = Server::start("server", &Wants::Token);
    server.write("valid", "one");
    let past = "2020-01-01T00:00:00Z";
    server.gives(&serde_json::json!({"token": "one", "expirationTimestamp": past}));
    let client = server.client(&server.plugin()).await.unwrap();
    server.gives(&serde_json::json!({"token": "two"}));
    server.write("valid", "two");
    assert_eq!(ask(&client).await, Ok(StatusCode::OK));
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_had_anew() {
    let server = Server::start("server", &Wants::Certificate);
    let pair = |name: &str| {
        let part = |end: &str| fs::read_to_string(pem(&format!("{name}.{end}"))).unwrap();
        serde_json::json!({"clientCertificateData": part("pem"), "clientKeyData": part("key")})
    };
    server.gives(&pair("expired"));
    let client = server.client(&server.plugin()).await.unwrap();
    let error = ask(&client).await.unwrap_err().to_string();
    assert!(error.contains("does not take the certificate"), "{error}");
    server.gives(&pair("client"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while ask(&client).await != Ok(StatusCode::OK) {
        assert!(Instant::now() < deadline, "it is never had anew");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_token_file_is_read_anew_and_may_end_with_a_line() {
    let server = Server::start("server", &Wants::Token);
    server.write("valid", "one");
    server.write("token", "one\r\n");
    // The file counts, as with kubectl.
    let client = server
        .client("{token: zero, tokenFile: token}")
        .await
        .unwrap();
    assert_eq!(ask(&client).await, Ok(StatusCode::OK));
    server.write("token", "two\n");
    server.write("valid", "two");
    assert_eq!(ask(&client).await, Ok(StatusCode::OK));

    server.write("token", "\n");
    let error = server.client("{tokenFile: token}").await.err().unwrap();
    assert!(
        error.to_string().contains("there is no token in"),
        "{error}"
    );
}

#[tokio::test]
async fn an_authority_that_was_renewed_is_read_anew() {
    let server = Server::start("server", &Wants::Token);
    server.write("valid", "one");
    fs::copy(pem("elsewhere.pem"), server.file("ca.pem")).unwrap();
    let client = server.client("{token: one}").await.unwrap();
    let error = ask(&client).await.unwrap_err().to_string();
    assert!(error.contains("authority that is not known"), "{error}");
    fs::copy(pem("ca.pem"), server.file("ca.pem")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while ask(&client).await != Ok(StatusCode::OK) {
        assert!(Instant::now() < deadline, "it is never read anew");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_apart() {
    for (certificate, said) in [
        ("expired", "has expired"),
        ("elsewhere", "for another name"),
    ] {
        let server = Server::start(certificate, &Wants::Token);
        let client = server.client("{token: one}").await.unwrap();
        let error = ask(&client).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.passes(), "{error:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_of_version_1_is_named() {
    let server = Server::start("server", &Wants::Token);
    let part = |end: &str| fs::read_to_string(pem(&format!("v1.{end}"))).unwrap();
    let status =
        serde_json::json!({"clientCertificateData": part("pem"), "clientKeyData": part("key")});
    server.gives(&status);
    let file = |end: &str| pem(&format!("v1.{end}")).display().to_string();
    let (certificate, key) = (file("pem"), file("key"));
    let inline = STANDARD.encode(part("pem"));
    for (user, named) in [
        (
            format!("{{client-certificate: {certificate}, client-key: {key}}}"),
            format!("its client-certificate {certificate}"),
        ),
        (
            format!("{{client-certificate-data: {inline}, client-key: {key}}}"),
            "its client-certificate-data".to_owned(),
        ),
        (
            server.plugin(),
            "the certificate that its program gave".to_owned(),
        ),
    ] {
        let error = server.client(&user).await.err().unwrap();
        let said = "an X.509 v1 certificate, which is not taken; issue a version 3 certificate";
        assert_eq!(
            error.to_string(),
            format!("the kubeconfig cannot be used: {named} is {said}")
        );
    }
}

#[tokio::test]
async fn another_server_is_not_gone_over_to() {
    let (server, other) = (
        Server::start("server", &Wants::Token),
        Server::start("server", &Wants::Token),
    );
    server.write("valid", "one");
    other.write("valid", "two");
    let client = server.client("{token: one}").await.unwrap();
    assert_eq!(ask(&client).await, Ok(StatusCode::OK));
    server.write("valid", "three");
    let text = fs::read_to_string(server.file("config")).unwrap();
    let text = text.replace(&server.port.to_string(), &other.port.to_string());
    server.write("config", &text.replace("token: one", "token: two"));
    assert_eq!(ask(&client).await, Ok(StatusCode::UNAUTHORIZED));
    assert_eq!(other.asked.load(Ordering::Relaxed), 0);
}
