//! The pipes of a program, as the stream that libgit2 writes to and reads from.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout};

use super::Conversation;
use super::pace::{Act, Pace, Slow};
use super::said::{Said, said};
use crate::runtime::exec::{Dialog, Partner};
use crate::runtime::net;
use crate::source::auth::CredentialsError;
use crate::source::problem::SourceProblem;

/// How long a program is waited for whose output has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a slow line carries upwards within a second, in bytes.
const UPWARDS: u64 = 16 << 10;

/// A program that speaks Git's protocol.
pub(super) struct Pipes {
    conversation: Arc<Conversation>,
    dialog: Option<Dialog>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    pace: Pace,
    second: Second,
    /// What the program reads for as long as it runs.
    _kept: Option<TempDir>,
}

/// The part after the refs, which our words begin.
struct Second {
    act: Act,
    /// Since when, and how much was sent since.
    begun: Option<(Instant, u64)>,
}

impl Pipes {
    pub(super) fn start(
        conversation: Arc<Conversation>,
        partner: &Partner,
        (first, then): (Act, Act),
        kept: Option<TempDir>,
    ) -> Result<Self, SourceProblem> {
        let started = net::within(|| Dialog::start(partner)).and_then(|started| started);
        let mut dialog = started.map_err(|error| {
            let program = partner.executable.display();
            conversation.unreachable(format_args!("{program} can't be started: {error}"))
        })?;
        Ok(Self {
            pace: Pace::new((conversation.limits)(first), Instant::now()),
            conversation,
            stdin: dialog.stdin.take(),
            stdout: dialog.stdout.take(),
            dialog: Some(dialog),
            second: Second {
                act: then,
                begun: None,
            },
            _kept: kept,
        })
    }

    fn take_in(&mut self, buffer: &mut [u8]) -> Result<usize, SourceProblem> {
        let Some(stdout) = self.stdout.take() else {
            return Err(self.over());
        };
        // The pace ends it before.
        let longest = Duration::from_hours(1);
        let taken = read(stdout, self.pace.clone(), buffer.len());
        match self.conversation.wait(longest, taken) {
            Ok(Ok((stdout, pace, piece))) if !piece.is_empty() => {
                (self.stdout, self.pace) = (Some(stdout), pace);
                buffer[..piece.len()].copy_from_slice(&piece);
                if self.second.begun.is_none() {
                    self.conversation.listed(&piece);
                }
                Ok(piece.len())
            }
            Ok(Ok(_) | Err(Broken::Pipe)) => Err(self.over()),
            Ok(Err(Broken::Slow(slow))) => Err(self.conversation.unreachable(slow)),
            Err(waited) => Err(self.conversation.unreachable(waited)),
        }
    }

    fn give(&mut self, bytes: &[u8]) -> Result<(), SourceProblem> {
        let now = Instant::now();
        let limits = (self.conversation.limits)(self.second.act);
        let (since, sent) = self.second.begun.get_or_insert_with(|| {
            self.pace = Pace::new(limits, now);
            (now, 0)
        });
        *sent += bytes.len() as u64;
        if since.elapsed() > limits.all + Duration::from_secs(*sent / UPWARDS) {
            return Err(self.conversation.unreachable(Slow::Endless(limits.all)));
        }
        let Some(mut stdin) = self.stdin.take() else {
            return Err(self.over());
        };
        let bytes = bytes.to_vec();
        let waited = self.conversation.wait(limits.silence, async move {
            let written = stdin.write_all(&bytes).await;
            (stdin, written)
        });
        self.pace.again(Instant::now());
        match waited {
            Ok((stdin, Ok(()))) => {
                self.stdin = Some(stdin);
                Ok(())
            }
            // It has gone, and said why.
            Ok((_, Err(_))) => Err(self.over()),
            Err(waited) => Err(self.conversation.unreachable(waited)),
        }
    }

    /// What the end of the program means.
    fn over(&mut self) -> SourceProblem {
        let Some(mut dialog) = self.dialog.take() else {
            return self.conversation.unreachable("ssh has ended");
        };
        let ended = self.conversation.wait(LAST_WORDS, async move {
            // What it said counts, however it ended.
            let _ = dialog.ended().await;
            dialog.said()
        });
        self.meaning(&ended.unwrap_or_default())
    }

    fn meaning(&self, text: &str) -> SourceProblem {
        let remote = &self.conversation.remote;
        let url = self.conversation.url();
        match said(text) {
            Said::HostKey(reason) => SourceProblem::HostKey { url, reason },
            Said::Refused(words) => {
                let obstacle = remote.credentials.ssh.obstacle();
                let error = obstacle.unwrap_or(CredentialsError::NotTaken { words });
                self.conversation.unauthorized(&error)
            }
            Said::Nothing(reason) => SourceProblem::NoRepository { url, reason },
            Said::Other(reason) => SourceProblem::Unreachable { url, reason },
        }
    }

    fn told<T>(&self, outcome: Result<T, SourceProblem>) -> io::Result<T> {
        outcome.map_err(|problem| {
            let error = io::Error::other(problem.to_string());
            self.conversation.fail(problem);
            error
        })
    }
}

/// Why no more comes.
enum Broken {
    Slow(Slow),
    Pipe,
}

/// What comes next; nothing at the end.
async fn read(
    mut stdout: ChildStdout,
    mut pace: Pace,
    most: usize,
) -> Result<(ChildStdout, Pace, Vec<u8>), Broken> {
    let mut piece = vec![0; most];
    loop {
        let patience = pace.patience(Instant::now()).map_err(Broken::Slow)?;
        // A read that is given up has taken nothing.
        let Ok(read) = tokio::time::timeout(patience, stdout.read(&mut piece)).await else {
            continue;
        };
        let length = read.map_err(|_| Broken::Pipe)?;
        pace.took(length, Instant::now()).map_err(Broken::Slow)?;
        piece.truncate(length);
        return Ok((stdout, pace, piece));
    }
}

impl Read for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.take_in(buffer);
        self.told(taken)
    }
}

impl Write for Pipes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let given = self.give(bytes);
        self.told(given).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
