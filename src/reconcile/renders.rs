//! The renders of an environment's units that are under way, and those that failed for a
//! reason that may pass: equal inputs are rendered once, and what hangs, ever more seldom.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};
use tokio_util::task::AbortOnDrop;

use super::declare::Tools;
use crate::config::{self, Problem};
use crate::model::{Tree, UnitName};
use crate::render::{self, Inputs, RenderErrors, Rendered};
use crate::runtime::backoff::grown;
use crate::runtime::clock;
use crate::runtime::exec::Retry;

/// The wait before what failed is tried again with the same inputs: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// For so long nothing gets ready before a revision goes on without what is under way.
const GRACE: Duration = Duration::from_secs(10);

/// Whether a revision goes on without the units that take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Waits {
    /// It is complete, however long that takes.
    #[default]
    ForAll,
    /// It goes on with those that are ready.
    Briefly,
}

/// How often the render of a unit has failed from the same inputs, and what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause {
    /// How often it had failed before.
    pub(super) failures: u32,
    /// When it is tried again; `None` while it is.
    pub(super) again: Option<Timestamp>,
}

/// What is under way, and what has failed.
#[derive(Debug, Default)]
pub(super) struct Renders {
    attempts: BTreeMap<UnitName, Attempt>,
    tasks: JoinSet<Ended>,
}

type Ended = (UnitName, Inputs, Result<Rendered, RenderErrors>);

/// The last try to render a unit, as long as there is something to remember of it.
#[derive(Debug)]
struct Attempt {
    inputs: Inputs,
    failures: u32,
    /// What the try before came to.
    failed: Option<RenderErrors>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// It is ended when nobody wants it any more.
    Running {
        _run: AbortOnDrop,
    },
    Ended(Result<Rendered, RenderErrors>),
    Paused(Timestamp),
}

impl Renders {
    /// Begins to render a unit, unless that is under way from these inputs, or has failed a
    /// short while ago.
    pub(super) fn begin(
        &mut self,
        tree: &Arc<dyn Tree>,
        unit: &config::Unit,
        tools: &Tools,
        inputs: Inputs,
    ) {
        let before = self.attempts.remove(&unit.name);
        let attempt = match before.filter(|attempt| attempt.inputs == inputs) {
            Some(attempt) => match attempt.stage {
                Stage::Paused(again) if again <= clock::now() => Attempt {
                    failures: attempt.failures + 1,
                    stage: self.start(tree, unit, tools, &inputs),
                    ..attempt
                },
                Stage::Running { .. } | Stage::Ended(_) | Stage::Paused(_) => attempt,
            },
            None => Attempt {
                stage: self.start(tree, unit, tools, &inputs),
                failures: 0,
                failed: None,
                inputs,
            },
        };
        self.attempts.insert(unit.name.clone(), attempt);
    }

    fn start(
        &mut self,
        tree: &Arc<dyn Tree>,
        unit: &config::Unit,
        tools: &Tools,
        inputs: &Inputs,
    ) -> Stage {
        let (tree, tools) = (Arc::clone(tree), tools.clone());
        let (unit, inputs) = (unit.clone(), inputs.clone());
        let task = self.tasks.spawn(async move {
            let rendered = render::render_in_turn(&tree, &unit, &tools).await;
            (unit.name, inputs, rendered)
        });
        Stage::Running {
            _run: AbortOnDrop::new(task),
        }
    }

    /// What came of a render that was begun; `None` as long as it is under way for the first
    /// time, or as long as it is at all where a revision waits for all.
    pub(super) fn take(
        &mut self,
        unit: &UnitName,
        waits: Waits,
    ) -> Option<Result<(Inputs, Rendered), RenderErrors>> {
        let mut attempt = self.attempts.remove(unit)?;
        let result = match attempt.stage {
            Stage::Ended(Ok(rendered)) => return Some(Ok((attempt.inputs, rendered))),
            Stage::Ended(Err(error)) if error.retry != Retry::Later => return Some(Err(error)),
            Stage::Ended(Err(error)) => {
                let again = clock::now() + grown(PAUSES, attempt.failures);
                attempt.stage = Stage::Paused(again);
                attempt.failed = Some(with_time(error, again));
                attempt.failed.clone()
            }
            Stage::Running { .. } if waits == Waits::ForAll => None,
            Stage::Running { .. } | Stage::Paused(_) => attempt.failed.clone(),
        };
        self.attempts.insert(unit.clone(), attempt);
        result.map(Err)
    }

    /// Waits for the next render to end; whether there was one to wait for. Nothing is lost
    /// where this is dropped.
    pub(super) async fn next(&mut self) -> bool {
        while let Some(ended) = self.tasks.join_next().await {
            if self.end(ended) {
                return true;
            }
        }
        false
    }

    /// The same, as long as a revision waits; whether one has ended.
    pub(super) async fn next_within(&mut self, waits: Waits) -> bool {
        match waits {
            Waits::ForAll => self.next().await,
            Waits::Briefly => {
                let next = tokio::time::timeout(GRACE, self.next());
                next.await.unwrap_or(false)
            }
        }
    }

