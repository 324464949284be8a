//! `agent.yaml` and `unit.yaml` as a user writes them: what may stand where. The JSON
//! Schema is derived from these types, so their docs are what an editor shows.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::decode::{Decoder, Fields};
use super::node::{At, Node, Value};
use super::previews::Previews;
use super::problem::Problems;
use super::settings::Settings;
use super::verify::VerifyEntry;

/// The environments of this repository and their units.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, title = "agent.yaml")]
pub struct AgentFile {
    /// The version of this format: 1.
    #[schemars(required, extend("const" = 1))]
    #[expect(dead_code, reason = "1 is the only one that is accepted")]
    pub version: Option<u32>,
    /// Settings of every unit of every environment that doesn't say otherwise.
    #[schemars(with = "Option<Settings>")]
    pub defaults: Settings,
    /// Whose pull requests are planned before they are merged, with the result as a
    /// comment: `members` are those who may write to the repository.
    #[schemars(with = "Option<Previews>", extend("default" = "members"))]
    pub previews: Previews,
    /// Which commits have to be signed, and with which keys. What the last accepted
    /// revision says here decides about the next one, so that a push cannot switch it off.
    #[schemars(with = "Option<VerifyEntry>")]
    pub verify: Option<VerifyEntry>,
    /// The environments by name. A name is a DNS label.
    #[schemars(with = "BTreeMap<String, EnvironmentEntry>")]
    pub environments: Vec<EnvironmentEntry>,
}

/// An environment.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentEntry {
    #[schemars(skip)]
    pub name: At<String>,
    /// What the environment consists of.
    pub units: Vec<UnitEntry>,
    #[schemars(skip)]
    pub problems: Problems,
}

/// A unit: what is rendered, planned and applied together.
#[derive(JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    extend("oneOf" = [
        {"required": ["name", "path"], "properties": {"each": false}},
        {"required": ["each"], "properties": {"name": false, "path": false}},
    ])
)]
pub struct UnitEntry {
    #[schemars(skip)]
    pub line: u32,
    /// The unit's name, a DNS label.
    #[schemars(extend("examples" = ["platform"]))]
    pub name: Option<At<String>>,
    /// The unit's directory, from the repository's root.
    #[schemars(extend("examples" = ["platform/overlays/staging"]))]
    pub path: Option<At<String>>,
    /// One unit for each directory that matches, named after what the first `*`
    /// stands for. A `*` stands for one level of directories. A `unit.yaml` in such a
    /// directory has settings of its own.
    #[schemars(extend("examples" = ["apps/*/staging"]))]
    pub each: Option<At<String>>,
    /// Units of this environment that must be applied and healthy first.
    #[schemars(extend("examples" = [["platform"]]))]
    pub after: Option<Vec<At<String>>>,
    /// The rest.
    #[schemars(flatten)]
    pub settings: Settings,
}

/// Settings of the unit in whose directory this file stands, over those in agent.yaml.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, title = "unit.yaml")]
pub struct UnitFile {
    /// Units of this environment that must be applied and healthy first.
    #[schemars(extend("examples" = [["platform"]]))]
    pub after: Option<Vec<At<String>>>,
    /// The rest.
    #[schemars(flatten)]
    pub settings: Settings,
}

/// Fields of capabilities that this version does not have.
const LATER_IN_ENVIRONMENT: [&str; 2] = ["follows", "gates"];

impl AgentFile {
    /// Reads `agent.yaml`. The decoder keeps what is wrong outside of environments.
    pub fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let mut fields = decoder.fields(node);
        let file = Self {
            version: version(&mut fields, decoder),
            defaults: fields
                .take("defaults")
                .map(|node| defaults(node, decoder))
                .unwrap_or_default(),
            previews: Previews::decode(fields.take("previews"), decoder),
            verify: fields
                .take("verify")
                .map(|node| VerifyEntry::decode(node, decoder)),
            environments: environments(&mut fields, decoder),
        };
        fields.finish(decoder);
        file
    }
}

impl UnitFile {
    /// Reads a `unit.yaml`.
    pub fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let mut fields = decoder.fields(node);
        let file = Self {
            after: fields.take("after").map(|node| decoder.texts(node)),
            settings: Settings::decode(&mut fields, decoder),
        };
        let why = "the directory says it";
        fields.misplaced(&["name", "path", "each"], why, decoder);
        fields.finish(decoder);
        file
    }
}

fn version(fields: &mut Fields<'_>, decoder: &mut Decoder<'_>) -> Option<u32> {
    let hint = || Some("write `version: 1`".to_owned());
    let node = fields.take("version");
    if node.is_none() && fields.readable {
        decoder.missing("`version` is missing", hint());
    }
    let node = node?;
    if node.value == Value::Number(1.0) {
        return Some(1);
    }
    decoder.wrong(node, "unknown version of this format", hint());
    None
}

fn defaults(node: &Node, decoder: &mut Decoder<'_>) -> Settings {
    let mut fields = decoder.fields(node);
    let settings = Settings::decode(&mut fields, decoder);
    let why = "it belongs to one unit";
    fields.misplaced(&["name", "path", "each", "after"], why, decoder);
    fields.finish(decoder);
    settings
}

fn environments(fields: &mut Fields<'_>, decoder: &mut Decoder<'_>) -> Vec<EnvironmentEntry> {
    let node = fields.take("environments");
    if node.is_none() && fields.readable {
        decoder.missing("`environments` is missing", None);
    }
    let path = decoder.path;
    let entries = node.map(|node| decoder.entries(node)).unwrap_or_default();
    entries
        .into_iter()
        .map(|(name, node)| environment(name, node, path))
        .collect()
}

fn environment(name: &At<String>, node: &Node, path: &str) -> EnvironmentEntry {
    let mut decoder = Decoder::new(path);
    let mut fields = decoder.fields(node);
    let items = fields.take("units").map(|units| decoder.list(units));
    if items.is_none() && fields.readable {
        let hint = "write `units: []` for an environment without any".to_owned();
        let message = format!("`{}` has no `units`", name.value);
        decoder.wrong(name, message, Some(hint));
    }
    let units = items.unwrap_or_default().iter();
    let units = units.map(|node| unit(node, &mut decoder)).collect();
    fields.refuse(&LATER_IN_ENVIRONMENT, &mut decoder);
    fields.finish(&mut decoder);
    EnvironmentEntry {
        name: name.clone(),
        units,
        problems: decoder.problems,
    }
}

fn unit(node: &Node, decoder: &mut Decoder<'_>) -> UnitEntry {
    let before = decoder.problems.len();
    let mut fields = decoder.fields(node);
    let entry = UnitEntry {
        line: node.line,
        name: fields.take("name").and_then(|node| decoder.text(node)),
        path: fields.take("path").and_then(|node| decoder.text(node)),
        each: fields.take("each").and_then(|node| decoder.text(node)),
        after: fields.take("after").map(|node| decoder.texts(node)),
        settings: Settings::decode(&mut fields, decoder),
    };
    fields.finish(decoder);
    let shape = (&entry.name, &entry.path, &entry.each);
    let fine = matches!(shape, (Some(_), Some(_), None) | (None, None, Some(_)));
    if !fine && decoder.problems.len() == before {
        let message = "a unit has either `name` and `path`, or `each`";
        decoder.wrong(node, message, None);
    }
    entry
}
