//! A conversation with a remote repository: which refs it has, fetch, push.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use git2::{
    AutotagOption, Config, Direction, FetchOptions, FetchPrune, PushOptions, RemoteCallbacks,
    RemoteRedirect, Repository,
};

use tracing::warn;

use super::auth::Credentials;
use super::exchange;
use super::growth::{Goes, Growth};
use super::problem::{SourceProblem, explain};
use super::transport::{self, Conversation};
use super::url::RepoUrl;
use crate::model::Revision;

/// How many objects a fetch may bring. libgit2 keeps about 150 bytes for each while it
/// takes them in, and a pack of empty ones is cheap to send without end.
const MOST_OBJECTS: usize = 1_000_000;

/// How much is kept of what a server says beside its answer, in bytes: the end of it,
/// where the reason of a refusal stands.
const MOST_WORDS: usize = 2 << 10;

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
        let talk = Talk::new(self, Config::open_default());
        let listed = talk.conversation.hold(|| self.list(&talk));
        listed.map_err(|error| talk.explain(&error))
    }

    fn list(&self, talk: &Talk) -> Result<BTreeMap<String, Revision>, git2::Error> {
        if let Some(path) = self.url.local_path() {
            return exchange::branches(path);
        }
        let mut remote = git2::Remote::create_detached(self.url.connect_text())?;
        let connection = remote.connect_auth(Direction::Fetch, Some(talk.callbacks()), None)?;
        let branches = connection.list()?.iter().filter_map(|head| {
            let name = head.name().strip_prefix("refs/heads/")?;
            Some((name.to_owned(), head.oid().to_string().parse().ok()?))
        });
        Ok(branches.collect())
    }

    /// Fetches refspecs into a repository over the network.
    pub(super) fn fetch_once(
        &self,
        into: &Repository,
        refspecs: &[String],
    ) -> Result<(), SourceProblem> {
        let talk = Talk::new(self, into.config());
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(talk.callbacks())
            .download_tags(AutotagOption::None)
            .prune(FetchPrune::Off)
            .update_fetchhead(false)
            .follow_redirects(RemoteRedirect::Initial);
        let fetched = talk.conversation.hold(|| {
            into.remote_anonymous(self.url.connect_text())?.fetch(
                refspecs,
                Some(&mut options),
                None,
            )
        });
        fetched.map_err(|error| talk.explain(&error))
    }

    /// Pushes one refspec.
    pub(super) fn push_once(
        &self,
        from: &Repository,
        refspec: &str,
    ) -> Result<Sent, SourceProblem> {
        let talk = Talk::new(self, from.config());
        match talk.conversation.hold(|| self.send(from, refspec, &talk)) {
            Ok(()) => Ok(talk.rejection().map_or(Sent::Taken, Sent::Rejected)),
            Err(error) if error.code() == git2::ErrorCode::NotFastForward => Ok(Sent::Behind),
            Err(error) => Err(talk.explain(&error)),
        }
    }

    fn send(&self, from: &Repository, refspec: &str, talk: &Talk) -> Result<(), git2::Error> {
        let mut options = PushOptions::new();
        options
            .remote_callbacks(talk.callbacks())
            .follow_redirects(RemoteRedirect::Initial);
        let mut remote = from.remote_anonymous(self.url.connect_text())?;
        remote.push(&[refspec], Some(&mut options))
    }
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

/// One conversation, and what its callbacks leave behind.
struct Talk {
    conversation: Arc<Conversation>,
    rejection: Rc<RefCell<Option<String>>>,
    /// What the server said beside its answers.
    words: Rc<RefCell<Vec<u8>>>,
}

impl Talk {
    fn new(remote: &Remote, config: Result<Config, git2::Error>) -> Self {
        Self {
            conversation: Conversation::new(remote, config),
            rejection: Rc::default(),
            words: Rc::default(),
        }
    }

    fn explain(&self, error: &git2::Error) -> SourceProblem {
        let known = self.conversation.problem();
        let known = known.or_else(|| self.conversation.cut_off());
        known.unwrap_or_else(|| explain(self.conversation.remote(), error))
    }

    fn rejection(&self) -> Option<String> {
        let reason = self.rejection.borrow_mut().take()?;
        let words = transport::words(&String::from_utf8_lossy(&self.words.borrow()));
        Some(if words.is_empty() {
            reason
        } else {
            format!("{reason}: {words}")
        })
    }

    fn callbacks(&self) -> RemoteCallbacks<'static> {
        let mut callbacks = RemoteCallbacks::new();
        let rejection = Rc::clone(&self.rejection);
        callbacks.push_update_reference(move |_, status| {
            *rejection.borrow_mut() = status.map(transport::words);
            Ok(())
        });
        self.watch_progress(&mut callbacks);
        callbacks
    }

    fn watch_progress(&self, callbacks: &mut RemoteCallbacks<'static>) {
        let growth = Rc::new(RefCell::new(Growth::new(Instant::now())));
        let (shared, conversation) = (Rc::clone(&growth), Arc::clone(&self.conversation));
        callbacks.transfer_progress(move |now| {
            let all = now.total_objects();
            if all > MOST_OBJECTS {
                conversation.fail(conversation.unreachable(format_args!(
                    "it sends {all} objects, and more than {MOST_OBJECTS} at once are not taken"
                )));
                return false;
            }
            let size = now.received_bytes() + now.indexed_deltas() + now.indexed_objects();
            let mut growth = shared.borrow_mut();
            growth.came(size, Instant::now());
            goes_on(&growth, &conversation)
        });
        let (words, conversation) = (Rc::clone(&self.words), Arc::clone(&self.conversation));
        let mut told = false;
        callbacks.sideband_progress(move |text| {
            let mut words = words.borrow_mut();
            words.extend_from_slice(text);
            let over = words.len().saturating_sub(MOST_WORDS);
            words.drain(..over);
            let mut growth = growth.borrow_mut();
            growth.said(text, Instant::now());
            if growth.goes(Instant::now()) == Goes::Counting && !told {
                told = true;
                let repository = conversation.remote();
                warn!(%repository, "no object comes yet, and the server says that it is at work; it is waited for a few minutes");
            }
            goes_on(&growth, &conversation)
        });
    }
}

fn goes_on(growth: &Growth, conversation: &Conversation) -> bool {
    let Goes::No(silent) = growth.goes(Instant::now()) else {
        return true;
    };
    let seconds = silent.as_secs();
    conversation.fail(conversation.unreachable(format_args!(
        "no object came for {seconds} s, so the transfer was given up"
    )));
    false
}
