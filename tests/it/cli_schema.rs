//! `agent schema`, `agent completions`, and the help of every command.

use serde_json::Value;

use crate::support::agent::{Agent, Ran};

fn agent(arguments: &[&str]) -> Ran {
    Agent::new(env!("CARGO_BIN_EXE_agent"))
        .args(arguments)
        .run()
}

const COMMANDS: [&str; 8] = [
    "run",
    "diff",
    "status",
    "render",
    "health",
    "validate",
    "schema",
    "completions",
];

#[test]
fn the_schema_of_each_file_is_printed() {
    let schema = |arguments: &[&str]| -> Value {
        let ran = agent(&[&["schema"], arguments].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap()
    };
    assert_eq!(schema(&[]), schema(&["agent.yaml"]));
    assert!(schema(&[])["properties"]["environments"].is_object());
    assert!(schema(&["unit.yaml"])["properties"]["maxPrune"].is_object());
    assert_eq!(agent(&["schema", "other.yaml"]).code, Some(2));
}

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = agent(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for command in COMMANDS {
            assert!(ran.stdout.contains(command), "{shell} lacks {command}");
        }
    }
}

#[test]
fn every_command_has_a_short_first_line_and_examples() {
    for command in COMMANDS {
        let ran = agent(&[command, "--help"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let (flags, examples) = ran.stdout.split_once("\nExamples:\n").unwrap();
        assert!(flags.lines().next().unwrap().len() <= 80, "{flags}");
        let example = format!("agent {command}");
        assert!(examples.contains(&example), "{examples}");
        // As wide as a terminal that nobody made wider.
        let wide = examples.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{command}");
    }
}

#[test]
fn help_shows_no_credential_from_the_environment() {
    for command in ["run", "status"] {
        let agent =
            Agent::new(env!("CARGO_BIN_EXE_agent")).env("AGENT_REPO", "https://me:hunter2@host/x");
        let ran = agent.args([command, "--help"]).run();
        assert!(
            ran.stdout.contains("AGENT_REPO") && !ran.stdout.contains("hunter2"),
            "{ran:?}"
        );
    }
}

#[test]
fn the_version_is_told() {
    let ran = agent(&["--version"]);
    assert_eq!(
        ran.stdout.trim(),
        format!("agent {}", env!("CARGO_PKG_VERSION"))
    );
}
