//! What is told of declared fields to which the API server gives values of its own: once,
//! and once more when it no longer does. Pure.

use std::collections::BTreeMap;

use super::pass::Planned;
use crate::fields::Hold;
use crate::model::ObjectId;
use crate::plan::{Observation, Overruled};
use crate::record::story::{Overruling, Phase};

/// The objects of a unit that no apply makes as declared.
#[derive(Debug, Default)]
pub(super) struct Overrulings {
    told: BTreeMap<ObjectId, Overruled>,
    news: Vec<Overruling>,
}

impl Overrulings {
    /// Takes in what a pass found. What is `recorded` of the unit already is no news.
    pub(super) fn see(&mut self, planned: &Planned, recorded: &str) {
        let found = &planned.plan.overruled;
        for one in found {
            let before = self.told.insert(one.object.clone(), one.clone());
            let before = before.map(|before| before.line());
            let line = one.line();
            if before.as_ref() != Some(&line) && !recorded.contains(&line) {
                self.news.push(told(one, Phase::Begun));
            }
        }
        let over = |id: &ObjectId, _: &mut Overruled| {
            let as_declared = matches!(planned.observed.get(id), Some(Observation::AsDesired(_)));
            let gone = !planned.desired.objects.contains_key(id);
            (as_declared || gone) && found.iter().all(|one| one.object != *id)
        };
        let over: Vec<_> = self.told.extract_if(.., over).collect();
        let over = over.iter().map(|(_, one)| told(one, Phase::Over));
        self.news.extend(over);
    }

    /// One line for each object that is answered alike each time: nothing is to be done
    /// about it.
    pub(super) fn steady(&self) -> impl Iterator<Item = String> {
        let steady = self.told.values().filter(|one| one.hold == Hold::Steady);
        steady.map(Overruled::line)
    }

    /// What has begun or ended since the last call.
    pub(super) fn take_news(&mut self) -> Vec<Overruling> {
        std::mem::take(&mut self.news)
    }
}

fn told(overruled: &Overruled, phase: Phase) -> Overruling {
    Overruling {
        overruled: overruled.clone(),
        phase,
    }
}
