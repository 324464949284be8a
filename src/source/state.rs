//! What is known of the source at an instant.

use jiff::Timestamp;

use super::problem::SourceProblem;
use crate::model::SourceCommit;

/// The last good commit, and what keeps a newer one away, if anything does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// The commit to enforce; it stays while there is a problem. `None` until one
    /// was ever fetched.
    pub head: Option<SourceCommit>,
    /// Why no newer commit can be seen; `None` while all is well.
    pub problem: Option<SourceProblem>,
    /// Since when head and problem are these.
    pub since: Timestamp,
    /// When the remote last answered, be it that it has no such branch.
    pub last_contact: Option<Timestamp>,
}

impl SourceState {
    /// Before the remote was ever asked.
    pub(super) fn unknown(since: Timestamp) -> Self {
        Self {
            head: None,
            problem: None,
            since,
            last_contact: None,
        }
    }

    /// Whether the remote has been asked, with whatever result.
    pub fn asked(&self) -> bool {
        self.head.is_some() || self.problem.is_some()
    }

    /// Takes in what is here of the remote before it has answered; whether it has not.
    pub(super) fn begin_with(&mut self, head: SourceCommit) -> bool {
        let first = !self.asked();
        if first {
            self.head = Some(head);
        }
        first
    }

    /// Takes a look's result in; whether it is news to anybody.
    pub(super) fn take(
        &mut self,
        head: Option<SourceCommit>,
        problem: Option<SourceProblem>,
        now: Timestamp,
    ) -> bool {
        if problem.as_ref().is_none_or(SourceProblem::answered) {
            self.last_contact = Some(now);
        }
        let head = head.or_else(|| self.head.clone());
        if self.head == head && self.problem == problem {
            return false;
        }
        (self.head, self.problem, self.since) = (head, problem, now);
        true
    }
}
