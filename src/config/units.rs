//! The units of one environment: declared, found by pattern, overridden, checked
//! against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::decode::Decoder;
use super::kind::kind_of;
use super::node::{self, At};
use super::problem::{Problem, Problems, did_you_mean};
use super::settings::Settings;
use super::unit::{DEFAULT_HEALTH_TIMEOUT, MaxPrune, Unit};
use super::written::{EnvironmentEntry, UnitEntry, UnitFile};
use super::{AGENT_FILE, UNIT_FILE, each, order};
use crate::model::{EntryKind, Measure, Origin, Tree, TreeError, UnitBudget, UnitName};

/// A unit before anything is known about its directory.
struct Declared {
    /// As written, or as the directory is called.
    name: At<String>,
    path: At<String>,
    found: Found,
    settings: Settings,
    after: Vec<At<String>>,
    /// The file in which `after` is written.
    after_in: String,
    line: u32,
}

/// How a unit came to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It has a `name` and a `path`.
    ByName,
    /// Its directory matches an `each`.
    ByPattern,
}

/// The units of an environment and everything that is wrong with them. They are all
/// only if nothing is.
pub fn units(
    tree: &dyn Tree,
    mut entry: EnvironmentEntry,
    defaults: &Settings,
    budget: &mut UnitBudget,
) -> (BTreeMap<UnitName, Unit>, Problems) {
    let mut decoder = Decoder::new(AGENT_FILE);
    decoder.problems = std::mem::take(&mut entry.problems);
    let mut declared = Vec::new();
    for unit in entry.units {
        declare(tree, unit, defaults, budget, &mut declared, &mut decoder);
    }
    check_references(&declared, &mut decoder);
    let paths = declared
        .iter()
        .map(|unit| unit.path.value.clone())
        .collect();
    let units = distinct(tree, declared, budget, &mut decoder);
    // Whoever was told of it, units may be missing.
    if let Err(error) = budget.check() {
        let problem = Problem::in_file(AGENT_FILE, error.to_string());
        decoder.problems.push(problem.hint(error.hint()));
    }
    let units = excluding(units, &paths, &mut decoder);
    (units, decoder.problems)
}

fn declare(
    tree: &dyn Tree,
    entry: UnitEntry,
    defaults: &Settings,
    budget: &mut UnitBudget,
    declared: &mut Vec<Declared>,
    decoder: &mut Decoder<'_>,
) {
    let settings = entry.settings.over(defaults);
    let base = |name: At<String>, path: At<String>, found| Declared {
        name,
        path,
        found,
        settings: settings.clone(),
        after: entry.after.clone().unwrap_or_default(),
        after_in: AGENT_FILE.to_owned(),
        line: entry.line,
    };
    if let (Some(name), Some(path)) = (&entry.name, &entry.path) {
        match each::normal(&path.value) {
            Ok(normal) => declared.push(base(name.clone(), path.with(normal), Found::ByName)),
            Err(why) => decoder.wrong(path, format!("`path` {why}"), None),
        }
    } else if let Some(pattern) = &entry.each {
        for found in expand(tree, pattern, budget, decoder) {
            let (name, path) = (pattern.with(found.name), pattern.with(found.path));
            let mut unit = base(name, path, Found::ByPattern);
            override_by_file(tree, &mut unit, budget, decoder);
            declared.push(unit);
        }
    }
}

fn expand(
    tree: &dyn Tree,
    pattern: &At<String>,
    budget: &mut UnitBudget,
    decoder: &mut Decoder<'_>,
) -> Vec<each::Match> {
    let checked = each::normal(&pattern.value).and_then(|normal| {
        each::check(&normal)?;
        Ok(normal)
    });
    let normal = match checked {
        Ok(normal) => normal,
        Err(why) => {
            decoder.wrong(pattern, format!("`each` {why}"), None);
            return Vec::new();
        }
    };
    match each::matches(tree, &normal, budget) {
        Ok(matches) if matches.is_empty() => {
            let hint = "remove it, or add the directory".to_owned();
            let message = format!("no directory matches `{}`", pattern.value);
            decoder.wrong(pattern, message, Some(hint));
            Vec::new()
        }
        Ok(matches) => matches,
        Err(error) => {
            decoder.wrong(pattern, error.to_string(), None);
            Vec::new()
        }
    }
}

