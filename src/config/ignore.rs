//! `ignore`: the fields that others may add to objects.

use schemars::JsonSchema;

use super::decode::Decoder;
use super::field_path::FieldPath;
use super::node::{At, Node};
use super::unit::IgnoreRule;
use crate::model::Origin;

/// Fields that others may add. A `*` in a text stands for any text.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, inline)]
#[expect(dead_code, reason = "it is written down for the schema")]
pub struct IgnoreEntry {
    /// The kind of the objects, with or without its group; every kind if left out.
    #[schemars(extend("examples" = ["Deployment.apps", "Deployment", "*.example.com"]))]
    pub kind: Option<String>,
    /// The name of the objects; every one if left out.
    #[schemars(extend("examples" = ["web-*"]))]
    pub name: Option<String>,
    /// The field, as `agent diff` prints it, and everything below it.
    #[schemars(extend("examples" = [
        "spec.template.metadata.annotations[\"kubectl.kubernetes.io/restartedAt\"]",
        "spec.template.spec.containers[*].env",
    ]))]
    pub path: String,
}

/// Reads a list of rules; one in which something is wrong is left out.
pub fn rules(node: &Node, decoder: &mut Decoder<'_>) -> Vec<IgnoreRule> {
    let items = decoder.list(node).iter();
    items.filter_map(|item| rule(item, decoder)).collect()
}

fn rule(node: &Node, decoder: &mut Decoder<'_>) -> Option<IgnoreRule> {
    let mut fields = decoder.fields(node);
    let (kind, name) = (fields.take("kind"), fields.take("name"));
    let path = fields.take("path");
    if path.is_none() && fields.readable {
        let hint = "write `path: spec.replicas`, for example".to_owned();
        decoder.wrong(node, "`path` is missing", Some(hint));
    }
    fields.finish(decoder);
    let kind = kind.and_then(|node| decoder.text(node));
    if let Some(kind) = &kind {
        check_kind(kind, decoder);
    }
    Some(IgnoreRule {
        kind: kind.map(|kind| kind.value),
        name: name
            .and_then(|node| decoder.text(node))
            .map(|name| name.value),
        path: path.and_then(|node| field_path(node, decoder))?,
        origin: Origin {
            path: decoder.path.to_owned(),
            line: node.line,
        },
    })
}

fn check_kind(kind: &At<String>, decoder: &mut Decoder<'_>) {
    let begins = |c: char| c.is_ascii_uppercase() || c == '*';
    if !kind.value.starts_with(begins) || kind.value.contains('/') {
        let hint = "write the kind and its group, such as `Deployment.apps` or `ConfigMap`";
        let message = format!("`{}` is not a kind", kind.value);
        decoder.wrong(kind, message, Some(hint.to_owned()));
    }
}

fn field_path(node: &Node, decoder: &mut Decoder<'_>) -> Option<FieldPath> {
    let text = decoder.text(node)?;
    FieldPath::parse(&text.value)
        .map_err(|error| decoder.wrong(&text, error.to_string(), error.hint))
        .ok()
}
