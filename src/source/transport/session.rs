//! The requests of one conversation: where they go, who they say that we are, and what
//! their answers mean.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, PRAGMA, USER_AGENT};
use http::{HeaderValue, StatusCode};
use reqwest::{Client, Response, Url};

use super::Conversation;
use super::pace::{Act, Pace};
use super::spool::Spool;
use super::verdict::{Verdict, verdict};
use crate::model::{Redacted, root_cause};
use crate::runtime::clock;
use crate::runtime::net::{
    self, CONNECT, Loopback, Proxies, ProxyUrl, Target, Waited, certificate_problem, retry_after,
};
use crate::source::auth::CredentialsError;
use crate::source::problem::SourceProblem;

/// Forges know Git by the beginning of it, and answer others with a page.
const AGENT: &str = concat!("git/2.0 (gitops-agent ", env!("CARGO_PKG_VERSION"), ")");

/// How often one question is asked: moved a few times, and once more with a login.
const TRIES: usize = 6;

/// What a slow line carries upwards within a second, in bytes.
const UPWARDS: u64 = 16 << 10;

/// How long a server's words about a refusal are waited for, and how many are kept.
const WORDS: (Duration, usize) = (Duration::from_secs(5), 2 << 10);

/// A repository over HTTP.
pub(super) struct Session {
    conversation: Arc<Conversation>,
    client: Client,
    proxies: Proxies,
    /// Where the credentials are for: the address that was configured.
    home: Url,
    /// The repository's address, without a slash at the end.
    base: Url,
    login: Login,
}

/// What of the credentials is sent.
enum Login {
    /// None, until the server asks.
    Unasked,
    /// These.
    Given(HeaderValue),
}

impl Session {
    /// Reads what the connection needs; sends nothing.
    pub(super) fn new(conversation: Arc<Conversation>, url: &str) -> Result<Self, SourceProblem> {
        let remote = &conversation.remote;
        let address = |text: &str| {
            let parsed = text.trim_end_matches('/').parse::<Url>();
            parsed.map_err(|error| conversation.unreachable(error))
        };
        let (home, base) = (address(remote.url.connect_text())?, address(url)?);
        let proxies = net::proxies().map_err(|error| conversation.unreachable(error))?;
        let proxies = match &conversation.proxy {
            Some(own) => proxies.instead(own_proxy(&conversation, own)?),
            None => proxies,
        };
        let tls = remote.credentials.tls.configuration();
        let tls = tls.map_err(|error| conversation.unreachable(error))?;
        let client = net::client(proxies.clone(), tls)
            .user_agent(AGENT)
            .build()
            .map_err(|error| conversation.unreachable(root_cause(&error)))?;
        Ok(Self {
            conversation,
            client,
            proxies,
            home,
            base,
            login: Login::Unasked,
        })
    }

    /// Sends a request, again where the server wants it otherwise, and gives the answer
    /// whose body is Git's.
    pub(super) fn ask(
        &mut self,
        act: Act,
        spool: &mut Spool,
        pace: &mut Pace,
    ) -> Result<Response, SourceProblem> {
        for _ in 0..TRIES {
            let response = self.send(act, spool, pace)?;
            match verdict(act, response.status(), response.headers()) {
                Verdict::Git => return Ok(response),
                Verdict::Moved(location) => self.follow(act, &location)?,
                Verdict::WhoAreYou => self.log_in()?,
                refused => return Err(self.refused(act, spool.size(), &refused, response)),
            }
        }
        Err(self.conversation.unreachable("it goes on redirecting"))
    }