/// Lets the `unit.yaml` in a directory have its say.
fn override_by_file(
    tree: &dyn Tree,
    unit: &mut Declared,
    budget: &mut UnitBudget,
    decoder: &mut Decoder<'_>,
) {
    if let Err(TreeError::Submodule { .. }) = tree.kind(&unit.path.value) {
        // The unit fails by it where it is rendered.
        return;
    }
    let path = each::join(&unit.path.value, UNIT_FILE);
    let Some(parsed) = read_file(tree, &path, budget).transpose() else {
        return;
    };
    match parsed {
        Ok(node) => {
            let mut own = Decoder::new(&path);
            let file = UnitFile::decode(&node, &mut own);
            decoder.problems.append(own.problems);
            unit.settings = file.settings.over(&unit.settings);
            if let Some(after) = file.after {
                unit.after = after;
                unit.after_in = path;
            }
        }
        Err(problem) => decoder.problems.push(problem),
    }
}

/// What a file says; `None` where there is none.
fn read_file(
    tree: &dyn Tree,
    path: &str,
    budget: &mut UnitBudget,
) -> Result<Option<node::Node>, Problem> {
    let wrong = |error: &TreeError| Problem::in_file(path, about(error));
    match tree.kind(path).map_err(|error| wrong(&error))? {
        None | Some(EntryKind::Directory) => return Ok(None),
        Some(EntryKind::File) => {}
    }
    let bytes = tree.read(path).map_err(|error| wrong(&error))?;
    let drawn = budget.draw(Measure::Bytes, bytes.len() as u64);
    drawn.map_err(|error| Problem::in_file(path, error.to_string()).hint(error.hint()))?;
    node::parse(path, &bytes).map(Some)
}

fn check_references(declared: &[Declared], decoder: &mut Decoder<'_>) {
    let names: BTreeSet<&str> = declared
        .iter()
        .map(|unit| unit.name.value.as_str())
        .collect();
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for unit in declared {
        for reference in &unit.after {
            let name = reference.value.as_str();
            after.entry(&unit.name.value).or_default().push(name);
            if !names.contains(name) {
                decoder.problems.push_with(|| {
                    let message = format!(
                        "`after` names `{name}`, and there is no such unit in this environment"
                    );
                    let hint = did_you_mean(name, names.iter().copied());
                    reference.problem(&unit.after_in, message).maybe_hint(hint)
                });
            }
        }
    }
    for cycle in order::cycles(&after) {
        let problem = cycle_problem(&cycle, declared);
        decoder.problems.extend(problem);
    }
}

/// At the reference with which the cycle's first unit enters it.
fn cycle_problem(cycle: &[&str], declared: &[Declared]) -> Option<Problem> {
    let first = *cycle.first()?;
    let second = *cycle.get(1).unwrap_or(&first);
    let unit = declared.iter().find(|unit| unit.name.value == first)?;
    let reference = unit.after.iter().find(|after| after.value == second)?;
    let message = match cycle {
        [one] => format!("unit `{one}` comes after itself"),
        _ => format!(
            "units wait for each other: {} -> {first}",
            cycle.join(" -> ")
        ),
    };
    Some(reference.problem(&unit.after_in, message))
}

/// The units by name; of two with the same, the second is a problem.
fn distinct(
    tree: &dyn Tree,
    declared: Vec<Declared>,
    budget: &mut UnitBudget,
    decoder: &mut Decoder<'_>,
) -> BTreeMap<UnitName, Unit> {
    let mut units: BTreeMap<UnitName, Unit> = BTreeMap::new();
    for unit in declared {
        let place = unit.name.clone();
        let Some(unit) = finished(tree, unit, budget, decoder) else {
            continue;
        };
        if let Some(first) = units.get(&unit.name) {
            let message = format!(
                "a second unit `{}` ({}): the first is in line {} ({})",
                unit.name,
                shown(&unit.path),
                first.origin.line,
                shown(&first.path)
            );
            decoder.wrong(&place, message, None);
        } else {
            units.insert(unit.name.clone(), unit);
        }
    }
    units
}

