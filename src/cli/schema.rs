//! `agent schema`: what editors and other programs check the two files against.

use clap::{Args, ValueEnum};

use super::exit;
use super::output::print_json;
use crate::config::{SchemaOf, schema};

const EXAMPLES: &str = "Examples:
  agent schema > agent.schema.json
  agent schema unit.yaml > unit.schema.json

An editor with yaml-language-server checks and completes a file that begins with
  # yaml-language-server: $schema=agent.schema.json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SchemaArgs {
    /// agent.yaml at the repository's root, or unit.yaml in the directory of a unit
    #[arg(value_name = "FILE", value_enum, default_value_t = Of::Agent)]
    file: Of,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Of {
    #[value(name = "agent.yaml", alias = "agent")]
    Agent,
    #[value(name = "unit.yaml", alias = "unit")]
    Unit,
}

pub fn run(args: &SchemaArgs) -> anyhow::Result<u8> {
    let of = match args.file {
        Of::Agent => SchemaOf::AgentYaml,
        Of::Unit => SchemaOf::UnitYaml,
    };
    print_json(schema(of).as_value())?;
    Ok(exit::SAME)
}
