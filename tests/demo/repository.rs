//! The sample environment repository: `testdata/demo`, as a Git repository of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::support::files::copy;
use crate::support::git::{AUTHOR, try_git};

pub struct Repository {
    path: PathBuf,
}

impl Repository {
    /// Copies the sample to `path` and commits it.
    pub fn create(path: PathBuf) -> Result<Self> {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/demo");
        copy(&sample, &path)?;
        let repository = Self { path };
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        // For what the user commits later.
        let (name, email) = AUTHOR.split_once(" <").context("a name and an address")?;
        repository.git(&["config", "user.name", name])?;
        repository.git(&["config", "user.email", email.trim_end_matches('>')])?;
        repository.commit("Start the shop")?;
        Ok(repository)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces a piece of a file, which has to be there.
    pub fn edit(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.path.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        anyhow::ensure!(text.contains(from), "{file} doesn't say `{from}`");
        fs::write(&path, text.replacen(from, to, 1))?;
        Ok(())
    }

    /// Commits the working tree, and gives the revision in short.
    pub fn commit(&self, message: &str) -> Result<String> {
        let author = format!("--author={AUTHOR}");
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", &author, "-m", message])?;
        let revision = self.git(&["rev-parse", "HEAD"])?;
        Ok(revision.trim().to_owned())
    }

    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        try_git(&self.path, arguments)
    }
}
