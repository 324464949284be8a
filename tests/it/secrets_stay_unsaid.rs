//! The API server quotes what it does not like of a Secret: the place of it is told, and
//! none of its words that may hold a value, however short.

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

#[test]
fn a_refused_secret_is_told_by_its_place_alone() {
    let mut stage = Stage::new("unsaid", AGENT);
    let configuration = stage.configuration(&[("shop", "allowPlainSecrets: true")]);
    // One letter of it would be quoted.
    let docker = "apiVersion: v1\nkind: Secret\nmetadata: {name: docker}\n\
                  type: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: zebra}\n";
    let short = "apiVersion: v1\nkind: Secret\nmetadata: {name: short}\ntype: Opaque\nstringData: {pin: id}\n";
    let files = [
        ("agent.yaml", configuration.as_str()),
        ("shop/docker.yaml", docker),
        ("shop/short.yaml", short),
    ];
    stage.commit("Start", &files);
    stage.start();
    stage.until("docker to be refused", |stage| {
        let message = stage.unit("shop")["message"].to_string();
        let told = message.contains("data[.dockerconfigjson]: Invalid value");
        if told { Ok(()) } else { Err(message) }
    });
    assert!(!stage.get("secret", "short").is_null());
    // Its type can't be changed, which the server says with `Invalid` and `Opaque` in it.
    let other = short.replace("Opaque", "example.com/other");
    stage.commit("Change the type", &[("shop/short.yaml", &other)]);
    stage.until("short to be refused", |stage| {
        let message = stage.unit("shop")["message"].to_string();
        let told = message.contains("type: Invalid value");
        if told { Ok(()) } else { Err(message) }
    });
    let said = format!(
        "{}{}",
        stage.log(),
        stage.repository.log_as(&stage.branch(), "%B").join("\n")
    );
    for quoted in ["[redacted]", "'z'", "zebra", "invalid character"] {
        assert!(!said.contains(quoted), "{quoted}: {said}");
    }
    let refused = stage.unit("shop")["message"].to_string();
    assert!(!refused.contains("invalid character"), "{refused}");
}
