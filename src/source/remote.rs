//! A conversation with a remote repository: which refs it has, fetch, push.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use git2::{
    AutotagOption, CertificateCheckStatus, Direction, FetchOptions, FetchPrune, ProxyOptions,
    PushOptions, RemoteCallbacks, RemoteRedirect, Repository,
};

use super::auth::{Credentials, Offer, SshLogin, refused};
use super::known_hosts::{self, HostKey, HostKeyError};
use super::problem::{Refusal, SourceProblem, explain};
use super::url::{RepoUrl, Transport};
use crate::model::Revision;

/// A transfer that doesn't grow for this long is given up. libgit2's own timeout ends
/// the silence of a server; this ends one that only says that it is still there.
/// Long enough for a server that counts the objects of a very large repository.
const STALL: Duration = Duration::from_mins(5);

/// A repository elsewhere, and what to log in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Where it is.
    pub url: RepoUrl,
    /// What to log in with.
    pub credentials: Credentials,
}

impl Remote {
    /// From its parts.
    pub fn new(url: RepoUrl, credentials: Credentials) -> Self {
        Self { url, credentials }
    }

    /// Its branches by name (without `refs/heads/`): one question, no objects.
    pub fn branches(&self) -> Result<BTreeMap<String, Revision>, SourceProblem> {
        let talk = Talk::default();
        let listed = self.list(&talk);
        listed.map_err(|error| explain(&self.url, &error, talk.refusal()))
    }

    fn list(&self, talk: &Talk) -> Result<BTreeMap<String, Revision>, git2::Error> {
        if let Some(path) = self.url.local_path() {
            // Of a path where nothing is, a remote says "unsupported URL protocol".
            Repository::open(path)?;
        }
        let mut remote = git2::Remote::create_detached(self.url.connect_text())?;
        let connection =
            remote.connect_auth(Direction::Fetch, Some(talk.callbacks(self)), Some(proxy()))?;
        let branches = connection.list()?.iter().filter_map(|head| {
            let name = head.name().strip_prefix("refs/heads/")?;
            Some((name.to_owned(), head.oid().to_string().parse().ok()?))
        });
        Ok(branches.collect())
    }

    /// Fetches refspecs into a repository; refs that the remote doesn't have are left
    /// out without a word.
    pub(crate) fn fetch(
        &self,
        into: &Repository,
        refspecs: &[String],
    ) -> Result<(), SourceProblem> {
        let talk = Talk::default();
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(talk.callbacks(self))
            .proxy_options(proxy())
            .download_tags(AutotagOption::None)
            .prune(FetchPrune::Off)
            .update_fetchhead(false)
            .follow_redirects(RemoteRedirect::Initial);
        into.remote_anonymous(self.url.connect_text())
            .and_then(|mut remote| remote.fetch(refspecs, Some(&mut options), None))
            .map_err(|error| explain(&self.url, &error, talk.refusal()))
    }

    /// Pushes one refspec. A server that rejects it is `Ok(Sent::Rejected)`: libgit2
    /// itself says nothing of it.
    pub(crate) fn push(&self, from: &Repository, refspec: &str) -> Result<Sent, SourceProblem> {
        let talk = Talk::default();
        match self.send(from, refspec, &talk) {
            Ok(()) => Ok(talk.rejection().map_or(Sent::Taken, Sent::Rejected)),
            Err(error) if error.code() == git2::ErrorCode::NotFastForward => Ok(Sent::Behind),
            Err(error) => Err(explain(&self.url, &error, talk.refusal())),
        }
    }

    fn send(&self, from: &Repository, refspec: &str, talk: &Talk) -> Result<(), git2::Error> {
        let mut options = PushOptions::new();
        options
            .remote_callbacks(talk.callbacks(self))
            .proxy_options(proxy())
            .follow_redirects(RemoteRedirect::Initial);
        let mut remote = from.remote_anonymous(self.url.connect_text())?;
        remote.push(&[refspec], Some(&mut options))
    }
}

/// As Git: the configuration's proxy, or that of `https_proxy`, minus `no_proxy`.
fn proxy() -> ProxyOptions<'static> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The remote has it.
    Taken,
    /// The remote has commits that we don't know.
    Behind,
    /// The remote did not want it, and said why.
    Rejected(String),
}