    fn send(
        &self,
        act: Act,
        spool: &mut Spool,
        pace: &mut Pace,
    ) -> Result<Response, SourceProblem> {
        let conversation = &self.conversation;
        pace.again(Instant::now());
        let patience = pace
            .patience(Instant::now())
            .map_err(|slow| conversation.unreachable(slow))?;
        let upwards = Duration::from_secs(spool.size() / UPWARDS);
        let request = self.request(act, spool)?;
        let client = self.client.clone();
        let sent = conversation.wait(
            patience + upwards,
            async move { client.execute(request).await },
        );
        match sent {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.unsent(&error)),
            Err(Waited::Late(patience)) => {
                let seconds = patience.as_secs();
                Err(conversation.unreachable(format_args!(
                    "it gave no answer for {seconds} s{}",
                    self.by_proxy()
                )))
            }
            Err(waited) => Err(conversation.unreachable(waited)),
        }
    }

    fn request(&self, act: Act, spool: &mut Spool) -> Result<reqwest::Request, SourceProblem> {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}",
            self.base.path().trim_end_matches('/'),
            act.path()
        ));
        let mut request = if act.asks() {
            url.set_query(Some(&format!("service={}", act.service())));
            self.client.get(url)
        } else {
            let body = spool.body();
            let body = body.map_err(|error| {
                let reason = format_args!("what is to be sent can't be read again: {error}");
                self.conversation.unreachable(reason)
            })?;
            self.client
                .post(url)
                .header(
                    CONTENT_TYPE,
                    format!("application/x-{}-request", act.service()),
                )
                .body(body)
        };
        if let Login::Given(login) = &self.login
            && same_place(&self.base, &self.home)
        {
            request = request.header(AUTHORIZATION, login);
        }
        let request = request.header(ACCEPT, act.answer_type());
        // As Git does, so that no cache in between answers with old refs.
        let request = request
            .header(PRAGMA, "no-cache")
            .header(USER_AGENT, AGENT)
            .build();
        request.map_err(|error| self.conversation.unreachable(root_cause(&error)))
    }

    fn log_in(&mut self) -> Result<(), SourceProblem> {
        let refuse = |error| Err(self.conversation.unauthorized(&error));
        if !same_place(&self.base, &self.home) {
            let host = place(&self.base);
            return refuse(CredentialsError::Redirected { host });
        }
        if matches!(self.login, Login::Given(_)) {
            let kind = "user and token or password";
            return refuse(CredentialsError::Refused { kind });
        }
        let remote = &self.conversation.remote;
        match remote.credentials.http_login(&remote.url) {
            Ok((user, secret)) => self.login = Login::Given(basic(&user, &secret)),
            Err(error) => return refuse(error),
        }
        Ok(())
    }

    /// Goes where the server says that the repository is by now.
    fn follow(&mut self, act: Act, location: &str) -> Result<(), SourceProblem> {
        let moved = moved(&self.base, act, location);
        self.base = moved.map_err(|reason| SourceProblem::NoRepository {
            url: self.conversation.url(),
            reason,
        })?;
        Ok(())
    }

    fn refused(&self, act: Act, sent: u64, verdict: &Verdict, response: Response) -> SourceProblem {
        let (url, status) = (self.conversation.url(), response.status());
        let pause = retry_after(response.headers(), clock::now());
        let said = said(status, &self.words(response));
        match verdict {
            Verdict::Forbidden => SourceProblem::Unauthorized { url, reason: said },
            Verdict::Nothing => SourceProblem::NoRepository { url, reason: said },
            Verdict::NotGit(kind) => SourceProblem::NoRepository {
                url,
                reason: format!("it answers with {kind} instead of {}", act.answer_type()),
            },
            Verdict::Busy => SourceProblem::Busy {
                url,
                reason: said,
                pause,
            },
            Verdict::TooLarge => {
                let size = sent.div_ceil(1 << 10);
                self.conversation.unreachable(format_args!(
                    "{said}: it doesn't take the {size} KiB that were sent; raise its limit"
                ))
            }
            Verdict::Git | Verdict::Moved(_) | Verdict::WhoAreYou | Verdict::Failed => self
                .conversation
                .unreachable(format_args!("{said}{}", self.by_proxy())),
        }
    }

    /// What the server says of a refusal, where it says it as plain text.
    fn words(&self, mut response: Response) -> String {
        let kind = response.headers().get(CONTENT_TYPE);
        let plain = kind.and_then(|kind| kind.to_str().ok());
        if !plain.is_some_and(|kind| kind.starts_with("text/plain")) {
            return String::new();
        }
        let (patience, most) = WORDS;
        let read = self.conversation.wait(patience, async move {
            let mut text = Vec::new();
            while let Ok(Some(piece)) = response.chunk().await {
                text.extend_from_slice(&piece);
                if text.len() >= most {
                    break;
                }
            }
            text.truncate(most);
            text
        });
        let text = read.unwrap_or_default();
        super::words(&String::from_utf8_lossy(&text))
    }

    /// Why a request had no answer.
    fn unsent(&self, error: &reqwest::Error) -> SourceProblem {
        if let Some(problem) = certificate_problem(error) {
            return SourceProblem::Certificate {
                url: self.conversation.url(),
                reason: problem.to_string(),
            };
        }
        let by_proxy = self.by_proxy();
        if error.is_connect() && error.is_timeout() {
            let seconds = CONNECT.as_secs();
            return self.conversation.unreachable(format_args!(
                "no connection could be made within {seconds} s{by_proxy}"
            ));
        }
        let reason = root_cause(error);
        self.conversation
            .unreachable(format_args!("{reason}{by_proxy}"))
    }

    /// Says which proxy is in between, if one is.
    fn by_proxy(&self) -> String {
        let target = Target {
            scheme: self.base.scheme(),
            host: self.base.host_str().unwrap_or_default(),
            port: self.base.port(),
        };
        let proxy = self.proxies.towards(target, Loopback::Proxied);
        proxy.map_or_else(String::new, |proxy| format!(" (through the proxy {proxy})"))
    }
}

