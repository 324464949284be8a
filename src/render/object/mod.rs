//! From what a document says to the objects that it declares, each checked for what
//! the API server would refuse, as long as the line is still known.

mod check;
mod clean;
mod list;
mod names;
mod settings;

use std::str::FromStr;

use serde_json::{Map, Value};

use super::Manifest;
use super::error::{at, exceeded};
use super::yaml::{Document, Position};
use crate::config::{Problem, Problems};
use crate::model::{
    Group, GroupKind, Json, Kind, Measure, Name, NameError, Namespace, Origin, UnitBudget, Version,
};
use clean::{declares_status, drop_nulls, drop_what_servers_set};
use list::{ItemOf, items};
use names::demanded;
pub(super) use settings::slips;

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

/// The objects of a document: itself, or the items of a list, as far as a budget goes. Adds
/// what is wrong to `problems`; the result is complete only where nothing was added.
pub(super) fn objects(
    path: &str,
    document: &Document,
    secrets: PlainSecrets,
    budget: &mut UnitBudget,
    problems: &mut Problems,
) -> Vec<Manifest> {
    let source = Source {
        path,
        document,
        secrets,
    };
    let mut found = Objects {
        budget,
        manifests: Vec::new(),
        problems,
    };
    source.walk(&document.value, "", None, &mut found);
    found.manifests
}

/// What a document declares in vain, though nothing is wrong with it.
pub(super) fn in_vain(path: &str, document: &Document) -> Problems {
    let mut told = Problems::default();
    each(document, &mut |object, pointer| {
        if declares_status(object) {
            told.push_with(|| {
                let place = document.position(&format!("{pointer}/status"));
                let message = "status is not applied: only the object's controller writes it";
                at(path, place, message).hint("leave it out")
            });
        }
    });
    told
}

/// Looks at each object of a document, with its place in it.
fn each(document: &Document, look: &mut impl FnMut(&Map<String, Value>, &str)) {
    each_of((&document.value, ""), None, look);
}

fn each_of(
    (value, pointer): (&Value, &str),
    item: Option<&ItemOf>,
    look: &mut impl FnMut(&Map<String, Value>, &str),
) {
    let Value::Object(object) = value else {
        return;
    };
    let Some((list, items)) = items(object, item) else {
        return look(object, pointer);
    };
    for (index, value) in items.iter().enumerate() {
        let pointer = format!("{pointer}/items/{index}");
        each_of((value, &pointer), Some(&list), look);
    }
}

/// A key as a token of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// What was found in a document so far.
struct Objects<'a> {
    budget: &'a mut UnitBudget,
    manifests: Vec<Manifest>,
    problems: &'a mut Problems,
}

impl Objects<'_> {
    fn take(&mut self, manifest: Manifest) {
        let bytes = manifest.json.bytes().len() as u64;
        let drawn = self.budget.draw(Measure::Objects, 1);
        match drawn.and_then(|()| self.budget.draw(Measure::Rendered, bytes)) {
            Ok(()) => self.manifests.push(manifest),
            Err(error) => self.problems.push(Problem {
                line: manifest.origin.line,
                ..exceeded(&manifest.origin.path, error)
            }),
        }
    }
}

