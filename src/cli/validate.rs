//! `agent validate`: everything that can be told to be wrong without a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::access::ToolArgs;
use super::exit;
use super::output::{Format, GREEN, RED, YELLOW, print, print_json, progress};
use super::tree::{TreeArgs, WorkingTree};
use crate::config::{Environment, Problem, Problems};
use crate::model::{Desired, EnvironmentName, Namespace, ObjectId, UnitName, number_of};
use crate::plan::{Dependencies, DependencyError, dependencies};
use crate::reconcile::{Declared, Labels, RenderCache, declare};

const EXAMPLES: &str = "Examples:
  agent validate                           the files as they are now
  agent validate --environment production
  agent validate --revision HEAD -o json
  agent validate ./manifests               a directory as the only unit

Checked are agent.yaml and every unit.yaml, the rendering of every unit, objects
that two units declare or the agent keeps for itself, and dependencies on
nothing or in a circle. Every
problem is told at once, each as FILE:LINE:COLUMN: MESSAGE.

Exit codes: 0 valid, perhaps with warnings; 2 not valid.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ValidateArgs {
    #[command(flatten)]
    tree: TreeArgs,
    /// The environment to check; may be given several times [default: all]
    #[arg(
        long,
        env = "AGENT_ENVIRONMENT",
        value_name = "NAME",
        value_delimiter = ','
    )]
    environment: Vec<EnvironmentName>,
    /// How to print it; json: [{severity, path, line, column, message, hint}]
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Namespace where the agent keeps its inventories, which no unit may declare
    #[arg(
        long,
        env = "AGENT_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "gitops-agent"
    )]
    namespace: Namespace,
    #[command(flatten)]
    tools: ToolArgs,
}

/// What came out, over all environments.
#[derive(Default)]
struct Findings {
    problems: Problems,
    warnings: Problems,
    environments: usize,
    units: usize,
    objects: usize,
}

pub async fn run(args: ValidateArgs) -> anyhow::Result<u8> {
    let tree = args.tree.open()?;
    let tools = args.tools.tools();
    let shown = progress("rendering");
    let (sound, mut findings) = configured(&tree, &args.environment);
    let incomplete = tree.resolved.incomplete.iter();
    let incomplete = incomplete.filter(|(name, _)| asked_for(name, &args.environment));
    let wrong = incomplete.map(|(_, incomplete)| (incomplete.to_validate(), Whole::No));
    for (environment, whole) in sound.into_iter().map(|it| (it, Whole::Yes)).chain(wrong) {
        let cache = &mut RenderCache::default();
        let labels = Labels::Plain {
            namespace: Some(&args.namespace),
        };
        let declared = declare(&tree.tree, environment, &tools, labels, None, cache).await;
        findings.take(environment, &declared, whole);
    }
    drop(shown);
    match args.output {
        Format::Json => print_json(&findings.json())?,
        Format::Text => print(&findings.text())?,
    }
    Ok(if findings.problems.is_empty() {
        exit::SAME
    } else {
        exit::ERROR
    })
}

/// The environments in which nothing is wrong, and what is in the others.
fn configured<'a>(
    tree: &'a WorkingTree,
    wanted: &[EnvironmentName],
) -> (Vec<&'a Environment>, Findings) {
    let (mut sound, mut findings) = (Vec::new(), Findings::default());
    if wanted.is_empty() {
        findings.problems = tree.resolved.problems();
    }
    for environment in tree.environments(wanted) {
        match environment {
            Ok(environment) => sound.push(environment),
            Err(problems) => findings.problems.append(problems),
        }
    }
    (sound, findings)
}

fn asked_for(name: &EnvironmentName, wanted: &[EnvironmentName]) -> bool {
    wanted.is_empty() || wanted.contains(name)
}

/// Whether all that an environment declares is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

