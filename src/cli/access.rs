//! Flags that several commands share: the cluster, the repository, the tools.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use crate::kube::Access;
use crate::model::Redacted;
use crate::reconcile::Tools;
use crate::source::{Credentials, HttpLogin, Remote, RepoUrl, SshLogin};

/// Which cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, env = "AGENT_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace where the agent keeps its inventories
    #[arg(
        long,
        env = "AGENT_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "gitops-agent"
    )]
    pub namespace: String,
}

impl ClusterArgs {
    /// As the Kubernetes module wants it.
    pub fn access(&self) -> Access {
        Access {
            context: self.context.clone(),
        }
    }
}

/// Which outside programs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Programs")]
pub struct ToolArgs {
    /// The kustomize program [default: the one on PATH]
    #[arg(long, env = "AGENT_KUSTOMIZE", value_name = "PATH")]
    pub kustomize: Option<PathBuf>,
}

impl ToolArgs {
    /// The programs, looked for on PATH where no flag names them.
    pub fn tools(&self) -> Tools {
        Tools {
            kustomize: self.kustomize.clone().or_else(|| on_path("kustomize")),
        }
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Which repository, and how to log in there.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Login to the repository")]
pub struct RepositoryArgs {
    /// File with a token, or `user:password`, for http(s); read again when it changes
    #[arg(
        long = "git-token-file",
        env = "AGENT_GIT_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub token_file: Option<PathBuf>,
    /// User name for http(s), together with a password file
    #[arg(long = "git-username", env = "AGENT_GIT_USERNAME", value_name = "NAME")]
    pub username: Option<String>,
    /// File with the password for http(s)
    #[arg(
        long = "git-password-file",
        env = "AGENT_GIT_PASSWORD_FILE",
        value_name = "FILE"
    )]
    pub password_file: Option<PathBuf>,
    /// Private key for ssh
    #[arg(long = "git-ssh-key", env = "AGENT_GIT_SSH_KEY", value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,
    /// Hosts to trust for ssh, in the form of OpenSSH [default: those of the user]
    #[arg(
        long = "git-known-hosts",
        env = "AGENT_GIT_KNOWN_HOSTS",
        value_name = "FILE"
    )]
    pub known_hosts: Option<PathBuf>,
}

impl RepositoryArgs {
    /// The remote at an address. A token may also come from `AGENT_GIT_TOKEN`.
    pub fn remote(&self, address: &str) -> anyhow::Result<Remote> {
        let url: RepoUrl = address.parse()?;
        Ok(Remote::new(url, self.credentials()?))
    }

    fn credentials(&self) -> anyhow::Result<Credentials> {
        Ok(Credentials {
            http: self.http()?,
            ssh: self.ssh()?,
        })
    }

    fn http(&self) -> anyhow::Result<Option<HttpLogin>> {
        if let Some(file) = &self.token_file {
            return Ok(Some(HttpLogin::File(file.clone())));
        }
        if let Some(file) = &self.password_file {
            let secret = Redacted::new(read_line(file)?);
            return Ok(Some(HttpLogin::Given {
                username: self.username.clone(),
                secret,
            }));
        }
        let token = std::env::var("AGENT_GIT_TOKEN")
            .ok()
            .filter(|token| !token.is_empty());
        Ok(token.map(|token| HttpLogin::Given {
            username: self.username.clone(),
            secret: Redacted::new(token),
        }))
    }

    fn ssh(&self) -> anyhow::Result<Option<SshLogin>> {
        let Some(key) = self.ssh_key.clone() else {
            return Ok(None);
        };
        let home =
            || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".ssh/known_hosts"));
        let Some(known_hosts) = self.known_hosts.clone().or_else(home) else {
            bail!("an ssh key needs the hosts to trust: give --git-known-hosts");
        };
        let passphrase = std::env::var("AGENT_GIT_SSH_PASSPHRASE")
            .ok()
            .map(Redacted::new);
        Ok(Some(SshLogin {
            key,
            passphrase,
            known_hosts,
        }))
    }
}

fn read_line(file: &Path) -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
