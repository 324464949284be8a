//! The JSON Schema of both files, for editors and other programs.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::node::At;
use super::written::{AgentFile, UnitFile};

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaOf {
    /// `agent.yaml`.
    AgentYaml,
    /// `unit.yaml`.
    UnitYaml,
}

/// The JSON Schema (draft 2020-12) of a file.
pub fn schema(of: SchemaOf) -> Schema {
    let mut settings = SchemaSettings::draft2020_12();
    settings
        .transforms
        .push(Box::new(RecursiveTransform(not_null)));
    let generator = settings.into_generator();
    match of {
        SchemaOf::AgentYaml => generator.into_root_schema_for::<AgentFile>(),
        SchemaOf::UnitYaml => generator.into_root_schema_for::<UnitFile>(),
    }
}

/// A field that is optional may be left out; that doesn't mean it may be null.
fn not_null(schema: &mut Schema) {
    let null = |value: &Value| value == "null" || value == &json!({"type": "null"});
    let one = |value: Option<&Value>| match value?.as_array()?.as_slice() {
        [one, other] if null(other) => Some(one.clone()),
        _ => None,
    };
    if let Some(of) = one(schema.get("type")) {
        schema.insert("type".into(), of);
    }
    if let Some(Value::Object(of)) = one(schema.get("anyOf")) {
        schema.remove("anyOf");
        for (key, value) in of {
            schema.ensure_object().entry(key).or_insert(value);
        }
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl SchemaOf {
    /// The name of the file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::AgentYaml => super::AGENT_FILE,
            Self::UnitYaml => super::UNIT_FILE,
        }
    }
}
