//! Annotations that are settings of the agent, and what in a document is a slip, as it
//! seems, and no fault.

use serde_json::{Map, Value};

use super::check::not_base64;
use super::{Source, each, escape};
use crate::config::{Problem, Problems, nearest};
use crate::model::{DELETION, OWN_PREFIX, REPLACE};
use crate::render::error::at;
use crate::render::yaml::Document;

/// The settings, and the values that they take.
const SETTINGS: [(&str, &[&str]); 2] = [(REPLACE, &["true", "false"]), (DELETION, &["detach"])];

/// What of an annotation is no setting.
struct Slip {
    message: String,
    hint: Option<String>,
}

impl Source<'_> {
    /// Values of the agent's own settings that mean nothing.
    pub(super) fn check_settings(
        &self,
        object: &Map<String, Value>,
        pointer: &str,
        problems: &mut Problems,
    ) {
        let own = annotations(object).filter(|(key, _)| *key == REPLACE);
        for (key, slip) in own.filter_map(|(key, value)| Some((key, wrong_value(key, value)?))) {
            let problem = self.problem(&place(pointer, key), slip.message);
            problems.push(problem.maybe_hint(slip.hint));
        }
    }
}

/// What in a document is not as it was meant, as it seems, and hinders no other object:
/// annotations that were to be a setting and are none, and what the API server will refuse.
pub(in crate::render) fn slips(path: &str, document: &Document) -> Problems {
    let mut told = Problems::default();
    each(document, &mut |object, pointer| {
        for (pointer, message, hint) in not_base64(object, pointer) {
            let problem: Problem = at(path, document.position(&pointer), message);
            told.push(problem.hint(hint));
        }
        for (key, value) in annotations(object).filter(|(key, _)| *key != REPLACE) {
            let unknown = || key.starts_with(OWN_PREFIX).then(|| unknown(key));
            if let Some(slip) = wrong_value(key, value).or_else(unknown) {
                let place = document.position(&place(pointer, key));
                let problem: Problem = at(path, place, slip.message);
                told.push(problem.maybe_hint(slip.hint));
            }
        }
    });
    told
}

/// Those that are text: others are told as no text.
fn annotations(object: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    let all = object.get("metadata").and_then(|it| it.get("annotations"));
    let all = all.and_then(Value::as_object).into_iter().flatten();
    all.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

fn place(pointer: &str, key: &str) -> String {
    format!("{pointer}/metadata/annotations/{}", escape(key))
}

/// A setting with a value that it does not take.
fn wrong_value(key: &str, value: &str) -> Option<Slip> {
    let (_, values) = SETTINGS.iter().find(|(name, _)| *name == key)?;
    if values.contains(&value) {
        return None;
    }
    let listed: Vec<String> = values.iter().map(|it| format!("`{it}`")).collect();
    let near = nearest(value, values.iter().copied());
    Some(Slip {
        message: format!("`{key}` can be {}, and not `{value}`", listed.join(" or ")),
        hint: near.map(|near| format!("did you mean `{near}`?")),
    })
}

/// A key under our own prefix that is none of ours.
fn unknown(key: &str) -> Slip {
    let short = |key: &str| key.rsplit('/').next().unwrap_or_default().to_owned();
    let names = SETTINGS.map(|(name, _)| (short(name), name));
    let near = nearest(&short(key), names.iter().map(|(short, _)| short.as_str()));
    let meant = names.iter().find(|(short, _)| Some(short.as_str()) == near);
    Slip {
        message: format!("the agent knows no annotation `{key}`"),
        hint: meant.map(|(_, name)| format!("did you mean `{name}`?")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnitBudget;
    use crate::render::object::{PlainSecrets, objects};
    use crate::render::yaml::documents;

    /// What is wrong with an object that has these annotations, and what slipped.
    fn told(annotations: &str) -> (String, String) {
        let text = format!(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: a\n    annotations:\n      {annotations}\n"
        );
        let documents = documents(&text).expect("YAML");
        let (mut budget, mut problems) = (UnitBudget::default(), Problems::default());
        let allowed = PlainSecrets::Allowed;
        objects("a.yaml", &documents[0], allowed, &mut budget, &mut problems);
        let slips = slips("a.yaml", &documents[0]);
        (problems.to_string(), slips.to_string())
    }

    #[test]
    fn a_setting_that_is_misspelt_is_told_with_what_it_was_to_be() {
        let cases = [
            ("gitops-agent.dev/replace: \"true\"", "", ""),
            ("client.lifecycle.config.k8s.io/deletion: detach", "", ""),
            ("example.com/replce: x", "", ""),
            (
                "gitops-agent.dev/replace: ture",
                "a.yaml:9:7: `gitops-agent.dev/replace` can be `true` or `false`, and not `ture`; did you mean `true`?",
                "",
            ),
            (
                "gitops-agent.dev/replce: \"true\"",
                "",
                "a.yaml:9:7: the agent knows no annotation `gitops-agent.dev/replce`; did you mean `gitops-agent.dev/replace`?",
            ),
            (
                "gitops-agent.dev/deletion: detatch",
                "",
                "a.yaml:9:7: the agent knows no annotation `gitops-agent.dev/deletion`; did you mean `client.lifecycle.config.k8s.io/deletion`?",
            ),
            (
                "client.lifecycle.config.k8s.io/deletion: detatch",
                "",
                "a.yaml:9:7: `client.lifecycle.config.k8s.io/deletion` can be `detach`, and not `detatch`; did you mean `detach`?",
            ),
            (
                "gitops-agent.dev/xyz: a",
                "",
                "a.yaml:9:7: the agent knows no annotation `gitops-agent.dev/xyz`",
            ),
        ];
        for (annotations, problems, slips) in cases {
            assert_eq!(told(annotations), (problems.to_owned(), slips.to_owned()));
        }
    }
}
