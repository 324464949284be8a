//! Whether an admission policy or webhook is for an object, as the API server decides that
//! (`k8s.io/apiserver/pkg/admission/plugin/webhook/predicates`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::lockout::{Kept, Upkeep};

/// By this label each namespace says its name.
const NAME: &str = "kubernetes.io/metadata.name";

/// Whether rules and selectors are for a write of an object. `rules` is the field that the
/// rules are in; where there are none, they are for all.
pub(super) fn matches_any(within: &Value, rules: &str, kept: &Kept, upkeep: &Upkeep) -> bool {
    let any = |field: &str| {
        let rules = within.get(field).and_then(Value::as_array);
        rules.filter(|rules| !rules.is_empty()).map(|rules| {
            let exact = within.get("matchPolicy").and_then(Value::as_str) == Some("Exact");
            rules.iter().any(|one| rule(one, kept, exact))
        })
    };
    let for_webhook = rules == "rules";
    any(rules).unwrap_or(!for_webhook)
        && !any("excludeResourceRules").unwrap_or(false)
        && selects(within.get("namespaceSelector"), &|key| {
            namespace_label(upkeep, key)
        })
        && selects(within.get("objectSelector"), &|key| {
            Label::of(kept.labels.get(key))
        })
}

fn rule(rule: &Value, kept: &Kept, exact: bool) -> bool {
    let list = |field: &str| {
        let values = rule.get(field).and_then(Value::as_array);
        let values = values.into_iter().flatten().filter_map(Value::as_str);
        values.collect::<Vec<_>>()
    };
    let has = |field: &str, wanted: &str| {
        let values = list(field);
        values.contains(&"*") || values.contains(&wanted)
    };
    let resource = |text: &&str| {
        let (resource, sub) = text.split_once('/').unwrap_or((text, ""));
        (resource == "*" || resource == kept.resource) && (sub.is_empty() || sub == "*")
    };
    let names = list("resourceNames");
    rule.get("scope").and_then(Value::as_str) != Some("Cluster")
        && (has("operations", "CREATE") || has("operations", "UPDATE"))
        && has("apiGroups", &kept.id.kind.group)
        // Otherwise a write in another version counts as one in this.
        && (!exact || has("apiVersions", kept.version))
        && list("resources").iter().any(resource)
        && (names.is_empty() || names.contains(&kept.id.name.as_str()))
}

/// What is known of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label<'a> {
    Is(&'a str),
    Missing,
    Unknown,
}

impl<'a> Label<'a> {
    fn of(value: Option<&'a String>) -> Self {
        value.map_or(Self::Missing, |value| Self::Is(value))
    }
}

fn namespace_label<'a>(upkeep: &'a Upkeep, key: &str) -> Label<'a> {
    match (&upkeep.labels, &upkeep.namespace) {
        (_, Some(namespace)) if key == NAME => Label::Is(namespace),
        (Some(labels), _) => Label::of(labels.get(key)),
        (None, _) => Label::Unknown,
    }
}

/// Whether a label selector may select something with these labels.
fn selects<'a>(selector: Option<&Value>, label: &dyn Fn(&str) -> Label<'a>) -> bool {
    let Some(selector) = selector else {
        return true;
    };
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    let mut labels = labels.map(|(key, value)| (label(key), value));
    let all = labels.all(|(label, value)| match label {
        Label::Is(text) => value == text,
        Label::Missing => false,
        Label::Unknown => true,
    });
    all && expressions
        .into_iter()
        .flatten()
        .all(|one| expression(one, label))
}

fn expression<'a>(expression: &Value, label: &dyn Fn(&str) -> Label<'a>) -> bool {
    let text = |field: &str| expression.get(field).and_then(Value::as_str);
    let values = expression.get("values").and_then(Value::as_array);
    let among = |text: &str| values.is_some_and(|values| values.iter().any(|value| value == text));
    match (text("operator"), label(text("key").unwrap_or_default())) {
        (_, Label::Unknown) | (None, _) => true,
        (Some("In"), Label::Is(text)) => among(text),
        (Some("NotIn"), Label::Is(text)) => !among(text),
        (Some("Exists"), found) => found != Label::Missing,
        (Some("DoesNotExist"), found) => found == Label::Missing,
        (Some("In"), Label::Missing) => false,
        (Some(_), _) => true,
    }
}

/// What a condition's expression comes to for a write of an object, where that can be told
/// without evaluating CEL: constants, and what is written most, a comparison of one field
/// of the request with a text.
pub(super) fn means(condition: &Value, kept: &Kept) -> Option<bool> {
    decide(condition.get("expression")?.as_str()?.trim(), kept)
}

fn decide(expression: &str, kept: &Kept) -> Option<bool> {
    if let Some(inner) = expression.strip_prefix('!') {
        let inner = inner.trim();
        return decide(inner, kept).map(|is| !is);
    }
    if let Some(inner) = expression
        .strip_prefix('(')
        .and_then(|it| it.strip_suffix(')'))
        && !inner.contains(['(', ')'])
    {
        return decide(inner.trim(), kept);
    }
    match expression {
        "true" => return Some(true),
        "false" => return Some(false),
        _ => {}
    }
    let fields: BTreeMap<&str, &str> = [
        (
            "request.namespace",
            kept.id.namespace.as_deref().unwrap_or_default(),
        ),
        (
            "object.metadata.namespace",
            kept.id.namespace.as_deref().unwrap_or_default(),
        ),
        ("request.name", kept.id.name.as_str()),
        ("request.kind.kind", &kept.id.kind.kind),
        ("request.kind.group", &kept.id.kind.group),
        ("request.resource.resource", kept.resource),
        ("request.resource.group", &kept.id.kind.group),
    ]
    .into();
    if let Some((field, text)) = expression.split_once("==") {
        return Some(*fields.get(field.trim())? == quoted(text)?);
    }
    if let Some((field, text)) = expression.split_once("!=") {
        return Some(*fields.get(field.trim())? != quoted(text)?);
    }
    let (field, rest) = expression.split_once(".startsWith(")?;
    let text = quoted(rest.strip_suffix(')')?)?;
    Some(fields.get(field.trim())?.starts_with(text))
}

/// A text of CEL that is one literal and nothing else.
fn quoted(text: &str) -> Option<&str> {
    let text = text.trim();
    let inner = ['\'', '"']
        .iter()
        .find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))?;
    (!inner.contains(['\'', '"', '\\'])).then_some(inner)
}
