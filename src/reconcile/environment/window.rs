//! What others may see of an environment's task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

use super::{Drifts, Environment, OpenProposals};
use crate::forge::StatusState;
use crate::kube::LiveView;
use crate::model::{Digest, EnvironmentName, Revision, UnitName, number_of};
use crate::reconcile::journal::InRemote;
use crate::reconcile::target::Hindrance;
use crate::reconcile::unit::UnitState;
use crate::record::status::State;

/// An environment as others see it.
#[derive(Clone)]
pub struct Window {
    /// Its name.
    pub name: EnvironmentName,
    /// What is live.
    pub view: Arc<LiveView>,
    /// How far it is.
    pub progress: watch::Receiver<Progress>,
    /// How much of its record others can read.
    pub pushed: watch::Receiver<InRemote>,
    /// What others have changed and is kept.
    pub drifts: watch::Receiver<Drifts>,
    /// Takes in what of it people said is not to stay.
    pub refused: watch::Sender<BTreeSet<Digest>>,
    /// Takes in which proposals to keep it are open.
    pub proposed: watch::Sender<OpenProposals>,
    desired: watch::Receiver<Arc<BTreeMap<UnitName, Digest>>>,
}

/// How far an environment is with the newest revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The newest revision, once there is one.
    pub revision: Option<Revision>,
    /// Whether it is where it is to be.
    pub state: StatusState,
    /// In a line.
    pub text: String,
    /// How many entries of this process tell of it.
    pub entries: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            revision: None,
            state: StatusState::Pending,
            text: String::new(),
            entries: 0,
        }
    }
}

impl Window {
    /// Counts up whenever something live was touched.
    pub fn moved(&self) -> u64 {
        *self.view.changes().borrow()
    }

    /// What each unit declared when it was last synced.
    pub fn recorded(&self) -> BTreeMap<UnitName, Digest> {
        self.desired.borrow().as_ref().clone()
    }
}

impl Environment {
    /// What others may see of it.
    pub fn window(&self) -> Window {
        Window {
            name: self.context.environment.clone(),
            view: Arc::clone(&self.context.view),
            progress: self.progress.subscribe(),
            pushed: self.journal.in_remote(),
            drifts: self.drifts.subscribe(),
            refused: self.refused.clone(),
            proposed: self.proposed.clone(),
            desired: self.journal.desired(),
        }
    }

    /// Lets others see how far it is.
    pub(super) fn show(&self) {
        let newest = self.source.borrow().head.clone();
        let Some(newest) = newest.or_else(|| self.target.head().cloned()) else {
            return;
        };
        let (state, text) = if self.declaring || self.target.head() != Some(&newest) {
            (StatusState::Pending, "it is being read".to_owned())
        } else {
            match self.target.hindrance() {
                Some(Hindrance::Untrusted(why)) => {
                    (StatusState::Failure, format!("it is not deployed: {why}"))
                }
                Some(Hindrance::Wrong(why) | Hindrance::Strange(why)) => {
                    (StatusState::Failure, format!("it cannot be used: {why}"))
                }
                None => self.standing(),
            }
        };
        let progress = Progress {
            revision: Some(newest.revision),
            state,
            text,
            entries: self.journal.entered(),
        };
        self.progress.send_if_modified(|known| {
            let news = (&known.revision, known.state, &known.text)
                != (&progress.revision, progress.state, &progress.text);
            // More entries alone are no news, but what is news names all of them.
            *known = progress;
            news
        });
    }

    fn standing(&self) -> (StatusState, String) {
        let count = self.units.len();
        let moves = |unit: &&UnitState| {
            unit.needs_pass() || unit.running.is_some() || !unit.standing.state.rests()
        };
        let moving = self.units.values().filter(moves).count();
        if moving > 0 {
            let done = count - moving;
            return (
                StatusState::Pending,
                format!("{done} of {} done", number_of(count, "unit")),
            );
        }
        let wrong =
            |unit: &UnitState| matches!(unit.standing.state, State::Blocked | State::Failed);
        let mut wrong = self.units.iter().filter(|(_, unit)| wrong(unit));
        if let Some((name, unit)) = wrong.next() {
            let (state, message) = (unit.standing.state, &unit.standing.message);
            let more = match wrong.count() {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let state = state.to_string().to_lowercase();
            return (
                StatusState::Failure,
                format!("{name} is {state}{more}: {message}"),
            );
        }
        let drifted = |unit: &&UnitState| unit.standing.state == State::Drifted;
        let left = match self.units.values().filter(drifted).count() {
            0 => String::new(),
            drifted => format!(", drift is left in {}", number_of(drifted, "unit")),
        };
        (
            StatusState::Success,
            format!("{} as declared{left}", number_of(count, "unit")),
        )
    }
}
