//! Desired against an object as the record keeps it: live at our fields, without
//! managedFields. What only the API server could tell (a spelling, a default, a value
//! that it drops) is taken for no difference.

use serde_json::{Map, Value, json};

use super::builtin::{STRIPPED, is_builtin, is_default};
use super::path::{Step, print};
use super::project::aligned;
use super::scalar::{same, spelled_alike, zero};
use super::verdict::{Difference, Kind, Verdict};
use crate::model::{Desired, FIELD_MANAGER, Live, PART_OF};

/// Compares desired with an object as it is recorded.
pub fn compare_recorded(desired: &Desired, recorded: &Value) -> Verdict {
    let recorded = aligned(desired, recorded);
    let mut walk = Walk {
        builtin: is_builtin(&desired.id.kind.group),
        path: Vec::new(),
        found: Vec::new(),
    };
    walk.value(&desired.body(), &recorded);
    if walk.found.is_empty() {
        Verdict::Clean
    } else {
        Verdict::Drifted(walk.found)
    }
}

/// A recorded object as if it were live: every field of it is ours, and it belongs to an
/// ApplySet.
pub fn live_of_recorded(recorded: &Value, apply_set: &str) -> Live {
    let mut body = recorded.clone();
    let fields = fields_of(&body);
    body["metadata"]["labels"][PART_OF] = apply_set.into();
    body["metadata"]["managedFields"] = json!([{
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": recorded.get("apiVersion"),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }]);
    Live::new(body)
}

/// Maps are owned by field, everything else as a whole: which lists have keys is not
/// recorded.
fn fields_of(value: &Value) -> Value {
    let fields = value.as_object().into_iter().flatten();
    let fields = fields.map(|(name, value)| (format!("f:{name}"), fields_of(value)));
    Value::Object(fields.collect())
}

struct Walk<'a> {
    builtin: bool,
    path: Vec<Step<'a>>,
    found: Vec<Difference>,
}

impl Walk<'_> {
    fn value(&mut self, desired: &Value, recorded: &Value) {
        match (desired, recorded) {
            (Value::Object(desired), Value::Object(recorded)) => self.map(desired, recorded),
            (Value::Array(desired), Value::Array(recorded)) if desired.len() == recorded.len() => {
                for (at, (desired, recorded)) in desired.iter().zip(recorded).enumerate() {
                    let step = match desired.get("name") {
                        Some(name) => Step::Item(vec![("name", name)]),
                        None => Step::Index(at),
                    };
                    self.within(step, |walk| walk.value(desired, recorded));
                }
            }
            _ if same(desired, recorded) || spelled_alike(desired, recorded) => {}
            _ => self.report(Kind::Changed {
                live: recorded.clone(),
                desired: desired.clone(),
            }),
        }
    }

    fn map(&mut self, desired: &Map<String, Value>, recorded: &Map<String, Value>) {
        for (name, value) in desired {
            if self.is_server_s(name) {
                continue;
            }
            self.within(Step::Field(name), |walk| match recorded.get(name) {
                Some(recorded) => walk.value(value, recorded),
                None if zero(value) => {}
                None => walk.report(Kind::Missing {
                    desired: value.clone(),
                }),
            });
        }
        let field = |step: &Step<'_>| match step {
            Step::Field(name) => Some((*name).to_owned()),
            _ => None,
        };
        let parent = self.path.iter().rev().find_map(field).unwrap_or_default();
        for (name, value) in recorded {
            let default = self.builtin && is_default(&parent, name, value);
            let ours = desired.contains_key(name) || self.is_server_s(name) || default;
            if !ours && !only_label(name, value) {
                let live = Some(value.clone());
                self.within(Step::Field(name), |walk| walk.report(Kind::Extra { live }));
            }
        }
    }

    /// What the server sets, or the agent to know its own.
    fn is_server_s(&self, name: &str) -> bool {
        match &self.path[..] {
            [] => name == "status",
            [Step::Field("metadata")] => STRIPPED.contains(&name),
            [Step::Field("metadata"), Step::Field("labels")] => name == PART_OF,
            _ => false,
        }
    }

    fn report(&mut self, kind: Kind) {
        self.found.push(Difference {
            path: print(&self.path),
            kind,
            doubt: None,
            owner: None,
        });
    }

    fn within(&mut self, step: Step<'_>, visit: impl FnOnce(&mut Walk<'_>)) {
        let mut path = self.path.clone();
        path.push(step);
        let mut below = Walk {
            builtin: self.builtin,
            path,
            found: std::mem::take(&mut self.found),
        };
        visit(&mut below);
        self.found = below.found;
    }
}

/// Labels of which only the agent's own is there.
fn only_label(name: &str, value: &Value) -> bool {
    let labels = value.as_object().filter(|_| name == "labels");
    labels.is_some_and(|labels| labels.keys().all(|label| label == PART_OF))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GroupKind, ObjectId, Origin};

    fn desired(body: &Value) -> Desired {
        let kind = GroupKind::known("apps", "Deployment");
        let id = ObjectId::parse(kind, Some("shop"), "web").expect("a name");
        let origin = Origin {
            path: "a.yaml".to_owned(),
            line: 1,
        };
        Desired::new(id, body, origin)
    }

    fn body(spec: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "x", PART_OF: "s"}},
            "spec": spec})
    }

    #[test]
    fn what_the_server_writes_otherwise_is_no_difference() {
        let declared = desired(&body(&json!({
            "paused": false,
            "containers": [
                {"name": "a", "resources": {"cpu": "1000m"}, "env": []},
                {"name": "b", "image": "2"},
            ],
        })));
        let recorded = body(&json!({
            "containers": [
                {"name": "b", "image": "2"},
                {"name": "a", "resources": {"cpu": "1"}},
            ],
        }));
        assert_eq!(compare_recorded(&declared, &recorded), Verdict::Clean);
        let mut other = recorded.clone();
        other["metadata"]["labels"][PART_OF] = "other".into();
        assert_eq!(compare_recorded(&declared, &other), Verdict::Clean);
    }

    #[test]
    fn what_was_changed_added_and_taken_away_is_told() {
        let declared = desired(&body(&json!({
            "replicas": 3,
            "minReadySeconds": 5,
            "containers": [{"name": "a", "image": "2"}],
        })));
        let recorded = body(&json!({
            "replicas": 5,
            "paused": true,
            "containers": [{"name": "a", "image": "1"}],
        }));
        let verdict = compare_recorded(&declared, &recorded);
        let told: Vec<String> = verdict
            .differences()
            .iter()
            .map(|found| found.path.clone())
            .collect();
        assert_eq!(
            told,
            [
                "spec.containers[name=a].image",
                "spec.minReadySeconds",
                "spec.replicas",
                "spec.paused"
            ]
        );
    }
}
