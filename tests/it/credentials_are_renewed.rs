//! Credentials for the API server that end are had anew, and the daemon goes on by itself.

use std::fs;
use std::time::Duration;

use crate::support::ports::{free_address, readyz};
use crate::support::stage::Stage;
use crate::support::wait::wait_seeing;

const PATIENCE: Duration = Duration::from_mins(1);
const CONFIG: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {greeting: hello}\n";

#[test]
fn a_daemon_goes_on_with_the_next_token_however_late_it_comes() {
    let mut stage = Stage::new("renewed", env!("CARGO_BIN_EXE_agent"));
    stage.repository.write("shop/a.yaml", CONFIG);
    let revision = stage.configure(&[("shop", "")]);
    let account = format!("--serviceaccount={}:agent", stage.namespace);
    stage.kubectl(&["create", "serviceaccount", "agent"]);
    let admin = "--clusterrole=cluster-admin";
    let name = stage.environment.clone();
    stage
        .cluster
        .kubectl(&["create", "clusterrolebinding", &name, admin, &account]);
    let token = || stage.kubectl(&["create", "token", "agent"]);

    let agent = stage.invocation();
    let (says, runs) = (agent.home().join("says"), agent.home().join("runs"));
    let give = |token: &str| {
        let given = serde_json::json!({"status": {"token": token.trim()}});
        fs::write(&says, given.to_string()).unwrap();
    };
    give(&token());
    let kubeconfig = stage.cluster.kubeconfig_for_token("PLACE");
    let script = format!("echo >> {}; cat {}", runs.display(), says.display());
    let plugin = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never, args: [-c, '{script}']}}"
    );
    let text = fs::read_to_string(&kubeconfig).unwrap();
    fs::write(&kubeconfig, text.replace("token: PLACE", &plugin)).unwrap();
    let address = free_address();
    let agent = agent
        .args(["--admin-addr", &address])
        .kubeconfig(kubeconfig);
    stage.start_as(agent);
    stage.until_synced("shop", &revision);

    // Tokens of another account of the same name are of nobody.
    stage.kubectl(&["delete", "serviceaccount", "agent"]);
    stage.kubectl(&["create", "serviceaccount", "agent"]);
    let path = stage.daemon().home().join("daemon.log");
    stage.until("the Lease to be lost for want of credentials", |_| {
        let log = fs::read_to_string(&path).unwrap_or_default();
        if log.contains("the lease could not be renewed in time") {
            Ok(())
        } else {
            Err(log)
        }
    });
    stage.kubectl(&["delete", "configmap", "a"]);
    give(&stage.kubectl(&["create", "token", "agent"]));
    stage.until("what was deleted to be there again", |stage| {
        let found = stage
            .cluster
            .get(&["-n", &stage.namespace, "configmap", "a"]);
        found.map(drop).ok_or("it is not".to_owned())
    });
    wait_seeing("the agent to be ready", PATIENCE, || {
        let page = readyz(&address)?;
        if page.contains(" 200 ") {
            Ok(())
        } else {
            Err(page)
        }
    });
    let log = stage.log();
    assert!(log.contains("not even what was had anew"), "{log}");
    let runs = fs::read_to_string(runs).unwrap().lines().count();
    assert!(runs < 30, "the program was run {runs} times");
}
