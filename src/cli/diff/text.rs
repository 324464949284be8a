//! The plans of an environment, for people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::cli::output::{BOLD, DIM, GREEN, RED, YELLOW};
use crate::model::EnvironmentName;
use crate::plan::{self, Action, Blocked, Checked, ForeignField, Plan, Standing, Step};
use crate::reconcile::PlannedEnvironment;

/// All that would be done in an environment.
pub fn text(name: &EnvironmentName, planned: &PlannedEnvironment) -> String {
    let mut text = String::new();
    if let Some(why) = &planned.refused {
        let _ = writeln!(text, "{RED}{name} would not be touched:{RED:#} {why}\n");
    }
    for (unit, problem) in &planned.failed {
        let _ = writeln!(
            text,
            "{BOLD}{name}/{unit}{BOLD:#} {RED}cannot be rendered{RED:#}"
        );
        for line in problem.lines() {
            let _ = writeln!(text, "  {line}");
        }
        text.push('\n');
    }
    for unit in &planned.suspended {
        let _ = writeln!(
            text,
            "{BOLD}{name}/{unit}{BOLD:#} {YELLOW}is suspended{YELLOW:#}: the agent leaves it as it is, and it is not compared\n"
        );
    }
    for plan in &planned.plans {
        if !plan.is_empty() || !plan.notes.is_empty() || !plan.foreign.is_empty() {
            of_plan(&mut text, plan);
        }
    }
    let _ = writeln!(text, "{name}: {}", planned.summary());
    text
}

fn of_plan(text: &mut String, plan: &Plan<Checked>) {
    let _ = writeln!(text, "{BOLD}{}/{}{BOLD:#}", plan.environment, plan.unit);
    let mut told = BTreeSet::new();
    for step in &plan.steps {
        let again = match &step.standing {
            Standing::Blocked(why @ Blocked::Guard(_)) => !told.insert(why.to_string()),
            _ => false,
        };
        of_step(text, step, if again { Reason::Told } else { Reason::New });
    }
    of_others(text, &plan.foreign);
    for note in &plan.notes {
        let _ = writeln!(text, "  {YELLOW}note:{YELLOW:#} {note}");
    }
    text.push('\n');
}

/// What others have added, object by object. It is no difference.
fn of_others(text: &mut String, foreign: &[ForeignField]) {
    if !foreign.is_empty() {
        let _ = writeln!(
            text,
            "  {BOLD}fields of others{BOLD:#} {DIM}left as they are: not declared, and no drift{DIM:#}"
        );
    }
    for fields in foreign.chunk_by(|one, other| one.object == other.object) {
        let _ = writeln!(text, "    {}", fields[0].object);
        for field in fields {
            let _ = writeln!(text, "      {field}");
        }
    }
}

/// Whether why something is held back stands above already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    New,
    Told,
}

fn of_step(text: &mut String, step: &Step, told: Reason) {
    let colour = match step.action {
        Action::Create => GREEN,
        Action::Change | Action::Adopt | Action::Clear | Action::Detach => YELLOW,
        Action::Replace | Action::Prune => RED,
    };
    let place = step
        .origin
        .as_ref()
        .map(|origin| format!(" {origin}"))
        .unwrap_or_default();
    let words = match &step.standing {
        Standing::Blocked(Blocked::Unobserved(_)) => "cannot be compared:".to_owned(),
        Standing::Blocked(_) => format!("blocked {}", step.action),
        Standing::Waits(_) | Standing::Reported | Standing::Ready => step.action.to_string(),
    };
    let _ = writeln!(
        text,
        "  {colour}{words}{colour:#} {}{DIM}{place}{DIM:#}",
        step.object
    );
    let reason = match &step.standing {
        Standing::Blocked(why @ Blocked::Unobserved(_)) => why.to_string(),
        Standing::Blocked(_) if told == Reason::Told => {
            format!("{}; blocked for the same reason", step.reason)
        }
        Standing::Blocked(why) => format!("{}; blocked: {why}", step.reason),
        Standing::Waits(what) => format!("{}; waits for {what}", step.reason),
        Standing::Reported => format!(
            "{}; left as it is, since the `drift` of the unit is not `revert`",
            step.reason
        ),
        Standing::Ready => step.reason.clone(),
    };
    let _ = writeln!(text, "    {DIM}{}{DIM:#}", reason.trim_start_matches("; "));
    for field in step.fields.iter().filter(|field| field.actor().is_some()) {
        let _ = writeln!(text, "    {field}");
    }
    for line in plan::diff(step).lines().skip(2) {
        let _ = match line.as_bytes().first() {
            Some(b'+') => writeln!(text, "    {GREEN}{line}{GREEN:#}"),
            Some(b'-') => writeln!(text, "    {RED}{line}{RED:#}"),
            _ => writeln!(text, "    {line}"),
        };
    }
}
