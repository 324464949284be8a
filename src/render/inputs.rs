//! What a render depends on, cheap enough to ask for at every commit.

use super::{RenderErrors, Tools, kustomize};
use crate::config::{Unit, UnitType};
use crate::model::{Digest, Scale, Tree};

/// What a unit is rendered from. Equal inputs give an equal render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    settings: Digest,
    /// Each file and directory that is read, with its digest.
    places: Vec<(String, Digest)>,
    /// Paths that would be read, were there anything.
    absent: Vec<String>,
}

/// The inputs of a unit.
pub fn inputs(tree: &dyn Tree, unit: &Unit, tools: &Tools) -> Result<Inputs, RenderErrors> {
    let (places, absent) = match unit.kind {
        UnitType::Manifests => (vec![unit.path.clone()], Vec::new()),
        UnitType::Kustomize => kustomize::places(tree, unit, tools.scale())?,
    };
    let digested = places.into_iter().map(|path| {
        let digest = tree.digest(&path)?;
        Ok((path, digest))
    });
    Ok(Inputs {
        settings: settings(unit),
        places: digested.collect::<Result<_, RenderErrors>>()?,
        absent,
    })
}

/// The files and directories that a unit is rendered from.
pub fn places(tree: &dyn Tree, unit: &Unit) -> Result<Vec<String>, RenderErrors> {
    match unit.kind {
        UnitType::Manifests => Ok(vec![unit.path.clone()]),
        UnitType::Kustomize => Ok(kustomize::places(tree, unit, Scale::default())?.0),
    }
}

fn settings(unit: &Unit) -> Digest {
    Digest::of_json(&serde_json::json!({
        "type": unit.kind,
        "path": unit.path,
        "namespace": unit.namespace,
        "allowPlainSecrets": unit.allow_plain_secrets,
        "exclude": unit.exclude,
        "flaw": unit.flaw.as_ref().map(ToString::to_string),
        // What is kept of a unit tells of rules that match nothing.
        "ignore": format!("{:?}", unit.ignore),
    }))
}

impl Inputs {
    /// Whether they are the same in another revision, for a unit with the same settings.
    /// This takes no more than a look at the places.
    pub fn hold(&self, tree: &dyn Tree) -> bool {
        let same = |(path, digest): &(String, Digest)| tree.digest(path).as_ref() == Ok(digest);
        let absent = |path: &String| matches!(tree.kind(path), Ok(None));
        self.places.iter().all(same) && self.absent.iter().all(absent)
    }
}
