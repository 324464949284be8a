//! What people are shown is what is there: what they would not see is written out wherever
//! text of others leaves the agent, and a line is never endless. The values themselves are
//! applied as they are.

use serde_json::{Value, json};

use crate::support::agent::Ran;
use crate::support::git::git;
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// Turned around, without a width, a tag, a soft hyphen, a control of a terminal.
const ODD: &str = "user\u{202e}nimda\u{200b}\u{e0041}\u{ad}\u{9b}31m";

/// Whether a text holds something that nobody sees.
fn hides(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
        || c.is_control() && c != '\n' && c != '\t'
}

#[track_caller]
fn assert_seen(what: &str, text: &str) {
    let hidden = text.lines().find(|line| line.contains(hides));
    assert_eq!(
        hidden.map(str::escape_unicode).map(|it| it.to_string()),
        None,
        "{what}"
    );
    let longest = text.lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 20_000, "{what} has a line of {longest} bytes");
}

#[track_caller]
fn assert_all_seen(what: &str, ran: &Ran) {
    assert_seen(what, &ran.stdout);
    assert_seen(what, &ran.stderr);
}

fn config_map(name: &str, value: &str, more: &Value) -> String {
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "annotations": {"example.com/note": value}},
        "data": {"role": value, "names": "Grüße, שלום"},
    });
    if let (Some(data), Some(more)) = (object["data"].as_object_mut(), more.as_object()) {
        data.extend(more.clone());
    }
    // YAML takes this one only so.
    object.to_string().replace('\u{9b}', "\\u009b")
}

#[test]
fn what_nobody_sees_is_written_out_everywhere_and_applied_as_it_is() {
    let mut stage = Stage::new("shown", AGENT);
    let file = format!("shop/{ODD}.yaml");
    let long = "x".repeat(1 << 19);
    let files = [
        (
            "agent.yaml",
            stage.configuration(&[("shop", "drift: report")]),
        ),
        (&file, config_map("a", ODD, &json!({ "long": long }))),
        (
            "shop/refused.yaml",
            config_map("b", "b", &json!({ ODD: "c" })),
        ),
    ];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let author = format!("Mallory {ODD} <{ODD}@example.com>");
    let message = format!("Look {ODD} {}\n\n{ODD}", "s".repeat(1 << 20));
    let work = stage.repository.work();
    stage.repository.write("message", &message);
    for (path, text) in files {
        stage.repository.write(path, text);
    }
    git(&work, &["add", "agent.yaml", "shop"]);
    let author = format!("--author={author}");
    git(&work, &["commit", "--quiet", &author, "-F", "message"]);
    stage.repository.push();
    for arguments in [&[][..], &["-o", "json"]] {
        let ran = stage.diff(arguments);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        if arguments.is_empty() {
            assert_all_seen("agent diff", &ran);
            assert!(ran.stdout.contains("user\\u202enimda"), "{}", ran.stdout);
            assert!(ran.stdout.contains("Grüße, שלום"), "{}", ran.stdout);
        }
        assert_eq!(ran.stdout.find(hides), None);
    }

    stage.start();
    stage.until_state("shop", "Blocked");
    assert_eq!(stage.get("configmap", "a")["data"]["role"], ODD);
    let recorded = stage.recorded(&format!("shop/{}/ConfigMap/a.yaml", stage.namespace));
    let recorded = recorded.expect("it is recorded");
    assert_eq!(recorded.find(hides), None);
    let recorded: Value = serde_yaml::from_str(&recorded).unwrap();
    assert_eq!(recorded["data"]["role"], ODD);

    // kubectl sends JSON raw where YAML is read, so that this one is refused.
    let odd = format!("changed {}", ODD.replace('\u{9b}', ""));
    stage.kubectl_apply(&config_map("a", &odd, &json!({})), "mallory");
    stage.until_entry("mallory changed ConfigMap");
    let diff = stage.diff(&[]);
    assert_all_seen("agent diff", &diff);
    let said = format!("{}{}", diff.stdout, stage.log());
    assert!(said.contains("user\\u{202e}nimda"), "{said}");
    assert_seen("the log", &stage.log());
    let words = ["log", "--format=fuller", "--notes=agent/*", &stage.branch()];
    assert_seen("the record", &git(&stage.repository.remote(), &words));
    for command in ["status", "history", "report"] {
        assert_all_seen(command, &stage.agent(&[command]).run());
    }
    let object = format!("ConfigMap/{}/a", stage.namespace);
    for arguments in [["why", &object], ["history", &object]] {
        let ran = stage.agent(&arguments).run();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_all_seen(arguments[0], &ran);
    }
}
