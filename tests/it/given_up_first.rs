//! A value that one object has to give up before another can have it moves in one commit, in
//! a unit and between units: what was refused too early is tried again in the same pass, or
//! as soon as the other unit is done.

use serde_json::json;

use super::believed::synced_at;
use crate::support::liar::Lie;

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
