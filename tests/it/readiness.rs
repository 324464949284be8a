//! `/readyz` says yes only when the environment is known: before that, what it waits for.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

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
        let waits = "the environments are being opened\n";
        if page.contains(" 503 ") && page.ends_with(waits) && !page.contains("repository") {
            Ok(())
        } else {
            Err(format!("{page}\n{}", stage.log()))
        }
    });
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn readyz(address: &str) -> Result<String, String> {
    let answer = TcpStream::connect(address).and_then(|mut stream| {
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    answer.map_err(|error| error.to_string())
}