impl Source<'_> {
    fn place(&self, pointer: &str) -> Position {
        self.document.position(pointer)
    }

    fn problem(&self, pointer: &str, message: impl Into<String>) -> Problem {
        at(self.path, self.place(pointer), message)
    }

    /// Depth is bounded by the reader's.
    fn walk(&self, value: &Value, pointer: &str, item: Option<&ItemOf>, found: &mut Objects<'_>) {
        if found.budget.check().is_err() {
            return;
        }
        let Value::Object(object) = value else {
            let what = name_of_type(value);
            let message = format!("{what} stands where an object of Kubernetes was expected");
            return found.problems.push(self.problem(pointer, message));
        };
        if let Some((list, items)) = items(object, item) {
            for (index, value) in items.iter().enumerate() {
                let pointer = format!("{pointer}/items/{index}");
                self.walk(value, &pointer, Some(&list), found);
            }
            return;
        }
        let mut object = object.clone();
        if let Some(list) = item {
            list.lend(&mut object);
        }
        match self.manifest(object, pointer) {
            Ok(manifest) => found.take(manifest),
            Err(wrong) => found.problems.append(wrong),
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
        self.check_settings(&object, pointer, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        drop_what_servers_set(&mut object);
        Ok(Manifest {
            kind: identity.kind,
            namespace: identity.namespace,
            name: identity.name,
            json: Json::from(&Value::Object(object)),
            origin: Origin {
                path: self.path.to_owned(),
                line: self.place(pointer).line,
            },
        })
    }

    fn identity(&self, object: &Map<String, Value>, pointer: &str) -> Result<Identity, Problems> {
        let mut problems = Problems::default();
        let kind = self.kind(object, pointer, &mut problems);
        let name = self.name(object, kind.as_ref(), pointer);
        let name = name.map_err(|problem| problems.push(problem)).ok();
        let namespace = self.namespace(object, pointer);
        let namespace = namespace.map_err(|problem| problems.push(problem)).ok();
        match (kind, namespace, name) {
            (Some(kind), Some(namespace), Some(name)) => Ok(Identity {
                kind,
                namespace,
                name,
            }),
            _ => Err(problems),
        }
    }

    /// Its group and kind, the version checked as well.
    fn kind(
        &self,
        object: &Map<String, Value>,
        pointer: &str,
        problems: &mut Problems,
    ) -> Option<GroupKind> {
        let api_version = self.text(object, "apiVersion", pointer);
        let group = api_version.and_then(|text| {
            let (group, version) = text.split_once('/').unwrap_or(("", &text));
            let place = format!("{pointer}/apiVersion");
            let version = self.named::<Version>(version, &place);
            version.and_then(|_| self.named::<Group>(group, &place))
        });
        let kind = self.text(object, "kind", pointer);
        let kind = kind.and_then(|text| self.named::<Kind>(&text, &format!("{pointer}/kind")));
        let group = group.map_err(|problem| problems.push(problem)).ok();
        let kind = kind.map_err(|problem| problems.push(problem)).ok();
        Some(GroupKind {
            group: group?,
            kind: kind?,
        })
    }

    /// A text that has to be a name.
    fn named<N: FromStr<Err = NameError>>(&self, text: &str, pointer: &str) -> Result<N, Problem> {
        text.parse()
            .map_err(|error: NameError| self.problem(pointer, error.to_string()))
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
        kind: Option<&GroupKind>,
        pointer: &str,
    ) -> Result<Name, Problem> {
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
            Some(Value::String(text)) if !text.is_empty() => {
                let place = format!("{place}/name");
                let name = self.named::<Name>(text, &place)?;
                match kind.and_then(|kind| demanded(kind).broken_by(&name)) {
                    Some(error) => Err(self.problem(&place, error.to_string())),
                    None => Ok(name),
                }
            }
            None if metadata.contains_key("generateName") => {
                let message = "metadata.generateName makes a new object at every sync";
                let hint = "give it a metadata.name";
                Err(self
                    .problem(&format!("{place}/generateName"), message)
                    .hint(hint))
            }
            None => {
                let kind = object.get("kind").and_then(Value::as_str);
                let kind = kind.unwrap_or("object");
                Err(self.problem(&place, format!("this {kind} has no metadata.name")))
            }
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
    ) -> Result<Option<Namespace>, Problem> {
        match object.get("metadata").and_then(|it| it.get("namespace")) {
            None => Ok(None),
            Some(Value::String(name)) if name.is_empty() => Ok(None),
            Some(Value::String(name)) => {
                let place = format!("{pointer}/metadata/namespace");
                self.named(name, &place).map(Some)
            }
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
    namespace: Option<Namespace>,
    name: Name,
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