impl Findings {
    fn take(&mut self, environment: &Environment, declared: &Declared, mut whole: Whole) {
        self.environments += 1;
        self.units += environment.units.len();
        let (mut all, mut claims) = (BTreeMap::new(), BTreeMap::new());
        for (name, unit) in &declared.units {
            match &unit.desired {
                Ok(rendered) => {
                    let slips = || rendered.slips.iter();
                    let warnings = rendered.warnings.iter().cloned();
                    let others = warnings.filter(|it| !slips().any(|slip| slip == it));
                    self.warnings.extend(others);
                    self.problems.extend(slips().cloned());
                    self.objects += rendered.objects.len();
                    all.extend(rendered.objects.clone());
                    claims.extend(rendered.objects.keys().map(|id| (id.clone(), name)));
                }
                Err(errors) => {
                    whole = Whole::No;
                    self.problems.append(errors.problems.clone());
                }
            }
        }
        let problems = dependency_problems(environment, &all, &claims, whole);
        self.problems.append(problems);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for warning in self.warnings.iter() {
            let _ = writeln!(text, "{warning} {YELLOW}(warning){YELLOW:#}");
        }
        for problem in self.problems.iter() {
            let _ = writeln!(text, "{problem}");
        }
        let _ = match self.problems.len() {
            0 => writeln!(
                text,
                "{}, {}, {}: {GREEN}valid{GREEN:#}",
                number_of(self.environments, "environment"),
                number_of(self.units, "unit"),
                number_of(self.objects, "object")
            ),
            problems => writeln!(text, "{RED}{}{RED:#}", number_of(problems, "problem")),
        };
        text
    }

    fn json(&self) -> Value {
        let line = |severity: &str, problem: &Problem| {
            let mut line = json!(problem);
            line["severity"] = json!(severity);
            line
        };
        let errors = self.problems.iter().map(|problem| line("error", problem));
        errors
            .chain(self.warnings.iter().map(|warning| line("warning", warning)))
            .collect()
    }
}

/// What is wrong between objects.
fn dependency_problems(
    environment: &Environment,
    objects: &BTreeMap<ObjectId, Desired>,
    claims: &BTreeMap<ObjectId, &UnitName>,
    whole: Whole,
) -> Problems {
    let found = dependencies(objects, &BTreeMap::new());
    let wrong = found.wrong.iter().filter(|(_, error)| {
        // It may be in a unit that could not be rendered.
        whole == Whole::Yes || !matches!(error, DependencyError::Undeclared(_))
    });
    let wrong = wrong.map(|(id, error)| (id, error.to_string()));
    let all = wrong.chain(crossed(environment, &found, claims));
    let problems = all.filter_map(|(id, message)| {
        let origin = &objects.get(id)?.origin;
        let message = format!("{id}: {message}");
        Some(Problem {
            line: origin.line,
            ..Problem::in_file(&origin.path, message)
        })
    });
    problems.collect()
}

/// Objects that need one of a unit that comes after their own: each would wait for the
/// other.
fn crossed<'a>(
    environment: &Environment,
    dependencies: &'a Dependencies,
    claims: &BTreeMap<ObjectId, &UnitName>,
) -> Vec<(&'a ObjectId, String)> {
    let earlier = earlier(environment);
    let mut found = Vec::new();
    for (id, needed) in &dependencies.of {
        for needed in needed {
            let (Some(own), Some(other)) = (claims.get(id), claims.get(needed)) else {
                continue;
            };
            if earlier
                .get(*other)
                .is_some_and(|before| before.contains(*own))
            {
                let message = format!(
                    "it needs {needed} of the unit {other}, which comes after its own unit {own}"
                );
                found.push((id, message));
            }
        }
    }
    found
}

/// For each unit all that come before it, near and far.
fn earlier(environment: &Environment) -> BTreeMap<&UnitName, BTreeSet<&UnitName>> {
    let before = |unit: &'_ UnitName| environment.units.get(unit).map(|unit| &unit.after);
    let all = environment.units.keys().map(|name| {
        let mut found = BTreeSet::new();
        let mut open = vec![name];
        while let Some(unit) = open.pop() {
            let next = before(unit).into_iter().flatten();
            open.extend(next.filter(|unit| found.insert(*unit)));
        }
        (name, found)
    });
    all.collect()
}
