//! What is written to the forge, and only if it is not there already.

use serde_json::json;
use tracing::info;

use super::Previewer;
use crate::forge::{
    CommitStatus, ForgeError, Kept, PullRequest, Section, StatusState, keep_comment,
};
use crate::model::{Digest, EnvironmentName};
use crate::review::PREVIEW;
use crate::review::text::{self, Occasion, Prospect};

impl Previewer {
    /// A head that nothing was said about is said to be looked at.
    pub(super) async fn begin(&mut self, pull: &PullRequest) -> Result<(), ForgeError> {
        let head = &pull.head.revision;
        let known = self.memory.pulls.get(&pull.number);
        let known = known.and_then(|seen| seen.statuses.as_ref());
        if known.is_some_and(|(revision, _)| revision == head) {
            return Ok(());
        }
        let there = self.forge.statuses(head).await?;
        if let Some(seen) = self.memory.pulls.get_mut(&pull.number) {
            seen.statuses = Some((head.clone(), there.clone()));
        }
        for name in self.served() {
            let context = text::context(&name);
            if !there.iter().any(|status| status.context == context) {
                let url = Some(pull.url.clone());
                let text = "it is being planned";
                let status = CommitStatus::new(context, StatusState::Pending, text, url);
                self.set(pull, status).await?;
            }
        }
        Ok(())
    }

    fn served(&self) -> Vec<EnvironmentName> {
        self.memory
            .windows
            .iter()
            .map(|window| window.name.clone())
            .collect()
    }

    pub(super) async fn tell(
        &mut self,
        pull: &PullRequest,
        prospect: &Prospect,
    ) -> Result<(), ForgeError> {
        let occasion = Occasion {
            number: pull.number,
            head: &pull.head.revision,
            base: &self.branch,
            url: &pull.url,
        };
        let served = self.served();
        let limit = self.forge.comment_limit();
        let sections = text::sections(occasion, &served, prospect, limit);
        let statuses = text::statuses(occasion, &served, prospect);
        let digest = Digest::of_json(&json!(texts(&sections)));
        let told = self
            .memory
            .pulls
            .get(&pull.number)
            .and_then(|seen| seen.text);
        if told != Some(digest) {
            self.keep(pull.number, sections).await?;
            if let Some(seen) = self.memory.pulls.get_mut(&pull.number) {
                seen.text = Some(digest);
            }
        }
        for status in statuses {
            self.set(pull, status).await?;
        }
        Ok(())
    }

    /// Has the comment hold these sections; what was written is looked at once more.
    pub(super) async fn keep(
        &mut self,
        number: u64,
        sections: Vec<Section>,
    ) -> Result<(), ForgeError> {
        let kept = keep_comment(&*self.forge, number, PREVIEW, &sections).await?;
        info!(pull_request = number, ?kept, "preview");
        if let Some(seen) = self.memory.pulls.get_mut(&number) {
            seen.unsure = (kept != Kept::Same).then_some(sections);
        }
        Ok(())
    }

    /// Sets a status on the head, unless it has it.
    async fn set(&mut self, pull: &PullRequest, status: CommitStatus) -> Result<(), ForgeError> {
        let seen = self.memory.pulls.entry(pull.number).or_default();
        let known = seen.statuses.iter().flat_map(|(_, statuses)| statuses);
        if known.into_iter().any(|known| *known == status) {
            return Ok(());
        }
        self.forge.set_status(&pull.head.revision, &status).await?;
        if let Some((_, statuses)) = &mut seen.statuses {
            statuses.retain(|known| known.context != status.context);
            statuses.push(status);
        }
        Ok(())
    }
}

fn texts(sections: &[Section]) -> Vec<&str> {
    sections
        .iter()
        .map(|section| section.text.as_str())
        .collect()
}
