//! A file for an object that exists only in the cluster.

use std::sync::Arc;

use serde_json::Value;

use super::kustomize::{self, Layer};
use super::source::Why;
use super::tree::EditedTree;
use super::yaml;
use crate::config::{Unit, UnitType};
use crate::fields::set_by_people;
use crate::model::{Live, ObjectId, Tree, shows_secret};

/// Why an object gets no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdopted {
    /// Its values would stand in Git in plain text.
    #[error(
        "{0} is a Secret, and its values would stand in Git for everybody to read; use External Secrets or Sealed Secrets, or set `allowPlainSecrets: true` on the unit"
    )]
    Secret(ObjectId),
    /// Something else makes it.
    #[error("{object} is made and kept by {owner}; adopt that instead")]
    Owned {
        /// The object.
        object: ObjectId,
        /// `ReplicaSet web-5d`.
        owner: String,
    },
    /// There is nothing to write down.
    #[error("nobody but controllers has set anything of {0}, so there is nothing to declare")]
    Nobodys(ObjectId),
    /// The unit's files don't allow it.
    #[error(transparent)]
    Files(#[from] Why),
}

/// Adds an object to a unit's directory, as a person would have written it; gives the
/// tree, and the path of the new file.
pub fn adopt_object(
    tree: &Arc<dyn Tree>,
    unit: &Unit,
    id: &ObjectId,
    live: &Live,
) -> Result<(EditedTree, String), NotAdopted> {
    if shows_secret(id, &live.body) && !unit.allow_plain_secrets {
        return Err(NotAdopted::Secret(id.clone()));
    }
    if let Some(owner) = owner(live) {
        let object = id.clone();
        return Err(NotAdopted::Owned { object, owner });
    }
    let body = set_by_people(live).ok_or_else(|| NotAdopted::Nobodys(id.clone()))?;
    let mut edited = EditedTree::new(Arc::clone(tree));
    let own = unit.namespace.clone().map(String::from);
    let (directory, namespace) = match unit.kind {
        UnitType::Manifests => (unit.path.clone(), own),
        UnitType::Kustomize => {
            let layers = Layer::all(&edited, &unit.path)?;
            let (directory, namespace) = kustomize::place_of_new(&layers);
            (directory, namespace.or(own))
        }
    };
    let name = file_name(&edited, &directory, id);
    let path = join(&directory, &name);
    edited.write(
        &path,
        yaml::text(&without_namespace(body, namespace.as_deref())),
    );
    if unit.kind == UnitType::Kustomize {
        edited = kustomize::with_resource(edited, &unit.path, &name)?;
    }
    Ok((edited, path))
}

/// The controller that an object belongs to.
fn owner(live: &Live) -> Option<String> {
    let owners = live.body.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.first()?;
    let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
    Some(format!("{} {}", text("kind"), text("name")))
}

/// What the unit says already goes without saying.
fn without_namespace(mut body: Value, implied: Option<&str>) -> Value {
    let namespace = body.pointer("/metadata/namespace").and_then(Value::as_str);
    if namespace.is_some()
        && namespace == implied
        && let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.remove("namespace");
    }
    body
}

/// `deployment-web.yaml`, or longer where that is taken.
fn file_name(tree: &EditedTree, directory: &str, id: &ObjectId) -> String {
    let plain = |text: &str| -> String {
        let fine = |c: char| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        };
        text.chars().map(fine).collect::<String>().to_lowercase()
    };
    let short = format!("{}-{}", plain(&id.kind.kind), plain(&id.name));
    let long = match &id.namespace {
        Some(namespace) => format!("{short}-{}", plain(namespace)),
        None => short.clone(),
    };
    let numbered = (2..).map(|number| format!("{long}-{number}"));
    let mut names = [short, long.clone()].into_iter().chain(numbered);
    let free = names.find(|name| {
        let path = join(directory, &format!("{name}.yaml"));
        matches!(tree.kind(&path), Ok(None))
    });
    format!("{}.yaml", free.unwrap_or(long))
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}