/// What the callbacks of one conversation leave behind.
#[derive(Default)]
struct Talk {
    refusal: Rc<RefCell<Option<Refusal>>>,
    rejection: Rc<RefCell<Option<String>>>,
}

impl Talk {
    fn refusal(&self) -> Option<Refusal> {
        self.refusal.borrow_mut().take()
    }

    fn rejection(&self) -> Option<String> {
        self.rejection.borrow_mut().take()
    }

    fn callbacks<'a>(&self, remote: &'a Remote) -> RemoteCallbacks<'a> {
        let mut callbacks = RemoteCallbacks::new();
        let mut offer = Offer::new(&remote.url, &remote.credentials);
        let refusal = Rc::clone(&self.refusal);
        callbacks.credentials(move |url, user, allowed| {
            offer.answer(url, user, allowed)?.map_err(|why| {
                *refusal.borrow_mut() = Some(Refusal::Credentials(why));
                refused()
            })
        });
        let refusal = Rc::clone(&self.refusal);
        callbacks.certificate_check(move |certificate, _| {
            let Some(key) = certificate.as_hostkey() else {
                return Ok(CertificateCheckStatus::CertificatePassthrough);
            };
            check_host(remote, key).map_err(|why| {
                *refusal.borrow_mut() = Some(why);
                refused()
            })
        });
        let rejection = Rc::clone(&self.rejection);
        callbacks.push_update_reference(move |_, status| {
            *rejection.borrow_mut() = status.map(str::to_owned);
            Ok(())
        });
        self.watch_progress(&mut callbacks);
        callbacks
    }

    fn watch_progress(&self, callbacks: &mut RemoteCallbacks<'_>) {
        let progress = Rc::new(RefCell::new(Growth::new()));
        let (shared, refusal) = (Rc::clone(&progress), Rc::clone(&self.refusal));
        callbacks.transfer_progress(move |now| {
            let size = now.received_bytes() + now.indexed_deltas() + now.indexed_objects();
            shared.borrow_mut().goes_on(size, &refusal)
        });
        let refusal = Rc::clone(&self.refusal);
        callbacks.sideband_progress(move |_| {
            let mut progress = progress.borrow_mut();
            let size = progress.size;
            progress.goes_on(size, &refusal)
        });
    }
}

struct Growth {
    size: usize,
    at: Instant,
}

impl Growth {
    fn new() -> Self {
        Self {
            size: 0,
            at: Instant::now(),
        }
    }

    fn goes_on(&mut self, size: usize, refusal: &RefCell<Option<Refusal>>) -> bool {
        if size > self.size {
            (self.size, self.at) = (size, Instant::now());
        }
        if self.at.elapsed() < STALL {
            return true;
        }
        let seconds = STALL.as_secs();
        *refusal.borrow_mut() = Some(Refusal::Stalled { seconds });
        false
    }
}

fn check_host(
    remote: &Remote,
    key: &git2::cert::CertHostkey<'_>,
) -> Result<CertificateCheckStatus, Refusal> {
    let Transport::Ssh { host, port, .. } = remote.url.transport() else {
        return Ok(CertificateCheckStatus::CertificatePassthrough);
    };
    let login = remote
        .credentials
        .ssh_login()
        .map_err(Refusal::Credentials)?;
    let (Some(blob), Some(kind)) = (key.hostkey(), key.hostkey_type()) else {
        return Err(Refusal::HostKey(HostKeyError::NoKey { host: host.clone() }));
    };
    let kind = kind.name();
    vouched(login, (host, *port), HostKey { kind, blob }).map_err(Refusal::HostKey)?;
    Ok(CertificateCheckStatus::CertificateOk)
}

fn vouched(login: &SshLogin, host: (&str, u16), key: HostKey<'_>) -> Result<(), HostKeyError> {
    let file = login.known_hosts.display().to_string();
    match std::fs::read_to_string(&login.known_hosts) {
        Ok(text) => known_hosts::check(&text, &file, host, key),
        Err(error) => Err(HostKeyError::Unreadable {
            file,
            reason: error.to_string(),
        }),
    }
}