fn own_proxy(
    conversation: &Conversation,
    own: &Redacted,
) -> Result<Option<ProxyUrl>, SourceProblem> {
    if own.expose().is_empty() {
        return Ok(None);
    }
    let proxy = ProxyUrl::parse(own.expose(), "http.proxy of Git's configuration");
    proxy
        .map(Some)
        .map_err(|error| conversation.unreachable(error))
}

/// Whether two addresses are of one server, so that what one may be told the other may.
fn same_place(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// The address of a repository whose server answers an act with a redirect, or why it is not
/// gone to.
fn moved(base: &Url, act: Act, location: &str) -> Result<Url, String> {
    let mut asked = base.clone();
    asked.set_path(&format!(
        "{}{}",
        base.path().trim_end_matches('/'),
        act.path()
    ));
    let mut target = asked
        .join(location)
        .map_err(|error| format!("it redirects to what is no address: {error}"))?;
    let path = target.path().strip_suffix(act.path()).map(str::to_owned);
    let (true, Some(path)) = (matches!(target.scheme(), "http" | "https"), path) else {
        let to = place(&target);
        return Err(format!(
            "it redirects to a page of {to}, which is not Git's"
        ));
    };
    if base.scheme() == "https" && target.scheme() == "http" {
        let to = place(&target);
        return Err(format!("it redirects from https to {to}"));
    }
    target.set_path(&path);
    target.set_query(None);
    target.set_fragment(None);
    Ok(target)
}

/// A server as it can be shown: a path or a query may hold a token.
fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}"));
    format!(
        "{}://{}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        port.unwrap_or_default()
    )
}

fn basic(user: &str, secret: &Redacted) -> HeaderValue {
    let login = STANDARD.encode(format!("{user}:{}", secret.expose()));
    let mut value =
        HeaderValue::from_str(&format!("Basic {login}")).expect("base64 has only letters");
    value.set_sensitive(true);
    value
}

fn said(status: StatusCode, words: &str) -> String {
    if words.is_empty() {
        format!("it answers {status}")
    } else {
        format!("it answers {status}: {words}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_to_a_repository_and_never_out_of_https() {
        let to = |base: &str, location: &str| {
            let base = base.parse().expect("an address");
            moved(&base, Act::FetchRefs, location).map(|url| url.to_string())
        };
        let there = |place: &str| format!("{place}/info/refs?service=git-upload-pack");
        assert_eq!(
            to("https://a.example/x", &there("https://b.example:8443/y")),
            Ok("https://b.example:8443/y".to_owned())
        );
        assert_eq!(
            to("http://a.example/x", &there("/y.git")),
            Ok("http://a.example/y.git".to_owned())
        );
        for (location, why) in [
            (there("http://a.example/x"), "from https to"),
            ("https://a.example/login".to_owned(), "which is not Git's"),
            (there("file:///etc"), "which is not Git's"),
            ("https://[".to_owned(), "no address"),
        ] {
            let refused = to("https://a.example/x", &location).expect_err(&location);
            assert!(refused.contains(why), "{location}: {refused}");
        }
    }
}
