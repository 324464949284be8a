//! From the files of a unit to the objects that it declares: manifests as they stand,
//! or what `kustomize` makes of them. A render is complete or it is an error, and only
//! a complete one comes to a [`DesiredSet`], so a partial one can never prune.

mod error;
mod inputs;
mod kustomize;
mod object;
mod plain;
mod scope;
mod site;
#[cfg(test)]
mod tests;
pub mod yaml;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::config::{Problems, Unit, UnitType};
use crate::model::{GroupKind, Origin, Tree, TreeError};
use crate::runtime::exec::Unconfined;

pub use error::RenderErrors;
pub use inputs::{Inputs, inputs, places};
pub use scope::{DesiredSet, Scope, builtin_scope, resolve_scope, scopes_of_crds};
pub use site::{SetBy, Site, site};

/// The outside programs that rendering may need.
#[derive(Debug, Clone, Default)]
pub struct Tools {
    /// The `kustomize` to run; `None` where there is none.
    pub kustomize: Option<PathBuf>,
    /// What becomes of them where the kernel can't confine them.
    pub unconfined: Unconfined,
}

/// An object as a unit declares it, its namespace not yet resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Group and kind.
    pub kind: GroupKind,
    /// `metadata.namespace` as written.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// The whole object, without nulls, `status` and what only a server sets.
    pub body: Value,
    /// Where it is declared.
    pub origin: Origin,
}

/// All that a unit declares. Zero objects are represented as such: whether that may
/// prune is the plan's to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    manifests: Vec<Manifest>,
    warnings: Problems,
}

impl Rendered {
    /// The objects, in the order of the files.
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }
}

/// What a renderer found, before it is known to be complete.
#[derive(Default)]
struct Found {
    manifests: Vec<Manifest>,
    warnings: Problems,
}

/// Renders a unit, collecting everything that is wrong with it.
pub async fn render(
    tree: &Arc<dyn Tree>,
    unit: &Unit,
    tools: &Tools,
) -> Result<Rendered, RenderErrors> {
    let found = match unit.kind {
        UnitType::Manifests => {
            let (tree, unit) = (Arc::clone(tree), unit.clone());
            blocking(move || plain::render(tree.as_ref(), &unit)).await?
        }
        UnitType::Kustomize => kustomize::render(tree, unit, tools).await?,
    };
    Ok(Rendered {
        manifests: found.manifests,
        warnings: found.warnings,
    })
}

/// Reading a repository and parsing may take a while: not on the threads that serve
/// everything else.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and nobody polls this again.
            Err(_) => std::future::pending().await,
        },
    }
}

/// A path of the tree, `/`-joined; `""` is the root.
fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

/// Text of a file, or what is wrong with it.
fn read_text(tree: &dyn Tree, path: &str) -> Result<String, TreeError> {
    String::from_utf8(tree.read(path)?).map_err(|error| TreeError::Unreadable {
        path: path.to_owned(),
        reason: format!(
            "byte {} is not UTF-8; save the file as UTF-8",
            error.utf8_error().valid_up_to() + 1
        ),
    })
}
