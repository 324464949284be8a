//! The test fixture itself: what every other test relies on.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::support::agent::Agent;
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::git::Repository;
use crate::support::leash;
use crate::support::parts::Part;
use crate::support::programs::{Program, Programs};
use crate::support::wait::{unique, wait, wait_seeing};

#[test]
fn a_deployment_becomes_ready_and_its_namespace_goes_away() {
    let cluster = ControlPlane::shared();
    let namespace = cluster.namespace("rollout");
    let inside = ["-n", &namespace, "create", "deployment", "web"];
    cluster.kubectl(&[&inside[..], &["--image=web:1", "--replicas=3"]].concat());
    cluster.wait_for_rollout(&namespace, "web");

    cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    wait(
        &format!("namespace {namespace} to go away"),
        PATIENCE,
        || {
            cluster
                .get(&["namespace", &namespace])
                .is_none()
                .then_some(())
        },
    );
}

#[test]
fn the_agents_own_client_accepts_the_kubeconfig() {
    let kubeconfig = ControlPlane::shared().kubeconfig();
    // As main does; another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let nodes = runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        let client = kube::Client::try_from(config).unwrap();
        Api::<Node>::all(client)
            .list(&ListParams::default())
            .await
            .unwrap()
    });
    assert_eq!(nodes.items.len(), Options::default().nodes);
}

#[test]
fn a_service_accounts_token_has_its_rights_alone() {
    let cluster = ControlPlane::shared();
    let namespace = cluster.namespace("account");
    let create = ["-n", &namespace, "create"];
    cluster.kubectl(&[&create[..], &["serviceaccount", "reader"]].concat());
    let role = ["role", "reader", "--verb=get,list", "--resource=configmaps"];
    cluster.kubectl(&[&create[..], &role].concat());
    let subject = format!("--serviceaccount={namespace}:reader");
    cluster.kubectl(
        &[
            &create[..],
            &["rolebinding", "reader", "--role=reader", &subject],
        ]
        .concat(),
    );

    let kubeconfig = cluster.kubeconfig_for_account(&namespace, "reader");
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let get = |resource| cluster.try_kubectl(&[&kubeconfig, "-n", &namespace, "get", resource]);
    wait_seeing("the role to be known", PATIENCE, || get("configmaps"));
    let refused = get("secrets").unwrap_err().to_string();
    assert!(refused.contains("forbidden"), "{refused}");
}

#[test]
fn the_audit_log_tells_who_asked_for_what() {
    let cluster = ControlPlane::shared();
    let namespace = cluster.namespace("audit");
    let before = cluster.audit_position();
    let create = ["-n", &namespace, "create", "configmap"];
    cluster.kubectl(&[&create[..], &["real", "--from-literal=a=b"]].concat());
    cluster.kubectl(&[&create[..], &["tried", "--dry-run=server"]].concat());

    let [real, tried] = wait_seeing("two requests in the audit log", PATIENCE, || {
        let mut events = cluster.audit_since(before);
        events.retain(|event| {
            event.object.namespace == namespace && event.user_agent.starts_with("kubectl/")
        });
        <[_; 2]>::try_from(events).map_err(|events| format!("{events:?}"))
    });
    assert_eq!(real.user.username, "admin");
    assert_eq!((real.verb.as_str(), real.response.code), ("create", 201));
    assert_eq!(real.object.resource, "configmaps");
    assert!(real.is_write() && !real.is_dry_run(), "{real:?}");
    assert!(!tried.is_write() && tried.is_dry_run(), "{tried:?}");
    assert!(
        cluster
            .audit_since(cluster.audit_position())
            .iter()
            .all(|e| e.audit_id != real.audit_id)
    );
}

#[test]
fn an_api_server_killed_and_started_again_has_lost_nothing() {
    let cluster = ControlPlane::start(&Options::default()).unwrap();
    let name = unique("kept");
    cluster.kubectl(&["create", "configmap", &name]);
    let server = cluster.server();

    cluster.kill(Part::ApiServer);
    assert!(cluster.try_kubectl(&["get", "configmap", &name]).is_err());
    cluster.start_part(Part::ApiServer);
    assert_eq!(cluster.server(), server);
    assert!(cluster.get(&["configmap", &name]).is_some());

    for part in [
        Part::Etcd,
        Part::ControllerManager,
        Part::Scheduler,
        Part::Kwok,
    ] {
        cluster.stop(part);
        cluster.start_part(part);
    }
    let namespace = cluster.namespace("again");
    cluster.kubectl(&[
        "-n",
        &namespace,
        "create",
        "deployment",
        "web",
        "--image=web:1",
    ]);
    cluster.wait_for_rollout(&namespace, "web");

    let ids = cluster.ids();
    let directory = cluster.file("");
    drop(cluster);
    assert!(ids.iter().all(|&id| gone(id)), "{ids:?}");
    assert!(!directory.exists());
}

