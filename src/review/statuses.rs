//! The task that tells on the forge how far a revision is in an environment: a status on
//! the commit, and a deployment where the forge has those.
//!
//! Of a revision it is told once that it is under way, and then how it ended; that changes
//! when the environment stands otherwise. Only the newest revision is told of: what was
//! overtaken while the forge was away is nobody's question any more.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::patience;
use super::text::context;
use crate::forge::{CommitStatus, Deployment, Forge, ForgeAddress, ForgeError, Retry, StatusState};
use crate::model::Revision;
use crate::reconcile::{Progress, Window};
use crate::runtime::clock;

/// How long the link waits for the record to be pushed; past that, there is none.
const RECORD: Duration = Duration::from_secs(10);

/// The task of one environment.
pub struct Teller {
    forge: Arc<dyn Forge>,
    window: Window,
    branch: String,
    /// Where people look at the record, if a forge serves it.
    record: Option<ForgeAddress>,
    told: Option<(Revision, Option<CommitStatus>)>,
    deployment: Option<Deployment>,
    /// What was logged last of deployments, and of statuses.
    refused: Option<String>,
    problem: Option<String>,
}

impl Teller {
    /// For an environment whose source is a branch, and whose record is there.
    pub fn new(
        forge: Arc<dyn Forge>,
        window: Window,
        branch: String,
        record: Option<ForgeAddress>,
    ) -> Self {
        Self {
            forge,
            window,
            branch,
            record,
            told: None,
            deployment: None,
            refused: None,
            problem: None,
        }
    }

    /// Runs until told to stop, or the environment's task has ended.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let progress = self.window.progress.borrow_and_update().clone();
            let told = tokio::select! {
                told = self.tell(&progress) => told,
                () = stop.cancelled() => return,
            };
            let wait = match told {
                Ok(()) => {
                    failures = 0;
                    if self.problem.take().is_some() {
                        info!(environment = %self.window.name, "commit statuses are set again");
                    }
                    None
                }
                Err(error) => {
                    failures += 1;
                    self.complain(&error);
                    Some(patience(&error, failures, clock::now()))
                }
            };
            let again = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            // What changed meanwhile has left its mark; a sleep or a token holds nothing.
            tokio::select! {
                changed = self.window.progress.changed() => if changed.is_err() { return },
                () = again => {}
                () = stop.cancelled() => return,
            }
            if let Some(wait) = wait {
                // News does not make the forge any readier.
                tokio::time::sleep(wait.min(Duration::from_secs(2))).await;
            }
        }
    }

    /// Said once for each problem.
    fn complain(&mut self, error: &ForgeError) {
        let problem = error.to_string();
        if self.problem.as_ref() != Some(&problem) {
            warn!(environment = %self.window.name, problem, "the commit status cannot be set; trying again");
            self.problem = Some(problem);
        }
    }

    async fn tell(&mut self, progress: &Progress) -> Result<(), ForgeError> {
        let Some(revision) = &progress.revision else {
            return Ok(());
        };
        let context = context(&self.window.name);
        if self.told.as_ref().map(|(told, _)| told) != Some(revision) {
            let there = self.forge.statuses(revision).await?;
            let ours = there.into_iter().find(|status| status.context == context);
            self.told = Some((revision.clone(), ours));
        }
        let told = self.told.as_ref().and_then(|(_, told)| told.as_ref());
        if progress.state == StatusState::Pending && told.is_some() {
            return self.deploy().await;
        }
        let status = CommitStatus::new(context, progress.state, &progress.text, None);
        let same = |told: &CommitStatus| {
            told.state == status.state && told.description == status.description
        };
        if told.is_some_and(same) {
            return self.deploy().await;
        }
        let url = match progress.state {
            StatusState::Pending => None,
            StatusState::Success | StatusState::Failure => self.entry(progress).await,
        };
        let status = CommitStatus { url, ..status };
        self.forge.set_status(revision, &status).await?;
        let deployment = Deployment {
            environment: self.window.name.clone(),
            revision: revision.clone(),
            branch: self.branch.clone(),
            state: status.state,
            description: status.description.clone(),
            url: status.url.clone(),
        };
        self.told = Some((revision.clone(), Some(status)));
        self.deployment = Some(deployment);
        self.deploy().await
    }

    /// Tells of the deployment that is not told yet. A token without the right to is no
    /// reason to try for ever.
    async fn deploy(&mut self) -> Result<(), ForgeError> {
        let Some(deployment) = &self.deployment else {
            return Ok(());
        };
        match self.forge.deploy(deployment).await {
            Err(error) if error.retry() == Retry::WhenInputsChange => {
                let problem = error.to_string();
                if self.refused.as_ref() != Some(&problem) {
                    warn!(environment = %self.window.name, problem, "the forge cannot be told of deployments");
                    self.refused = Some(problem);
                }
            }
            told => told?,
        }
        self.deployment = None;
        Ok(())
    }

    /// Where the record tells of it, once it is there.
    async fn entry(&self, progress: &Progress) -> Option<String> {
        let record = self.record.as_ref()?;
        let mut recorded = self.window.pushed.clone();
        let there = recorded.wait_for(|pushed| pushed.entries >= progress.entries);
        let pushed = tokio::time::timeout(RECORD, there)
            .await
            .ok()?
            .ok()?
            .clone();
        Some(record.commit_url(&pushed.tip?))
    }
}
