//! Who holds a field of a live object, by its managedFields.

use serde_json::Value;

use super::owners::owners;
use super::place::{Token, at};
use super::set::FieldSet;
use crate::model::{Live, Manager};

/// The managers of the value at a JSON pointer, those that wrote last first. A manager of
/// something around it as a whole is one too; one of parts below it is where `pointer`
/// itself has none.
pub fn holders(live: &Live, pointer: &str) -> Vec<Manager> {
    let tokens: Vec<String> = pointer
        .split('/')
        .skip(1)
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect();
    let mut found: Vec<Manager> = owners(live)
        .into_iter()
        .filter(|owner| holds(&owner.fields, &live.body, &tokens))
        .map(|owner| owner.manager)
        .collect();
    found.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.cmp(b)));
    found
}

fn holds(set: &FieldSet, value: &Value, tokens: &[String]) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        return !set.is_empty();
    };
    let child = set.children().find_map(|(element, child)| {
        let (value, own) = at(value, element)?;
        let own = match own {
            Token::Name(name) => name,
            Token::At(at) => at.to_string(),
        };
        (own == *token).then_some((child, value))
    });
    match child {
        // What is owned as a whole is owned with all below.
        Some((child, _)) if child.is_leaf() => true,
        Some((child, value)) => holds(child, value, rest),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_held_by_itself_or_by_what_is_around_it() {
        let entry = |manager: &str, time: &str, fields: Value| {
            json!({"manager": manager, "operation": "Update", "time": time,
                "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
        };
        let live = Live::new(json!({
            "apiVersion": "apps/v1",
            "metadata": {
                "annotations": {"a.b/c": "x"},
                "managedFields": [
                    entry("git", "2026-01-01T00:00:00Z", json!({"f:spec": {"f:replicas": {},
                        "f:containers": {"k:{\"name\":\"b\"}": {".": {}, "f:image": {}}}}})),
                    entry("kubectl", "2026-01-02T00:00:00Z", json!({"f:spec": {"f:replicas": {}, "f:selector": {}},
                        "f:metadata": {"f:annotations": {"f:a.b/c": {}}}})),
                ],
            },
            "spec": {
                "replicas": 3,
                "selector": {"app": "x"},
                "containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}],
            },
        }));
        let names = |pointer: &str| -> Vec<String> {
            let found = holders(&live, pointer).into_iter();
            found.map(|manager| manager.name).collect()
        };
        assert_eq!(names("/spec/replicas"), ["kubectl", "git"]);
        assert_eq!(names("/spec/containers/1/image"), ["git"]);
        assert_eq!(names("/spec/containers/0/image"), [""; 0]);
        assert_eq!(names("/spec/selector/app"), ["kubectl"]);
        assert_eq!(names("/metadata/annotations/a.b~1c"), ["kubectl"]);
        assert_eq!(names("/spec/paused"), [""; 0]);
    }
}
