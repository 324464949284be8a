//! `agent health`: the health rules on objects in a file, without a cluster.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use super::exit;
use super::output::{Cell, DIM, Format, GREEN, PLAIN, RED, YELLOW, columns, print, print_json};
use crate::health::{HealthLine, Status, report};
use crate::model::{GroupKind, ObjectId};
use crate::render::yaml;
use crate::runtime::clock;

const EXAMPLES: &str = "Examples:
  kubectl get deployments,pods -o yaml | agent health -f -
  agent health -f objects.yaml -o json

Health is one of Current, InProgress, Failed, Terminating, NotFound, Unknown, by
the rules of kstatus. It is told from the objects' status in the file.

Exit codes: 0 all are Current, 1 one is not, 2 it could not be told.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct HealthArgs {
    /// YAML or JSON as `kubectl get -o yaml` prints it; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// How to print it; json: [{group, kind, namespace, name, health, message}]
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub fn run(args: &HealthArgs) -> anyhow::Result<u8> {
    let (name, text) = read(&args.file)?;
    let lines = lines(&name, &text)?;
    match args.output {
        Format::Json => print_json(&lines)?,
        Format::Text if lines.is_empty() => print("no objects\n")?,
        Format::Text => print(&table(&lines))?,
    }
    let current = lines.iter().all(|line| line.health == Status::Current);
    Ok(if current { exit::SAME } else { exit::DIFFERENT })
}

/// What to call the file, and its text.
fn read(file: &Path) -> anyhow::Result<(String, String)> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("standard input can't be read as text")?;
        return Ok(("standard input".to_owned(), text));
    }
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} can't be read"))?;
    Ok((name, text))
}

/// Each object's health. A file without any document is what a failed `kubectl get`
/// leaves in a pipe: not a list of nothing, but an error.
fn lines(name: &str, text: &str) -> anyhow::Result<Vec<HealthLine>> {
    let documents = documents(name, text)?;
    if documents.is_empty() {
        bail!("{name} holds no objects: it is empty");
    }
    let mut lines = Vec::new();
    for (line, document) in documents {
        let told = report(&[document], clock::now());
        if told
            .iter()
            .any(|object| object.kind.is_empty() || object.name.is_empty())
        {
            bail!("{name}:{line}: not an object of Kubernetes: kind or metadata.name is missing");
        }
        lines.extend(told);
    }
    Ok(lines)
}

/// Each document and its line. JSON is read as such: what kubectl prints of a whole
/// cluster is larger than any manifest may be.
fn documents(name: &str, text: &str) -> anyhow::Result<Vec<(u32, Value)>> {
    if text.trim_start().starts_with('{') {
        let json: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text)
            .into_iter()
            .collect();
        if let Ok(values) = json {
            return Ok(values.into_iter().map(|value| (1, value)).collect());
        }
    }
    match yaml::documents(text) {
        Ok(documents) => Ok(documents
            .into_iter()
            .map(|document| (document.start().line, document.value))
            .collect()),
        Err(error) => bail!("{name}:{}:{}: {error}", error.at.line, error.at.column),
    }
}

fn table(lines: &[HealthLine]) -> String {
    let rows: Vec<[Cell; 3]> = lines.iter().map(row).collect();
    columns(["OBJECT", "HEALTH", "MESSAGE"], &rows)
}

fn row(line: &HealthLine) -> [Cell; 3] {
    let namespace = Some(line.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let object = GroupKind::new(&line.group, &line.kind)
        .and_then(|kind| ObjectId::parse(kind, namespace, &line.name));
    // It comes from a file, and need not be one that a server would take.
    let object = object.map_or_else(
        |_| format!("{} {}", line.kind, line.name),
        |id| id.to_string(),
    );
    let colour = match line.health {
        Status::Current => GREEN,
        Status::InProgress | Status::Terminating => YELLOW,
        Status::Failed => RED,
        Status::NotFound | Status::Unknown => DIM,
    };
    [
        (PLAIN, object),
        (colour, line.health.to_string()),
        (PLAIN, line.message.clone()),
    ]
}
