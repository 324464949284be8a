//! An environment's record is of one cluster: on another one nothing is done until somebody
//! says that it takes the first one's place.

use crate::support::control_plane::ControlPlane;
use crate::support::ports::{free_address, readyz};
use crate::support::stage::{PATIENCE, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

#[test]
fn another_cluster_is_left_alone_until_it_is_said_to_be_the_new_one() {
    let mut stage = Stage::new("cluster", AGENT);
    let text = stage.configuration(&[("shop", "")]);
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let revision = stage.commit("Start", &[("agent.yaml", &text), ("shop/a.yaml", object)]);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.daemon().terminate(PATIENCE);

    let other = ControlPlane::start(&crate::support::control_plane::Options::default()).unwrap();
    other.kubectl(&["create", "namespace", &stage.namespace]);
    let there = |stage: &Stage| stage.invocation().kubeconfig(other.kubeconfig());
    let ran = there(&stage).args(["--once"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("--new-cluster"), "{ran:?}");

    let address = free_address();
    let mut daemon = there(&stage).args(["--admin-addr", &address]).start();
    daemon.wait("the page to say it", PATIENCE, || {
        let page = readyz(&address)?;
        if page.contains(" 503 ") && page.contains("this is another cluster") {
            Ok(())
        } else {
            Err(page)
        }
    });
    daemon.terminate(PATIENCE);
    // Nothing is written there, not even what the agent keeps for itself.
    let home = other.get(&["namespace", &stage.inventories]);
    assert_eq!(home, None);
    stage.repository.git(&["fetch", "--quiet", "origin"]);
    let diff = stage
        .agent(&["diff", "--environment", &stage.environment])
        .kubeconfig(other.kubeconfig())
        .run();
    let first = diff.stdout.lines().next().unwrap_or_default();
    assert!(first.contains("this is another cluster"), "{diff:?}");
    let made = || other.get(&["-n", &stage.namespace, "configmap", "a"]);
    assert_eq!(made(), None);

    let before = stage.entries().len();
    let ran = there(&stage).args(["--once", "--new-cluster"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(made().is_some());
    // Nobody has deleted anything.
    let told: Vec<String> = stage.entries().into_iter().map(|it| it.subject).collect();
    let new = &told[before..];
    assert!(!new.iter().any(|it| it.contains("deleted")), "{new:?}");
    let ran = there(&stage).args(["--once"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");

    // Now the first one is the other one.
    let ran = stage.invocation().args(["--once"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(stage.deletes(), [] as [&str; 0]);
}
