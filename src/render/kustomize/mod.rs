//! A kustomization, built by the real `kustomize` in a directory that holds nothing
//! but what it refers to, which is all that it may read.

mod closure;
mod copy;
mod origin;
mod site;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::error::{at, of_yaml};
use super::object::{in_vain, objects, slips};
use super::plain::secrets;
use super::yaml::Documents;
use super::{Found, RenderErrors, Rendered, Tools, blocking, turn};
use crate::config::{Problem, Problems, Unit};
use crate::model::{Scale, Tree, UnitBudget};
use crate::runtime::exec::{self, Access, ExecError, Gap, Limits, Program};
use closure::Closure;
use copy::Copied;
use origin::Origins;
pub(super) use site::site;

/// The names under which kustomize looks for its file.
const KUSTOMIZATION: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

const HINT: &str = "install kustomize (https://kubectl.docs.kubernetes.io/installation/kustomize) \
                    so that it is on PATH, or name it with --kustomize";

/// All that the kustomization refers to, and what it would refer to, were it there.
pub(super) fn places(
    tree: &dyn Tree,
    unit: &Unit,
    scale: Scale,
) -> Result<(Vec<String>, Vec<String>), RenderErrors> {
    let closure = closure::of(tree, &unit.path, &mut UnitBudget::new(scale))?;
    let places = closure.places().map(str::to_owned).collect();
    Ok((places, closure.absent.into_iter().collect()))
}

/// What is on disk for one run; removed with it.
struct Prepared {
    directory: TempDir,
    /// The kustomization's file.
    file: String,
    copied: Copied,
    origins: Origins,
    warnings: Problems,
    /// What is left for the objects.
    budget: UnitBudget,
}

/// Builds the kustomization and reads what comes out.
pub(super) async fn render(
    tree: &Arc<dyn Tree>,
    unit: &Unit,
    tools: &Tools,
    budget: UnitBudget,
) -> Result<Rendered, RenderErrors> {
    let prepared = {
        let (tree, path) = (Arc::clone(tree), unit.path.clone());
        blocking(move || prepare(tree.as_ref(), &path, budget)).await?
    };
    let program = program(&prepared, unit, tools)?;
    let output = match exec::run(program).await {
        Ok(output) => output,
        Err(error) => return Err(failure(&prepared, &error)),
    };
    let unit = unit.clone();
    blocking(move || read(prepared, &unit, &output)).await
}

fn prepare(tree: &dyn Tree, path: &str, mut budget: UnitBudget) -> Result<Prepared, RenderErrors> {
    let closure = closure::of(tree, path, &mut budget)?;
    let directory = TempDir::new().map_err(|error| unwritable(path, &error))?;
    let root = directory
        .path()
        .canonicalize()
        .map_err(|error| unwritable(path, &error))?;
    let copied = copy::copy(tree, &closure, &root, &mut budget)?;
    let Closure { file, patches, .. } = closure;
    let (origins, warnings) = origin::of(&file, &root, &copied, &patches);
    Ok(Prepared {
        directory,
        file,
        copied,
        origins,
        warnings,
        budget,
    })
}

fn program(prepared: &Prepared, unit: &Unit, tools: &Tools) -> Result<Program, RenderErrors> {
    let executable = tools.kustomize.clone().ok_or_else(|| {
        let problem = Problem::in_file(&prepared.file, "needs kustomize, which was not found");
        RenderErrors::from(problem.hint(HINT))
    })?;
    // Nothing is fetched: remote bases are refused, and what is missed has no network.
    // Where the kernel can't keep it from that, it would go through a proxy where nobody
    // listens. Without PATH there is no git either.
    let nowhere = "http://127.0.0.1:9";
    let limits = Limits::of_one(tools.memory);
    Ok(Program {
        executable,
        arguments: vec!["build".into(), ".".into()],
        directory: prepared.directory.path().join(&unit.path),
        environment: vec![
            ("HTTP_PROXY".into(), nowhere.into()),
            ("HTTPS_PROXY".into(), nowhere.into()),
            // Collects garbage sooner where there is little memory, instead of running out.
            ("GOMEMLIMIT".into(), limits.memory.to_string().into()),
        ],
        stdin: None,
        access: Access::Confined {
            read: vec![prepared.directory.path().to_owned()],
            unconfined: tools.unconfined,
        },
        limits,
        hint: HINT,
    })
}

/// What kustomize said, in terms of the repository: it only knows the copy. Where it
/// misses a file that could not be copied, the reason for that is the answer.
fn failure(prepared: &Prepared, error: &ExecError) -> RenderErrors {
    let stderr = match error {
        ExecError::Failed { stderr, .. } => stderr,
        ExecError::Unconfined { gaps, .. } => return unconfined(&prepared.file, gaps).into(),
        _ => return RenderErrors::of_program(&prepared.file, error),
    };
    let said = in_the_repository(stderr, prepared.directory.path());
    let mut skipped = prepared.copied.skipped_in(&said).peekable();
    if skipped.peek().is_some() {
        return skipped.collect::<Problems>().into();
    }
    let said = said.trim_start_matches("Error: ");
    Problem::in_file(&prepared.file, format!("kustomize failed: {said}")).into()
}

/// The path of the program is nothing to tell a stranger.
fn unconfined(file: &str, gaps: &[Gap]) -> Problem {
    let gaps = exec::listed(gaps);
    let message = format!(
        "kustomize is not run for files of somebody who may not write to the repository, as the kernel here cannot keep it from {gaps}"
    );
    Problem::in_file(file, message).hint(
        "somebody who may write to the repository can push the same commits to a branch of it",
    )
}

fn in_the_repository(text: &str, directory: &Path) -> String {
    let directory = directory.canonicalize().unwrap_or(directory.to_owned());
    let directory = directory.display().to_string();
    text.replace(&format!("{directory}/"), "")
        .replace(&directory, ".")
}

fn read(prepared: Prepared, unit: &Unit, output: &exec::Output) -> Result<Rendered, RenderErrors> {
    let Prepared {
        directory,
        file,
        origins,
        warnings,
        mut budget,
        ..
    } = prepared;
    let mut found = Found {
        warnings,
        ..Found::default()
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let said = in_the_repository(&said, directory.path());
    let said = said.lines().map(|line| line.trim_start_matches("# "));
    found.warnings.extend(
        said.filter(|line| !line.trim().is_empty())
            .map(|line| Problem::in_file(&file, line)),
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let _turn = turn(text.len());
    let mut documents = Documents::of(&text);
    while let Some(document) = documents.next(&mut budget) {
        let document = document.map_err(|error| of_yaml("kustomize's output", &error))?;
        let origin = origins.of_document(&document);
        let mut wrong = Problems::default();
        let secrets = secrets(unit);
        let manifests = objects(&origin.path, &document, secrets, &mut budget, &mut wrong);
        // A line of kustomize's output is nowhere in the repository.
        let placed = |problem| Problem {
            line: origin.line,
            column: 0,
            ..problem
        };
        found.problems.append(wrong.map(placed));
        let in_vain = in_vain(&origin.path, &document);
        found.warnings.append(in_vain.map(placed));
        found.slipped(slips(&origin.path, &document).map(placed));
        found.manifests.extend(manifests.into_iter().map(|mut it| {
            it.origin = origins.of(&it);
            it
        }));
    }
    found.rendered(&budget)
}

fn unwritable(path: &str, error: &std::io::Error) -> RenderErrors {
    RenderErrors {
        problems: Problem::in_file(path, format!("cannot write a copy to build from: {error}"))
            .into(),
        retry: exec::Retry::Later,
    }
}
