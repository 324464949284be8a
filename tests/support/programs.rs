//! The real programs that tests run: etcd, the parts of Kubernetes, kwok, kustomize, Gitea,
//! and a server of Git over SSH.
//!
//! They are built on first use. What lies in `$KUBEBUILDER_ASSETS` is not built.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::modules::{self, ETCD, GITEA, KUBERNETES, KUSTOMIZE, KWOK, Module, SSHD};

/// A program that tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    KubeScheduler,
    Kubectl,
    Kwok,
    Kustomize,
    Gitea,
    Sshd,
}

/// Where each of the programs that were asked for is.
#[derive(Clone, Debug)]
pub struct Programs {
    paths: BTreeMap<Program, PathBuf>,
}

impl Program {
    /// The name of its executable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kwok => "kwok",
            Self::Kustomize => "kustomize",
            Self::Gitea => "gitea",
            Self::Sshd => "sshd",
        }
    }

    fn module(self) -> &'static Module {
        match self {
            Self::Etcd => &ETCD,
            Self::Kwok => &KWOK,
            Self::Kustomize => &KUSTOMIZE,
            Self::Gitea => &GITEA,
            Self::Sshd => &SSHD,
            Self::KubeApiserver
            | Self::KubeControllerManager
            | Self::KubeScheduler
            | Self::Kubectl => &KUBERNETES,
        }
    }
}

impl Programs {
    /// Finds the programs, building those that aren't there yet.
    pub fn build(wanted: &[Program]) -> Result<Self> {
        let mut paths = BTreeMap::new();
        let mut missing = BTreeSet::new();
        for &program in wanted {
            if let Some(path) = provided(program) {
                paths.insert(program, path);
                continue;
            }
            let directory = program.module().directory()?;
            if !directory.is_dir() {
                missing.insert(program.module());
            }
            paths.insert(program, directory.join(program.name()));
        }
        if !missing.is_empty() {
            modules::build_all(&missing.into_iter().collect::<Vec<_>>())?;
        }
        Ok(Self { paths })
    }

    /// The path of a program that was asked for.
    pub fn path(&self, program: Program) -> &Path {
        &self.paths[&program]
    }

    /// The files that tell kwok how nodes and pods come up: beside it.
    pub fn kwok_stages(&self) -> Vec<PathBuf> {
        let kwok = self.path(Program::Kwok);
        let beside = |name| kwok.with_file_name(name);
        KWOK.kept_files().map(beside).collect()
    }
}

fn provided(program: Program) -> Option<PathBuf> {
    // What lies beside them is needed as well, and comes from the module; another server
    // of that name doesn't do what ours does.
    if matches!(program, Program::Kwok | Program::Gitea | Program::Sshd) {
        return None;
    }
    let path = PathBuf::from(env::var_os("KUBEBUILDER_ASSETS")?).join(program.name());
    path.is_file().then_some(path)
}
