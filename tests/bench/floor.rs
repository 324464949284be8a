//! What there is to compare with: the API server by itself, and kubectl.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;

use crate::cluster::{self, between};
use crate::direct::Direct;
use crate::objects::{Form, Size};
use crate::support::control_plane::ControlPlane;
use crate::support::leash;

/// How long it took.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    /// Until the last object was applied.
    pub applied: Duration,
    /// Until the last Deployment had its pods.
    pub healthy: Duration,
    /// A dry-run of all objects once they are there, where it was asked for.
    pub dry_run: Option<Duration>,
}

/// Server-side apply of everything, 16 at a time, and nothing else.
pub fn bare(size: Size, kustomize: &Path) -> Result<Floor> {
    const WORKERS: usize = 16;
    let files = leash::scratch("bare");
    size.write(files.path())?;
    let objects = size.render(files.path(), kustomize)?;
    let plane = cluster::start()?;
    let namespace = plane.namespace("bench");
    let direct = Direct::new(&plane.kubeconfig(), &namespace)?;
    measured(&plane, &namespace, || direct.apply(objects, WORKERS))
}

/// `kubectl apply --server-side` of the same files.
pub fn kubectl(size: Size, diff: bool) -> Result<Floor> {
    let files = leash::scratch("kubectl");
    size.write(files.path())?;
    let plane = cluster::start()?;
    let namespace = plane.namespace("bench");
    let sources = sources(size, files.path())?;
    let with = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(sources.clone()).collect::<Vec<_>>()
    };
    let apply = with(&["-n", &namespace, "apply", "--server-side"]);
    let mut floor = measured(&plane, &namespace, || plane.try_kubectl(&apply).map(drop))?;
    if diff {
        cluster::rest(&plane)?;
        let began = Instant::now();
        plane.try_kubectl(&with(&["-n", &namespace, "diff", "--server-side"]))?;
        floor.dry_run = Some(began.elapsed());
    }
    Ok(floor)
}

/// What kubectl is to read: one kustomization of all units, or their directories.
fn sources(size: Size, root: &Path) -> Result<Vec<String>> {
    let directories = size
        .names()
        .map(|name| root.join(name).display().to_string());
    if size.form == Form::Plain {
        return Ok(directories
            .flat_map(|directory| ["-f".to_owned(), directory])
            .collect());
    }
    let resources: Vec<_> = size.names().map(|name| format!("- ../{name}")).collect();
    let text = format!(
        "resources:
{}
",
        resources.join(
            "
"
        )
    );
    fs::create_dir(root.join("all"))?;
    fs::write(root.join("all/kustomization.yaml"), text)?;
    Ok(vec![
        "-k".to_owned(),
        root.join("all").display().to_string(),
    ])
}

fn measured(
    plane: &ControlPlane,
    namespace: &str,
    apply: impl FnOnce() -> Result<()>,
) -> Result<Floor> {
    let position = plane.audit_position();
    let (began, clock) = (Timestamp::now(), Instant::now());
    apply()?;
    let applied = clock.elapsed();
    let healthy = between(began, cluster::until_healthy(plane, namespace, position)?);
    Ok(Floor {
        applied,
        healthy,
        dry_run: None,
    })
}
