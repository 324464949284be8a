//! A directory as the only unit of an environment, for a first try without any
//! `agent.yaml`.

use std::collections::BTreeMap;

use super::each;
use super::kind::kind_of;
use super::problem::{Problem, Problems};
use super::unit::{Config, Environment, Unit};
use crate::model::{EnvironmentName, Origin, Tree, UnitBudget, UnitName};

/// The name of that environment.
const LOCAL: &str = "local";

impl Config {
    /// The directory `path` of a tree as the one unit of the environment `local`,
    /// named after `directory`, which is what the user calls it.
    pub fn single(tree: &dyn Tree, path: &str, directory: &str) -> Result<Self, Problems> {
        let about = |message: String| Problem::in_file(directory, message);
        let path = each::normal(path).map_err(|why| about(why.to_owned()))?;
        let kind = kind_of(tree, &path, None, &mut UnitBudget::of_configuration())
            .map_err(|wrong| about(wrong.message).maybe_hint(wrong.hint))?;
        let origin = Origin {
            path: directory.to_owned(),
            line: 0,
        };
        let unit = Unit::new(unit_name(directory), path, kind, origin);
        let name: EnvironmentName = LOCAL.parse().expect("it is a DNS label");
        let environment = Environment {
            name: name.clone(),
            units: BTreeMap::from([(unit.name.clone(), unit)]),
        };
        Ok(Self {
            environments: BTreeMap::from([(name, environment)]),
        })
    }
}

/// The last name of a path as a DNS label; `unit` if nothing of it can stay.
fn unit_name(directory: &str) -> UnitName {
    let last = directory.trim_end_matches('/').rsplit('/').next();
    let lower = last.unwrap_or_default().to_ascii_lowercase();
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label: String = lower
        .chars()
        .map(|c| if fine(c) { c } else { '-' })
        .skip_while(|c| *c == '-')
        .take(63)
        .collect();
    let label = match label.trim_end_matches('-') {
        "" => "unit",
        label => label,
    };
    label
        .parse()
        .expect("only what a DNS label may have is left")
}
