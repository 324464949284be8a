//! `agent why`: which line of which file sets a field of an object, at which commit and
//! by whom; who owns it live; and what the record says of it.

mod seen;
mod text;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::access::{ClusterArgs, RepositoryArgs, ToolArgs};
use super::exit;
use super::output::{Format, print, print_json, progress, warn};
use super::records::{PlaceArgs, RecordArgs, Records};
use crate::config::{self, FieldPath};
use crate::kube::{self, Cluster};
use crate::model::{Desired, EnvironmentName, Manager, ObjectId, Origin, Revision, Tree, UnitName};
use crate::reconcile::{Labels, RenderCache, Tools, declare};
use crate::record::{ObjectPattern, RecordView, path};
use crate::render::{self, SetBy};
use crate::source::{self, Checkout, tree::GitTree};

const EXAMPLES: &str = "Examples:
  agent why Deployment/shop/web spec.replicas
  agent why Deployment/shop/web 'spec.template.spec.containers[name=web].image'
  agent why ConfigMap/shop/settings --environment production -o json

A field is written as `agent diff` prints it. Without one, the object as a whole is
meant. Files are read as they are committed, at HEAD or at --revision. Without a
cluster, what is live is told from the record.

With -o json: an array with one object for each environment: `environment`, `object`,
`field`, `declared` (`unit`, `value`, `path`, `line`, `by`, `commit`), `live` (`value`,
`managers`; or `unknown`, why it is not known), `recorded`, `lastDrift` and `entries`
(`entry`, `time`, `author`, `subject`, `change`). What is not there is null.

Exit codes: 0 told, 2 it could not be.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WhyArgs {
    /// The object, as Kind/namespace/name
    #[arg(value_name = "OBJECT")]
    object: ObjectPattern,
    /// The field [default: the whole object]
    #[arg(value_name = "FIELD", value_parser = FieldPath::parse)]
    field: Option<FieldPath>,
    /// A commit, branch or tag to read
    #[arg(long, value_name = "REVISION", default_value = "HEAD")]
    revision: String,
    /// The environment; may be given several times [default: all that have the object]
    #[arg(
        long,
        env = "AGENT_ENVIRONMENT",
        value_name = "NAME",
        value_delimiter = ','
    )]
    environment: Vec<EnvironmentName>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    tools: ToolArgs,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// What is known of a field, or of an object, in one environment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    environment: EnvironmentName,
    object: ObjectId,
    field: Option<String>,
    declared: Option<Declared>,
    live: Seen,
    /// As the record has it.
    recorded: Option<Value>,
    last_drift: Option<Told>,
    entries: Vec<Told>,
}

/// What sets it.
#[derive(Debug, Serialize)]
struct Declared {
    unit: UnitName,
    /// `None` where it is not declared.
    value: Option<Value>,
    #[serde(flatten)]
    origin: Origin,
    by: String,
    commit: Option<Commit>,
    /// Where the field is declared nowhere and may be misspelt.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Who last touched that line.
#[derive(Debug, Serialize)]
struct Commit {
    revision: Revision,
    author: String,
    email: String,
    time: Timestamp,
    subject: String,
}

/// What is live.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Seen {
    Known {
        value: Option<Value>,
        managers: Vec<Manager>,
    },
    Unknown {
        unknown: String,
    },
}

/// An entry of the record.
#[derive(Debug, Clone, Serialize)]
struct Told {
    entry: Revision,
    time: Timestamp,
    author: String,
    subject: String,
    /// Of the field that was asked for.
    change: Option<String>,
}

pub async fn run(args: WhyArgs) -> anyhow::Result<u8> {
    let shown = progress("looking for it");
    let Some(checkout) = Checkout::find(Path::new("."))? else {
        bail!(
            "the current directory is in no checkout of a Git repository; go to a checkout of the environment repository"
        );
    };
    let revision = source::resolve(&checkout.repository, &args.revision)?;
    let tree: Arc<dyn Tree> = Arc::new(GitTree::open(&checkout.repository, &revision)?);
    let place = Place {
        checkout,
        revision,
        tree,
        tools: args.tools.tools(),
        cluster: kube::connect(&args.cluster.access())
            .await
            .map_err(|error| error.to_string()),
    };
    let resolved = config::resolve(&*place.tree);
    let names: Vec<EnvironmentName> = if args.environment.is_empty() {
        resolved.environments.keys().cloned().collect()
    } else {
        args.environment.clone()
    };
    let records = records(&args, &place.checkout);
    let mut answers = Vec::new();
    for name in &names {
        let environment = resolved
            .environment(name)
            .context("the repository is not valid")?;
        let view = records.as_ref().and_then(|records| {
            let mut views = records.views.iter();
            views.find(|view| view.environment() == name)
        });
        answers.extend(answer(&args, &place, environment, view).await?);
    }
    drop(shown);
    if answers.is_empty() {
        let declared = declared_objects(&place, &resolved, &names).await;
        let hint = config::did_you_mean(&args.object.written(), declared.iter().map(|id| &**id));
        let hint = hint.unwrap_or_else(|| "write Kind/namespace/name".to_owned());
        bail!(
            "{} declares no {}, and no record has it; {hint}",
            place.revision.short(),
            args.object
        );
    }
    match args.output {
        Format::Json => print_json(&answers)?,
        Format::Text => print(&text::of(&answers))?,
    }
    Ok(exit::SAME)
}

/// Where it is looked for.
struct Place {
    checkout: Checkout,
    revision: Revision,
    tree: Arc<dyn Tree>,
    tools: Tools,
    cluster: Result<Cluster, String>,
}

