//! A kubeconfig leads where it leads kubectl: the same files for both, and the same answer
//! to whether the API server is reached.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::agent::Ran;
use crate::support::leash::{self, Process};
use crate::support::programs::Program;
use crate::support::stage::Stage;

struct Scene {
    stage: Stage<'static>,
    directory: TempDir,
    server: String,
    authority: String,
    token: String,
}

/// A kubeconfig with one context, `c`.
struct Text<'a> {
    cluster: &'a str,
    user: &'a str,
}

impl Text<'_> {
    fn whole(&self) -> String {
        format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{{}}}}}]\nusers: [{{name: u, user: {{{}}}}}]\n",
            self.cluster, self.user
        )
    }
}

impl Scene {
    fn new(name: &str) -> Self {
        let stage = Stage::new(name, env!("CARGO_BIN_EXE_agent"));
        let configuration = stage.configuration(&[("shop", "")]);
        let shop = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        stage.commit(
            "Start",
            &[("agent.yaml", &configuration), ("shop/a.yaml", shop)],
        );
        let text = fs::read_to_string(stage.cluster.kubeconfig()).unwrap();
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
            line.unwrap().trim().to_owned()
        };
        Self {
            server: value("server:"),
            authority: value("certificate-authority-data:"),
            token: value("token:"),
            directory: leash::scratch("kubeconfigs"),
            stage,
        }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn good(&self) -> String {
        let cluster = self.cluster();
        let user = format!("token: {}", self.token);
        Text {
            cluster: &cluster,
            user: &user,
        }
        .whole()
    }

    fn cluster(&self) -> String {
        format!(
            "server: '{}', certificate-authority-data: {}",
            self.server, self.authority
        )
    }

    fn home(&self) -> String {
        self.directory.path().join("home").display().to_string()
    }

    /// Whether kubectl reaches the API server, and what the agent says.
    fn both(&self, kubeconfig: Option<&str>) -> (bool, Ran) {
        let mut kubectl = Command::new(self.stage.cluster.program(Program::Kubectl));
        kubectl
            .args(["get", "namespace", "default", "--request-timeout=20s"])
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.home());
        let mut agent = self
            .stage
            .agent(&["diff", "--environment", &self.stage.environment]);
        agent = agent
            .env("HOME", self.home())
            .kubeconfig(kubeconfig.unwrap_or_default());
        if let Some(list) = kubeconfig {
            kubectl.env("KUBECONFIG", list);
        }
        let theirs = kubectl.output().unwrap();
        (theirs.status.success(), agent.run())
    }

    fn same(&self, what: &str, kubeconfig: &str) -> Ran {
        let (theirs, ours) = self.both(Some(kubeconfig));
        let reached = ours.code == Some(1) && ours.stdout.contains("1 to create");
        assert_eq!(theirs, reached, "{what}: kubectl {theirs}, {ours:?}");
        ours
    }

    fn reached(&self, what: &str, kubeconfig: &str) {
        let ours = self.same(what, kubeconfig);
        assert_eq!(ours.code, Some(1), "{what}: {ours:?}");
    }

    fn refused(&self, what: &str, kubeconfig: &str, said: &str) {
        let ours = self.same(what, kubeconfig);
        assert_eq!(ours.code, Some(2), "{what}: {ours:?}");
        assert!(ours.stderr.contains(said), "{what}: {ours:?}");
        assert!(!ours.stderr.contains(&self.token), "{what}: {ours:?}");
    }
}

#[test]
fn several_files_are_one() {
    let scene = Scene::new("files");
    let good = scene.write("good", &scene.good());
    let missing = scene.directory.path().join("missing").display().to_string();
    scene.reached("a missing one is skipped", &format!("{missing}:{good}"));
    scene.refused(
        "all are missing",
        &missing,
        "KUBECONFIG names no file that is there",
    );

    let contexts = format!(
        "current-context: ''\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{{}}}}}]\n",
        scene.cluster()
    );
    let users = format!(
        "current-context: c\nusers: [{{name: u, user: {{token: {}}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n",
        scene.token
    );
    let (contexts, users) = (
        scene.write("contexts", &contexts),
        scene.write("users", &users),
    );
    scene.reached(
        "the first that says something wins",
        &format!("{contexts}:{users}"),
    );
    scene.refused(
        "in its order",
        &format!("{users}:{contexts}"),
        "not available",
    );

    let broken = scene.write(
        "broken",
        &format!("users: [{{name: u, user: {{token: {}", scene.token),
    );
    scene.refused(
        "a broken one",
        &format!("{broken}:{good}"),
        &format!("{broken}:1:"),
    );
}

