//! How Git's protocol is carried: over our own HTTP client, so that proxies, certificates,
//! redirects, credentials, bounds and the end of the process are what they are for every
//! other connection; and over the system's `ssh`, so that hosts, keys and algorithms are as
//! OpenSSH has them, with the same bounds and the same end.
//!
//! libgit2 makes a transport by the scheme of an address and tells it nothing of who
//! wants it. All of a conversation happens in one thread, so what it is about is that
//! thread's for as long as it lasts ([`Conversation::hold`]).

mod advertised;
mod exchange;
mod gitconfig;
mod http;
mod pace;
mod pipes;
mod said;
mod session;
mod spool;
mod ssh;
mod verdict;

use std::cell::RefCell;
use std::fmt::Display;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use self::advertised::Advertised;
use self::http::Http;
use self::pace::{Act, Limits};
use self::ssh::Ssh;
use super::auth::CredentialsError;
use super::problem::SourceProblem;
use super::remote::Remote;
use super::url::{RepoUrl, Transport};
use crate::model::{Redacted, cut, shown_line};
use crate::runtime::exec;
use crate::runtime::lock::lock;
use crate::runtime::net::{self, Waited};
use crate::runtime::shutdown;
use git2::{Config, ErrorClass, ErrorCode};

/// A conversation with a remote, and why it failed if it did: more telling than what
/// libgit2 makes of it.
#[derive(Debug)]
pub(super) struct Conversation {
    remote: Remote,
    /// The proxy that Git's configuration names; an empty one means none.
    proxy: Option<Redacted>,
    problem: Mutex<Option<SourceProblem>>,
    advertised: Mutex<Advertised>,
    limits: fn(Act) -> Limits,
    begun: Instant,
    /// Since when the process is to end.
    asked: fn() -> Option<Instant>,
}

/// How long a conversation may go on once the process was asked to end: the last push of
/// the record is made within it, and a server that hangs does not hold up the end.
const GRACE: Duration = Duration::from_secs(3);

impl Conversation {
    /// A conversation that has not begun.
    pub(super) fn new(remote: &Remote, config: Result<Config, git2::Error>) -> Arc<Self> {
        let conversation = Self {
            remote: remote.clone(),
            proxy: None,
            problem: Mutex::default(),
            advertised: Mutex::default(),
            limits: Limits::of,
            begun: Instant::now(),
            asked: shutdown::asked_since,
        };
        let Transport::Http { .. } = remote.url.transport() else {
            return Arc::new(conversation);
        };
        match config.and_then(|config| gitconfig::proxy(&config, remote.url.connect_text())) {
            Ok(proxy) => Arc::new(Self {
                proxy,
                ..conversation
            }),
            Err(error) => {
                let reason = error.message();
                conversation.fail(
                    conversation
                        .unreachable(format_args!("Git's configuration can't be read: {reason}")),
                );
                Arc::new(conversation)
            }
        }
    }

    /// The address of the other side.
    pub(super) fn remote(&self) -> &RepoUrl {
        &self.remote.url
    }

    /// Lets libgit2 hold it.
    pub(super) fn hold<T>(self: &Arc<Self>, act: impl FnOnce() -> T) -> T {
        register();
        let _held = Held::new(self);
        act()
    }

    /// Why it failed, if we know better than libgit2. The first reason counts: what
    /// follows comes of it.
    pub(super) fn problem(&self) -> Option<SourceProblem> {
        lock(&self.problem).take()
    }

    /// Keeps why it fails.
    pub(super) fn fail(&self, problem: SourceProblem) {
        lock(&self.problem).get_or_insert(problem);
    }

    /// Takes note of a piece of the list of refs.
    fn listed(&self, piece: &[u8]) {
        lock(&self.advertised).read(piece);
    }

    /// What is told of the list of refs where libgit2 can't go on from it.
    pub(super) fn cut_off(&self) -> Option<SourceProblem> {
        lock(&self.advertised).is_cut().then(|| SourceProblem::Form {
            url: self.url(),
            reason: "the server's own copy is a shallow one, whose history is cut off; run `git fetch --unshallow` there, or serve a whole clone".to_owned(),
        })
    }

    fn url(&self) -> String {
        self.remote.url.to_string()
    }

    pub(super) fn unreachable(&self, reason: impl Display) -> SourceProblem {
        SourceProblem::Unreachable {
            url: self.url(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn unauthorized(&self, reason: &CredentialsError) -> SourceProblem {
        SourceProblem::Unauthorized {
            url: self.url(),
            reason: reason.to_string(),
        }
    }

    /// Waits for the network, at most so long, and not beyond the end of the process.
    fn wait<T: Send + 'static>(
        &self,
        patience: Duration,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Waited> {
        net::wait(patience, || self.is_over(), future)
    }

    fn is_over(&self) -> bool {
        (self.asked)().is_some_and(|asked| asked.max(self.begun).elapsed() >= GRACE)
    }
}

thread_local! {
    static HELD: RefCell<Option<Arc<Conversation>>> = const { RefCell::new(None) };
}

/// The conversation of this thread, until it is dropped.
struct Held;

impl Held {
    fn new(conversation: &Arc<Conversation>) -> Self {
        HELD.set(Some(Arc::clone(conversation)));
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(None);
    }
}

/// Makes ours the transports of all conversations.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for scheme in ["http", "https"] {
            take(scheme, |remote| {
                git2::transport::Transport::smart(remote, true, Http::new(held()?))
            });
        }
        // That of `host:path`, too.
        take("ssh", |remote| {
            let ssh = Ssh::new(held()?, exec::on_path("ssh"));
            git2::transport::Transport::smart(remote, false, ssh)
        });
    });
}

fn held() -> Result<Arc<Conversation>, git2::Error> {
    let held = HELD.with_borrow(Clone::clone);
    held.ok_or_else(|| generic("no conversation is held"))
}

#[expect(
    unsafe_code,
    reason = "libgit2's list of transports is process-wide; sound while none is made meanwhile"
)]
fn take<F>(scheme: &str, make: F)
where
    F: Fn(&git2::Remote<'_>) -> Result<git2::transport::Transport, git2::Error>,
    F: Send + Sync + 'static,
{
    // SAFETY: every remote of this process is spoken to within `hold`, which waits for
    // `register`, so nobody else makes a transport now.
    let registered = unsafe { git2::transport::register(scheme, make) };
    if let Err(error) = registered {
        // Only a second registration fails, and there is none.
        tracing::error!(scheme, %error, "libgit2 does not take the agent's transport");
    }
}

/// Another side's words on one line.
pub(super) fn words(text: &str) -> String {
    const MOST: usize = 500;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join("; ");
    cut(&shown_line(&line), MOST).into_owned()
}

/// What libgit2 is told: that it is over. Why is kept in the conversation.
fn generic(message: &str) -> git2::Error {
    git2::Error::new(ErrorCode::GenericError, ErrorClass::Net, message)
}

#[cfg(test)]
mod tests;