fn finished(
    tree: &dyn Tree,
    unit: Declared,
    budget: &mut UnitBudget,
    decoder: &mut Decoder<'_>,
) -> Option<Unit> {
    if budget.check().is_err() {
        return None;
    }
    let wanted = unit.settings.r#type.as_ref().map(|kind| kind.value);
    let kind = kind_of(tree, &unit.path.value, wanted, budget)
        .map_err(|wrong| decoder.wrong(&unit.path, wrong.message, wrong.hint));
    let misread = unit.found == Found::ByName && stray_unit_file(tree, &unit.path.value, budget);
    let flaw = misread.then(|| {
        let message = format!("{UNIT_FILE} in `{}` is not read", shown(&unit.path.value));
        let hint = "it is read in directories that `each` matches; write its fields here";
        unit.path.problem(AGENT_FILE, message).hint(hint)
    });
    let name = unit.name.value.parse::<UnitName>().map_err(|error| {
        let hint = (unit.found == Found::ByPattern)
            .then(|| format!("rename the directory `{}`", unit.path.value));
        decoder.wrong(&unit.name, error.to_string(), hint);
    });
    // A bad reference has been reported where references are checked.
    let after = unit.after.iter().filter_map(|name| name.value.parse().ok());
    let origin = Origin {
        path: AGENT_FILE.to_owned(),
        line: unit.line,
    };
    let mut done = Unit::new(name.ok()?, unit.path.value, kind.ok()?, origin);
    done.after = after.collect();
    done.flaw = flaw;
    if unit.found == Found::ByPattern {
        done.exclude.push(each::join(&done.path, UNIT_FILE));
    }
    Some(settle(done, unit.settings))
}

fn settle(mut unit: Unit, settings: Settings) -> Unit {
    let health = settings.health.and_then(|health| health.timeout);
    unit.namespace = settings.namespace;
    unit.prune = settings.prune.unwrap_or(unit.prune);
    unit.max_prune = settings.max_prune.map_or(unit.max_prune, MaxPrune::from);
    unit.drift = settings.drift.unwrap_or(unit.drift);
    unit.keep_for = settings.keep_for;
    unit.outdated = settings.outdated;
    unit.conflicts = settings.conflicts.unwrap_or(unit.conflicts);
    unit.foreign_fields = settings.foreign_fields.unwrap_or(unit.foreign_fields);
    unit.ignore = settings.ignore.into_iter().flatten().collect();
    unit.replace = settings.replace.unwrap_or(unit.replace);
    unit.allow_plain_secrets = settings
        .allow_plain_secrets
        .unwrap_or(unit.allow_plain_secrets);
    unit.health_timeout = health.unwrap_or(DEFAULT_HEALTH_TIMEOUT);
    unit.suspend = settings.suspend.unwrap_or(unit.suspend);
    unit
}

/// A `unit.yaml` that its author must think is read, since it is no manifest.
fn stray_unit_file(tree: &dyn Tree, directory: &str, budget: &mut UnitBudget) -> bool {
    let path = each::join(directory, UNIT_FILE);
    match read_file(tree, &path, budget).map(|node| node.map(|node| node.value)) {
        Ok(Some(node::Value::Map(fields))) => !fields.iter().any(|(key, _)| key.value == "kind"),
        _ => false,
    }
}

/// The most directories of other units that are kept out of units.
const MAX_NESTED: usize = 10_000;

/// Keeps what is another unit's, or ours, out of each unit. `paths` are those of all
/// units, the ones in which something is wrong included.
fn excluding(
    mut units: BTreeMap<UnitName, Unit>,
    paths: &BTreeSet<String>,
    decoder: &mut Decoder<'_>,
) -> BTreeMap<UnitName, Unit> {
    let mut left = MAX_NESTED;
    for unit in units.values_mut() {
        let inside = if unit.path.is_empty() {
            unit.exclude.push(AGENT_FILE.to_owned());
            String::new()
        } else {
            format!("{}/", unit.path)
        };
        let nested = paths.range(inside.clone()..);
        let nested = nested.take_while(|path| path.starts_with(&inside));
        let nested = nested.filter(|path| **path != unit.path);
        let before = unit.exclude.len();
        unit.exclude.extend(nested.take(left + 1).cloned());
        let count = unit.exclude.len() - before;
        if count > left {
            let message = format!("units have more than {MAX_NESTED} other units inside of them");
            decoder.problems.push(Problem::in_file(AGENT_FILE, message));
            break;
        }
        left -= count;
    }
    units
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

/// What is wrong with a file, without its path where that is said already.
pub fn about(error: &TreeError) -> String {
    let text = error.to_string();
    text.split_once(": ")
        .map_or(text.clone(), |(_, why)| why.to_owned())
}
