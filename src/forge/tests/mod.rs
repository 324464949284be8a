//! GitHub and GitLab, which can't run here, as a server on loopback that answers with what
//! their documentation shows, and remembers what it was asked. Gitea is the real one, in
//! the integration tests.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod github;
mod gitlab;
mod manners;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use serde_json::Value;

use super::*;
use crate::model::Redacted;

/// Answers what it was told to, and 404 to all else.
pub(super) struct Fake {
    address: String,
    answers: Arc<Mutex<BTreeMap<String, Reply>>>,
    seen: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    /// Such as `GET /repos/a/b/pulls?state=open`.
    pub(super) what: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
}

impl Fake {
    pub(super) async fn start() -> Self {
        // As main does; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (answers, seen) =
            <(Arc<Mutex<BTreeMap<String, Reply>>>, Arc<Mutex<Vec<Asked>>>)>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (known, told) = (Arc::clone(&answers), Arc::clone(&seen));
        let app = Router::new().fallback(move |request: Request| answer(known, told, request));
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            address,
            answers,
            seen,
        }
    }

    /// The forge's repository `team/deploy` there.
    pub(super) fn forge(&self, kind: ForgeKind) -> Arc<dyn Forge> {
        self.forge_with(kind, ForgeToken::Given(Redacted::new("the-token")))
    }

    pub(super) fn forge_with(&self, kind: ForgeKind, token: ForgeToken) -> Arc<dyn Forge> {
        let url = format!("http://{}/team/deploy.git", self.address);
        let address = ForgeAddress::of(&url.parse().unwrap(), Some(kind), None);
        connect(&address.unwrap().unwrap(), token, &Tls::default()).unwrap()
    }

    /// From now on answers a request so.
    pub(super) fn on(&self, what: &str, status: u16, body: &str) {
        self.with(what, status, &[], body);
    }

    pub(super) fn with(&self, what: &str, status: u16, headers: &[(&str, &str)], body: &str) {
        let headers = headers.iter().map(|(name, value)| {
            let value = value.replace("HERE", &format!("http://{}", self.address));
            ((*name).to_owned(), value)
        });
        let reply = Reply {
            status,
            headers: headers.collect(),
            body: body.to_owned(),
        };
        self.answers.lock().unwrap().insert(what.to_owned(), reply);
    }

    /// What came since the last call.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The same, by what was asked alone.
    pub(super) fn asked_for(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.what).collect()
    }
}

async fn answer(
    answers: Arc<Mutex<BTreeMap<String, Reply>>>,
    seen: Arc<Mutex<Vec<Asked>>>,
    request: Request,
) -> Response {
    let what = format!("{} {}", request.method(), request.uri());
    let headers: BTreeMap<String, String> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let known = answers.lock().unwrap().get(&what).cloned();
    let reply = known.unwrap_or(Reply {
        status: 404,
        headers: Vec::new(),
        body: r#"{"message": "Not Found"}"#.to_owned(),
    });
    let tag = reply.headers.iter().find(|(name, _)| name == "etag");
    let unchanged = tag.is_some_and(|(_, tag)| headers.get("if-none-match") == Some(tag));
    seen.lock().unwrap().push(Asked {
        what,
        headers,
        body,
    });
    let mut response = Response::builder().status(if unchanged { 304 } else { reply.status });
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    let body = if unchanged { String::new() } else { reply.body };
    response.body(Body::from(body)).unwrap()
}

/// A recorded answer.
pub(super) fn recorded(name: &str) -> String {
    let path = format!("{}/testdata/forge/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

pub(super) fn revision(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

pub(super) fn section(name: &str, text: &str) -> Section {
    Section {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

pub(super) fn status(state: StatusState) -> CommitStatus {
    let url = Some("https://example.com/there".to_owned());
    CommitStatus::new("agent/staging".to_owned(), state, "1 to change", url)
}

pub(super) fn deployment(state: StatusState) -> Deployment {
    Deployment {
        environment: "staging".parse().unwrap(),
        revision: revision('8'),
        branch: "main".to_owned(),
        state,
        description: "web is synced".to_owned(),
        url: None,
    }
}
