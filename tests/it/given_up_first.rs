//! A value that one object has to give up before another can have it moves in one commit, in
//! a unit and between units: what was refused too early is tried again in the same pass, or
//! as soon as the other unit is done.

use std::time::Duration;

use serde_json::json;

use super::believed::synced_at;
use crate::support::liar::{Asked, Lie};

fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: NodePort, ports: [{{port: 80, nodePort: {port}}}]}}\n"
    )
}

#[test]
fn a_port_that_moves_on_is_had_at_once() {
    // Of the band that is never handed out by itself.
    let here = |port: u16, names: [&str; 3]| {
        let numbered = (port..).zip(names);
        numbered
            .map(|(port, name)| service(name, port))
            .collect::<Vec<_>>()
            .join("---\n")
    };
    let (names, far) = (["a", "b", "c"], ["far-a", "far-b"]);
    let files = |by: u16| {
        let shop = ("shop/services.yaml", here(30017 + by, names));
        let first = ("first/service.yaml", service(far[0], 30037 + by));
        let second = ("second/service.yaml", service(far[1], 30038 + by));
        [shop, first, second]
    };
    let (mut stage, liar) = synced_at("moved-on", &files(0), &["shop", "first", "second"]);

    // Those that give something up are held up, so that the others are refused first.
    let later = |seconds: u64| Lie::Say {
        status: 429,
        headers: vec![("retry-after", seconds.to_string())],
        body: json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 429,
            "reason": "TooManyRequests", "message": "not yet"})
        .to_string(),
    };
    for (name, seconds) in [("b", 1), ("c", 2), ("far-b", 1)] {
        let end = format!("/services/{name}");
        liar.lie_times(
            1,
            move |asked| asked.method == "PATCH" && asked.path.ends_with(&end),
            later(seconds),
        );
    }
    let begin = stage.cluster.audit_position();
    let files = files(1);
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let revision = stage.commit("Move the ports on", &files);
    for unit in ["shop", "first", "second"] {
        stage.until_synced(unit, &revision);
    }
    let events = stage.cluster.audit_since(begin).into_iter();
    let refused = events
        .filter(|event| event.response.code == 422 && event.object.namespace == stage.namespace);
    let refused: Vec<String> = refused.map(|event| event.object.name).collect();
    println!("{refused:?}");
    for name in ["a", "b", "far-a"] {
        let count = refused.iter().filter(|refused| *refused == name).count();
        assert!((1..=6).contains(&count), "{name}: {refused:?}");
    }
    assert_eq!(stage.diff(&[]).code, Some(0));
}

/// Whether a refused change is of a field that can't be changed is asked of the server by a
/// new object, which is taken as soon as the port is free.
#[test]
fn a_port_that_is_given_up_while_the_server_is_asked_is_no_immutable_field() {
    let file = |first: u16, second: u16| {
        let services = [service("waits", first), service("gives", second)].join("---\n");
        ("shop/services.yaml", services)
    };
    let (mut stage, liar) = synced_at("given-meanwhile", &[file(30050, 30051)], &["shop"]);

    let gives = |asked: &Asked| asked.method == "PATCH" && asked.path.ends_with("/services/gives");
    liar.lie_times(1, gives, Lie::Late(Duration::from_secs(1)));
    let asks = |asked: &Asked| asked.path.contains("/services/gitops-agent-");
    liar.lie_times(1, asks, Lie::Late(Duration::from_secs(3)));
    let (path, text) = file(30051, 30052);
    let told = liar.told();
    let revision = stage.commit("Move the ports on", &[(path, &text)]);
    stage.until_synced("shop", &revision);
    assert_eq!(liar.told() - told, 2);
    assert_eq!(stage.diff(&[]).code, Some(0));
}
