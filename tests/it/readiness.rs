//! `/readyz` says yes only when the environment is known: before that, what it waits for.

use std::fs;
use std::time::Duration;

use crate::believed::synced_as;
use crate::support::control_plane::ControlPlane;
use crate::support::liar::{Liar, Lie};
use crate::support::ports::{free_address, readyz};
use crate::support::stage::Stage;
use crate::support::wait::wait_seeing;

const PATIENCE: Duration = Duration::from_mins(1);
/// Nobody listens there.
const AWAY: &str = "apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
contexts: [{name: c, context: {cluster: c}}]
current-context: c
";

#[test]
fn a_cluster_that_is_away_is_waited_for() {
    let mut stage = Stage::new("ready", env!("CARGO_BIN_EXE_agent"));
    stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            (
                "shop/a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
            ),
        ],
    );
    let address = free_address();
    let agent = stage.invocation().args(["--admin-addr", &address]);
    let kubeconfig = agent.home().join("away");
    fs::write(&kubeconfig, AWAY).unwrap();
    stage.start_as(agent.kubeconfig(&kubeconfig));

    wait_seeing("the repository to be read", PATIENCE, || {
        let page = readyz(&address)?;
        let waits = "not ready: the cluster cannot be used yet: the API server is not available: Connection refused";
        if page.contains(" 503 ") && page.contains(waits) && !page.contains("repository") {
            Ok(())
        } else {
            Err(format!("{page}\n{}", stage.log()))
        }
    });
    assert!(stage.daemon().terminate(PATIENCE).success());
}

#[test]
fn what_answers_as_no_api_server_does_is_told_as_such() {
    let liar = Liar::before(ControlPlane::shared());
    let mut stage = Stage::new("unlike", env!("CARGO_BIN_EXE_agent"));
    let shop = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let files = [
        ("agent.yaml", &*stage.configuration(&[("shop", "")])),
        ("shop/a.yaml", shop),
    ];
    let revision = stage.commit("Start", &files);
    let page = |status| Lie::Say {
        status,
        headers: vec![("content-type", "text/html".to_owned())],
        body: "<html><body>nobody is here</body></html>".to_owned(),
    };
    let address = free_address();
    let agent = stage.invocation().args(["--admin-addr", &address]);
    liar.lie(|_| true, page(404));
    stage.start_as(agent.kubeconfig(liar.kubeconfig()));
    let server = liar.address();
    let check = "check its address and path in the kubeconfig";
    for (status, told) in [
        (
            404,
            format!(
                "not ready: the cluster cannot be used yet: http://{server} answered 404 Not Found, and not as an API server does; {check}"
            ),
        ),
        (
            502,
            format!(
                "not available: http://{server} answered 502 Bad Gateway, and not as an API server does"
            ),
        ),
        (
            200,
            format!(
                "not available: http://{server} answered, but not as an API server does; {check}"
            ),
        ),
    ] {
        liar.be_true();
        liar.lie(|_| true, page(status));
        wait_seeing("the page to say it", PATIENCE, || {
            let page = readyz(&address)?;
            if page.contains(" 503 ") && page.contains(&told) {
                Ok(())
            } else {
                Err(format!("{page}\n{}", stage.log()))
            }
        });
    }
    liar.be_true();
    stage.until_synced("shop", &revision);
}

#[test]
fn an_environment_that_the_repository_lacks_is_not_ready_and_told() {
    let mut stage = Stage::new("lacking", env!("CARGO_BIN_EXE_agent"));
    let text = stage.configuration(&[("shop", "")]);
    let other = text.replace(&stage.environment, "another");
    let shop = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    stage.commit("Start", &[("agent.yaml", &other), ("shop/a.yaml", shop)]);
    let address = free_address();
    stage.start_as(stage.invocation().args(["--admin-addr", &address]));
    wait_seeing("the page to say what is missing", PATIENCE, || {
        let page = readyz(&address)?;
        let named = page.contains("another") && page.contains("agent.yaml");
        if page.contains(" 503 ") && named {
            Ok(())
        } else {
            Err(format!("{page}\n{}", stage.log()))
        }
    });

    let revision = stage.commit("Have it", &[("agent.yaml", &text)]);
    stage.until_synced("shop", &revision);
    let ready = |page: &str| page.contains(" 200 ");
    wait_seeing("it to be ready", PATIENCE, || {
        let page = readyz(&address)?;
        if ready(&page) { Ok(()) } else { Err(page) }
    });
}

/// Whatever is answered for the Lease, the agent goes on once that is over.
#[test]
fn a_lease_that_is_answered_oddly_ends_no_agent() {
    let (mut stage, liar) = synced_as("odd-lease", 1, &["--lease-duration", "6s"]);
    let say = |status, body: &str| Lie::Say {
        status,
        headers: vec![("content-type", "application/json".to_owned())],
        body: body.to_owned(),
    };
    let lies = [
        say(503, "{}"),
        say(429, "{}"),
        say(404, r#"{"message": "not here"}"#),
        Lie::status(403, "Forbidden", "not yet"),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let (told, lost) = (liar.told(), times_lost(&stage));
        liar.lie(|asked| asked.path.contains("/leases"), lie);
        wait_seeing("the Lease to be lost, and asked for", PATIENCE, || {
            let asked = liar.told() - told;
            let seen = (times_lost(&stage), asked);
            if seen.0 > lost && asked > 8 {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        });
        liar.be_true();
        let object = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: next}}\ndata: {{a: v{number}}}\n"
        );
        let revision = stage.commit("Next", &[("shop/next.yaml", &object)]);
        stage.until_synced("shop", &revision);
    }
}

/// How often the log says that the Lease was lost.
fn times_lost(stage: &Stage<'_>) -> usize {
    stage.log().matches("is given up").count() + stage.log().matches("the lease is lost").count()
}