    /// Takes in a render that has ended; whether anybody waits for it still.
    fn end(&mut self, ended: Result<Ended, JoinError>) -> bool {
        let (unit, inputs, result) = match ended {
            Ok(ended) => ended,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return false,
            },
        };
        let attempt = self.attempts.get_mut(&unit);
        match attempt.filter(|attempt| attempt.inputs == inputs) {
            Some(attempt) => {
                attempt.stage = Stage::Ended(result);
                true
            }
            None => false,
        }
    }

    /// Ends what is under way of a unit, and forgets what has failed.
    pub(super) fn forget(&mut self, unit: &UnitName) {
        self.attempts.remove(unit);
    }

    /// Does so for all but these.
    pub(super) fn retain(&mut self, units: &BTreeMap<UnitName, config::Unit>) {
        self.attempts.retain(|name, _| units.contains_key(name));
    }

    /// Whether anything is under way.
    pub(super) fn is_under_way(&self) -> bool {
        let mut attempts = self.attempts.values();
        attempts.any(|attempt| matches!(attempt.stage, Stage::Running { .. }))
    }

    /// When the render of a unit is tried again.
    pub(super) fn pause(&self, unit: &UnitName) -> Option<Pause> {
        let attempt = self.attempts.get(unit)?;
        Some(Pause {
            failures: attempt.failures,
            again: match attempt.stage {
                Stage::Paused(again) => Some(again),
                Stage::Running { .. } | Stage::Ended(_) => None,
            },
        })
    }
}

/// That a unit is not there yet.
pub(super) fn late(unit: &config::Unit) -> RenderErrors {
    let message = "it is still being rendered; the other units go on without it, and it is taken in as soon as it is there";
    RenderErrors {
        problems: Problem::in_file(&unit.path, message).into(),
        retry: Retry::UnderWay,
    }
}

/// With when it is tried again.
fn with_time(error: RenderErrors, again: Timestamp) -> RenderErrors {
    let again = format!("it is tried again at {again:.0}, and at once when its files change");
    let hinted = |problem: Problem| {
        let hint = match &problem.hint {
            Some(hint) => format!("{hint}; {again}"),
            None => again.clone(),
        };
        problem.hint(hint)
    };
    RenderErrors {
        problems: error.problems.map(hinted),
        ..error
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::UnitType;
    use crate::model::Origin;
    use crate::source::tree::DirTree;

    fn unit() -> config::Unit {
        let origin = Origin {
            path: "agent.yaml".to_owned(),
            line: 1,
        };
        let name = "shop".parse().unwrap();
        config::Unit::new(name, "shop".to_owned(), UnitType::Kustomize, origin)
    }

    /// Begins to render what a directory declares.
    fn begin(renders: &mut Renders, directory: &std::path::Path, tools: &Tools) {
        let tree: Arc<dyn Tree> = Arc::new(DirTree::open(directory).unwrap());
        let inputs = render::inputs(&*tree, &unit(), tools).unwrap();
        renders.begin(&tree, &unit(), tools, inputs);
    }

    #[tokio::test]
    async fn what_failed_is_tried_again_after_a_pause_or_with_other_inputs() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("shop/kustomization.yaml");
        fs::create_dir(directory.path().join("shop")).unwrap();
        fs::write(&file, "namePrefix: a-\n").unwrap();
        // The system can't start this, which may pass.
        let program = directory.path().join("kustomize");
        fs::write(&program, "\0").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let tools = Tools {
            kustomize: Some(program),
            ..Tools::default()
        };
        let (mut renders, name) = (Renders::default(), unit().name);
        let mut pauses = Vec::new();
        for failures in 0..3 {
            begin(&mut renders, directory.path(), &tools);
            assert!(renders.is_under_way());
            assert!(renders.next().await);
            let error = renders.take(&name, Waits::Briefly).unwrap().unwrap_err();
            assert!(
                error.to_string().contains("it is tried again at "),
                "{error}"
            );
            let pause = renders.pause(&name).unwrap();
            assert_eq!(pause.failures, failures);
            let again = pause.again.unwrap();
            pauses.push(again.duration_since(clock::now()).as_secs_f64().round());

            // Until then it is not run again, and told at once.
            begin(&mut renders, directory.path(), &tools);
            assert!(!renders.is_under_way());
            let same = renders.take(&name, Waits::ForAll).unwrap().unwrap_err();
            assert_eq!(same, error);
            let attempt = renders.attempts.get_mut(&name).unwrap();
            attempt.stage = Stage::Paused(clock::now());
        }
        assert_eq!(pauses, [5.0, 10.0, 20.0]);

        // While it is tried again, what it came to before is told, and not waited for.
        begin(&mut renders, directory.path(), &tools);
        assert!(renders.is_under_way());
        assert!(renders.take(&name, Waits::ForAll).is_none());
        assert!(renders.take(&name, Waits::Briefly).unwrap().is_err());
        assert_eq!(renders.pause(&name).unwrap().again, None);

        fs::write(&file, "namePrefix: b-\n").unwrap();
        begin(&mut renders, directory.path(), &tools);
        assert!(renders.take(&name, Waits::Briefly).is_none());
        assert!(renders.next().await);
        assert!(renders.take(&name, Waits::Briefly).is_some());
        assert_eq!(renders.pause(&name).unwrap().failures, 0);
        assert!(!renders.next().await, "what nobody waits for is not told");
    }
}
