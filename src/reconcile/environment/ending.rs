//! The end of an environment's task: the passes under way are ended and told, then the
//! record is closed. At the end of the process nothing that hangs is waited for long.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::{Ending, Environment, Event};
use crate::kube::{self, Cluster};
use crate::model::ObjectId;
use crate::record::status::State;
use crate::runtime::shutdown::Stop;

/// How long after the process was asked to end steps are waited for without a doubt. After
/// that the API server has to show that it is there.
const UNDOUBTED: Duration = Duration::from_secs(1);
/// How long it may take to show that.
const SIGN: Duration = Duration::from_millis(400);
/// How long after the process was asked to end a step may take that an API server which is
/// there does not answer: admission webhooks have up to ten seconds each.
const LONGEST: Duration = Duration::from_secs(15);
/// How long passes may take to end once their requests are given up.
const GIVEN_UP: Duration = Duration::from_millis(300);
/// How a unit stands of which the last steps are not looked at any more.
const UNSEEN: &str = "the agent ended before it looked at what came of that";
/// How long a round waits for its record to be pushed.
const PUSHED: Duration = Duration::from_secs(30);

impl Environment {
    /// Ends it before it rests.
    pub(super) async fn stop(mut self) -> anyhow::Result<Ending> {
        self.end_passes().await?;
        // That others are on their way is no news at the end.
        let units = &self.units;
        self.unrecorded.retain(|name, _| {
            units
                .get(name)
                .is_some_and(|unit| unit.standing.state.rests())
        });
        // Where the Lease was lost, who has it by now finds what was done, and goes on from it:
        // how things stood here is not how they stand.
        if self.stop.is_asked() {
            self.record_undone();
            self.record_all();
        }
        self.journal.close(&self.stop).await;
        Ok(Ending::Stopped)
    }

    /// Ends it once it rests.
    pub(super) async fn end(mut self) -> anyhow::Result<Ending> {
        self.record_all();
        let pushed = tokio::select! {
            () = self.stop.asked() => Ok(()),
            pushed = self.journal.pushed(PUSHED) => pushed,
        };
        if let Err(count) = pushed {
            let branch = self.journal.branch();
            warn!(
                count,
                branch, "entries could not be pushed; they are kept in the data directory"
            );
        }
        let wrong = self.wrong();
        self.journal.close(&self.stop).await;
        Ok(match (self.target.enforced(), wrong.is_empty()) {
            (_, true) => Ending::Synced,
            (Some(_), false) => Ending::Unsettled(wrong),
            (None, false) => Ending::Unusable(wrong),
        })
    }

    fn wrong(&self) -> Vec<String> {
        let source = self.source_problem.as_ref().map(ToString::to_string);
        let head = self.target.problem().into_iter();
        let mut wrong: Vec<String> = head.chain(source).collect();
        for (name, unit) in &self.units {
            if !matches!(unit.standing.state, State::Synced | State::Suspended) {
                wrong.push(format!(
                    "{name} is {}: {}",
                    unit.standing.state, unit.standing.message
                ));
            }
        }
        wrong
    }

    /// Waits until the passes under way have ended, which take no further step, or only look
    /// at what there is. A revision that is being read is not waited for.
    async fn end_passes(&mut self) -> anyhow::Result<()> {
        for unit in self.units.values() {
            if let Some(running) = &unit.running {
                running.cancel();
            }
        }
        let (stop, context) = (self.stop.clone(), Arc::clone(&self.context));
        let lease = kube::lease_id(&context.namespace, &context.environment);
        let idle = async {
            stop.asked_for(UNDOUBTED).await;
            context.acting.none().await;
        };
        tokio::select! {
            ended = self.passes() => return ended,
            // What has ended stays in the set. What only looks leaves nothing behind.
            () = idle => return Ok(()),
            () = hangs(&stop, &context.cluster, &lease) => {}
        }
        self.context.given_up.cancel();
        let given_up = tokio::time::timeout(GIVEN_UP, self.passes()).await;
        let running = self.units.iter().filter(|(_, unit)| unit.running.is_some());
        let running: Vec<&str> = running.map(|(name, _)| name.as_str()).collect();
        let units = running.join(", ");
        warn!(environment = %self.context.environment, units, "the API server does not answer; what was asked of it last is left to the next agent");
        given_up.unwrap_or(Ok(()))
    }

    async fn passes(&mut self) -> anyhow::Result<()> {
        while self.units.values().any(|unit| unit.running.is_some())
            && let Some(event) = self.tasks.join_next().await
        {
            match event? {
                Event::Declared { .. } | Event::Descended { .. } | Event::Inventories(_) => {}
                event => self.take(event),
            }
        }
        Ok(())
    }

    /// What a pass did and no other pass has looked at yet is told as well: the next agent
    /// finds it done, and could not tell by whom and why.
    fn record_undone(&mut self) {
        let now = crate::runtime::clock::now();
        for (name, unit) in &mut self.units {
            if unit.changed.is_empty() && unit.reverted.is_empty() {
                continue;
            }
            if unit.standing.state == State::Progressing && unit.dirty {
                UNSEEN.clone_into(&mut unit.standing.message);
            }
            self.unrecorded.entry(name.clone()).or_insert((now, None));
        }
    }
}

/// Waits until the process was asked to end and the API server seems to hang.
async fn hangs(stop: &Stop, cluster: &Cluster, lease: &ObjectId) {
    stop.asked_for(UNDOUBTED).await;
    let silent = async { while cluster.answers(lease, SIGN).await {} };
    tokio::select! {
        () = silent => {}
        () = stop.asked_for(LONGEST) => {}
    }
}
