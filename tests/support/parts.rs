//! The parts of a control plane, and the command line of each.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use super::programs::Program;

/// A process of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Etcd,
    ApiServer,
    ControllerManager,
    Scheduler,
    Kwok,
}

impl Part {
    pub fn program(self) -> Program {
        match self {
            Self::Etcd => Program::Etcd,
            Self::ApiServer => Program::KubeApiserver,
            Self::ControllerManager => Program::KubeControllerManager,
            Self::Scheduler => Program::KubeScheduler,
            Self::Kwok => Program::Kwok,
        }
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program().name())
    }
}

/// Where things are and listen: fixed for the life of a control plane, so that a
/// part started again is the same part.
pub struct Layout {
    pub directory: PathBuf,
    pub etcd_clients: u16,
    pub etcd_peers: u16,
    pub api_server: u16,
}

impl Layout {
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn log(&self, part: Part) -> PathBuf {
        self.file(&format!("{part}.log"))
    }

    /// The kubeconfig of a user named in [`USERS`].
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.file(&format!("{user}.kubeconfig"))
    }

    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_server)
    }

    fn flag(&self, flag: &str, file: &str) -> String {
        format!("--{flag}={}", self.directory.join(file).display())
    }

    pub fn etcd(&self) -> Vec<String> {
        let clients = format!("http://127.0.0.1:{}", self.etcd_clients);
        let peers = format!("http://127.0.0.1:{}", self.etcd_peers);
        vec![
            self.flag("data-dir", "etcd"),
            format!("--listen-client-urls={clients}"),
            format!("--advertise-client-urls={clients}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
            // It outlives a kill -9 all the same; only a crash of the machine loses data.
            "--unsafe-no-fsync".into(),
        ]
    }

    pub fn api_server(&self) -> Vec<String> {
        vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_clients),
            self.flag("cert-dir", "certs"),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={}", self.api_server),
            self.flag("service-account-key-file", "sa.pub"),
            self.flag("service-account-signing-key-file", "sa.key"),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            "--service-cluster-ip-range=10.0.0.0/16".into(),
            self.flag("token-auth-file", "tokens.csv"),
            "--authorization-mode=RBAC".into(),
            "--allow-privileged".into(),
            self.flag("audit-policy-file", "audit-policy.yaml"),
            self.flag("audit-log-path", "audit.log"),
            // Never rotated: the position of an event stays what it is.
            "--audit-log-maxsize=0".into(),
        ]
    }

    pub fn controller_manager(&self) -> Vec<String> {
        vec![
            self.client("kube-controller-manager"),
            self.flag("service-account-private-key-file", "sa.key"),
            "--use-service-account-credentials".into(),
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
            // Defaults are made for many clusters on one server, and slow one test down.
            "--kube-api-qps=1000".into(),
            "--kube-api-burst=2000".into(),
            // Nobody sends heartbeats for the nodes.
            "--node-monitor-grace-period=24h".into(),
            "--concurrent-deployment-syncs=10".into(),
            "--concurrent-service-endpoint-syncs=10".into(),
        ]
    }

    pub fn scheduler(&self) -> Vec<String> {
        vec![
            self.client("kube-scheduler"),
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
            "--kube-api-qps=1000".into(),
            "--kube-api-burst=2000".into(),
        ]
    }

    pub fn kwok(&self, stages: &[PathBuf]) -> Vec<String> {
        let stage = |path: &PathBuf| format!("--config={}", path.display());
        let mut arguments: Vec<_> = stages.iter().map(stage).collect();
        arguments.extend([
            self.client("kwok"),
            // No leases: with them, a kwok started again leaves the nodes alone until
            // those of the one before have run out.
            "--manage-all-nodes=true".into(),
        ]);
        arguments
    }

    fn client(&self, user: &str) -> String {
        format!("--kubeconfig={}", self.kubeconfig(user).display())
    }
}

/// Who may log in: the user, its token, its group.
pub struct User {
    pub name: &'static str,
    pub username: &'static str,
    pub group: &'static str,
}

/// The administrator whom tests are, and the parts as themselves, so that the
/// audit log and managedFields tell them apart.
pub const USERS: [User; 4] = [
    User {
        name: ADMIN,
        username: "admin",
        group: "system:masters",
    },
    User {
        name: "kube-controller-manager",
        username: "system:kube-controller-manager",
        group: "system:authenticated",
    },
    User {
        name: "kube-scheduler",
        username: "system:kube-scheduler",
        group: "system:authenticated",
    },
    User {
        name: "kwok",
        username: "kwok",
        group: "system:masters",
    },
];

pub const ADMIN: &str = "admin";

impl User {
    /// Guards nothing: the server listens on loopback alone, for the length of a test.
    pub fn token(&self) -> String {
        format!("{}-token", self.name)
    }

    pub fn csv(&self) -> String {
        format!(
            "{},{},{},{}\n",
            self.token(),
            self.username,
            self.name,
            self.group
        )
    }
}

/// Everything, with neither bodies nor the doubling by a first stage.
pub const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
";

/// Whether a part that ended at once did so for want of a port.
pub fn port_was_taken(log: &str) -> bool {
    log.contains("address already in use")
}

/// The last lines of a log, for an error.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
