//! A revision that can't be used changes nothing: the last good one goes on being
//! enforced, after a restart too, and the fix takes effect at once.

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn settings(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{a: {value}}}\n")
}

/// Waits until the settings have a value.
pub(super) fn until_value(stage: &mut Stage<'_>, value: &str) {
    stage.until(&format!("the value {value}"), |stage| {
        let seen = stage.get("configmap", "settings");
        if seen["data"]["a"] == value {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
}

/// Changes the settings by hand, and expects a value to be enforced.
pub(super) fn expect_enforced(stage: &mut Stage<'_>, value: &str) {
    let patch = r#"{"data":{"a":"by hand"}}"#;
    stage.kubectl(&[
        "patch",
        "configmap",
        "settings",
        "--type=merge",
        "-p",
        patch,
    ]);
    until_value(stage, value);
}

fn restart(stage: &mut Stage<'_>) {
    stage.daemon().kill();
    stage.daemon().restart();
}

/// Breaks a file, and expects the state before it to be enforced until it is mended.
fn the_last_good_one_stays(name: &str, path: &str, broken: &str) {
    let mut stage = Stage::new(name, AGENT);
    let configuration = stage.configuration(&[("shop", "")]);
    let good = settings("one");
    let first = stage.commit(
        "Start",
        &[
            ("agent.yaml", &configuration),
            ("shop/settings.yaml", &good),
        ],
    );
    stage.start();
    stage.until_synced("shop", &first);

    let bad = stage.commit("Break it", &[(path, broken)]);
    let place = format!("{path}:");
    stage.until("the problem to be told", |stage| {
        let status = stage.status().to_string();
        if status.contains(&place) {
            Ok(())
        } else {
            Err(status)
        }
    });
    expect_enforced(&mut stage, "one");

    restart(&mut stage);
    expect_enforced(&mut stage, "one");
    stage.until("what the restart found to be told", |stage| {
        let seen = stage.entries_on("revert drift on ").len();
        if seen == 2 {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
    let told = ["shop failed", "stays at "].map(|words| stage.entries_on(words).len());
    assert_eq!(told.iter().sum::<usize>(), 1, "it is told once: {told:?}");
    assert_named(&stage, &bad, &first);

    let mended = settings("two");
    let fix = stage.commit(
        "Mend it",
        &[
            ("agent.yaml", &configuration),
            ("shop/settings.yaml", &mended),
        ],
    );
    until_value(&mut stage, "two");
    stage.until_synced("shop", &fix);
    expect_enforced(&mut stage, "two");
    let log = stage.log();
    let taken = log
        .lines()
        .filter(|line| line.contains("\"message\":\"revision\""));
    assert!(taken.count() < 6, "a revision is taken in once: {log}");
}

/// Whoever reads the record or the status learns whose commit it is, and what is enforced.
fn assert_named(stage: &Stage<'_>, bad: &str, good: &str) {
    let mut told = stage.entries_on("shop failed");
    told.extend(stage.entries_on("stays at "));
    let told = &told[0];
    assert!(told.author.starts_with("Ada Lovelace <"), "{told:#?}");
    assert!(told.message.contains(bad), "{told:#?}");
    if told.subject.contains("stays at ") {
        assert_eq!(told.trailer("Revision").as_deref(), Some(good), "{told:#?}");
        let ran = stage
            .agent(&["status", "--repo", stage.repository.url()])
            .run();
        let [bad, good] = [bad, good].map(|revision| &revision[..8]);
        for words in [
            format!("{good} stays enforced: commit {bad} by Ada Lovelace (Break it)"),
            ", seen ".to_owned(),
        ] {
            assert!(ran.stdout.contains(&words), "{words}: {ran:?}");
        }
    } else {
        assert_eq!(told.trailer("Revision").as_deref(), Some(bad), "{told:#?}");
    }
}

#[test]
fn where_the_configuration_is_broken() {
    the_last_good_one_stays("bad-config", "agent.yaml", "version: 1\nenvironment: {}\n");
}

#[test]
fn where_a_unit_cannot_be_rendered() {
    the_last_good_one_stays("bad-render", "shop/settings.yaml", "a: [\n");
}

#[test]
fn a_unit_file_that_is_not_read_fails_its_own_unit_alone() {
    let mut stage = Stage::new("stray", AGENT);
    let configuration = stage.configuration(&[("shop", ""), ("web", "")]);
    let files = [
        ("agent.yaml", configuration.as_str()),
        ("shop/settings.yaml", &settings("one")),
        ("web/a.yaml", &settings("one").replace("settings", "a")),
    ];
    let first = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &first);
    stage.until_synced("web", &first);

    let next = stage.commit(
        "Write it where it is not read",
        &[
            ("web/unit.yaml", "drift: report\n"),
            ("web/a.yaml", &settings("two").replace("settings", "a")),
            ("shop/settings.yaml", &settings("two")),
        ],
    );
    let message = stage.until_state("web", "Failed");
    assert!(
        message.contains("agent.yaml:6:") && message.contains("unit.yaml in `web` is not read"),
        "{message}"
    );
    stage.until_synced("shop", &next);
    expect_enforced(&mut stage, "two");
    assert_eq!(stage.get("configmap", "a")["data"]["a"], "one");
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    let ran = stage.agent(&["validate"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stdout.contains("unit.yaml in `web` is not read"),
        "{ran:?}"
    );

    let last = stage.remove(&["web/unit.yaml"]);
    stage.until_synced("web", &last);
    assert_eq!(stage.get("configmap", "a")["data"]["a"], "two");
}