#[test]
fn the_file_of_the_user_is_used_or_named() {
    let scene = Scene::new("home");
    scene.write("home/.kube/config", &scene.good());
    let (theirs, ours) = scene.both(None);
    assert!(theirs && ours.code == Some(1), "{ours:?}");
    let broken = scene.write("home/.kube/config", "users: 7\n");
    let (theirs, ours) = scene.both(None);
    assert!(!theirs && ours.stderr.contains(&broken), "{ours:?}");
    assert!(!ours.stderr.contains("there is no"), "{ours:?}");
}

#[test]
fn tokens_and_names_are_taken_as_written() {
    let scene = Scene::new("taken");
    let plain = scene.cluster();
    let token = format!("token: {}", scene.token);
    let file = scene.write("token", &format!("{}\n", scene.token));
    let kubeconfig =
        |name: &str, cluster: &str, user: &str| scene.write(name, &Text { cluster, user }.whole());
    let user = format!("token: other, tokenFile: {file}");
    scene.reached(
        "a token file that ends a line",
        &kubeconfig("a", &plain, &user),
    );

    let named = format!("{plain}, tls-server-name: kubernetes.default.svc");
    scene.reached(
        "another name of the server",
        &kubeconfig("b", &named, &token),
    );
    let wrong = format!("{plain}, tls-server-name: other.example");
    let other = "for another name";
    scene.refused(
        "not a name of the server",
        &kubeconfig("c", &wrong, &token),
        other,
    );

    let unsigned = format!("server: '{}'", scene.server);
    let unknown = "an authority that is not known here";
    scene.refused("no authority", &kubeconfig("d", &unsigned, &token), unknown);
    let insecure = format!("{unsigned}, insecure-skip-tls-verify: true");
    scene.reached("unverified", &kubeconfig("e", &insecure, &token));
    let both = format!("{plain}, insecure-skip-tls-verify: true");
    let which = "insecure-skip-tls-verify";
    scene.refused(
        "unverified, by an authority",
        &kubeconfig("f", &both, &token),
        which,
    );

    let bare = plain.replace("https://", "");
    let address = "no address with https://";
    scene.refused("no scheme", &kubeconfig("g", &bare, &token), address);
    scene.refused(
        "a wrong token",
        &kubeconfig("h", &plain, "token: other"),
        "credentials",
    );
}

#[test]
fn the_server_may_be_below_a_path_and_at_an_ipv6_address() {
    let scene = Scene::new("below");
    let host = if TcpListener::bind("[::1]:0").is_ok() {
        "[::1]"
    } else {
        "127.0.0.1"
    };
    let (_proxy, address) = serve_below(&scene, host);
    let server = format!("server: 'http://{address}/clusters/one/'");
    let text = Text {
        cluster: &server,
        user: "",
    }
    .whole();
    scene.reached("a path before all others", &scene.write("below", &text));
    let above = Text {
        cluster: &format!("server: 'http://{address}'"),
        user: "",
    }
    .whole();
    let (theirs, ours) = scene.both(Some(&scene.write("above", &above)));
    let told = format!(
        "http://{address} answered 404 Not Found, and not as an API server does; check its address and path in the kubeconfig"
    );
    assert!(!theirs && ours.stdout.contains(&told), "{ours:?}");
}

/// The API server below a path, by `kubectl proxy`.
fn serve_below(scene: &Scene, host: &str) -> (Process, String) {
    let mut command = Command::new(scene.stage.cluster.program(Program::Kubectl));
    command
        .args([
            "proxy",
            "--port=0",
            "--api-prefix=/clusters/one/",
            "--accept-hosts=.*",
            "--address",
            host,
        ])
        .env("KUBECONFIG", scene.stage.cluster.kubeconfig())
        .env("HOME", Path::new("/nonexistent"))
        .stdout(Stdio::piped());
    let mut process = leash::spawn(&mut command).unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(process.stdout());
    stdout.read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    (process, address)
}
