//! Requests to a forge: conditional, bounded, none before a rate limit is over, and none
//! to any other place, which would be given the token.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use http::header::{ACCEPT, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::address::ForgeAddress;
use super::answer;
use super::error::ForgeError;
use super::limits;
use super::token::ForgeToken;
use crate::model::root_cause;
use crate::runtime::clock;
use crate::runtime::lock::lock;
use crate::runtime::net::{self, Tls};

/// No answer of an API takes longer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How much of an answer is read, in bytes.
const LARGEST: usize = 16 << 20;

/// How many pages of a list are read, 50 or 100 items each.
const PAGES: usize = 40;

/// How many answers are kept to ask only whether they have changed.
const KEPT: usize = 256;

/// How often a request follows what has moved.
const MOVES: usize = 3;

/// A client for one API.
pub(super) struct Http {
    /// Made anew after a connection failed: whom it trusts stands in files.
    client: Mutex<Option<reqwest::Client>>,
    tls: Tls,
    /// Without a slash at the end.
    api: String,
    host: String,
    token: ForgeToken,
    headers: &'static [(HeaderName, HeaderValue)],
    kept: Mutex<BTreeMap<String, Kept>>,
    pause: Mutex<Option<Timestamp>>,
}

/// An answer, and what names its version.
#[derive(Clone)]
struct Kept {
    tag: HeaderValue,
    page: Page,
}

/// An answer to a question.
#[derive(Clone)]
struct Page {
    body: Vec<u8>,
    next: Option<String>,
}

impl Http {
    pub(super) fn new(
        address: &ForgeAddress,
        (token, tls): (ForgeToken, &Tls),
        headers: &'static [(HeaderName, HeaderValue)],
    ) -> Result<Self, ForgeError> {
        let http = Self {
            client: Mutex::default(),
            tls: tls.clone(),
            api: address.api(),
            host: address.host(),
            token,
            headers,
            kept: Mutex::default(),
            pause: Mutex::default(),
        };
        http.client()?;
        Ok(http)
    }

    fn client(&self) -> Result<reqwest::Client, ForgeError> {
        let mut client = lock(&self.client);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let proxies = net::proxies().map_err(|error| self.unreachable(error.to_string()))?;
        let tls = self.tls.configuration();
        let tls = tls.map_err(|error| self.unreachable(error.to_string()))?;
        // Redirects that stay here are followed below.
        let made = net::client(proxies, tls)
            .user_agent(concat!("gitops-agent/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| self.unreachable(root_cause(&error)))?;
        Ok(client.insert(made).clone())
    }

    fn unreachable(&self, reason: String) -> ForgeError {
        ForgeError::Unreachable {
            host: self.host.clone(),
            reason,
        }
    }

    /// One thing.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ForgeError> {
        let page = self.page(&format!("{}{path}", self.api)).await?;
        self.parse(&page.body, &Method::GET, path)
    }

    /// A list, over all its pages.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ForgeError> {
        let mut items = Vec::new();
        let mut url = Some(format!("{}{path}", self.api));
        for _ in 0..PAGES {
            let Some(wanted) = url else { break };
            let page = self.page(&wanted).await?;
            items.extend(self.parse::<Vec<T>>(&page.body, &Method::GET, path)?);
            url = page.next;
        }
        Ok(items)
    }

