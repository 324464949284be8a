//! From the files of a repository to its environments.

use std::collections::BTreeMap;

use super::AGENT_FILE;
use super::decode::Decoder;
use super::node::LastRead;
use super::previews::Previews;
use super::problem::{Problem, Problems, did_you_mean};
use super::unit::{Config, Environment};
use super::units::{about, units};
use super::written::AgentFile;
use crate::model::{Budget, EntryKind, EnvironmentName, Tree, TreeError, UnitBudget};

/// A repository's environments. Each stands for itself: one that is wrong doesn't
/// stop another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Each with all its units or, if anything about it is wrong, with that: a list
    /// of units with one missing would have that unit pruned.
    pub environments: BTreeMap<EnvironmentName, Result<Environment, Problems>>,
    /// What is wrong outside of any environment. If it could touch an environment
    /// (an unknown field, a wrong default), it is among that one's problems as well.
    pub problems: Problems,
    /// Whose pull requests are planned; nobody's where that can't be read.
    pub previews: Previews,
    /// What could be made out of the environments in which something is wrong.
    pub incomplete: BTreeMap<EnvironmentName, Incomplete>,
}

/// An environment in which something is wrong, with the units that could be made out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete(Environment);

impl Incomplete {
    /// For looking for more that is wrong, and for nothing else: a plan made from it
    /// would prune the units that it lacks.
    pub fn to_validate(&self) -> &Environment {
        &self.0
    }
}

impl Resolved {
    fn broken(problem: Problem) -> Self {
        Self {
            problems: problem.into(),
            previews: Previews::None,
            ..Self::default()
        }
    }

    /// One environment, or why there is none to work with.
    pub fn environment(&self, name: &EnvironmentName) -> Result<&Environment, Problems> {
        match self.environments.get(name) {
            Some(Ok(environment)) => Ok(environment),
            Some(Err(problems)) => Err(problems.clone()),
            None => Err(self.missing(name)),
        }
    }

    /// The same, where it is all that is wanted.
    pub fn into_environment(mut self, name: &EnvironmentName) -> Result<Environment, Problems> {
        let found = self.environments.remove(name);
        found.unwrap_or_else(|| Err(self.missing(name)))
    }

    /// Everything that is wrong anywhere.
    pub fn problems(&self) -> Problems {
        let wrong = self.environments.values().filter_map(|e| e.as_ref().err());
        let mut all = self.problems.clone();
        wrong.cloned().for_each(|wrong| all.append(wrong));
        all
    }

    /// The whole, if nothing is wrong anywhere.
    pub fn config(self) -> Result<Config, Problems> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let fine = self.environments.into_iter();
        let environments = fine.filter_map(|(name, result)| Some((name, result.ok()?)));
        Ok(Config {
            environments: environments.collect(),
        })
    }

    fn insert(&mut self, environment: Environment, problems: Problems) {
        let name = environment.name.clone();
        if problems.is_empty() {
            self.environments.insert(name, Ok(environment));
        } else {
            self.environments.insert(name.clone(), Err(problems));
            self.incomplete.insert(name, Incomplete(environment));
        }
    }

    fn missing(&self, name: &EnvironmentName) -> Problems {
        if !self.problems.is_empty() {
            return self.problems.clone();
        }
        let known: Vec<&str> = self
            .environments
            .keys()
            .map(EnvironmentName::as_str)
            .collect();
        let listed = || match known[..] {
            [] => "there is none".to_owned(),
            _ => format!("there are {}", known.join(", ")),
        };
        let hint = did_you_mean(name.as_str(), known.iter().copied());
        Problem::in_file(AGENT_FILE, format!("has no environment `{name}`"))
            .hint(hint.unwrap_or_else(listed))
            .into()
    }
}

/// Reads `agent.yaml` and what it leads to.
pub fn resolve(tree: &dyn Tree) -> Resolved {
    resolve_after(tree, &mut LastRead::default())
}

/// The same, where other revisions' `agent.yaml` was read before: one that is the same is
/// not parsed again.
pub fn resolve_after(tree: &dyn Tree, last: &mut LastRead) -> Resolved {
    let node = match last.read(tree, AGENT_FILE) {
        Ok(Ok(node)) => node,
        Ok(Err(problem)) => return Resolved::broken(problem),
        Err(error) => return Resolved::broken(unreadable(tree, &error)),
    };
    let mut decoder = Decoder::new(AGENT_FILE);
    let file = AgentFile::decode(node, &mut decoder);
    if let Some(verify) = file.verify {
        verify.resolve(tree, &mut decoder);
    }
    // What is wrong outside of environments may be what an environment relies on (a
    // misspelt `defaults` would turn prune on), so it stops them all.
    let common = decoder.problems.clone();
    let mut resolved = Resolved {
        previews: file.previews,
        ..Resolved::default()
    };
    let (mut budget, mut spent) = (Budget::default(), None);
    for entry in file.environments {
        match entry.name.value.parse::<EnvironmentName>() {
            Ok(name) => {
                let mut own = UnitBudget::of_configuration();
                let (units, mut problems) = match &spent {
                    None => units(tree, entry, &file.defaults, &mut own),
                    Some(_) => (BTreeMap::new(), Problems::default()),
                };
                spent = spent.or(budget.take(&own.spent()).err());
                problems.extend(spent.map(|spent| Problem::in_file(AGENT_FILE, spent.to_string())));
                problems.append(common.clone());
                resolved.insert(Environment { name, units }, problems);
            }
            Err(error) => decoder.wrong(&entry.name, error.to_string(), None),
        }
    }
    resolved.problems = decoder.problems;
    resolved
}

fn unreadable(tree: &dyn Tree, error: &TreeError) -> Problem {
    let TreeError::NotFound { .. } = error else {
        return Problem::in_file(AGENT_FILE, about(error));
    };
    let other = matches!(tree.kind("agent.yml"), Ok(Some(EntryKind::File)));
    let hint = if other {
        "rename agent.yml".to_owned()
    } else {
        "write one, or give a directory as a single unit".to_owned()
    };
    Problem::in_file(AGENT_FILE, "does not exist at the repository's root").hint(hint)
}
