//! `agent why`: which line of which file sets a field of an object, at which commit and
//! by whom; who owns it live; and what the record says of it.

mod gone;
mod rendered;
mod seen;
mod text;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use self::gone::{Deleted, deleted, is_let_go};
use super::access::{ClusterArgs, RepositoryArgs, ToolArgs};
use super::exit;
use super::output::{Format, print, print_json, progress, warn};
use super::records::{PlaceArgs, RecordArgs, Records};
use crate::config::{self, FieldPath};
use crate::fields;
use crate::kube::{self, Cluster};
use crate::model::{
    Desired, EnvironmentName, Manager, Namespace, ObjectId, Origin, Revision, SourceCommit, Tree,
    UnitName,
};
use crate::reconcile::Tools;
use crate::record::{ObjectPattern, RecordView, Recorded, path};
use crate::render::{self, SetBy};
use crate::source::{self, Checkout, tree::GitTree};

const EXAMPLES: &str = "Examples:
  agent why Deployment/shop/web spec.replicas
  agent why Deployment/shop/web 'spec.template.spec.containers[name=web].image'
  agent why ConfigMap/shop/settings --environment production -o json

A field is written as `agent diff` prints it, or with the place of an item in its list
(`containers[0].image`). Without one, the object as a whole is meant. Files are read as
they are committed, at HEAD or at --revision. Without a cluster, what is live is told from
the record.

With -o json: an array with one object for each environment: `environment`, `object`,
`field`, `declared` (`unit`, `value`, `path`, `line`, `by`, `commit`), `live` (`value`,
`managers`; or `unknown`, why it is not known), `deleted` (an entry, and the `commit` that
took it away), `recorded`, `lastDrift` and `entries` (`entry`, `time`, `author`,
`subject`, `change`). What is not there is null. `unrendered`
is there where files can't be rendered that may declare it, and `cut` in `commit` where a
shallow clone ends with that commit, so that it may have been an older one.

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
    /// What can't be rendered, where it may be declared there.
    #[serde(skip_serializing_if = "Option::is_none")]
    unrendered: Option<String>,
    live: Seen,
    /// How it left the record, where that has it no more.
    deleted: Option<Deleted>,
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
    /// Whether it may have been an older one, which this shallow clone has not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
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
    if resolved.environments.is_empty() && !resolved.problems.is_empty() {
        return Err(resolved.problems).context("the repository is not valid");
    }
    let names: Vec<EnvironmentName> = if args.environment.is_empty() {
        resolved.environments.keys().cloned().collect()
    } else {
        args.environment.clone()
    };
    let records = records(&args, &place.checkout);
    let (mut answers, mut unrendered) = (Vec::new(), Vec::new());
    for name in &names {
        let environment = resolved
            .environment(name)
            .context("the repository is not valid")?;
        let view = records.as_ref().and_then(|records| {
            let mut views = records.views.iter();
            views.find(|view| view.environment() == name)
        });
        let found = answer(&args, &place, environment, view).await?;
        match found {
            Ok(found) => answers.push(found),
            Err(problems) => unrendered.extend(problems),
        }
    }
    drop(shown);
    if answers.is_empty() && !unrendered.is_empty() {
        bail!(
            "whether {} declares {} can't be told, and no record has it:\n{}",
            place.revision.short(),
            args.object,
            unrendered.join("\n")
        );
    }
    for problem in &unrendered {
        warn(problem);
    }
    if answers.is_empty() {
        return rendered::nowhere(&args, &place, &resolved, &names).await;
    }
    match args.output {
        Format::Json => print_json(&answers)?,
        Format::Text => print(&text::of(&answers))?,
    }
    Ok(exit::SAME)
}