/// Plays two roles: the child that holds a control plane, and the one that kills it.
#[test]
fn sigkill_of_the_test_process_leaves_nothing_behind() {
    if is_child() {
        let cluster = ControlPlane::start(&Options {
            nodes: 0,
            ..Options::default()
        })
        .unwrap();
        let ids: Vec<_> = cluster.ids().iter().map(u32::to_string).collect();
        println!("\nholding {} {}", cluster.file("").display(), ids.join(" "));
        loop {
            thread::park();
        }
    }
    let mut command = child("fixture::sigkill_of_the_test_process_leaves_nothing_behind");
    let mut holder = leash::spawn(command.stdout(Stdio::piped())).unwrap();
    let mut said = BufReader::new(holder.stdout()).lines().map(Result::unwrap);
    let line = said
        .find(|line| line.starts_with("holding "))
        .expect("it starts a control plane");
    let mut words = line.split(' ').skip(1);
    let directory = Path::new(words.next().unwrap());
    let ids: Vec<u32> = words.map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids.len(), 5);
    assert!(directory.exists() && ids.iter().all(|&id| !gone(id)));

    holder.kill();
    wait("its control plane to end", PATIENCE, || {
        ids.iter().all(|&id| gone(id)).then_some(())
    });
    let scratch = directory.parent().unwrap();
    wait("its files to be removed", PATIENCE, || {
        (!scratch.exists()).then_some(())
    });
}

#[test]
fn without_go_the_error_says_what_to_install() {
    if is_child() {
        println!(
            "\n{:#}",
            Programs::build(&[Program::Kustomize]).unwrap_err()
        );
        return;
    }
    let empty = leash::scratch("no-go");
    let output = child("fixture::without_go_the_error_says_what_to_install")
        .env("PATH", empty.path())
        .env("AGENT_TEST_CACHE", empty.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("there is no `go` on PATH: install Go 1."),
        "{said}"
    );
}

#[test]
fn assets_provided_by_the_user_are_not_built() {
    if is_child() {
        let programs = Programs::build(&[Program::Etcd]).unwrap();
        println!("\nfound {}", programs.path(Program::Etcd).display());
        return;
    }
    let assets = leash::scratch("assets");
    let etcd = assets.path().join("etcd");
    fs::write(&etcd, "").unwrap();
    let output = child("fixture::assets_provided_by_the_user_are_not_built")
        .env("KUBEBUILDER_ASSETS", assets.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains(&format!("found {}", etcd.display())),
        "{said}"
    );
}

#[test]
fn a_flag_that_the_api_server_refuses_is_named_with_its_log() {
    let options = Options {
        api_server_flags: vec!["--no-such-flag".into()],
        ..Options::default()
    };
    let error = format!("{:#}", ControlPlane::start(&options).map(drop).unwrap_err());
    assert!(
        error.starts_with("kube-apiserver ended with exit status: 1"),
        "{error}"
    );
    assert!(error.contains("unknown flag: --no-such-flag"), "{error}");
}

#[test]
fn a_repository_keeps_what_is_committed() {
    let repository = Repository::with(&[("a/b.yaml", "one")]);
    let first = repository.revision("HEAD");
    let author = "Grace Hopper <grace@example.com>";
    let second = repository.commit_as(author, "Change it", &[("a/b.yaml", "two"), ("c", "")]);
    assert_eq!(repository.log("main"), ["Change it", "Start"]);
    assert_eq!(
        repository.log_as("main", "%H %an"),
        [
            format!("{second} Grace Hopper"),
            format!("{first} Ada Lovelace"),
        ]
    );
    assert_eq!(repository.show("main", "a/b.yaml").as_deref(), Some("two"));
    assert_eq!(repository.show("main", "a"), None);
    repository.remove("a");
    repository.commit("Remove it", &[]);
    assert_eq!(repository.files("main"), ["c"]);
    assert!(!repository.has_branch("live/staging"));
}

#[test]
fn a_process_runs_to_its_end_with_an_environment_of_its_own() {
    let script = "echo out $GREETING $CARGO_MANIFEST_DIR; echo err >&2; exit 3";
    let ran = Agent::new("/bin/sh")
        .args(["-c", script])
        .env("GREETING", "hello")
        .run();
    assert_eq!(ran.code, Some(3));
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out hello\n", "err\n")
    );
}

#[test]
fn a_daemon_is_killed_started_again_and_terminated() {
    let script = "trap 'exit 7' TERM; echo started; while :; do sleep 0.05; done";
    let mut daemon = Agent::new("/bin/sh").args(["-c", script]).start();
    for starts in 1..=2 {
        let log = daemon.home().join("daemon.log");
        daemon.wait("it to start", PATIENCE, || {
            let text = fs::read_to_string(&log).unwrap();
            if text.lines().count() == starts {
                Ok(())
            } else {
                Err(text)
            }
        });
        if starts == 1 {
            daemon.kill();
            daemon.restart();
        }
    }
    assert_eq!(daemon.terminate(PATIENCE).code(), Some(7));
    let waiting = AssertUnwindSafe(|| daemon.wait("more", PATIENCE, || Err::<(), _>("no".into())));
    let panic = catch_unwind(waiting).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("the agent ended with exit status: 7:\nstarted"),
        "{message}"
    );
}

const PATIENCE: Duration = Duration::from_secs(30);

/// This binary again, to run one test as a process that may be killed or lack something.
fn child(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1");
    command
}

fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

const CHILD: &str = "AGENT_TEST_IS_CHILD";

/// Whether a process has ended; whoever inherited it may not have asked for its status yet.
fn gone(id: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else {
        return true;
    };
    stat.rsplit(')')
        .next()
        .is_some_and(|fields| fields.trim_start().starts_with('Z'))
}
