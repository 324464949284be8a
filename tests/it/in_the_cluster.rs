//! What `deploy/` installs is enough: with the rights of its ServiceAccount and the
//! settings of its ConfigMap the agent does all of its work, and asks for nothing more.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::agent::{Agent, Daemon};
use crate::support::control_plane::ControlPlane;
use crate::support::files::copy;
use crate::support::git::Repository;
use crate::support::leash;
use crate::support::ports::free_address;
use crate::support::programs::{Program, Programs};
use crate::support::wait::{unique, wait_seeing};

const NAMESPACE: &str = "gitops-agent";
const USER: &str = "system:serviceaccount:gitops-agent:gitops-agent";
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn what_is_installed_has_every_right_that_the_agent_needs() {
    let cluster = ControlPlane::shared();
    let shop = Shop::new();
    let address = free_address();
    let settings = [
        ("AGENT_REPO", shop.repository.remote().display().to_string()),
        ("AGENT_ENVIRONMENT", shop.environment.clone()),
        ("AGENT_ADMIN_ADDR", address.clone()),
    ];
    let installed = Installed::apply(cluster, &settings);
    let before = cluster.audit_position();
    let mut daemon = installed.agent(cluster).start();

    shop.wait_for(&mut daemon, &shop.repository.revision("HEAD"));
    assert_eq!(get(&address, "/livez").0, 200);
    wait_seeing("the agent to be ready", PATIENCE, || {
        match get(&address, "/readyz") {
            (200, body) if body == "ready\n" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let (status, metrics) = get(&address, "/metrics");
    assert_eq!(status, 200);
    let passes = format!(
        "gitops_agent_passes_total{{environment=\"{}\"",
        shop.environment
    );
    assert!(metrics.contains(&passes), "{metrics}");
    cluster.wait_for_rollout(&shop.namespace, "web");

    shop.drift_is_reverted(&mut daemon, cluster);
    shop.what_leaves_is_pruned(&mut daemon, cluster);
    shop.everything_is_recorded();
    shop.inventories_are_kept(cluster);
    assert!(daemon.terminate(PATIENCE).success(), "{}", daemon.log());

    let asked = cluster.audit_since(before);
    let ours: Vec<_> = asked
        .iter()
        .filter(|event| event.user.username == USER)
        .collect();
    assert!(
        ours.iter().any(|event| event.is_write()),
        "the agent is somebody else"
    );
    let refused: Vec<_> = ours
        .iter()
        .filter(|event| event.response.code == 403)
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// An environment with one of everything that needs a right of its own.
struct Shop {
    environment: String,
    namespace: String,
    group: String,
    repository: Repository,
}

impl Shop {
    fn new() -> Self {
        let environment = unique("installed");
        let (namespace, group) = (unique("shop"), format!("{}.example.com", unique("shop")));
        let agent = format!(
            "version: 1
environments:
  {environment}:
    units:
      - {{name: platform, path: platform}}
      - {{name: web, path: web, namespace: {namespace}, after: [platform], allowPlainSecrets: true}}
      - {{name: tuned, path: tuned, namespace: {namespace}, after: [platform]}}
"
        );
        let repository = Repository::with(&[
            ("agent.yaml", agent.as_str()),
            ("platform/namespace.yaml", &namespaces(&namespace)),
            ("platform/crd.yaml", &definition(&group)),
            ("web/deployment.yaml", DEPLOYMENT),
            ("web/config.yaml", CONFIG),
            ("web/goes.yaml", &CONFIG.replace("config", "goes")),
            ("web/secret.yaml", SECRET),
            (
                "web/flag.yaml",
                &format!("apiVersion: {group}/v1\nkind: Flag\nmetadata: {{name: bright}}\n"),
            ),
            (
                "tuned/kustomization.yaml",
                "resources: [config.yaml]\nnamePrefix: tuned-\n",
            ),
            ("tuned/config.yaml", CONFIG),
        ]);
        Self {
            environment,
            namespace,
            group,
            repository,
        }
    }

    fn branch(&self) -> String {
        format!("live/{}", self.environment)
    }

    fn wait_for(&self, daemon: &mut Daemon, revision: &str) {
        daemon.wait("every unit to be healthy", PATIENCE, || {
            let branch = self.branch();
            if !self.repository.has_branch(&branch) {
                return Err("no record".to_owned());
            }
            let said = self.repository.recorded_status(&branch);
            let states = said["units"].as_object().ok_or("no units")?.values();
            let settled = states.filter(|unit| unit["state"] == "Synced").count() == 3;
            if settled && said["revision"] == revision {
                Ok(())
            } else {
                Err(said.to_string())
            }
        });
    }

    fn drift_is_reverted(&self, daemon: &mut Daemon, cluster: &ControlPlane) {
        let inside = ["-n", &self.namespace];
        let replicas = || {
            let live = cluster.get(&[&inside[..], &["deployment", "web"]].concat());
            live.map(|live| live["spec"]["replicas"].clone())
                .unwrap_or_default()
        };
        cluster.kubectl(&[&inside[..], &["scale", "deployment", "web", "--replicas=3"]].concat());
        cluster.kubectl(&[&inside[..], &["delete", "configmap", "tuned-config"]].concat());
        daemon.wait("the drift to be reverted", PATIENCE, || {
            let config = cluster.get(&[&inside[..], &["configmap", "tuned-config"]].concat());
            if replicas() == 1 && config.is_some() {
                Ok(())
            } else {
                Err(format!("{} replicas, {config:?}", replicas()))
            }
        });
    }

    fn what_leaves_is_pruned(&self, daemon: &mut Daemon, cluster: &ControlPlane) {
        self.repository.remove("web/goes.yaml");
        self.repository.remove("web/flag.yaml");
        let revision = self.repository.commit("Remove two", &[]);
        self.wait_for(daemon, &revision);
        let inside = ["-n", &self.namespace];
        let flag = format!("flags.{}", self.group);
        for [kind, name] in [["configmap", "goes"], [&flag, "bright"]] {
            assert_eq!(cluster.get(&[&inside[..], &[kind, name]].concat()), None);
        }
        assert!(
            cluster
                .get(&[&inside[..], &["configmap", "config"]].concat())
                .is_some()
        );
    }

    fn everything_is_recorded(&self) {
        let (branch, environment) = (self.branch(), &self.environment);
        let subjects = wait_seeing("the reverts to be recorded", PATIENCE, || {
            let subjects = self.repository.log(&branch);
            let reverts = [
                format!(
                    "{environment}: revert drift on Deployment {}/web",
                    self.namespace
                ),
                format!(
                    "{environment}: create ConfigMap {}/tuned-config again",
                    self.namespace
                ),
            ];
            let all = reverts.iter().all(|revert| subjects.contains(revert));
            if all {
                Ok(subjects)
            } else {
                Err(subjects.join("\n"))
            }
        });
        assert!(
            subjects.iter().any(|subject| subject.contains("sync web")),
            "{subjects:?}"
        );
        let files = self.repository.files(&branch);
        let deployment = format!("web/{}/Deployment.apps/web.yaml", self.namespace);
        assert!(files.contains(&deployment), "{files:?}");
        let secret = format!("web/{}/Secret/secret.yaml", self.namespace);
        let text = self.repository.show(&branch, &secret).unwrap_or_default();
        assert!(
            !text.is_empty() && !text.contains("hush"),
            "{files:?}\n{text}"
        );
    }

    fn inventories_are_kept(&self, cluster: &ControlPlane) {
        for unit in ["platform", "web", "tuned"] {
            let name = format!("{}.{unit}", self.environment);
            let parent = cluster.get(&["-n", NAMESPACE, "configmap", &name]);
            let label = parent.map(|parent| parent["metadata"]["labels"].clone());
            let id = label
                .as_ref()
                .map(|labels| &labels["applyset.kubernetes.io/id"]);
            assert!(id.is_some_and(Value::is_string), "{unit}: {label:?}");
        }
    }
}

/// `deploy/` with an overlay over it, as its kustomization.yaml says.
struct Installed {
    arguments: Vec<String>,
    settings: Vec<(String, String)>,
}

impl Installed {
    fn apply(cluster: &ControlPlane, settings: &[(&str, String)]) -> Self {
        let overlay = overlay(settings);
        let path = overlay.path().to_string_lossy();
        cluster.kubectl(&["apply", "--server-side", "-k", &path]);
        let inside = ["-n", NAMESPACE];
        let object = |kind| {
            cluster
                .get(&[&inside[..], &[kind, "gitops-agent"]].concat())
                .unwrap()
        };
        let container = &object("deployment")["spec"]["template"]["spec"]["containers"][0];
        let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
        let data = object("configmap")["data"].clone();
        let data = data.as_object().unwrap().iter();
        let settings = data.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        Self {
            arguments,
            settings: settings.collect(),
        }
    }

    /// The agent as the Deployment starts it, but for the directory that is mounted there.
    fn agent(&self, cluster: &ControlPlane) -> Agent {
        let kustomize = Programs::build(&[Program::Kustomize]).unwrap();
        let agent = Agent::new(env!("CARGO_BIN_EXE_agent"))
            .with_program(kustomize.path(Program::Kustomize))
            .kubeconfig(cluster.kubeconfig_for_account(NAMESPACE, "gitops-agent"))
            .args(&self.arguments);
        let agent = self
            .settings
            .iter()
            .fold(agent, |agent, (name, value)| agent.env(name, value));
        let data = agent.home().join("data");
        agent.env("AGENT_DATA_DIR", data)
    }
}

fn overlay(settings: &[(&str, String)]) -> tempfile::TempDir {
    let overlay = leash::scratch("overlay");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    copy(&base, &overlay.path().join("deploy")).unwrap();
    let lines = settings.iter();
    let lines = lines.map(|(name, value)| format!("          {name}: \"{value}\"\n"));
    let data = lines.collect::<Vec<_>>().concat();
    let text = format!(
        "resources: [deploy]
patches:
  - patch: |
        apiVersion: v1
        kind: ConfigMap
        metadata: {{name: gitops-agent, namespace: gitops-agent}}
        data:
{data}"
    );
    fs::write(overlay.path().join("kustomization.yaml"), text).unwrap();
    overlay
}

/// The status and body of a page.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn namespaces(name: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
}

fn definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: flags.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Flag, singular: flag, plural: flags}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object}}}}
"
    )
}

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: \"web:1\"}]
";

const CONFIG: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: config}
data: {greeting: hello}
";

const SECRET: &str = "apiVersion: v1
kind: Secret
metadata: {name: secret}
stringData: {password: hush}
";
