//! Fields that others have added, under the unit's policy.

use std::collections::BTreeMap;

use super::subject::{Observation, Subject};
use super::types::{Blocked, FieldChange, ForeignField, Standing, Step};
use crate::config::{ForeignPolicy, IgnoreRule, Problem, Problems, Unit};
use crate::fields::Foreign;
use crate::model::{Desired, ObjectId};

/// The foreign fields of an object that are removed.
pub(super) fn removed<'a>(
    subject: &'a Subject<'_>,
    id: &'a ObjectId,
    foreign: &'a [Foreign],
) -> impl Iterator<Item = &'a Foreign> {
    let removes = subject.unit.foreign_fields == ForeignPolicy::Revert;
    foreign
        .iter()
        .filter(move |field| removes && !ignored(subject, id, &field.path))
}

/// The foreign fields that are left and shown. Those of an object that is somebody
/// else's are none of our business.
pub(super) fn reported(subject: &Subject<'_>, steps: &[Step]) -> Vec<ForeignField> {
    if subject.unit.foreign_fields != ForeignPolicy::Report {
        return Vec::new();
    }
    let not_ours = |id: &ObjectId| {
        steps.iter().any(|step| {
            step.object == *id && matches!(step.standing, Standing::Blocked(Blocked::NotOurs(_)))
        })
    };
    let mut found = Vec::new();
    for id in subject.desired.keys() {
        let others = subject.observed.get(id).and_then(Observation::others);
        let fields = others.iter().flat_map(|others| &others.foreign);
        let fields: Vec<&Foreign> = fields
            .filter(|field| !ignored(subject, id, &field.path))
            .collect();
        if !fields.is_empty() && !not_ours(id) {
            found.extend(fields.into_iter().map(|field| ForeignField {
                object: id.clone(),
                field: field.clone(),
            }));
        }
    }
    found
}

fn ignored(subject: &Subject<'_>, id: &ObjectId, path: &str) -> bool {
    subject.unit.ignore.iter().any(|rule| rule.covers(id, path))
}

/// A foreign field as one that goes.
pub(super) fn change(field: &Foreign) -> FieldChange {
    FieldChange {
        path: field.path.clone(),
        from: Some(super::text::short(&field.value)),
        to: None,
        owner: Some(field.manager.clone()),
    }
}

/// What users of other tools expect of `ignore`, and it does not do: to keep hands off
/// what the repository declares.
pub fn ignored_in_vain(unit: &Unit, objects: &BTreeMap<ObjectId, Desired>) -> Problems {
    let rules = unit.ignore.iter();
    rules.filter_map(|rule| in_vain(rule, objects)).collect()
}

fn in_vain(rule: &IgnoreRule, objects: &BTreeMap<ObjectId, Desired>) -> Option<Problem> {
    let declares = |desired: &&Desired| {
        let body = desired.body();
        let value = rule.path.resolve(&body);
        value.is_some_and(|value| !value.is_object() && !value.is_array())
    };
    let mut found = objects
        .values()
        .filter(|desired| rule.concerns(&desired.id))
        .filter(declares);
    let first = found.next()?;
    let more = match found.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    let message = format!(
        "`ignore` names {}, which is declared by {} ({}){more}: what is declared is applied",
        rule.path, first.id, first.origin
    );
    let problem = Problem::in_file(rule.origin.path.clone(), message);
    Some(Problem {
        line: rule.origin.line,
        ..problem.hint("to leave it to others, take it out of Git")
    })
}