/// What is asked about in one environment.
struct Question<'a> {
    object: &'a ObjectPattern,
    /// An item of a list by its key, where it was named by its place.
    field: Option<FieldPath>,
    /// Where the inventories are.
    namespace: Namespace,
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
) -> anyhow::Result<Result<Answer, Vec<String>>> {
    let recorded = match view {
        Some(view) => view.find(&args.object)?.into_iter().next(),
        None => None,
    };
    let departed = match (view, &recorded) {
        (Some(view), None) => view.departed(&args.object)?,
        _ => None,
    };
    let unit = match &recorded {
        Some((path, _)) => path::to_object(path).map(|(unit, _)| unit),
        None => departed.as_ref().map(|departed| departed.unit.clone()),
    };
    let (found, unrendered) = rendered::desired(args, place, environment, unit.as_ref()).await;
    let object = match (&found, &recorded, &departed) {
        (Some((_, desired)), _, _) => desired.id.clone(),
        (None, Some((_, id)), _) => id.clone(),
        (None, None, Some(departed)) => departed.object.clone(),
        (None, None, None) => return Ok(Err(unrendered)),
    };
    let kept = match (view, &recorded) {
        (Some(view), Some((path, _))) => view.read(path)?,
        _ => None,
    };
    let kept: Option<Value> = kept.and_then(|text| serde_saphyr::from_slice(&text).ok());
    let body = found.as_ref().map(|(_, desired)| desired.body());
    let ties = view.and_then(|view| Some(view.status().ok()??.ties));
    let namespace = args.cluster.namespace_of(&ties.unwrap_or_default());
    let asked = asked(args, namespace, body.as_ref().or(kept.as_ref()));
    let declared = found
        .as_ref()
        .map(|(unit, desired)| declared(&asked, place, unit, desired));
    let unit = found.as_ref().map(|(unit, _)| unit.name.clone()).or(unit);
    let let_go = departed.as_ref().is_some_and(is_let_go);
    let live = seen::live(&asked, place, environment, unit.as_ref(), &object, let_go).await;
    let (last_drift, entries) = match view {
        Some(view) => seen::told(&asked, view)?,
        None => (None, Vec::new()),
    };
    let recorded = |field: &FieldPath| field.resolve(kept.as_ref()?).cloned();
    Ok(Ok(Answer {
        environment: environment.name.clone(),
        field: args.field.as_ref().map(ToString::to_string),
        recorded: asked.field.as_ref().and_then(recorded),
        declared: declared.transpose()?,
        deleted: departed.map(|departed| deleted(&departed, &place.checkout)),
        unrendered: (!unrendered.is_empty()).then(|| unrendered.join("\n")),
        object,
        live,
        last_drift,
        entries,
    }))
}

/// The question, of an object as it is declared, or else recorded.
fn asked<'a>(args: &'a WhyArgs, namespace: Namespace, object: Option<&Value>) -> Question<'a> {
    let keyed = |field: &FieldPath| match object {
        Some(object) => field.by_key(object, fields::usual_key),
        None => field.clone(),
    };
    Question {
        object: &args.object,
        field: args.field.as_ref().map(keyed),
        namespace,
    }
}

impl Commit {
    fn of(commit: SourceCommit, cut: bool) -> Self {
        Self {
            revision: commit.revision,
            author: commit.author.name,
            email: commit.author.email,
            time: commit.author.time,
            subject: commit.subject,
            cut,
        }
    }
}

impl Told {
    fn of(entry: &Recorded, change: Option<String>) -> Self {
        Self {
            entry: entry.entry.clone(),
            time: entry.time,
            author: entry.author.name.clone(),
            subject: entry.subject.clone(),
            change,
        }
    }
}

fn declared(
    asked: &Question<'_>,
    place: &Place,
    unit: &config::Unit,
    desired: &Desired,
) -> anyhow::Result<Declared> {
    let (site, value, hint) = if let Some(field) = &asked.field {
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
        value: seen::shown(asked, &desired.id, &desired.body(), value),
        origin: site.origin,
        by: site.by.to_string(),
        commit: commit.map(|source::Blamed { commit, cut }| Commit::of(commit, cut)),
        hint,
    })
}