    /// Whether something is there: of a path that answers with nothing but its status.
    pub(super) async fn exists(&self, path: &str) -> Result<bool, ForgeError> {
        let request = self.client()?.get(format!("{}{path}", self.api));
        match self.send(request, &Method::GET, path).await {
            Ok(_) => Ok(true),
            Err(ForgeError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A write, and what came of it.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<T, ForgeError> {
        let answer = self.written(&method, path, body).await?;
        self.parse(&answer, &method, path)
    }

    /// A write whose answer tells nothing new.
    pub(super) async fn tell(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(), ForgeError> {
        self.written(&method, path, body).await.map(drop)
    }

    async fn written(
        &self,
        method: &Method,
        path: &str,
        body: &Value,
    ) -> Result<Vec<u8>, ForgeError> {
        let url = format!("{}{path}", self.api);
        let request = self.client()?.request(method.clone(), url).json(body);
        let (_, answer) = self.send(request, method, path).await?;
        Ok(answer)
    }

    /// Removes something, if it is there.
    pub(super) async fn remove(&self, path: &str) -> Result<(), ForgeError> {
        let request = self.client()?.delete(format!("{}{path}", self.api));
        match self.send(request, &Method::DELETE, path).await {
            Ok(_) | Err(ForgeError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What is wrong with an answer that says something impossible.
    pub(super) fn unclear(&self, path: &str, reason: &dyn std::fmt::Display) -> ForgeError {
        ForgeError::Unclear {
            host: self.host.clone(),
            act: format!("GET {path}"),
            reason: reason.to_string(),
        }
    }

    async fn page(&self, url: &str) -> Result<Page, ForgeError> {
        let path = url.strip_prefix(&self.api).unwrap_or(url);
        let known = lock(&self.kept).get(url).cloned();
        let mut request = self.client()?.get(url);
        if let Some(kept) = &known {
            request = request.header(IF_NONE_MATCH, kept.tag.clone());
        }
        let (head, body) = self.send(request, &Method::GET, path).await?;
        if let (StatusCode::NOT_MODIFIED, Some(kept)) = (head.status, known) {
            return Ok(kept.page);
        }
        let next = match answer::next(&head.headers) {
            None => None,
            Some(next) => match answer::here(&self.api, &next) {
                None => return Err(self.unclear(path, &format!("it goes on at {next}"))),
                here => here,
            },
        };
        let page = Page { body, next };
        let mut all = lock(&self.kept);
        if let Some(tag) = head.headers.get(ETAG) {
            if all.len() >= KEPT {
                all.clear();
            }
            let (tag, page) = (tag.clone(), page.clone());
            all.insert(url.to_owned(), Kept { tag, page });
        } else {
            all.remove(url);
        }
        Ok(page)
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        method: &Method,
        path: &str,
    ) -> Result<(Parts, Vec<u8>), ForgeError> {
        self.wait_out()?;
        let token = self.token.read()?;
        let mut request = request
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .bearer_auth(token.expose());
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let unreachable = |error: reqwest::Error| self.unreachable(root_cause(&error));
        let (client, request) = request.build_split();
        let request = request.map_err(unreachable)?;
        let response = self.followed(&client, request).await;
        if response.as_ref().is_err_and(reqwest::Error::is_connect) {
            *lock(&self.client) = None;
        }
        let mut response = response.map_err(unreachable)?;
        let head = Parts {
            status: response.status(),
            headers: response.headers().clone(),
        };
        let mut pause = limits::pause(head.status, &head.headers, clock::now());
        self.rest(pause);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                return Err(self.unclear(path, &"it is larger than 16 MiB"));
            }
        }
        let fine = head.status.is_success() || head.status == StatusCode::NOT_MODIFIED;
        if fine {
            return Ok((head, body));
        }
        let message = answer::message(&head.headers, &body);
        if pause.is_none() {
            pause = limits::pause_in_words(head.status, &message, clock::now());
            self.rest(pause);
        }
        Err(self.refusal(head.status, pause, message, format!("{method} {path}")))
    }

    /// Sends a request, and once more to where the forge says that it belongs by now, as
    /// after a repository has got another name.
    async fn followed(
        &self,
        client: &reqwest::Client,
        mut request: reqwest::Request,
    ) -> Result<reqwest::Response, reqwest::Error> {
        for _ in 0..MOVES {
            let again = request.try_clone();
            let response = client.execute(request).await?;
            match again.and_then(|again| answer::moved(&self.api, again, &response)) {
                Some(moved) => request = moved,
                None => return Ok(response),
            }
        }
        client.execute(request).await
    }

    fn rest(&self, pause: Option<Timestamp>) {
        if pause.is_some() {
            *lock(&self.pause) = pause;
        }
    }

    /// Nothing is sent while the forge wants to be left alone.
    fn wait_out(&self) -> Result<(), ForgeError> {
        let until = *lock(&self.pause);
        match until.filter(|until| *until > clock::now()) {
            Some(until) => Err(ForgeError::Limited {
                host: self.host.clone(),
                until,
            }),
            None => Ok(()),
        }
    }

    fn refusal(
        &self,
        status: StatusCode,
        pause: Option<Timestamp>,
        message: String,
        act: String,
    ) -> ForgeError {
        let host = self.host.clone();
        match (status, pause) {
            (StatusCode::UNAUTHORIZED, _) => ForgeError::Unauthorized { host, act, message },
            (status, Some(until)) if status.is_client_error() => {
                ForgeError::Limited { host, until }
            }
            (StatusCode::FORBIDDEN, _) => ForgeError::Forbidden { host, act, message },
            (StatusCode::NOT_FOUND, _) => ForgeError::NotFound { host, act },
            (status, _) if status.is_server_error() => ForgeError::Failed {
                host,
                act,
                status: status.as_u16(),
                message,
            },
            (status, _) => ForgeError::Refused {
                host,
                act,
                status: status.as_u16(),
                message,
            },
        }
    }

    fn parse<T: DeserializeOwned>(
        &self,
        body: &[u8],
        method: &Method,
        path: &str,
    ) -> Result<T, ForgeError> {
        serde_json::from_slice(body).map_err(|error| ForgeError::Unclear {
            host: self.host.clone(),
            act: format!("{method} {path}"),
            reason: error.to_string(),
        })
    }
}

struct Parts {
    status: StatusCode,
    headers: HeaderMap,
}

/// A value for a query (RFC 3986): a branch may have any name.
pub(super) fn encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests;
