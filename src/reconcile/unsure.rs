//! Steps whose answer was lost: cut off, not to be believed, or none. What was asked for may be
//! done all the same, and is told then as what it is.

use std::collections::BTreeMap;

use super::execute::Done;
use super::pass::Planned;
use crate::kube::ApiError;
use crate::model::ObjectId;
use crate::plan::{Members, Standing, Step};

/// Steps of which it is not known whether they were done.
#[derive(Debug, Default)]
pub(super) struct Unsure(BTreeMap<ObjectId, Step>);

impl Unsure {
    /// Takes in a step that has failed.
    pub(super) fn note(&mut self, step: &Step, error: &ApiError) {
        let lost = matches!(
            error,
            ApiError::Unavailable(_) | ApiError::Misanswered { .. } | ApiError::TooLarge(_)
        );
        if lost {
            self.0.insert(step.object.clone(), step.clone());
        }
    }

    /// Those that were done, as a later plan shows: it has nothing to do on their objects.
    /// What it does once more is judged by its own answer, and what it could not look at or do
    /// stays open.
    pub(super) fn done(&mut self, planned: &Planned) -> Vec<Done> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let steps = planned.plan.steps.iter();
        let steps: BTreeMap<&ObjectId, &Standing> =
            steps.map(|step| (&step.object, &step.standing)).collect();
        let mut done = Vec::new();
        for (id, step) in std::mem::take(&mut self.0) {
            // What is to be deleted is not in a plan that can't tell what there is.
            let blind = !step.action.applies() && !matches!(planned.members, Members::Known(_));
            match steps.get(&id) {
                None if blind => drop(self.0.insert(id, step)),
                None => done.push(Done {
                    step,
                    result: Ok(()),
                }),
                Some(Standing::Ready) => {}
                Some(_) => drop(self.0.insert(id, step)),
            }
        }
        done
    }
}
