//! An API server that answers 429: what it did not take is asked again, as late as it
//! said, by ever fewer requests at once, and nothing is lost.

use std::fmt::Write as _;

use crate::support::control_plane::{ControlPlane, Options};
use crate::support::stage::Stage;

const OBJECTS: usize = 300;

/// The agent halves what it sends at once from 16 down to one: 31 refusals at most, each
/// followed by the second that the server asks for. After that it meets only the few
/// requests of others, and now and then tries whether there is more room.
const REFUSALS: usize = 60;

#[test]
fn writes_are_repeated_until_they_are_taken() {
    let flags = [
        "--enable-priority-and-fairness=false",
        "--max-mutating-requests-inflight=1",
    ];
    let options = Options {
        nodes: 0,
        api_server_flags: flags.map(str::to_owned).to_vec(),
        ..Options::default()
    };
    let cluster = ControlPlane::start(&options).unwrap();
    let mut stage = Stage::on(&cluster, "throttled", env!("CARGO_BIN_EXE_agent"));
    let mut text = String::new();
    for number in 0..OBJECTS {
        writeln!(
            text,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: o-{number}}}"
        )
        .unwrap();
    }
    stage.repository.write("shop/objects.yaml", &text);
    let revision = stage.configure(&[("shop", "prune: true")]);
    // The administrator is never refused.
    cluster.kubectl(&["create", "serviceaccount", "agent"]);
    let account = "--serviceaccount=default:agent";
    cluster.kubectl(&[
        "create",
        "clusterrolebinding",
        "agent",
        "--clusterrole=cluster-admin",
        account,
    ]);
    let kubeconfig = cluster.kubeconfig_for_account("default", "agent");
    stage.start_as(stage.invocation().kubeconfig(kubeconfig));
    stage.until_synced("shop", &revision);
    assert_eq!(stage.labelled().len(), OBJECTS);
    stage.assert_consistent();

    let refused = cluster
        .audit()
        .into_iter()
        .filter(|event| event.response.code == 429 && event.object.namespace == stage.namespace);
    let refused = refused
        .filter(|event| event.user_agent.starts_with("gitops-agent/"))
        .count();
    assert!(
        refused > 0,
        "the server was not busy enough to try anything"
    );
    println!("{refused} requests were refused");
    assert!(refused <= REFUSALS, "{refused} requests were refused");
    let log = stage.log();
    assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
    let blocked = stage.entries_on("shop is blocked");
    assert!(
        blocked.is_empty(),
        "a busy server is no refusal: {blocked:#?}"
    );
    let told = stage.entries_on("sync shop");
    assert_eq!(
        told.len(),
        1,
        "{:#?}",
        stage.repository.log(&stage.branch())
    );
}