/// The records, if there are any.
fn records(args: &WhyArgs, checkout: &Checkout) -> Option<Records> {
    let wanted = RecordArgs {
        environment: Vec::new(),
        repo: None,
        place: args.place.clone(),
        repository: args.repository.clone(),
    };
    match wanted.of_checkout(checkout) {
        Ok(records) => {
            records.warn_if_stale();
            Some(records)
        }
        Err(error) => {
            warn(&format!("without a record: {error:#}"));
            None
        }
    }
}

async fn answer(
    args: &WhyArgs,
    place: &Place,
    environment: &config::Environment,
    view: Option<&RecordView>,
) -> anyhow::Result<Option<Answer>> {
    let recorded = match view {
        Some(view) => view.find(&args.object)?.into_iter().next(),
        None => None,
    };
    let unit = recorded
        .as_ref()
        .and_then(|(path, _)| Some(path::to_object(path)?.0));
    let found = desired(args, place, environment, unit.as_ref()).await?;
    let object = match (&found, &recorded) {
        (Some((_, desired)), _) => desired.id.clone(),
        (None, Some((_, id))) => id.clone(),
        (None, None) => return Ok(None),
    };
    let declared = found
        .as_ref()
        .map(|(unit, desired)| declared(args, place, unit, desired));
    let unit = found.as_ref().map(|(unit, _)| unit.name.clone()).or(unit);
    let live = seen::live(args, place, environment, unit.as_ref(), &object).await;
    let kept = match (view, &recorded) {
        (Some(view), Some((path, _))) => view.read(path)?,
        _ => None,
    };
    let kept: Option<Value> = kept.and_then(|text| serde_saphyr::from_slice(&text).ok());
    let (last_drift, entries) = match view {
        Some(view) => seen::told(args, view)?,
        None => (None, Vec::new()),
    };
    Ok(Some(Answer {
        environment: environment.name.clone(),
        field: args.field.as_ref().map(ToString::to_string),
        recorded: match &args.field {
            Some(field) => kept.as_ref().and_then(|kept| field.resolve(kept)).cloned(),
            None => None,
        },
        declared: declared.transpose()?,
        object,
        live,
        last_drift,
        entries,
    }))
}

/// The object as the environment declares it. To render one unit is enough where the
/// record says which.
async fn desired(
    args: &WhyArgs,
    place: &Place,
    environment: &config::Environment,
    unit: Option<&UnitName>,
) -> anyhow::Result<Option<(config::Unit, Desired)>> {
    let mut alone = environment.clone();
    alone.units.retain(|name, _| Some(name) == unit);
    let found = declared_in(args, place, &alone).await.0;
    if found.is_some() {
        return Ok(found);
    }
    let (found, wrong) = declared_in(args, place, environment).await;
    for problem in wrong.iter().filter(|_| found.is_none()) {
        warn(problem);
    }
    Ok(found)
}

/// All objects that these environments declare, as this command takes them.
async fn declared_objects(
    place: &Place,
    resolved: &config::Resolved,
    names: &[EnvironmentName],
) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in names {
        let Ok(environment) = resolved.environment(name) else {
            continue;
        };
        let labels = Labels::Plain { namespace: None };
        let (tree, tools, mut cache) = (&place.tree, &place.tools, RenderCache::default());
        let declared = declare(tree, environment, tools, labels, None, &mut cache).await;
        let units = declared.units.values();
        let desired = units.filter_map(|unit| unit.desired.as_ref().ok());
        all.extend(desired.flat_map(|desired| desired.objects.keys().map(written)));
    }
    all
}

fn written(id: &ObjectId) -> String {
    let kind = &id.kind.kind;
    match &id.namespace {
        Some(namespace) => format!("{kind}/{namespace}/{}", id.name),
        None => format!("{kind}/{}", id.name),
    }
}

async fn declared_in(
    args: &WhyArgs,
    place: &Place,
    environment: &config::Environment,
) -> (Option<(config::Unit, Desired)>, Vec<String>) {
    let (tree, tools) = (&place.tree, &place.tools);
    let mut cache = RenderCache::default();
    let labels = Labels::Plain { namespace: None };
    let declared = declare(tree, environment, tools, labels, None, &mut cache).await;
    let mut wrong = Vec::new();
    for unit in declared.units.values() {
        match &unit.desired {
            Ok(desired) => {
                let mut objects = desired.objects.values();
                if let Some(found) = objects.find(|desired| args.object.matches(&desired.id)) {
                    return (
                        Some((config::Unit::clone(&unit.unit), found.clone())),
                        wrong,
                    );
                }
            }
            Err(problem) => wrong.push(problem.to_string()),
        }
    }
    (None, wrong)
}

fn declared(
    args: &WhyArgs,
    place: &Place,
    unit: &config::Unit,
    desired: &Desired,
) -> anyhow::Result<Declared> {
    let (site, value, hint) = if let Some(field) = &args.field {
        let site = render::site(&*place.tree, unit, desired, field);
        let body = desired.body();
        let value = field.resolve(&body).cloned();
        let near = || field.did_you_mean(&body);
        let hint = value.is_none().then(near).flatten();
        (site, value, hint)
    } else {
        let origin = desired.origin.clone();
        let by = SetBy::Object;
        (render::Site { origin, by }, None, None)
    };
    let commit = source::blame(&place.checkout.repository, &place.revision, &site.origin);
    let commit = commit.with_context(|| format!("{} can't be looked into", site.origin))?;
    Ok(Declared {
        unit: unit.name.clone(),
        value: seen::shown(args, &desired.id, &desired.body(), value),
        origin: site.origin,
        by: site.by.to_string(),
        commit: commit.map(|commit| Commit {
            revision: commit.revision,
            author: commit.author.name,
            email: commit.author.email,
            time: commit.author.time,
            subject: commit.subject,
        }),
        hint,
    })
}
