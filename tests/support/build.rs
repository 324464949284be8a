//! The agent's own binary, for an example: cargo builds no binaries for it.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Builds the agent in the profile that this example was built in, and says where it is.
/// Cargo's progress goes to the standard error.
pub fn agent() -> Result<PathBuf> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_the_outer_cargo(&mut command);
    command
        .args(arguments()?)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "the agent cannot be built");
    let messages = String::from_utf8(output.stdout)?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "agent")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo doesn't say where it put the agent")
}

/// The command as a person would type it.
pub fn command_line() -> Result<String> {
    let shown = arguments()?;
    let shown = shown.iter().filter(|word| !word.starts_with("--message"));
    Ok(format!(
        "cargo {}",
        shown.cloned().collect::<Vec<_>>().join(" ")
    ))
}

fn arguments() -> Result<Vec<String>> {
    // With the example beside it, all crates are used as they were built for that: its
    // tools ask for features of theirs that the agent alone doesn't.
    let (profile, example) = own_place()?;
    let words = ["build", "--bin", "agent", "--example", &example];
    let mut words = words.map(str::to_owned).to_vec();
    match profile.as_str() {
        "debug" => {}
        "release" => words.push("--release".into()),
        other => words.extend(["--profile".into(), other.into()]),
    }
    words.push("--message-format=json-render-diagnostics".into());
    Ok(words)
}

/// The profile and the name of this program, which is
/// `<target directory>/<profile>/examples/<name>`.
fn own_place() -> Result<(String, String)> {
    let own = env::current_exe().context("cannot find this program itself")?;
    let above = |levels| {
        let path = own.ancestors().nth(levels)?;
        Some(path.file_name()?.to_str()?.to_owned())
    };
    match (above(2), above(1), above(0)) {
        (Some(profile), Some(examples), Some(name)) if examples == "examples" => {
            Ok((profile, name))
        }
        _ => bail!(
            "{} is not where cargo builds it: run `cargo run --example` and its name",
            own.display()
        ),
    }
}

/// What `cargo run` tells this program about itself would make build scripts run anew.
fn forget_the_outer_cargo(command: &mut Command) {
    const ABOUT_US: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ABOUT_US.iter().any(|prefix| text.starts_with(prefix)) || text == "CARGO_CRATE_NAME" {
            command.env_remove(name);
        }
    }
}
