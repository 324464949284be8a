//! The plans of environments, for programs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::cli::output;
use crate::model::{EnvironmentName, UnitName};
use crate::plan::{self, Checked, Plan};
use crate::reconcile::PlannedEnvironment;

/// Prints them.
pub(super) fn print(planned: &[(EnvironmentName, PlannedEnvironment)]) -> anyhow::Result<()> {
    let environments: Vec<_> = planned
        .iter()
        .map(|(name, planned)| {
            let units: Vec<_> = planned.plans.iter().map(of_plan).collect();
            let failed: BTreeMap<&UnitName, &String> = planned.failed.iter().collect();
            let warnings: BTreeSet<&String> = planned.warnings.iter().collect();
            json!({
                "environment": name,
                "units": units,
                "failed": failed,
                "warnings": warnings,
                "refused": planned.refused,
                "suspended": planned.suspended,
            })
        })
        .collect();
    output::print_json(&environments)
}

fn of_plan(plan: &Plan<Checked>) -> serde_json::Value {
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            let mut shown = json!(step);
            shown["diff"] = json!(plan::diff(step));
            shown
        })
        .collect();
    json!({
        "unit": plan.unit,
        "revision": plan.revision,
        "digest": plan.digest,
        "clean": plan.clean,
        "steps": steps,
        "foreign": plan.foreign,
        "notes": plan.notes,
    })
}
