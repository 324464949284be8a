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
mod turns;
pub mod yaml;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::config::{Problems, Unit, UnitType};
use crate::model::{
    Cost, GroupKind, Json, Name, Namespace, Origin, Scale, Tree, TreeError, UnitBudget,
};
use crate::runtime::exec::{Limits, Unconfined};
use crate::runtime::lock::lock;
use crate::runtime::memory::Memory;
use serde_json::Value;

pub use error::{RenderErrors, exceeded};
pub use inputs::{Inputs, inputs, places};
pub use scope::{DesiredSet, Scope, builtin_scope, resolve_scope, scopes_of_crds};
pub use site::{SetBy, Site, site};
pub use turns::Turns;

/// The outside programs that rendering may need.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The `kustomize` to run; `None` where there is none.
    pub kustomize: Option<PathBuf>,
    /// What becomes of them where the kernel can't confine them.
    pub unconfined: Unconfined,
    /// The memory that there is for them and for us.
    pub memory: Memory,
    /// Lets as many units be rendered side by side as there is room for, whichever
    /// revision or pull request they are of.
    pub turns: Arc<Turns>,
}

impl Default for Tools {
    fn default() -> Self {
        Self::within(Memory::default())
    }
}

impl Tools {
    /// No programs yet, and so much memory for them and for us.
    pub fn within(memory: Memory) -> Self {
        Self {
            kustomize: None,
            unconfined: Unconfined::default(),
            memory,
            turns: Arc::new(Turns::new(Limits::side_by_side(memory))),
        }
    }

    /// How many times the bounds on what a commit may bring hold.
    pub fn scale(&self) -> Scale {
        Scale::of_memory(self.memory.bytes())
    }
}

/// An object as a unit declares it, its namespace not yet resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Group and kind.
    pub kind: GroupKind,
    /// `metadata.namespace` as written.
    pub namespace: Option<Namespace>,
    /// `metadata.name`.
    pub name: Name,
    /// The whole object, without nulls, `status` and what only a server sets.
    pub json: Json,
    /// Where it is declared.
    pub origin: Origin,
}

impl Manifest {
    /// The whole object, parsed.
    pub fn body(&self) -> Value {
        self.json.value()
    }
}

/// All that a unit declares. Zero objects are represented as such: whether that may
/// prune is the plan's to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    manifests: Vec<Manifest>,
    warnings: Problems,
    slips: Problems,
    cost: Cost,
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

    /// Of the warnings those that nobody can have meant.
    pub fn slips(&self) -> &Problems {
        &self.slips
    }

    /// What it took of the revision's budget.
    pub fn cost(&self) -> &Cost {
        &self.cost
    }
}

/// What a renderer found, before it is known to be complete.
#[derive(Default)]
struct Found {
    manifests: Vec<Manifest>,
    warnings: Problems,
    slips: Problems,
    /// What is wrong; with any, nothing was rendered.
    problems: Problems,
}

impl Found {
    fn slipped(&mut self, slips: Problems) {
        self.slips.append(slips.clone());
        self.warnings.append(slips);
    }

    /// All of it, if nothing is wrong.
    fn rendered(self, budget: &UnitBudget) -> Result<Rendered, RenderErrors> {
        if !self.problems.is_empty() {
            return Err(self.problems.into());
        }
        Ok(Rendered {
            manifests: self.manifests,
            warnings: self.warnings,
            slips: self.slips,
            cost: budget.spent(),
        })
    }
}

/// Renders a unit, collecting everything that is wrong with it.
pub async fn render(
    tree: &Arc<dyn Tree>,
    unit: &Unit,
    tools: &Tools,
) -> Result<Rendered, RenderErrors> {
    if let Some(flaw) = &unit.flaw {
        return Err(flaw.clone().into());
    }
    let budget = UnitBudget::new(tools.scale());
    match unit.kind {
        UnitType::Manifests => {
            let (tree, unit) = (Arc::clone(tree), unit.clone());
            blocking(move || plain::render(tree.as_ref(), &unit, budget)).await
        }
        UnitType::Kustomize => kustomize::render(tree, unit, tools, budget).await,
    }
}

/// How often a render that takes long makes room for others.
const MAKES_ROOM: usize = 2;

/// Renders a unit when it is its turn. A program that takes long is ended where others wait,
/// and begun anew behind them.
pub async fn render_in_turn(
    tree: &Arc<dyn Tree>,
    unit: &Unit,
    tools: &Tools,
) -> Result<Rendered, RenderErrors> {
    let runs_program = unit.kind == UnitType::Kustomize;
    for _ in 0..MAKES_ROOM {
        let _turn = tools.turns.turn().await;
        tokio::select! {
            biased;
            rendered = render(tree, unit, tools) => return rendered,
            () = tools.turns.wanted(), if runs_program => {}
        }
    }
    let _turn = tools.turns.turn().await;
    render(tree, unit, tools).await
}

/// Files that are larger are read as values one at a time, whatever else is rendered: a
/// large one takes thirty megabytes while it is.
const LARGE: usize = 128 * 1024;

static LARGE_FILES: Mutex<()> = Mutex::new(());

/// A turn to read a file of so many bytes; `None` if it needs none.
fn turn(bytes: usize) -> Option<MutexGuard<'static, ()>> {
    (bytes > LARGE).then(|| lock(&LARGE_FILES))
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
