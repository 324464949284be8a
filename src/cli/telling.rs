//! The tasks that tell a forge of pull requests and of what became of commits.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::serve::{Start, unless_zero};
use crate::forge::Forge;
use crate::kube::ListKey;
use crate::model::DigestKey;
use crate::reconcile::Window;
use crate::review::{Memory, Planner, Previewer, Proposer, ProposerMemory, Teller};
use crate::runtime::shutdown::Stop;

impl Start<'_> {
    /// The forge, if there is one to tell what happens. What ends by itself has nobody to
    /// keep it up to date.
    pub(super) fn told(&self) -> Option<&Arc<dyn Forge>> {
        self.forge.as_ref().filter(|_| !self.args.once)
    }

    /// The task that previews pull requests for the environments that are ours.
    pub(super) fn preview(&self, key: DigestKey, stop: &Stop) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let Some(forge) = self.told() else {
            return tasks;
        };
        if let Some(interval) = unless_zero(self.args.pull_request_interval) {
            let previewer = Previewer {
                forge: Arc::clone(forge),
                remote: self.remote.clone(),
                mirror: self.follower.mirror_path().to_owned(),
                branch: self.args.branch.clone(),
                source: self.follower.state(),
                windows: self.windows.subscribe(),
                planner: Planner {
                    cluster: Arc::clone(&self.cluster),
                    namespace: self.namespace.clone(),
                    tools: self.args.tools.tools(),
                    list_key: ListKey::Ours(key.clone()),
                    key,
                },
                interval,
                hint: self.pull_requests.clone(),
                stop: stop.token(),
                memory: Memory::default(),
            };
            tasks.spawn(previewer.run());
        }
        tasks
    }

    /// The tasks that tell a forge of an environment.
    pub(super) fn tell(
        &self,
        window: &Window,
        over: &CancellationToken,
    ) -> anyhow::Result<JoinSet<()>> {
        let mut tasks = JoinSet::new();
        let Some(forge) = self.told() else {
            return Ok(tasks);
        };
        let branch = self.args.branch.clone();
        let record = self.args.forge.of_record(&self.remote, &self.record()?);
        let teller = Teller::new(Arc::clone(forge), window.clone(), branch, record);
        tasks.spawn(teller.run(over.clone()));
        let proposer = self.proposer(forge, window.clone());
        tasks.spawn(proposer.run(over.clone()));
        Ok(tasks)
    }

    fn proposer(&self, forge: &Arc<dyn Forge>, window: Window) -> Proposer {
        let interval = unless_zero(self.args.pull_request_interval);
        Proposer {
            forge: Arc::clone(forge),
            remote: self.remote.clone(),
            mirror: self.follower.mirror_path().to_owned(),
            branch: self.args.branch.clone(),
            source: self.follower.state(),
            window,
            signing_key: self.signing_key.clone(),
            tools: self.args.tools.tools(),
            interval: interval.unwrap_or(Duration::from_mins(1)),
            hint: self.pull_requests.clone(),
            memory: ProposerMemory::default(),
        }
    }
}
