//! Flags that several commands share: the cluster, the repository, the tools.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;

use crate::forge::{self, Forge, ForgeAddress, ForgeKind, ForgeToken};
use crate::kube::Access;
use crate::model::{Namespace, Redacted};
use crate::reconcile::Tools;
use crate::record::status::Ties;
use crate::runtime::exec;
use crate::runtime::memory::Memory;
use crate::runtime::net::{Identity, Tls};
use crate::source::{Credentials, HttpLogin, PASSPHRASE, Remote, RepoUrl, SshLogin, Transport};

/// Which cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, env = "AGENT_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace where the agent keeps its inventories [default: for a command that reads the record the one that it names, else gitops-agent]
    #[arg(long, env = "AGENT_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: Option<Namespace>,
}

/// Where the agent keeps its inventories unless told otherwise.
const NAMESPACE: Namespace = Namespace::known("gitops-agent");

impl ClusterArgs {
    /// Where the agent keeps its inventories, as far as the flag says.
    pub fn own_namespace(&self) -> Namespace {
        self.namespace.clone().unwrap_or(NAMESPACE)
    }

    /// The same for who looks on: where the flag says nothing, the record does.
    pub fn namespace_of(&self, recorded: &Ties) -> Namespace {
        let said = self.namespace.as_ref().or(recorded.namespace.as_ref());
        said.cloned().unwrap_or(NAMESPACE)
    }

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
    /// How much memory the agent and its programs may take together, such as 256Mi: it bounds what a commit may bring [default: the limit of the container, else what the machine has]
    #[arg(long, env = "AGENT_MEMORY", value_name = "AMOUNT")]
    pub memory: Option<Memory>,
}

impl ToolArgs {
    /// The programs, looked for on PATH where no flag names them.
    pub fn tools(&self) -> Tools {
        Tools {
            kustomize: self
                .kustomize
                .clone()
                .or_else(|| exec::on_path("kustomize")),
            ..Tools::within(self.memory.unwrap_or_else(Memory::here))
        }
    }
}

/// The forge that serves the repository.
#[derive(Debug, Args)]
#[command(next_help_heading = "Forge")]
pub struct ForgeArgs {
    /// What serves the repository: gitea (also Forgejo), github, gitlab [default: by the host, where it is a well-known one]
    #[arg(long, env = "AGENT_FORGE", value_name = "KIND")]
    pub forge: Option<ForgeKind>,
    /// Where people find it [default: the repository's host]
    #[arg(long, env = "AGENT_FORGE_URL", value_name = "URL")]
    pub forge_url: Option<String>,
    /// File with a token for its API; read again when it changes [default: the token for Git]
    #[arg(long, env = "AGENT_FORGE_TOKEN_FILE", value_name = "FILE")]
    pub forge_token_file: Option<PathBuf>,
}

impl ForgeArgs {
    /// The forge of a repository; `None` where there is none, or no token for it. A token
    /// may also come from `AGENT_FORGE_TOKEN`.
    ///
    /// # Errors
    /// When what is said of the forge can't be used.
    pub fn connect(&self, remote: &Remote) -> anyhow::Result<Option<Arc<dyn Forge>>> {
        let (kind, url) = (self.forge, self.forge_url.as_deref());
        let Some(address) = ForgeAddress::of(&remote.url, kind, url)? else {
            if url.is_some() || self.forge_token_file.is_some() {
                bail!(
                    "it is not known which forge serves {}; say it with --forge",
                    remote.url
                );
            }
            return Ok(None);
        };
        let Some(token) = self.token(remote) else {
            if kind.is_some() {
                bail!("the forge needs a token: give --forge-token-file, or set AGENT_FORGE_TOKEN");
            }
            return Ok(None);
        };
        Ok(Some(forge::connect(
            &address,
            token,
            &remote.credentials.tls,
        )?))
    }

    /// The forge that serves the record of a repository, which may lie elsewhere.
    pub fn of_record(&self, repository: &Remote, record: &Remote) -> Option<ForgeAddress> {
        let beside = host(&repository.url) == host(&record.url);
        let said = (self.forge, self.forge_url.as_deref());
        let (kind, url) = if beside { said } else { (None, None) };
        ForgeAddress::of(&record.url, kind, url).ok().flatten()
    }

    fn token(&self, remote: &Remote) -> Option<ForgeToken> {
        if let Some(file) = &self.forge_token_file {
            return Some(ForgeToken::File(file.clone()));
        }
        let given = std::env::var("AGENT_FORGE_TOKEN").ok();
        if let Some(token) = given.filter(|token| !token.is_empty()) {
            return Some(ForgeToken::Given(Redacted::new(token)));
        }
        match remote.credentials.http.as_ref()? {
            HttpLogin::File(file) | HttpLogin::PasswordFile { file, .. } => {
                Some(ForgeToken::File(file.clone()))
            }
            HttpLogin::Given { secret, .. } => Some(ForgeToken::Given(secret.clone())),
        }
    }
}

fn host(url: &RepoUrl) -> Option<&str> {
    match url.transport() {
        Transport::Http { host } | Transport::Ssh { host, .. } => Some(host),
        Transport::Local(_) => None,
    }
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
    /// File with the password for http(s); read again when it changes
    #[arg(
        long = "git-password-file",
        env = "AGENT_GIT_PASSWORD_FILE",
        value_name = "FILE"
    )]
    pub password_file: Option<PathBuf>,
    /// File of authorities to trust for https, beside the system's; read at each connection
    #[arg(long = "git-ca-file", env = "AGENT_GIT_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Certificate to log in with for https; read at each connection
    #[arg(
        long = "git-client-cert",
        env = "AGENT_GIT_CLIENT_CERT",
        value_name = "FILE"
    )]
    pub client_cert: Option<PathBuf>,
    /// Key of that certificate
    #[arg(
        long = "git-client-key",
        env = "AGENT_GIT_CLIENT_KEY",
        value_name = "FILE"
    )]
    pub client_key: Option<PathBuf>,
    /// Private key for ssh, whose passphrase may stand in `AGENT_GIT_SSH_PASSPHRASE` [default: those of OpenSSH]
    #[arg(long = "git-ssh-key", env = "AGENT_GIT_SSH_KEY", value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,
    /// Hosts to trust for ssh, in the form of OpenSSH [default: those of OpenSSH]
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
            http: self.http(),
            ssh: self.ssh(),
            tls: Tls {
                authorities: self.ca_file.clone(),
                identity: self.identity()?,
            },
        })
    }

    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        match (&self.client_cert, &self.client_key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(Identity {
                certificate: certificate.clone(),
                key: key.clone(),
            })),
            _ => bail!("give both --git-client-cert and --git-client-key, or none of them"),
        }
    }

    fn http(&self) -> Option<HttpLogin> {
        if let Some(file) = &self.token_file {
            return Some(HttpLogin::File(file.clone()));
        }
        if let Some(file) = &self.password_file {
            return Some(HttpLogin::PasswordFile {
                username: self.username.clone(),
                file: file.clone(),
            });
        }
        let token = std::env::var("AGENT_GIT_TOKEN")
            .ok()
            .filter(|token| !token.is_empty());
        token.map(|token| HttpLogin::Given {
            username: self.username.clone(),
            secret: Redacted::new(token),
        })
    }

    fn ssh(&self) -> SshLogin {
        let passphrase = std::env::var(PASSPHRASE).ok();
        SshLogin {
            key: self.ssh_key.clone(),
            passphrase: passphrase
                .filter(|passphrase| !passphrase.is_empty())
                .map(Redacted::new),
            known_hosts: self.known_hosts.clone(),
        }
    }
}
