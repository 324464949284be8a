//! What a unit's directory holds.

use super::each::join;
use super::problem::nearest;
use super::unit::UnitType;
use crate::model::{EntryKind, Measure, Tree, TreeError, UnitBudget};

/// The names under which kustomize looks for its file.
const KUSTOMIZATION: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Why a directory can't be a unit, and what to do about it.
pub struct Wrong {
    pub message: String,
    pub hint: Option<String>,
}

/// The type of a directory: the one that is said, else what its files tell.
pub fn kind_of(
    tree: &dyn Tree,
    path: &str,
    said: Option<UnitType>,
    budget: &mut UnitBudget,
) -> Result<UnitType, Wrong> {
    match tree.kind(path) {
        Ok(Some(EntryKind::Directory)) => {}
        Ok(Some(EntryKind::File)) => {
            return Err(wrong(format!("`{path}` is a file, not a directory")));
        }
        Ok(None) | Err(TreeError::NotFound { .. }) => return Err(missing(tree, path)),
        Err(TreeError::Submodule { .. }) => return Ok(unlisted(said)),
        Err(error) => return Err(wrong(error.to_string())),
    }
    let Ok(entries) = tree.list(path) else {
        return Ok(unlisted(said));
    };
    let drawn = budget.draw(Measure::Paths, entries.len() as u64);
    drawn.map_err(|error| wrong(format!("`{path}`: {error}")))?;
    let files = || entries.iter().filter(|(_, kind)| *kind == EntryKind::File);
    let has = |name: &str| files().any(|(file, _)| file == name);
    let kustomization = KUSTOMIZATION.iter().any(|name| has(name));
    match said {
        Some(UnitType::Kustomize) if !kustomization => Err(wrong(format!(
            "`{path}` is said to be a kustomization and has no kustomization.yaml"
        ))),
        Some(kind) => Ok(kind),
        None if kustomization => Ok(UnitType::Kustomize),
        None if has("Chart.yaml") => Err(later(path, "a Helm chart (Chart.yaml)")),
        None if files().any(|(file, _)| tofu(file)) => {
            Err(later(path, "an OpenTofu module (*.tf)"))
        }
        None => Ok(UnitType::Manifests),
    }
}

/// That of a directory which can't be listed whatever is tried. Its unit fails by that where
/// it is rendered, as by a broken file, and the others go on.
fn unlisted(said: Option<UnitType>) -> UnitType {
    said.unwrap_or(UnitType::Manifests)
}

/// Lower case only, as `tofu` has it.
fn tofu(file: &str) -> bool {
    file.rsplit_once('.')
        .is_some_and(|(_, extension)| extension == "tf")
}

fn missing(tree: &dyn Tree, path: &str) -> Wrong {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let siblings = tree.list(parent).unwrap_or_default();
    let directories = siblings
        .iter()
        .filter(|(_, kind)| *kind == EntryKind::Directory);
    let near = nearest(name, directories.map(|(name, _)| name.as_str()));
    Wrong {
        message: format!("there is no directory `{path}`"),
        hint: near.map(|name| format!("did you mean `{}`?", join(parent, name))),
    }
}

fn later(path: &str, what: &str) -> Wrong {
    Wrong {
        message: format!("`{path}` is {what}, which is not supported by this version"),
        hint: Some("say `type: manifests` if its YAML files are manifests".to_owned()),
    }
}

fn wrong(message: String) -> Wrong {
    Wrong {
        message,
        hint: None,
    }
}
