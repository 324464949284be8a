//! `agent render`: the desired objects, as they would be applied.

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use super::access::ToolArgs;
use super::exit;
use super::output::{Format, print, print_json, progress, warn};
use super::tree::TreeArgs;
use crate::config::Problems;
use crate::model::yaml;
use crate::model::{Desired, DigestKey, EnvironmentName, UnitName, holds_secret, mask_secret};
use crate::plan::rank;
use crate::reconcile::{Declared, Labels, RenderCache, declare};
use crate::runtime::random;

const EXAMPLES: &str = "Examples:
  agent render --environment staging       the files as they are now
  agent render --environment staging --unit shop
  agent render --revision v1.2.0 -o json | jq -r '.[].kind'
  agent render ./manifests                 a directory as the only unit

The values of Secrets are replaced by digests, which differ from call to call.

Exit codes: 0 rendered, 2 something could not be; then no object is printed.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RenderArgs {
    #[command(flatten)]
    tree: TreeArgs,
    /// The environment to render; may be given several times [default: all]
    #[arg(
        long,
        env = "AGENT_ENVIRONMENT",
        value_name = "NAME",
        value_delimiter = ','
    )]
    environment: Vec<EnvironmentName>,
    /// The unit to render; may be given several times [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    unit: Vec<UnitName>,
    /// How to print it; text: YAML documents, json: an array of objects
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    tools: ToolArgs,
}

/// An object and whose it is.
struct Object {
    of: String,
    desired: Desired,
}

pub async fn run(args: RenderArgs) -> anyhow::Result<u8> {
    let tree = args.tree.open()?;
    let tools = args.tools.tools();
    let shown = progress("rendering");
    let chosen = tree.environments(&args.environment);
    let several = chosen.len() > 1;
    let (mut objects, mut problems, mut known) = (Vec::new(), Problems::default(), Vec::new());
    for environment in chosen {
        let environment = match environment {
            Ok(environment) => environment,
            Err(wrong) => {
                problems.append(wrong);
                continue;
            }
        };
        let declared = declare(
            &tree.tree,
            environment,
            &tools,
            Labels::Plain { namespace: None },
            None,
            &mut RenderCache::default(),
        )
        .await;
        known.extend(declared.units.keys().cloned());
        let prefix = if several {
            format!("environment {}, ", environment.name)
        } else {
            String::new()
        };
        collect(&declared, &args.unit, &prefix, &mut objects, &mut problems);
    }
    drop(shown);
    if !problems.is_empty() {
        bail!("{problems}");
    }
    if let Some(missing) = args.unit.iter().find(|unit| !known.contains(unit)) {
        let known: Vec<&str> = known.iter().map(UnitName::as_str).collect();
        bail!(
            "there is no unit `{missing}`; there are {}",
            known.join(", ")
        );
    }
    let key = DigestKey::new(random::bytes());
    match args.output {
        Format::Json => {
            let bodies: Vec<Value> = objects.iter().map(|object| body(object, &key)).collect();
            print_json(&bodies)?;
        }
        Format::Text => print(&documents(&objects, &key))?,
    }
    Ok(exit::SAME)
}

/// Adds the objects of the units asked for, in the order of their application.
fn collect(
    declared: &Declared,
    wanted: &[UnitName],
    prefix: &str,
    objects: &mut Vec<Object>,
    problems: &mut Problems,
) {
    for (name, unit) in &declared.units {
        if !wanted.is_empty() && !wanted.contains(name) {
            continue;
        }
        match &unit.desired {
            Err(errors) => problems.append(errors.problems.clone()),
            Ok(rendered) => {
                rendered
                    .warnings
                    .iter()
                    .for_each(|warning| warn(&warning.to_string()));
                let mut inside: Vec<&Desired> = rendered.objects.values().collect();
                inside.sort_by_key(|object| rank(&object.id.kind));
                let of = format!("{prefix}unit {name}");
                objects.extend(inside.into_iter().map(|desired| Object {
                    of: of.clone(),
                    desired: desired.clone(),
                }));
            }
        }
    }
}

fn documents(objects: &[Object], key: &DigestKey) -> String {
    let document = |object: &Object| {
        let masked = if holds_secret(&object.desired.id) {
            ", its values masked"
        } else {
            ""
        };
        let (of, origin) = (&object.of, &object.desired.origin);
        format!(
            "---\n# {of}, {origin}{masked}\n{}",
            yaml(&body(object, key))
        )
    };
    objects.iter().map(document).collect()
}

fn body(object: &Object, key: &DigestKey) -> Value {
    let desired = &object.desired;
    if holds_secret(&desired.id) {
        mask_secret(&desired.body(), key)
    } else {
        desired.body()
    }
}
