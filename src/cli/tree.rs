//! The environment repository that a command on a person's machine is about: the
//! working tree, uncommitted changes included, or one revision of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::config::{self, AGENT_FILE, Config, Environment, Problems, Resolved};
use crate::model::{EnvironmentName, Revision, Tree};
use crate::source::tree::{DirTree, GitTree};
use crate::source::{self, Checkout};

/// What repository a command reads.
#[derive(Debug, Args)]
pub struct TreeArgs {
    /// The environment repository, or a directory in it; where there is no agent.yaml,
    /// a directory to take as the only unit [default: the current directory]
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// A commit, branch or tag to read instead of the files as they are now
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
}

/// A repository's files and what they configure.
pub struct WorkingTree {
    /// Its files.
    pub tree: Arc<dyn Tree>,
    /// Where its root is on disk.
    pub root: PathBuf,
    /// The commit that is read; `None` for the files as they are now.
    pub revision: Option<Revision>,
    /// Its environments. With no agent.yaml, the one environment `local`.
    pub resolved: Resolved,
}

impl TreeArgs {
    /// Finds the repository and reads its configuration. What is wrong with that is
    /// part of the answer.
    ///
    /// # Errors
    /// When there is no such directory, repository or revision.
    pub fn open(&self) -> anyhow::Result<WorkingTree> {
        let start = self.start()?;
        match &self.revision {
            Some(text) => self.open_revision(&start, text),
            None => self.open_directory(&start),
        }
    }

    /// The directory that was named, from the root; `None` where that is the root itself,
    /// or none was named.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn inside(&self, root: &Path) -> anyhow::Result<Option<PathBuf>> {
        if self.path.is_none() {
            return Ok(None);
        }
        let start = self.start()?;
        let inside = start
            .strip_prefix(root)
            .ok()
            .filter(|inside| !inside.as_os_str().is_empty());
        Ok(inside.map(Path::to_path_buf))
    }

    /// The directory to begin at, every link followed.
    fn start(&self) -> anyhow::Result<PathBuf> {
        let given = self.path.as_deref().unwrap_or(Path::new("."));
        let start = given
            .canonicalize()
            .with_context(|| format!("{} can't be read", given.display()))?;
        if !start.is_dir() {
            bail!(
                "{} is not a directory; give a directory of the environment repository",
                given.display()
            );
        }
        Ok(start)
    }

    fn open_directory(&self, start: &Path) -> anyhow::Result<WorkingTree> {
        if Checkout::discover(start).is_some_and(|checkout| checkout.bare) {
            bail!(
                "{} is in a bare repository, which has no working tree; say which commit to read with --revision",
                start.display()
            );
        }
        let mut root = root(start)?;
        let mut tree: Arc<dyn Tree> = Arc::new(DirTree::open(&root)?);
        if !configured(&*tree) && hidden(&*tree, &root, start) {
            start.clone_into(&mut root);
            tree = Arc::new(DirTree::open(start)?);
        }
        let resolved = self.resolve(&*tree, &root, start)?;
        Ok(WorkingTree {
            tree,
            root,
            revision: None,
            resolved,
        })
    }

    fn open_revision(&self, start: &Path, text: &str) -> anyhow::Result<WorkingTree> {
        let Some(checkout) = Checkout::find(start)? else {
            bail!(
                "{} is in no checkout of a Git repository, so it has no revision `{text}`",
                start.display()
            );
        };
        let root = checkout.root.canonicalize().unwrap_or(checkout.root);
        let revision = source::resolve(&checkout.repository, text)?;
        let tree: Arc<dyn Tree> = Arc::new(GitTree::open(&checkout.repository, &revision)?);
        let resolved = self.resolve(&*tree, &root, start)?;
        Ok(WorkingTree {
            tree,
            root,
            revision: Some(revision),
            resolved,
        })
    }

    /// With an agent.yaml what that says, else the directory that was named as one unit.
    fn resolve(&self, tree: &dyn Tree, root: &Path, start: &Path) -> anyhow::Result<Resolved> {
        let Some(given) = self.path.as_deref().filter(|_| !configured(tree)) else {
            return Ok(config::resolve(tree));
        };
        let inside = start.strip_prefix(root).unwrap_or(Path::new(""));
        let Some(inside) = inside.to_str() else {
            bail!("{} has a name that is not UTF-8", start.display());
        };
        let shown = match given.file_name() {
            Some(_) => given,
            // `.` and `..` name nothing.
            None => start.file_name().map_or(start, Path::new),
        };
        Ok(single(tree, inside, &shown.to_string_lossy()))
    }
}

impl WorkingTree {
    /// The environments asked for, all of them if none is named; for each that can't
    /// be had, what is wrong.
    pub fn environments(&self, wanted: &[EnvironmentName]) -> Vec<Result<&Environment, Problems>> {
        let all = &self.resolved.environments;
        match wanted {
            [] if all.is_empty() => vec![Err(self.resolved.problems.clone())],
            [] => all
                .keys()
                .map(|name| self.resolved.environment(name))
                .collect(),
            names => names
                .iter()
                .map(|name| self.resolved.environment(name))
                .collect(),
        }
    }
}

fn single(tree: &dyn Tree, path: &str, directory: &str) -> Resolved {
    match Config::single(tree, path, directory) {
        Ok(config) => {
            let fine = config
                .environments
                .into_iter()
                .map(|(name, environment)| (name, Ok(environment)));
            Resolved {
                environments: fine.collect(),
                ..Resolved::default()
            }
        }
        Err(problems) => Resolved {
            problems,
            ..Resolved::default()
        },
    }
}

/// The nearest directory upwards with an agent.yaml, but not beyond the checkout; else
/// the checkout's root. Outside of any checkout, the current directory, if it leads to
/// where we begin: a kustomization may use what lies beside it.
fn root(start: &Path) -> anyhow::Result<PathBuf> {
    let checkout = Checkout::discover(start).and_then(|checkout| checkout.root.canonicalize().ok());
    let within = |directory: &&Path| {
        checkout
            .as_ref()
            .is_none_or(|root| directory.starts_with(root))
    };
    let mut upwards = start.ancestors().take_while(within);
    if let Some(configured) =
        upwards.find(|directory| FILES.iter().any(|name| directory.join(name).is_file()))
    {
        return Ok(configured.to_owned());
    }
    if let Some(root) = checkout {
        return Ok(root);
    }
    let current = std::env::current_dir().and_then(|directory| directory.canonicalize());
    let current = current.context("the current directory can't be read")?;
    Ok(if start.starts_with(&current) {
        current
    } else {
        start.to_owned()
    })
}

/// Whether a directory is among what Git ignores: then it is on its own.
fn hidden(tree: &dyn Tree, root: &Path, directory: &Path) -> bool {
    let inside = directory.strip_prefix(root).ok().and_then(Path::to_str);
    inside.is_some_and(|inside| matches!(tree.kind(inside), Ok(None)))
}

/// The second is a mistake that is answered with what to do about it.
const FILES: [&str; 2] = [AGENT_FILE, "agent.yml"];

/// Whether there is an agent.yaml, even one that can't be read.
fn configured(tree: &dyn Tree) -> bool {
    FILES
        .iter()
        .any(|name| !matches!(tree.kind(name), Ok(None)))
}
