//! The API server, Git and the forge are each reached through the proxy of the environment,
//! and each without it where `no_proxy` names it: on the real servers, through a proxy that
//! remembers what it was asked for.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::gitea::{Forged, Gitea, User};
use crate::support::proxy::Proxy;
use crate::support::stage::Stage;

const API_SERVER: &str = "api.corp.example";
const FORGE: &str = "git.corp.example";
const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

/// A repository on the forge, and the agent's account there.
struct Scene {
    stage: Stage<'static>,
    forged: Forged<'static>,
    owner: User,
    bot: User,
    number: u64,
    revision: String,
}

impl Scene {
    fn new(name: &str) -> Self {
        let gitea = Gitea::shared();
        let (owner, bot) = (gitea.user("owner"), gitea.user("bot"));
        let mut stage = Stage::new(name, env!("CARGO_BIN_EXE_agent"));
        stage.repository = gitea.repository(&owner, "deploy").repository;
        let configuration = stage.configuration(&[("shop", "")]);
        let files = [
            ("agent.yaml", configuration.as_str()),
            ("shop/a.yaml", CONFIG),
        ];
        let revision = stage.commit("Start", &files);
        let forged = gitea.forged(&owner, "deploy");
        forged.let_in(&bot, "write");
        forged.until_filled();
        forged
            .repository
            .git(&["pull", "--quiet", "origin", "main"]);
        forged.branch(
            "more",
            "Change it",
            &[("shop/b.yaml", &CONFIG.replace('a', "b"))],
        );
        let number = forged.open(&owner, "more", "more");
        Self {
            stage,
            forged,
            owner,
            bot,
            number,
            revision,
        }
    }

    /// A kubeconfig that names the API server as nobody but the proxy knows it.
    fn kubeconfig(&self) -> PathBuf {
        let server = self.stage.cluster.server();
        let other = server.replace("127.0.0.1", API_SERVER);
        let path = self.stage.cluster.kubeconfig_at(&other);
        let text = fs::read_to_string(&path).unwrap();
        let line = format!("    server: {other}\n");
        let named = format!("{line}    tls-server-name: kubernetes.default.svc\n");
        fs::write(&path, text.replace(&line, &named)).unwrap();
        path
    }

    /// Starts the daemon for the repository at a URL, with these variables.
    fn start(&mut self, url: &str, kubeconfig: PathBuf, variables: &[(&str, &str)]) {
        let stage = &self.stage;
        let agent = stage.agent(&["run", "--repo", url, "--forge", "gitea"]);
        let data = agent.home().join("data");
        let agent = agent
            .args([
                "--environment",
                &stage.environment,
                "--pull-request-interval",
                "1s",
            ])
            .args(["--poll-interval", "1s"])
            .env("AGENT_DATA_DIR", data)
            .env("AGENT_GIT_TOKEN", &self.bot.token)
            .kubeconfig(kubeconfig);
        let agent = variables
            .iter()
            .fold(agent, |agent, (name, value)| agent.env(name, value));
        self.stage.start_as(agent);
        self.stage.until_synced("shop", &self.revision.clone());
        let (forged, number) = (&self.forged, self.number);
        self.stage.until("a comment on the pull request", |stage| {
            let comments = forged.comments(number);
            let told = comments.iter().any(|comment| comment.contains("/b"));
            if told { Ok(()) } else { Err(stage.log()) }
        });
    }

    fn path(&self) -> String {
        format!("{}/deploy.git", self.owner.name)
    }
}

#[test]
fn each_connection_goes_through_the_proxy() {
    let mut scene = Scene::new("proxied");
    let proxy = Proxy::start();
    let url = Gitea::shared().url().replace("127.0.0.1", FORGE);
    let url = format!("{url}/{}", scene.path());
    let address = format!("http://{}", proxy.address());
    let kubeconfig = scene.kubeconfig();
    let variables = [("https_proxy", address.as_str()), ("HTTP_PROXY", &address)];
    scene.start(&url, kubeconfig, &variables);
    all_were_asked(&scene, &proxy);
}

#[test]
fn each_connection_goes_through_a_socks_proxy() {
    let mut scene = Scene::new("socks");
    let proxy = Proxy::start();
    let url = Gitea::shared().url().replace("127.0.0.1", FORGE);
    let url = format!("{url}/{}", scene.path());
    let address = format!("socks5h://{}", proxy.address());
    let kubeconfig = scene.kubeconfig();
    scene.start(&url, kubeconfig, &[("ALL_PROXY", &address)]);
    all_were_asked(&scene, &proxy);
}

fn all_were_asked(scene: &Scene, proxy: &Proxy) {
    let asked = proxy.asked();
    let any = |parts: [&str; 2]| {
        asked
            .iter()
            .any(|line| parts.iter().all(|it| line.contains(it)))
    };
    assert!(any([API_SERVER, ""]), "{asked:#?}");
    assert!(
        any([FORGE, &format!("{}/info/refs", scene.path())]),
        "{asked:#?}"
    );
    assert!(any([FORGE, "/api/v1/"]), "{asked:#?}");
}

#[test]
fn what_no_proxy_names_is_reached_directly() {
    let mut scene = Scene::new("direct");
    let proxy = Proxy::start();
    let url = format!("{}/{}", Gitea::shared().url(), scene.path());
    let kubeconfig = scene.stage.cluster.kubeconfig();
    let variables = [
        ("ALL_PROXY", proxy.address()),
        (
            "NO_PROXY",
            "other.example 127.0.0.0/8\tcorp.example".to_owned(),
        ),
    ];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    scene.start(&url, kubeconfig, &variables);
    // Nobody knows the API server by that name but the proxy, which is not asked.
    let unknown = scene.kubeconfig();
    let agent = scene
        .stage
        .agent(&["diff", "--environment", &scene.stage.environment]);
    let agent = variables
        .iter()
        .fold(agent, |agent, (name, value)| agent.env(name, value));
    let ran = agent.kubeconfig(&unknown).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(proxy.asked(), Vec::<String>::new());

    // What the kubeconfig itself names is gone through whatever else is said.
    let text = fs::read_to_string(&unknown).unwrap();
    let own = format!("    proxy-url: http://{}\n    server:", proxy.address());
    fs::write(&unknown, text.replace("    server:", &own)).unwrap();
    let agent = scene.stage.agent(&[
        "diff",
        "-o",
        "json",
        "--environment",
        &scene.stage.environment,
    ]);
    let agent = variables
        .iter()
        .fold(agent, |agent, (name, value)| agent.env(name, value));
    let ran = agent.kubeconfig(&unknown).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        serde_json::from_str::<Value>(&ran.stdout).is_ok(),
        "{ran:?}"
    );
    assert!(
        proxy.asked().iter().all(|line| line.contains(API_SERVER)),
        "{:?}",
        proxy.asked()
    );
}
