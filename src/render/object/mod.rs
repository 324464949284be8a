//! From what a document says to the objects that it declares, each checked for what
//! the API server would refuse, as long as the line is still known.

mod check;
mod clean;
mod list;

use serde_json::{Map, Value};

use super::Manifest;
use super::error::at;
use super::yaml::{Document, Position};
use crate::config::{Problem, Problems};
use crate::model::{GroupKind, Origin, group_of};
use clean::{drop_nulls, drop_what_servers_set};
use list::{ItemOf, take_items};

/// Whether a unit may declare Secrets in plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlainSecrets {
    Allowed,
    Refused,
}

/// What is known of a document while its objects are looked at.
struct Source<'a> {
    path: &'a str,
    document: &'a Document,
    secrets: PlainSecrets,
}

/// The objects of a document: itself, or the items of a list. Adds what is wrong to
/// `problems`; the result is complete only where nothing was added.
pub(super) fn objects(
    path: &str,
    document: &Document,
    secrets: PlainSecrets,
    problems: &mut Problems,
) -> Vec<Manifest> {
    let source = Source {
        path,
        document,
        secrets,
    };
    let mut manifests = Vec::new();
    source.walk(document.value.clone(), "", None, &mut manifests, problems);
    manifests
}

impl Source<'_> {
    fn place(&self, pointer: &str) -> Position {
        self.document.position(pointer)
    }

    fn problem(&self, pointer: &str, message: impl Into<String>) -> Problem {
        at(self.path, self.place(pointer), message)
    }

    /// Depth is bounded by the reader's.
    fn walk(
        &self,
        value: Value,
        pointer: &str,
        item: Option<&ItemOf>,
        manifests: &mut Vec<Manifest>,
        problems: &mut Problems,
    ) {
        let Value::Object(mut object) = value else {
            let found = name_of_type(&value);
            let message = format!("{found} stands where an object of Kubernetes was expected");
            problems.push(self.problem(pointer, message));
            return;
        };
        if let Some(list) = item {
            list.lend(&mut object);
        }
        let Some((list, items)) = take_items(&mut object) else {
            match self.manifest(object, pointer) {
                Ok(manifest) => manifests.push(manifest),
                Err(wrong) => problems.extend(wrong),
            }
            return;
        };
        for (index, value) in items.into_iter().enumerate() {
            let pointer = format!("{pointer}/items/{index}");
            self.walk(value, &pointer, Some(&list), manifests, problems);
        }
    }

    fn manifest(
        &self,
        mut object: Map<String, Value>,
        pointer: &str,
    ) -> Result<Manifest, Problems> {
        drop_nulls(&mut object);
        let identity = self.identity(&object, pointer)?;
        let mut problems = Problems::default();
        self.check_strings(&object, &identity, pointer, &mut problems);
        self.check_secret(&object, &identity, pointer, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        drop_what_servers_set(&mut object);
        Ok(Manifest {
            kind: identity.kind,
            namespace: identity.namespace,
            name: identity.name,
            body: Value::Object(object),
            origin: Origin {
                path: self.path.to_owned(),
                line: self.place(pointer).line,
            },
        })
    }

    fn identity(&self, object: &Map<String, Value>, pointer: &str) -> Result<Identity, Problems> {
        let mut problems = Problems::default();
        let mut text = |field: &str| match self.text(object, field, pointer) {
            Ok(text) => text,
            Err(problem) => {
                problems.push(problem);
                String::new()
            }
        };
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let (group, name) = (group_of(&api_version), self.name(object, &kind, pointer));
        let name = name.unwrap_or_else(|problem| {
            problems.push(problem);
            String::new()
        });
        let namespace = self.namespace(object, pointer).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if problems.is_empty() {
            Ok(Identity {
                kind: GroupKind::new(group, kind),
                namespace,
                name,
            })
        } else {
            Err(problems)
        }
    }

    fn text(
        &self,
        object: &Map<String, Value>,
        field: &str,
        pointer: &str,
    ) -> Result<String, Problem> {
        match object.get(field) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            None => {
                let problem = self.problem(pointer, format!("this object has no {field}"));
                Err(problem.hint("every object needs apiVersion, kind and metadata.name"))
            }
            Some(other) => {
                let pointer = format!("{pointer}/{field}");
                Err(self.wrong_type(&pointer, field, other))
            }
        }
    }

    fn wrong_type(&self, pointer: &str, field: &str, found: &Value) -> Problem {
        let message = format!("{field} must be text, but is {}", name_of_type(found));
        self.problem(pointer, message)
    }

    fn name(
        &self,
        object: &Map<String, Value>,
        kind: &str,
        pointer: &str,
    ) -> Result<String, Problem> {
        let place = format!("{pointer}/metadata");
        let metadata = match object.get("metadata") {
            Some(Value::Object(metadata)) => metadata,
            Some(other) => {
                let message = format!("metadata must be a map, but is {}", name_of_type(other));
                return Err(self.problem(&place, message));
            }
            None => &Map::new(),
        };
        match metadata.get("name") {
            Some(Value::String(name)) if !name.is_empty() => Ok(name.clone()),
            None if metadata.contains_key("generateName") => {
                let message = "metadata.generateName makes a new object at every sync";
                let hint = "give it a metadata.name";
                Err(self
                    .problem(&format!("{place}/generateName"), message)
                    .hint(hint))
            }
            None => Err(self.problem(&place, format!("this {kind} has no metadata.name"))),
            Some(other) => {
                let pointer = format!("{place}/name");
                let problem = self.wrong_type(&pointer, "metadata.name", other);
                Err(problem.hint("quote it if it is meant to be a name"))
            }
        }
    }

    fn namespace(
        &self,
        object: &Map<String, Value>,
        pointer: &str,
    ) -> Result<Option<String>, Problem> {
        match object.get("metadata").and_then(|it| it.get("namespace")) {
            None => Ok(None),
            Some(Value::String(name)) => Ok(Some(name.clone()).filter(|name| !name.is_empty())),
            Some(other) => {
                let pointer = format!("{pointer}/metadata/namespace");
                Err(self.wrong_type(&pointer, "metadata.namespace", other))
            }
        }
    }
}

/// What an object is called.
struct Identity {
    kind: GroupKind,
    namespace: Option<String>,
    name: String,
}

fn name_of_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "empty text",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
