//! What the agent costs, on a Kubernetes control plane that this starts on loopback:
//! `cargo run --release --example bench`.
//!
//! Each contestant gets a fresh control plane and the same files: server-side apply
//! without any planning, kubectl, and the agent. Times are those of the API server's
//! audit log wherever it knows them, and so are the requests. Run it on a machine that
//! does nothing else.

#![expect(
    clippy::disallowed_methods,
    reason = "the bench runs programs that have bounds of their own"
)]

mod cluster;
mod direct;
mod floor;
mod machine;
mod moves;
mod objects;
mod ours;
mod process;
mod requests;
mod scale;
mod table;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests; neither needs all of it")]
mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;

use objects::{Form, Size};
use ours::Ours;
use support::build;
use support::programs::{Program, Programs};
use table::{Others, Results};

/// Measures the agent beside bare server-side apply and kubectl, on control planes that
/// it starts on loopback
#[derive(Debug, Parser)]
#[command(name = "bench")]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
struct Arguments {
    /// How many units
    #[arg(long, default_value_t = 20)]
    units: usize,
    /// How many objects in each
    #[arg(long, default_value_t = 50)]
    objects: usize,
    /// Units of plain YAML instead of kustomizations
    #[arg(long)]
    plain: bool,
    /// Only the agent, with nothing to compare it with
    #[arg(long)]
    agent_only: bool,
    /// `kubectl diff --server-side` as well, which takes long
    #[arg(long)]
    kubectl_diff: bool,
    /// How often one object is changed in Git
    #[arg(long, default_value_t = 5)]
    changes: usize,
    /// How often one object is changed behind the agent's back
    #[arg(long, default_value_t = 20)]
    drifts: usize,
    /// How many seconds nothing is to happen
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    idle: u64,
    /// Instead: one changed unit among 10 beside one among 1,000
    #[arg(long)]
    scale: bool,
    /// Keep what is printed, as testdata/bench/NAME.txt
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let binary = build::agent()?.display().to_string().leak();
    let programs = Programs::build(&[Program::Kustomize])?;
    let kustomize = programs.path(Program::Kustomize);
    let form = if arguments.plain {
        Form::Plain
    } else {
        Form::Kustomize
    };
    let machine = machine::description();
    let measured = if arguments.scale {
        scale::measure(binary, kustomize, form)?
    } else {
        let Arguments { units, objects, .. } = arguments;
        let size = Size {
            units,
            objects,
            form,
        };
        let results = measure(&arguments, size, binary, kustomize)?;
        format!(
            "{units} units of {objects} objects, {form}\n\n{}",
            table::print(&results)
        )
    };
    let text = format!("{machine}{measured}");
    println!("{text}");
    if let Some(name) = &arguments.save {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/bench/{name}.txt"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn measure(
    arguments: &Arguments,
    size: Size,
    binary: &'static str,
    kustomize: &Path,
) -> Result<Results> {
    let others = if arguments.agent_only {
        Others::default()
    } else {
        eprintln!("bare server-side apply");
        let bare = floor::bare(size, kustomize)?;
        eprintln!("kubectl");
        let kubectl = floor::kubectl(size, arguments.kubectl_diff)?;
        Others {
            bare: Some(bare),
            kubectl: Some(kubectl),
        }
    };
    eprintln!("the agent: first sync");
    let plane = cluster::start()?;
    let mut agent = Ours::new(&plane, binary, kustomize, size)?;
    let first = agent.first_sync()?;
    agent.rest()?;
    eprintln!("the agent: diff");
    let diff = agent.diff()?;
    eprintln!("the agent: changes");
    let changes = moves::changes(&mut agent, arguments.changes)?;
    eprintln!("the agent: drifts");
    let drifts = moves::drifts(&mut agent, arguments.drifts)?;
    eprintln!("the agent: idle");
    let idle = agent.idle(Duration::from_secs(arguments.idle))?;
    let peak = agent.usage().peak;
    eprintln!("the agent: restart");
    let restart = agent.restart()?;
    Ok(Results {
        others,
        first,
        diff,
        changes,
        drifts,
        idle,
        restart,
        peak,
    })
}
