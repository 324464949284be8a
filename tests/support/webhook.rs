//! A mutating admission webhook, served over TLS on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::control_plane::ControlPlane;

/// What it makes of an object: a JSON patch.
type Mutate = fn(&Value) -> Value;

/// Serves a webhook until the process ends, and gives the `clientConfig` of its
/// configuration. It shows the API server's own certificate, which is for loopback.
pub fn serve(cluster: &ControlPlane, mutate: Mutate) -> Result<Value> {
    let [certificate, key] =
        ["certs/apiserver.crt", "certs/apiserver.key"].map(|name| cluster.file(name));
    let chain = CertificateDer::pem_file_iter(&certificate)?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&key)?)?;
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0")?);
    let url = format!("https://{}/mutate", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // One that ends early is told by the API server.
            thread::spawn(move || drop(answer(stream, config, mutate)));
        }
    });
    let authority = STANDARD.encode(std::fs::read(certificate)?);
    Ok(json!({"url": url, "caBundle": authority}))
}

/// Answers one request and closes.
fn answer(stream: TcpStream, config: Arc<ServerConfig>, mutate: Mutate) -> Result<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, stream);
    let mut reader = BufReader::new(&mut stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let review: Value = serde_json::from_slice(&body).context("a review is JSON")?;
    let request = &review["request"];
    let patch = STANDARD.encode(mutate(&request["object"]).to_string());
    let response = json!({
        "apiVersion": review["apiVersion"],
        "kind": "AdmissionReview",
        "response": {"uid": request["uid"], "allowed": true, "patchType": "JSONPatch", "patch": patch},
    })
    .to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{response}",
        response.len()
    )?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}
