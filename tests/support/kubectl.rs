//! Looking at a control plane, and changing it, as its administrator: by kubectl.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::control_plane::ControlPlane;
use super::programs::Program;
use super::wait::{unique, wait_seeing};

impl ControlPlane {
    /// Runs kubectl as the administrator and gives its standard output.
    ///
    /// # Panics
    /// When it fails, with what it said.
    pub fn kubectl<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        self.try_kubectl(arguments)
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// As [`kubectl`](Self::kubectl), for when it may fail.
    pub fn try_kubectl<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<String> {
        self.kubectl_with(arguments, "")
    }

    /// Whatever kubectl says to `arguments`, `input` on its standard input.
    pub fn kubectl_with<A: AsRef<OsStr>>(&self, arguments: &[A], input: &str) -> Result<String> {
        let output = self.run_kubectl(arguments, input)?;
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.as_ref().to_string_lossy())
            .collect();
        ensure!(
            output.status.success(),
            "kubectl {} failed: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Applies YAML as somebody other than the agent (field manager `kubectl`).
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn kubectl_apply(&self, yaml: &str) -> String {
        self.kubectl_with(&["apply", "--server-side", "-f", "-"], yaml)
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// What `kubectl get … -o json` gives; nothing where there is no such object.
    ///
    /// # Panics
    /// When kubectl fails for another reason.
    pub fn get<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Option<Value> {
        let mut words = vec![
            OsStr::new("get"),
            "-ojson".as_ref(),
            "--ignore-not-found".as_ref(),
        ];
        words.extend(arguments.iter().map(AsRef::as_ref));
        let text = self.kubectl(&words);
        (!text.is_empty()).then(|| serde_json::from_str(&text).expect("kubectl writes JSON"))
    }

    /// A kubeconfig for a ServiceAccount, with a token as pods get it.
    ///
    /// # Panics
    /// When there is no such ServiceAccount.
    pub fn kubeconfig_for_account(&self, namespace: &str, account: &str) -> PathBuf {
        let token = self.kubectl(&["-n", namespace, "create", "token", account]);
        self.kubeconfig_for_token(token.trim())
    }

    /// Makes a namespace that no other test uses, and gives its name.
    pub fn namespace(&self, name: &str) -> String {
        let name = unique(name);
        self.kubectl(&["create", "namespace", &name]);
        name
    }

    /// Waits until a Deployment has rolled out.
    ///
    /// # Panics
    /// When it hasn't in 30 seconds.
    pub fn wait_for_rollout(&self, namespace: &str, deployment: &str) {
        wait_seeing(
            &format!("Deployment {namespace}/{deployment} to roll out"),
            Duration::from_secs(30),
            || {
                let live = self
                    .get(&["-n", namespace, "deployment", deployment])
                    .ok_or("no such Deployment")?;
                let status = &live["status"];
                let wanted = &live["spec"]["replicas"];
                let ready = status["observedGeneration"] == live["metadata"]["generation"]
                    && (*wanted == 0 || status["readyReplicas"] == *wanted)
                    && (*wanted == 0 || status["updatedReplicas"] == *wanted);
                if ready {
                    Ok(())
                } else {
                    Err(status.to_string())
                }
            },
        );
    }

    fn run_kubectl<A: AsRef<OsStr>>(&self, arguments: &[A], input: &str) -> Result<Output> {
        let mut child = Command::new(self.program(Program::Kubectl))
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            // Its cache of what the server offers is a directory of the home.
            .env("HOME", self.file(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start kubectl")?;
        let mut stdin = child.stdin.take().expect("its standard input is a pipe");
        // It may end without reading; its exit status tells.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Ok(child.wait_with_output()?)
    }
}
