//! The sending side of a webhook: requests as forges send them, and worse.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tokio::net::TcpSocket;

/// A forge, or somebody who says so.
pub struct Hook {
    to: SocketAddr,
    from: Ipv4Addr,
    stream: Option<BufReader<TcpStream>>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// The HMAC-SHA256 of a body, in hexadecimal digits.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes());
    let mac = mac.expect("HMAC takes any key length").chain_update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// The headers and body of a push as Gitea delivers it.
pub fn gitea_push(secret: &str, repository: &str, branch: &str) -> (Vec<String>, Vec<u8>) {
    let body = json!({
        "ref": format!("refs/heads/{branch}"),
        "before": "28e1879d029cb852e4844d9c718537df08844e03",
        "after": "bffeb74224043ba2feb48d137756c8a9331c449a",
        "compare_url": "http://localhost:3000/team/deploy/compare/28e1879d…bffeb742",
        "commits": [{"id": "bffeb74224043ba2feb48d137756c8a9331c449a", "message": "Webhooks Yay!"}],
        "repository": {
            "id": 140,
            "name": "deploy",
            "full_name": repository,
            "clone_url": format!("http://localhost:3000/{repository}.git"),
            "default_branch": "main",
        },
        "pusher": {"id": 1, "login": "gitea"},
    });
    let body = serde_json::to_vec_pretty(&body).expect("it is JSON");
    let code = sign(secret, &body);
    let headers = [
        "Content-Type: application/json",
        "User-Agent: Go-http-client/1.1",
        "X-GitHub-Delivery: f6266f16-1bf3-46a5-9ea4-602e06ead473",
        "X-GitHub-Event: push",
        "X-GitHub-Event-Type: push",
        "X-Gitea-Delivery: f6266f16-1bf3-46a5-9ea4-602e06ead473",
        "X-Gitea-Event: push",
        "X-Gitea-Event-Type: push",
        "X-Gogs-Event: push",
    ];
    let signed = [
        format!("X-Gitea-Signature: {code}"),
        format!("X-Gogs-Signature: {code}"),
        format!("X-Hub-Signature-256: sha256={code}"),
    ];
    let headers = headers.map(str::to_owned).into_iter().chain(signed);
    (headers.collect(), body)
}

impl Hook {
    /// One that sends from 127.0.0.1 to `host:port`.
    ///
    /// # Panics
    /// When that is no address.
    pub fn new(to: &str) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, to)
    }

    /// One that sends from another address of this machine's, 127.x.x.x.
    ///
    /// # Panics
    /// When `to` is no address.
    pub fn from(from: Ipv4Addr, to: &str) -> Self {
        Self {
            to: to.parse().expect("an address"),
            from,
            stream: None,
        }
    }

    /// Delivers to `/webhook`. A connection is kept and used again.
    pub fn post(&mut self, headers: &[String], body: &[u8]) -> Result<Answer> {
        let mut head = String::from("POST /webhook HTTP/1.1\r\nHost: agent\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
        let kept = self.stream.is_some();
        match self.raw(head.as_bytes(), body) {
            // One that was kept may be over by now.
            Err(_) if kept => self.raw(head.as_bytes(), body),
            other => other,
        }
    }

    /// Sends bytes as they are, and reads what is answered, if it is.
    pub fn raw(&mut self, head: &[u8], body: &[u8]) -> Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(self.connect()?),
        };
        stream.get_mut().write_all(head)?;
        // Who is refused before he has sent all finds the connection closed.
        let sent = stream.get_mut().write_all(body);
        let answer = read_answer(&mut stream)?;
        if sent.is_ok() && answer.status < 400 {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    fn connect(&self) -> Result<TcpStream> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((self.from, 0).into())?;
            socket.connect(self.to).await?.into_std()
        })?;
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(stream)
    }
}

fn read_answer(stream: &mut impl BufRead) -> Result<Answer> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).context("no status")?.parse()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line)? > 0, "the head is cut off");
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Answer {
        status,
        body: String::from_utf8(body)?,
    })
}
