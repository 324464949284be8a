//! The record tells who did what, when and why, in Git's own terms, and no secret.

use crate::support::git::git;
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn each_thing_that_happened_is_a_commit_by_whom_it_was() {
    let mut stage = Stage::new("entries", AGENT);
    let (environment, namespace) = (stage.environment.clone(), stage.namespace.clone());
    let first = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            ("shop/a.yaml", &config_map("a", "one")),
            ("shop/b.yaml", &config_map("b", "one")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &first);
    let path = |name: &str| format!("shop/{namespace}/ConfigMap/{name}.yaml");
    let second = stage.repository.commit_as(
        "Grace Hopper <grace@example.com>",
        "Change a",
        &[("shop/a.yaml", &config_map("a", "two"))],
    );
    stage.until_synced("shop", &second);
    stage.kubectl(&[
        "patch",
        "configmap",
        "a",
        "--type=merge",
        "--field-manager=mallory",
        "-p",
        r#"{"data":{"a":"three"}}"#,
    ]);
    stage.until_entry("revert drift on ");
    let third = stage.remove(&["shop/b.yaml"]);
    stage.until_synced("shop", &third);
    let last = stage.commit("Nothing for us", &[("README.md", "hello")]);
    stage.until_looked_at(&last);

    let short = |revision: &str| revision[..8].to_owned();
    let entries = stage.entries();
    let told: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| (entry.subject.as_str(), entry.author.as_str()))
        .collect();
    let (ada, agent) = ("Ada Lovelace <ada@example.com>", told[3].1);
    let expected = [
        (
            format!("{environment}: sync shop to {}: 2 created", short(&first)),
            ada,
        ),
        (
            format!(
                "{environment}: sync shop to {}: change ConfigMap {namespace}/a",
                short(&second)
            ),
            "Grace Hopper <grace@example.com>",
        ),
        (
            format!("{environment}: mallory changed ConfigMap {namespace}/a"),
            "mallory <mallory@field-manager>",
        ),
        (
            format!("{environment}: revert drift on ConfigMap {namespace}/a"),
            agent,
        ),
        (
            format!(
                "{environment}: sync shop to {}: prune ConfigMap {namespace}/b",
                short(&third)
            ),
            ada,
        ),
        (
            format!("{environment}: at {}, nothing to change", short(&last)),
            ada,
        ),
    ];
    let expected: Vec<(&str, &str)> = expected
        .iter()
        .map(|(subject, author)| (subject.as_str(), *author))
        .collect();
    assert_eq!(told, expected);
    assert!(agent.starts_with("gitops-agent <"), "{agent}");

    // Git's own tools read the trailers.
    let causes: Vec<_> = entries
        .iter()
        .map(|entry| entry.trailer("Cause").unwrap())
        .collect();
    assert_eq!(
        causes,
        [
            "revision", "revision", "drift", "drift", "revision", "revision"
        ]
    );
    let events: Vec<_> = entries
        .iter()
        .map(|entry| entry.trailer("Event").unwrap())
        .collect();
    assert_eq!(
        events,
        ["sync", "sync", "drift", "revert", "prune", "nothing"]
    );
    let revisions: Vec<_> = entries
        .iter()
        .map(|entry| entry.trailer("Revision").unwrap())
        .collect();
    assert_eq!(
        revisions,
        [first, second.clone(), second.clone(), second, third, last]
    );
    for entry in &entries {
        assert_eq!(entry.trailer("Environment").as_ref(), Some(&environment));
        let whole = entry.trailers().len();
        assert_eq!(
            whole,
            entry
                .message
                .trim_end()
                .rsplit("\n\n")
                .next()
                .unwrap()
                .lines()
                .count(),
            "{}",
            entry.message
        );
    }
    for entry in &entries[..5] {
        assert_eq!(entry.trailer("Unit").as_deref(), Some("shop"));
        assert!(
            entry.trailer("Plan").unwrap().starts_with("sha256:"),
            "{}",
            entry.message
        );
    }
    assert_eq!(entries[2].trailer("Actor").as_deref(), Some("mallory"));
    assert_eq!(entries[3].trailer("Actor").as_deref(), Some("mallory"));
    assert!(
        entries[2]
            .message
            .contains(r#"data.a: "two" -> "three", set by mallory (Update) at 20"#),
        "{}",
        entries[2].message
    );
    assert!(
        entries[3]
            .message
            .contains(r#"data.a: "three" (set by mallory (Update) at 20"#),
        "{}",
        entries[3].message
    );

    // Each changes what it says, so that `git log -- <object>` is the object's story.
    let about = |name: &str| -> Vec<String> {
        let path = path(name);
        let log = git(
            &stage.repository.remote(),
            &["log", "--format=%s", &stage.branch(), "--", &path],
        );
        log.lines()
            .map(|line| {
                line.trim_start_matches(&format!("{environment}: "))
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(about("a").len(), 4, "{:?}", about("a"));
    assert_eq!(about("b").len(), 2, "{:?}", about("b"));
    let history = git(
        &stage.repository.remote(),
        &[
            "log",
            "-p",
            "--format=%s",
            &stage.branch(),
            "--",
            &path("a"),
        ],
    );
    for line in ["-  a: two\n+  a: three", "-  a: three\n+  a: two"] {
        assert!(history.contains(line), "{history}");
    }
    assert!(stage.recorded(&path("b")).is_none());
    assert_eq!(stage.recorded_files(), [path("a")]);
    assert!(stage.recorded("README.md").unwrap().contains(&environment));
}

#[test]
fn status_yaml_says_how_everything_stands() {
    let mut stage = Stage::new("stands", AGENT);
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("idle", "suspend: true"), ("shop", "")]),
            ),
            ("shop/a.yaml", &config_map("a", "one")),
            ("idle/a.yaml", &config_map("idle", "one")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_state("idle", "Suspended");
    let status = stage.status();
    assert_eq!(status["environment"], *stage.environment);
    assert_eq!(status["revision"], *revision);
    assert!(status["error"].is_null());
    let shop = &status["units"]["shop"];
    assert_eq!(
        (
            shop["state"].as_str(),
            shop["health"].as_str(),
            shop["objects"].as_u64()
        ),
        (Some("Synced"), Some("Current"), Some(1))
    );
    let since = shop["since"].clone();
    assert!(since.as_str().unwrap().parse::<jiff::Timestamp>().unwrap() <= jiff::Timestamp::now());
    assert!(stage.get("configmap", "idle").is_null());

    // What is wrong with the environment as a whole is told, and the units keep their state.
    let broken = stage.commit(
        "Break it",
        &[("agent.yaml", "version: 1\nenvironmnets: {}\n")],
    );
    let error = stage.until("the error", |stage| {
        let seen = stage.status();
        seen["error"]
            .as_str()
            .map(str::to_owned)
            .ok_or(seen.to_string())
    });
    assert!(error.contains("agent.yaml:2:1"), "{error}");
    assert!(error.contains(&broken[..8]), "{error}");
    let status = stage.status();
    assert_eq!(
        (
            status["units"]["shop"]["state"].as_str(),
            &status["units"]["shop"]["since"]
        ),
        (Some("Synced"), &since)
    );
    let ran = stage.agent(&["status"]).run();
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("agent.yaml:2:1"), "{}", ran.stdout);

    stage.configure(&[("shop", "")]);
    stage.until("the error to go", |stage| {
        let seen = stage.status();
        let fine = seen["error"].is_null() && seen["units"]["idle"].is_null();
        if fine { Ok(()) } else { Err(seen.to_string()) }
    });
    assert_eq!(stage.agent(&["status"]).run().code, Some(0));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn values_of_secrets_appear_nowhere() {
    let mut stage = Stage::new("secrets", AGENT);
    let namespace = stage.namespace.clone();
    // Each as it is, and as `data` has it.
    let values = ["first-hush", "second-hush", "third-hush", "fourth-hush"];
    let encoded = [
        "Zmlyc3QtaHVzaA==",
        "c2Vjb25kLWh1c2g=",
        "dGhpcmQtaHVzaA==",
        "Zm91cnRoLWh1c2g=",
    ];
    let secret = |value: &str, data: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: {value}}}\ndata: {{key: {data}}}\n"
        )
    };
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", "allowPlainSecrets: true")]),
            ),
            ("shop/s.yaml", &secret(values[0], encoded[1])),
        ],
    );
    stage.start_as(stage.invocation().env("RUST_LOG", "debug"));
    stage.until_synced("shop", &revision);
    let path = format!("shop/{namespace}/Secret/s.yaml");
    let before = stage.recorded(&path).unwrap();

    // A change by commit, one by somebody, one that the server refuses, and plans of them.
    let mut printed = String::new();
    let mut run = |stage: &Stage, arguments: &[&str]| {
        let ran = stage.agent(arguments).run();
        printed += &ran.stdout;
        printed += &ran.stderr;
        ran
    };
    stage
        .repository
        .write("shop/s.yaml", &secret(values[2], encoded[1]));
    let ran = run(&stage, &["diff"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stdout.contains("password: hmac:"), "{}", ran.stdout);
    run(&stage, &["diff", "-o", "json"]);
    let ran = run(&stage, &["render"]);
    assert!(ran.stdout.contains("kind: Secret"), "{}", ran.stdout);
    run(&stage, &["render", "-o", "json"]);
    let revision = stage.commit("Change it", &[]);
    stage.until_synced("shop", &revision);
    let after = stage.recorded(&path).unwrap();
    assert_ne!(before, after, "that it changed is seen");
    assert!(after.contains("hmac:"), "{after}");

    let drift = format!(r#"{{"data":{{"password":"{}"}}}}"#, encoded[3]);
    stage.kubectl(&["patch", "secret", "s", "--type=merge", "-p", &drift]);
    let entry = stage.until_entry("revert drift on Secret ");
    assert!(
        entry.message.contains("hmac:") || entry.message.contains("password"),
        "{}",
        entry.message
    );
    assert_eq!(stage.get("secret", "s")["data"]["password"], encoded[2]);

    stage.commit(
        "Break it",
        &[(
            "shop/s.yaml",
            &secret(values[2], encoded[1]).replace("key:", "'not a key':"),
        )],
    );
    stage.until_state("shop", "Blocked");
    run(&stage, &["diff"]);
    run(&stage, &["status"]);
    run(&stage, &["status", "-o", "json"]);
    stage.commit(
        "Not base64",
        &[("shop/s.yaml", &secret(values[2], "'%fourth-hush%'"))],
    );
    let message = stage.until("another error", |stage| {
        let message = stage.unit("shop")["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if message.contains("not a key") {
            Err(message)
        } else {
            Ok(message)
        }
    });
    assert!(!message.contains("fourth-hush"), "{message}");
    run(&stage, &["diff"]);
    run(&stage, &["validate"]);

    let objects = git(
        &stage.repository.remote(),
        &[
            "rev-list",
            "--objects",
            "--no-object-names",
            &stage.branch(),
        ],
    );
    let mut recorded = String::new();
    for object in objects.lines() {
        recorded += &git(&stage.repository.remote(), &["cat-file", "-p", object]);
    }
    assert!(recorded.contains("kind: Secret"));
    let log = stage.log();
    assert!(log.contains("revert drift"), "{log}");
    for value in values.into_iter().chain(encoded) {
        assert!(!recorded.contains(value), "{value} is in the record");
        assert!(!log.contains(value), "{value} is in the log");
        assert!(!printed.contains(value), "{value} is printed");
    }
    // Nor in the copy on disk.
    let data = stage.daemon().home().join("data/record");
    for directory in std::fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let all = [
            "cat-file",
            "--batch-all-objects",
            "--batch-check=%(objecttype) %(objectname)",
        ];
        let texts = git(&directory, &all);
        let texts = texts.lines().filter(|line| !line.starts_with("tree "));
        let texts = texts.filter_map(|line| line.split(' ').nth(1));
        let objects: String = texts
            .map(|object| git(&directory, &["cat-file", "-p", object]))
            .collect();
        for value in values.into_iter().chain(encoded) {
            assert!(!objects.contains(value), "{value} is on disk");
        }
    }
}
