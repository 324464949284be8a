//! Requests counted in the API server's audit log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use crate::support::audit::AuditEvent;

/// How many requests there were, by verb; dry-runs apart.
#[derive(Clone, Debug, Default)]
pub struct Requests(BTreeMap<String, usize>);

impl Requests {
    /// Counts those of an agent of ours. A watch has an event for its start and one for
    /// its end, and counts once.
    pub fn of_ours(events: &[AuditEvent]) -> Self {
        Self::by("gitops-agent/", events)
    }

    /// Counts those of a program, by the start of its user agent.
    pub fn by(program: &str, events: &[AuditEvent]) -> Self {
        let (mut seen, mut counts) = (BTreeSet::new(), BTreeMap::new());
        for event in events
            .iter()
            .filter(|event| event.user_agent.starts_with(program))
        {
            if seen.insert(&event.audit_id) {
                let dry_run = if event.is_dry_run() { " (dry-run)" } else { "" };
                *counts
                    .entry(format!("{}{dry_run}", event.verb))
                    .or_default() += 1;
            }
        }
        Self(counts)
    }

    pub fn total(&self) -> usize {
        self.0.values().sum()
    }
}

impl Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self
            .0
            .iter()
            .map(|(verb, count)| format!("{count} {verb}"))
            .collect();
        f.write_str(if counts.is_empty() { "none" } else { "" })?;
        f.write_str(&counts.join(", "))
    }
}
