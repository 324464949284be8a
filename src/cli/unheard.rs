//! Whether the repository has an environment of which there is no record: of a misspelt one
//! nothing is to be left in the cluster.

use anyhow::Context as _;
use tokio::sync::watch;
use tracing::error;

use super::serve::Start;
use super::serving::Serving;
use crate::config;
use crate::model::{EnvironmentName, Revision};
use crate::reconcile::Ending;
use crate::runtime::shutdown::Stop;
use crate::source::tree::GitTree;

impl Start<'_> {
    /// Waits for a revision that has the environment. Gives the end of what ends before:
    /// what runs once, or was told to stop.
    pub(super) async fn heard_of(
        &self,
        name: &EnvironmentName,
        serving: &watch::Sender<Serving>,
        stop: &Stop,
    ) -> anyhow::Result<Option<Ending>> {
        let mut source = self.follower.state();
        loop {
            let (head, problem) = {
                let state = source.borrow_and_update();
                let head = state.head.as_ref().map(|head| head.revision.clone());
                (head, state.problem.is_some())
            };
            let why = match head {
                Some(head) => match self.missing(name, head).await? {
                    Some(why) => Some(why),
                    None => return Ok(None),
                },
                // The environment says itself what it can't begin with.
                None if problem && self.args.once => return Ok(None),
                None => None,
            };
            if let Some(why) = why {
                if self.args.once {
                    return Ok(Some(Ending::Unusable(vec![why])));
                }
                error!(environment = %name, "it is not served: {why}");
                serving.send_replace(Serving::Mistaken(why));
            }
            tokio::select! {
                // Both are cancel-safe: a watch channel keeps its mark.
                changed = source.changed() => {
                    changed.context("the task that follows the repository has ended")?;
                }
                () = stop.asked() => return Ok(Some(Ending::Stopped)),
            }
        }
    }

    /// In words, that a revision is without the environment. What can't be read, or is wrong
    /// as a whole, may have it.
    async fn missing(
        &self,
        name: &EnvironmentName,
        revision: Revision,
    ) -> anyhow::Result<Option<String>> {
        let (mirror, name) = (self.follower.mirror_path().to_owned(), name.clone());
        let look = move || {
            let tree = GitTree::open(&mirror, &revision).ok()?;
            let resolved = config::resolve(&tree);
            let told = !resolved.problems.is_empty() || resolved.environments.contains_key(&name);
            let missing = resolved.environment(&name).err().filter(|_| !told);
            missing.map(|problem| format!("{}: {problem}", revision.short()))
        };
        Ok(tokio::task::spawn_blocking(look).await?)
    }
}
