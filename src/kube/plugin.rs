//! The program that gives credentials, as a kubeconfig's `exec` names it.
//!
//! It isn't run as the renderers are: it needs the user's own environment and files, and may
//! have to ask whoever sits at the terminal.

use std::io::{self, IsTerminal as _};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tracing::warn;

use super::error::ApiError;
use crate::runtime::exec::Group;

/// How long it may take: somebody may have to log in with a browser.
const TIME: Duration = Duration::from_mins(3);
/// How long it may take where nobody is there to be asked.
const ALONE: Duration = Duration::from_mins(1);
/// What is longer than this is told, where nobody is there to be asked.
const LONG: Duration = Duration::from_secs(10);
/// How much it may write.
const MOST: u64 = 1 << 20;

/// What it gives (`ExecCredential`).
#[derive(Deserialize)]
struct Given {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<Timestamp>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Puts the credentials that a user's program gives in its place, and says until when they
/// are good, if the program does. A user who has others, or no program, stays as it is.
///
/// # Errors
/// When it can't be run, fails, or gives none. Nothing of what it wrote to standard output is
/// told.
pub(super) async fn resolve(user: &mut AuthInfo) -> Result<Option<Timestamp>, ApiError> {
    let Some(exec) = user.exec.take() else {
        return Ok(None);
    };
    if user.token.is_some() || user.password.is_some() {
        return Ok(None);
    }
    let name = exec.command.clone().unwrap_or_default();
    let failed =
        |text: String| ApiError::Unauthorized(format!("the kubeconfig's program {name} {text}"));
    let written = run(&exec).await.map_err(failed)?;
    let given: Option<Given> = serde_saphyr::from_slice(&written).ok();
    let Some(status) = given.and_then(|given| given.status) else {
        return Err(failed("gave no ExecCredential with a status".to_owned()));
    };
    let pair = status.client_certificate_data.zip(status.client_key_data);
    if status.token.is_none() && pair.is_none() {
        let text = "gave neither a token nor a certificate with its key";
        return Err(failed(text.to_owned()));
    }
    user.token = status.token.map(Into::into);
    if let Some((certificate, key)) = pair {
        user.client_certificate_data = Some(STANDARD.encode(certificate));
        user.client_key_data = Some(STANDARD.encode(key).into());
    }
    Ok(status.expiration_timestamp)
}

/// Its standard output.
async fn run(exec: &ExecConfig) -> Result<Vec<u8>, String> {
    let attended = exec.interactive_mode != Some(ExecInteractiveMode::Never)
        && io::stdin().is_terminal()
        && io::stderr().is_terminal();
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) && !attended {
        return Err(
            "wants to ask somebody (interactiveMode: Always), and there is no terminal".to_owned(),
        );
    }
    let mut command = command(exec, attended)?;
    let started = if attended {
        Group::start_attended(&mut command)
    } else {
        Group::start(&mut command)
    };
    // The group is dropped before the child, and killed with it.
    let (mut child, _group) = started
        .map(|(group, child)| (child, group))
        .map_err(|error| {
            let hint = exec.install_hint.as_deref().map(str::trim);
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("cannot be started: {error}{hint}")
        })?;
    let limit = if attended { TIME } else { ALONE };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(limit, async {
        let (stdout, stderr) = tokio::join!(drain(stdout), drain(stderr));
        Ok::<_, io::Error>((stdout?, stderr?, child.wait().await?))
    });
    let took = humantime::format_duration(limit);
    let mut ended = pin!(ended);
    let ended = if let Ok(ended) = tokio::time::timeout(LONG, &mut ended).await {
        ended
    } else {
        if !attended {
            let program = exec.command.as_deref();
            warn!(
                program,
                "the kubeconfig's program has given no credentials yet; the API server is asked nothing until it does, or has had {took}"
            );
        }
        ended.await
    };
    let ended = ended.map_err(|_| format!("gave nothing within {took}"))?;
    let (stdout, stderr, status) = ended.map_err(|error| format!("cannot be read: {error}"))?;
    if !status.success() {
        return Err(failure(status, &stderr));
    }
    Ok(stdout)
}

#[expect(
    clippy::disallowed_methods,
    reason = "it shares the user's environment and terminal, which runtime::exec keeps from programs"
)]
fn command(exec: &ExecConfig, attended: bool) -> Result<Command, String> {
    let program = exec.command.as_deref().filter(|name| !name.is_empty());
    let mut command = Command::new(program.ok_or("has no command")?);
    command.args(exec.args.iter().flatten());
    let variables = exec.env.iter().flatten();
    command.envs(variables.filter_map(|one| Some((one.get("name")?, one.get("value")?))));
    let asked = json!({
        "apiVersion": exec.api_version,
        "kind": "ExecCredential",
        "spec": {"interactive": attended, "cluster": exec.cluster},
    });
    command.env("KUBERNETES_EXEC_INFO", asked.to_string());
    let (stdin, stderr) = if attended {
        (Stdio::inherit(), Stdio::inherit())
    } else {
        (Stdio::null(), Stdio::piped())
    };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr);
    Ok(command)
}

async fn drain(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MOST).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// The last thing that it said, which is mostly what is wrong.
fn failure(status: ExitStatus, stderr: &[u8]) -> String {
    let said = String::from_utf8_lossy(stderr);
    let last = said
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty());
    let last = last.map(|line| line.chars().take(300).collect::<String>());
    let last = last.map(|line| format!(": {line}")).unwrap_or_default();
    format!("failed ({status}){last}")
}

#[cfg(test)]
mod tests;
