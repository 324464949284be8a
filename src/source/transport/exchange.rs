//! One request and its answer, as the stream that libgit2 writes to and reads from.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use reqwest::Response;

use super::Conversation;
use super::pace::{Act, Pace, Slow};
use super::session::Session;
use super::spool::Spool;
use crate::model::root_cause;
use crate::runtime::lock::lock;
use crate::source::problem::SourceProblem;

/// Written first, then read: the request is sent when its answer is asked for.
pub(super) struct Exchange {
    conversation: Arc<Conversation>,
    session: Arc<Mutex<Session>>,
    act: Act,
    spool: Spool,
    answer: Option<Answer>,
}

/// The body of an answer, as far as it came.
struct Answer {
    /// `None` when all has come.
    coming: Option<(Response, Pace)>,
    piece: Bytes,
}

impl Exchange {
    pub(super) fn new(
        conversation: Arc<Conversation>,
        session: Arc<Mutex<Session>>,
        act: Act,
    ) -> Self {
        Self {
            conversation,
            session,
            act,
            spool: Spool::default(),
            answer: None,
        }
    }

    /// A piece of the answer that isn't empty, or an empty one at its end.
    fn more(&mut self) -> Result<&mut Bytes, SourceProblem> {
        let answer = match self.answer.take() {
            Some(answer) => answer,
            None => self.ask()?,
        };
        let answer = self.answer.insert(answer);
        while answer.piece.is_empty() {
            let Some((response, pace)) = answer.coming.take() else {
                break;
            };
            if let Some((came, piece)) = next(&self.conversation, response, pace)? {
                answer.coming = Some(came);
                answer.piece = piece;
            }
        }
        Ok(&mut answer.piece)
    }

    fn ask(&mut self) -> Result<Answer, SourceProblem> {
        let limits = (self.conversation.limits)(self.act);
        let mut pace = Pace::new(limits, Instant::now());
        let mut session = lock(&self.session);
        let response = session.ask(self.act, &mut self.spool, &mut pace)?;
        pace.again(Instant::now());
        Ok(Answer {
            coming: Some((response, pace)),
            piece: Bytes::new(),
        })
    }
}

/// What came next, and what it comes from; nothing at the end.
type Next = Option<((Response, Pace), Bytes)>;

/// Why no more comes.
enum Broken {
    Slow(Slow),
    Cut(reqwest::Error),
}

fn next(
    conversation: &Conversation,
    response: Response,
    pace: Pace,
) -> Result<Next, SourceProblem> {
    // The pace ends it before.
    let longest = Duration::from_hours(1);
    let unreachable = |reason: String| conversation.unreachable(reason);
    match conversation.wait(longest, piece(response, pace)) {
        Ok(Ok(next)) => Ok(next),
        Ok(Err(Broken::Slow(slow))) => Err(unreachable(slow.to_string())),
        Ok(Err(Broken::Cut(error))) => {
            let cause = root_cause(&error);
            Err(unreachable(format!("its answer broke off: {cause}")))
        }
        Err(waited) => Err(unreachable(waited.to_string())),
    }
}

async fn piece(mut response: Response, mut pace: Pace) -> Result<Next, Broken> {
    loop {
        let patience = pace.patience(Instant::now()).map_err(Broken::Slow)?;
        // Nothing is lost of a piece that is not waited for any more: it comes with the
        // next question.
        let Ok(came) = tokio::time::timeout(patience, response.chunk()).await else {
            continue;
        };
        let Some(piece) = came.map_err(Broken::Cut)? else {
            return Ok(None);
        };
        pace.took(piece.len(), Instant::now())
            .map_err(Broken::Slow)?;
        return Ok(Some(((response, pace), piece)));
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let problem = match self.more() {
            Ok(piece) => {
                let length = piece.len().min(buffer.len());
                piece.copy_to_slice(&mut buffer[..length]);
                if self.act.asks() {
                    self.conversation.listed(&buffer[..length]);
                }
                return Ok(length);
            }
            Err(problem) => problem,
        };
        let error = io::Error::other(problem.to_string());
        self.conversation.fail(problem);
        Err(error)
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.spool.write(bytes);
        if let Err(error) = &written {
            let reason = format!("what is to be sent can't be kept until it is complete: {error}");
            self.conversation
                .fail(self.conversation.unreachable(reason));
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
