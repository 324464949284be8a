//! What the followed commits approve: who did, and what of it comes to nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::warn;

use super::Environment;
use crate::model::{Digest, SourceCommit, UnitName, cut, shown_line};
use crate::reconcile::spent::Spent;
use crate::reconcile::unit::UnitState;
use crate::record::story::Told;
use crate::source::Claim;

/// How much of a trailer is quoted that is no digest, in characters.
const QUOTED: usize = 100;

/// What the followed commits approve.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    digests: Arc<BTreeSet<Digest>>,
    commits: BTreeMap<Digest, SourceCommit>,
    claims: Vec<Claim>,
    trouble: Option<String>,
}

impl Approvals {
    /// The approved plans.
    pub(super) fn digests(&self) -> &Arc<BTreeSet<Digest>> {
        &self.digests
    }

    /// Whether a plan is one of them.
    pub(super) fn include(&self, plan: &Digest) -> bool {
        self.digests.contains(plan)
    }

    /// Why what the newest commit approves comes to nothing, once that is known.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Takes in what is approved at another revision.
    pub(super) fn take_in(&mut self, plans: BTreeMap<Digest, SourceCommit>, claims: Vec<Claim>) {
        self.digests = Arc::new(plans.keys().copied().collect());
        self.commits = plans;
        if self.claims != claims {
            self.claims = claims;
            self.trouble = None;
        }
    }

    /// The commits that approved what was done.
    pub(super) fn of(&self, told: &[Told], spent: &Spent) -> Vec<&SourceCommit> {
        let plans = spent.approved(told.iter().map(|one| &one.object));
        let commits = plans.iter();
        commits.filter_map(|plan| self.commits.get(plan)).collect()
    }
}

impl Environment {
    /// What people should look at though everything goes on.
    pub(super) fn warning(&self) -> Option<String> {
        let clocks = self.context.cluster.clock_trouble();
        let approvals = self.approvals.trouble().map(str::to_owned);
        let all: Vec<String> = clocks.into_iter().chain(approvals).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Says once where the newest commit approves a plan that nobody asks about. Which plans
    /// wait is known when every unit was looked at.
    pub(super) fn judge_approvals(&mut self) {
        let looked_at = |unit: &UnitState| !unit.needs_pass() && unit.running.is_none();
        if !self.units.values().all(looked_at) {
            return;
        }
        let asks = self.units.iter();
        let waiting: BTreeMap<&UnitName, Digest> = asks
            .filter_map(|(name, unit)| Some((name, unit.asks?)))
            .collect();
        let used = |plan: &Digest| self.context.spent.is_used(plan);
        let mut claims = self.approvals.claims.iter();
        let trouble = claims.find_map(|claim| vain(claim, &waiting, used));
        if trouble != self.approvals.trouble {
            if let Some(trouble) = &trouble {
                warn!(environment = %self.context.environment, "{trouble}");
            }
            self.approvals.trouble = trouble;
        }
    }
}

/// Why an approval comes to nothing, and what would be one, if so.
fn vain(
    claim: &Claim,
    waiting: &BTreeMap<&UnitName, Digest>,
    used: impl Fn(&Digest) -> bool,
) -> Option<String> {
    let what = match Digest::try_from(claim.text.clone()) {
        Ok(plan) if waiting.is_empty() || waiting.values().any(|it| *it == plan) || used(&plan) => {
            return None;
        }
        Ok(_) => "names no plan that waits for approval",
        Err(_) => "is not a digest (sha256: and 64 hexadecimal digits)",
    };
    let plans = waiting.iter();
    let plans: Vec<String> = plans
        .map(|(unit, plan)| format!("{unit} waits for `Approve-Plan: {plan}`"))
        .collect();
    let plans = if plans.is_empty() {
        "no plan waits for approval".to_owned()
    } else {
        plans.join(", ")
    };
    let (commit, said) = (&claim.commit, shown_line(&claim.text));
    Some(format!(
        "the `Approve-Plan: {}` of commit {} by {} {what}; {plans}",
        cut(&said, QUOTED),
        commit.revision.short(),
        commit.author.name,
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use jiff::Timestamp;

    use super::*;
    use crate::model::Signature;

    fn claim(text: &str) -> Claim {
        let author = Signature {
            name: "Ada".to_owned(),
            email: String::new(),
            time: Timestamp::UNIX_EPOCH,
        };
        let commit = SourceCommit {
            revision: "a".repeat(40).parse().unwrap(),
            author,
            committed: Timestamp::UNIX_EPOCH,
            subject: "Let it go".to_owned(),
        };
        let text = text.to_owned();
        Claim { commit, text }
    }

    #[test]
    fn what_approves_nothing_is_told_with_what_waits() {
        let (shop, plan) = ("shop".parse().unwrap(), Digest::of_bytes(b"plan"));
        let other = Digest::of_bytes(b"other");
        let waiting = BTreeMap::from([(&shop, plan)]);
        let told = |text: &str, waiting: &BTreeMap<&UnitName, Digest>| {
            vain(&claim(text), waiting, |plan| *plan == other)
        };
        let waits = format!("; shop waits for `Approve-Plan: {plan}`");
        assert_eq!(told(&plan.to_string(), &waiting), None);
        assert_eq!(told(&other.to_string(), &waiting), None);
        let third = Digest::of_bytes(b"third").to_string();
        assert_eq!(
            told(&third, &waiting).unwrap(),
            format!(
                "the `Approve-Plan: {third}` of commit aaaaaaaa by Ada names no plan that waits for approval{waits}"
            )
        );
        assert_eq!(told(&third, &BTreeMap::new()), None);
        assert_eq!(
            told(&plan.to_string()[..30], &waiting).unwrap(),
            format!(
                "the `Approve-Plan: {}` of commit aaaaaaaa by Ada is not a digest (sha256: and 64 hexadecimal digits){waits}",
                &plan.to_string()[..30]
            )
        );
    }
}
