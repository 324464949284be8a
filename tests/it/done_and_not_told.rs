//! What an agent did and ended before it wrote that down is in the record all the same, by
//! whom it was.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::believed::synced_at;
use crate::support::git::git;
use crate::support::liar::{Asked, Lie};
use crate::support::stage::{Entry, PATIENCE, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const GRACE: &str = "Grace Hopper <grace@example.com>";

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
}

/// A synced unit of two objects.
fn two(name: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    for name in ["a", "b"] {
        let path = format!("shop/{name}.yaml");
        stage.repository.write(&path, &config_map(name, "one"));
    }
    let revision = stage.configure(&[("shop", "")]);
    stage.start();
    stage.until_synced("shop", &revision);
    stage
}

/// Ends the agent, and takes from the record what it was told since `tip`: how it is where
/// the agent was killed just before it wrote.
fn forget_since(stage: &mut Stage<'_>, tip: &str) {
    stage.daemon().terminate(Duration::from_secs(20));
    let branch = format!("refs/heads/{}", stage.branch());
    git(&stage.repository.remote(), &["update-ref", &branch, tip]);
}

fn is_write(asked: &Asked) -> bool {
    let writes = ["PATCH", "DELETE"].contains(&&*asked.method);
    writes && asked.path.contains("/configmaps/")
}

fn patch_as(stage: &Stage<'_>, who: &str, value: &str) {
    let patch = format!(r#"{{"data":{{"a":"{value}"}}}}"#);
    let by = format!("--field-manager={who}");
    stage.kubectl(&["patch", "configmap", "a", "--type=merge", &by, "-p", &patch]);
}

fn objects_of(entry: &Entry) -> Vec<&str> {
    let files = entry.paths.iter().map(String::as_str);
    files
        .filter(|path| path.matches('/').count() == 3)
        .collect()
}

#[test]
fn a_sync_is_told_by_the_next_start_as_the_commits_authors() {
    let mut stage = Stage::new("untold", AGENT);
    let a = ("shop/a.yaml", config_map("a", "one"));
    let b = ("shop/b.yaml", config_map("b", "one"));
    let c = ("shop/c.yaml", config_map("c", "one"));
    for (path, text) in [&a, &b, &c] {
        stage.repository.write(path, text);
    }
    let first = stage.configure(&[("shop", "")]);
    stage.start();
    stage.until_synced("shop", &first);
    let told = stage.entries().len();
    let tip = stage.entries().remove(told - 1).hash;

    stage.repository.remove("shop/b.yaml");
    let both = stage.configuration(&[("shop", ""), ("late", "")]);
    let second = stage.repository.commit_as(
        GRACE,
        "Change much",
        &[
            ("agent.yaml", &both),
            ("shop/a.yaml", &config_map("a", "two")),
            ("shop/d.yaml", &config_map("d", "one")),
            ("late/e.yaml", &config_map("e", "one")),
        ],
    );
    stage.until_synced("shop", &second);
    stage.until_synced("late", &second);
    forget_since(&mut stage, &tip);
    let begin = stage.cluster.audit_position();
    stage.start();
    stage.until_synced("shop", &second);
    stage.until_synced("late", &second);
    assert_eq!(stage.count_writes(&stage.namespace, begin), 0);

    let entries = stage.entries().split_off(told);
    let (name, short) = (&stage.environment, &second[..8]);
    let of = |unit: &str| {
        let unit = Some(unit.to_owned());
        let mut own = entries.iter().filter(|entry| entry.trailer("Unit") == unit);
        (own.next().expect("it is told"), own.count())
    };
    let (shop, more) = of("shop");
    let expected = format!("{name}: found shop synced to {short}: 1 created, 1 changed, 1 pruned");
    assert_eq!(shop.subject, expected, "{entries:#?}");
    // Git takes what was pruned and what was created for one file that was renamed.
    assert_eq!((more, objects_of(shop).len()), (0, 2), "{entries:#?}");
    assert!(
        shop.message.contains(&format!("prune ConfigMap {name}/b")),
        "{}",
        shop.message
    );
    let (late, more) = of("late");
    let expected = format!("{name}: found late synced to {short}: 1 created");
    assert_eq!(late.subject, expected, "{entries:#?}");
    assert_eq!((more, objects_of(late).len()), (0, 1), "{entries:#?}");
    for entry in [shop, late] {
        assert_eq!(entry.author, GRACE);
        assert_eq!(entry.trailer("Event").as_deref(), Some("sync"));
        assert_eq!(entry.trailer("Revision"), Some(second.clone()));
    }
    stage.assert_consistent();
}

/// Half of it done and untold, the other half by the next start: each entry has what it tells.
#[test]
fn half_a_sync_is_told_beside_the_other_half() {
    let mut stage = Stage::new("half", AGENT);
    let zero = config_map("zero", "one");
    stage.repository.write("shop/zero.yaml", &zero);
    let first = stage.configure(&[("shop", "")]);
    stage.start();
    stage.until_synced("shop", &first);
    let tip = stage.until_entry("sync shop").hash;
    let second = stage.commit("One", &[("shop/a.yaml", &config_map("a", "one"))]);
    stage.until_synced("shop", &second);
    forget_since(&mut stage, &tip);
    let third = stage.repository.commit_as(
        GRACE,
        "Another",
        &[("shop/b.yaml", &config_map("b", "one"))],
    );
    stage.start();
    stage.until_synced("shop", &third);

    let found = stage.until_entry("found shop synced");
    let synced = stage.until_entry("sync shop");
    let name = &stage.environment;
    assert_eq!(
        objects_of(&found),
        [format!("shop/{name}/ConfigMap/a.yaml")]
    );
    assert_eq!(
        objects_of(&synced),
        [format!("shop/{name}/ConfigMap/b.yaml")]
    );
    assert_eq!(synced.author, GRACE);
    stage.assert_consistent();
}

/// A revert that is not told is no deployment.
#[test]
fn what_no_revision_did_is_told_as_found_and_by_its_name() {
    let mut stage = Stage::new("found", AGENT);
    stage
        .repository
        .write("shop/a.yaml", &config_map("a", "one"));
    let first = stage.configure(&[("shop", "")]);
    stage.start();
    stage.until_synced("shop", &first);
    let patch = r#"{"data":{"a":"three"}}"#;
    stage.kubectl(&["patch", "configmap", "a", "--type=merge", "-p", patch]);
    let drift = stage.until_entry("kubectl-patch changed");
    stage.until_entry("revert drift");
    forget_since(&mut stage, &drift.hash);
    stage.start();

    let found = stage.until_entry("revert drift");
    let name = &stage.environment;
    assert_eq!(
        objects_of(&found),
        [format!("shop/{name}/ConfigMap/a.yaml")]
    );
    assert!(
        found
            .message
            .contains(&format!("change ConfigMap {name}/a")),
        "{}",
        found.message
    );
    assert!(
        found.message.contains("Done by an agent before this one"),
        "{}",
        found.message
    );
    assert_eq!(found.trailer("Event").as_deref(), Some("revert"));
    assert!(found.author.starts_with("gitops-agent"), "{}", found.author);
    stage.assert_consistent();
}

/// Drift is on the disk before it is put back: whenever the agent is killed, neither is lost,
/// and neither is told twice.
#[test]
fn drift_is_written_down_before_it_is_put_back() {
    for (name, reaches) in [("revert-sent", true), ("revert-unsent", false)] {
        let files = [("shop/a.yaml", config_map("a", "one"))];
        let (mut stage, liar) = synced_at(name, &files, &["shop"]);
        let since = stage.entries().len();
        let before = liar.told();
        liar.lie(is_write, Lie::Silence);
        patch_as(&stage, "alice", "three");
        stage.until("it to be on its way back", |_| {
            let told = liar.told() - before;
            (told > 0).then_some(()).ok_or_else(|| told.to_string())
        });
        stage.daemon().kill();
        liar.be_true();
        if reaches {
            // The agent's own request, which it did not live to see answered.
            let labels = stage.get("configmap", "a")["metadata"]["labels"].clone();
            let labelled = format!("name: a, labels: {labels}");
            let text = config_map("a", "one").replace("name: a", &labelled);
            stage.kubectl_apply(&text, "gitops-agent");
        }
        stage.daemon().restart();
        stage.until_entry("revert drift on ConfigMap");
        stage.until_state("shop", "Synced");
        assert_eq!(stage.get("configmap", "a")["data"]["a"], "one");
        let told = stage.entries().split_off(since);
        let [drift, revert] = &told[..] else {
            panic!("{told:#?}");
        };
        assert_eq!(drift.trailer("Actor").as_deref(), Some("alice"));
        assert_eq!(revert.trailer("Event").as_deref(), Some("revert"));
        let by_another = revert.message.contains("Done by an agent before this one");
        assert_eq!(by_another, reaches, "{}", revert.message);
        for entry in [drift, revert] {
            assert_eq!(objects_of(entry).len(), 1, "{told:#?}");
        }
        stage.assert_consistent();
    }
}

/// Where somebody takes back what was told of them while no agent ran, no agent did it.
#[test]
fn what_somebody_took_back_is_not_told_as_the_agents_revert() {
    let files = [("shop/a.yaml", config_map("a", "one"))];
    let (mut stage, liar) = synced_at("taken-back", &files, &["shop"]);
    liar.lie(is_write, Lie::Silence);
    patch_as(&stage, "alice", "three");
    stage.until_entry("alice changed ConfigMap");
    stage.daemon().kill();
    patch_as(&stage, "alice", "one");
    liar.be_true();
    stage.daemon().restart();
    let found = stage.until_entry("record shop as it is live");
    assert_eq!(objects_of(&found).len(), 1);
    let reverts = stage.entries_on("revert drift");
    assert!(reverts.is_empty(), "{reverts:#?}");
    stage.assert_consistent();
}

/// A write that was done, and whose answer was lost, is told as what it was: by the author of
/// the commit, or as the revert that it is.
#[test]
fn what_was_done_and_answered_as_failed_is_told_as_done() {
    let files = [
        ("shop/a.yaml", config_map("a", "one")),
        ("shop/b.yaml", config_map("b", "one")),
    ];
    let (mut stage, liar) = synced_at("answer-lost", &files, &["shop"]);
    let since = stage.entries().len();
    liar.lie_times(3, is_write, Lie::Cut(10));
    stage.repository.remove("shop/b.yaml");
    let revision = stage.repository.commit_as(
        GRACE,
        "Change one, add one and take one away",
        &[
            ("shop/a.yaml", &config_map("a", "two")),
            ("shop/c.yaml", &config_map("c", "one")),
        ],
    );
    stage.until_synced("shop", &revision);
    let mut told = stage.entries().split_off(since);
    // It may have taken so long that it is told to wait.
    told.retain(|entry| entry.trailer("Event").as_deref() != Some("waits"));
    let subject = format!(
        "{}: sync shop to {}: 1 created, 1 changed, 1 pruned",
        stage.environment,
        &revision[..8]
    );
    assert_eq!(told[0].subject, subject, "{told:#?}");
    assert_eq!((told.len(), &*told[0].author), (1, GRACE), "{told:#?}");

    liar.lie_times(1, is_write, Lie::Cut(10));
    patch_as(&stage, "alice", "three");
    stage.until_entry("alice changed");
    let revert = stage.until_entry("revert drift on ConfigMap");
    assert_eq!(objects_of(&revert).len(), 1);
    assert_eq!(revert.trailer("Actor").as_deref(), Some("alice"));
    let found = stage.entries_on("record shop as it is live");
    assert!(found.is_empty(), "{found:#?}");
    stage.assert_consistent();
}

/// Puts the record back to a commit, here and where the agent keeps its own, as if the agent
/// had been killed just before it wrote what came after that.
fn untell_since(stage: &mut Stage<'_>, tip: &str) {
    stage.daemon().terminate(Duration::from_secs(20));
    let own = stage.daemon().home().join("data/record");
    let own = fs::read_dir(own).unwrap().flatten().map(|it| it.path());
    let own = own.filter(|path| path.join("HEAD").exists());
    let theirs = format!("refs/remotes/origin/{}", stage.branch());
    let ours = format!("refs/heads/{}", stage.branch());
    for repository in own.chain([stage.repository.remote()]) {
        git(&repository, &["update-ref", &ours, tip]);
        let has_theirs = repository.join(&theirs).exists();
        if has_theirs {
            git(&repository, &["update-ref", &theirs, tip]);
        }
    }
}

/// What one commit made of objects, and a newer one makes something else by now, is told as
/// the first one's.
#[test]
fn what_a_newer_commit_changes_again_is_told_as_well() {
    for kept in [true, false] {
        let mut stage = two("superseded");
        let tip = stage.until_entry("sync shop").hash;
        let second = stage.repository.commit_as(
            GRACE,
            "Change both, and add one",
            &[
                ("shop/a.yaml", &config_map("a", "two")),
                ("shop/b.yaml", &config_map("b", "two")),
                ("shop/c.yaml", &config_map("c", "two")),
            ],
        );
        stage.until_synced("shop", &second);
        untell_since(&mut stage, &tip);
        if !kept {
            fs::remove_dir_all(stage.daemon().home().join("data")).unwrap();
        }
        let files = [
            ("shop/a.yaml", &*config_map("a", "three")),
            ("shop/c.yaml", &config_map("c", "three")),
        ];
        let third = stage.commit("Change two of them", &files);
        stage.daemon().restart();
        stage.until_synced("shop", &third);

        let entries = stage.entries().split_off(1);
        let told = |name: &str, value: &str| {
            let path = format!("shop/{}/ConfigMap/{name}.yaml", stage.environment);
            let mut those = entries.iter().filter(|entry| {
                let content = stage.repository.show(&entry.hash, &path);
                let has = content.is_some_and(|text| text.contains(value));
                has && entry.paths.contains(&path)
            });
            those
                .next()
                .unwrap_or_else(|| panic!("{name} {value}: {entries:#?}"))
        };
        let a = told("a", "two");
        assert!(told("a", "three").author.starts_with("Ada"), "{entries:#?}");
        assert!(told("c", "three").author.starts_with("Ada"), "{entries:#?}");
        if kept {
            for entry in [a, told("b", "two"), told("c", "two")] {
                assert_eq!(entry.author, GRACE, "{entries:#?}");
                assert_eq!(entry.trailer("Revision"), Some(second.clone()));
            }
            let change = "data.a: \"one\" -> \"two\"";
            assert!(a.message.contains(change), "{}", a.message);
        } else {
            assert!(a.author.starts_with("gitops-agent"), "{entries:#?}");
        }
        stage.assert_consistent();
    }
}

/// What somebody deleted while no agent ran, and no commit declares any more, no agent has
/// pruned.
#[test]
fn what_somebody_deleted_is_not_told_as_pruned() {
    let mut stage = two("deleted-away");
    let told = stage.entries().len();
    assert!(stage.daemon().terminate(PATIENCE).success());
    stage.kubectl(&["delete", "configmap", "b"]);
    stage.repository.remove("shop/b.yaml");
    let second = stage.repository.commit_as(
        GRACE,
        "Take it away",
        &[("shop/a.yaml", &config_map("a", "two"))],
    );
    stage.daemon().restart();
    stage.until_synced("shop", &second);
    let told = stage.entries().split_off(told);
    let deleted: Vec<&Entry> = told
        .iter()
        .filter(|it| it.subject.ends_with("/b is gone"))
        .collect();
    assert_eq!(deleted.len(), 1, "{told:#?}");
    assert!(
        !told.iter().any(|it| it.message.contains("prune")),
        "{told:#?}"
    );
    stage.assert_consistent();
}

/// What an agent has deleted, and a newer commit declares again, nobody else has.
#[test]
fn what_the_agent_pruned_and_did_not_tell_is_nobodys_deed() {
    let mut stage = two("pruned-again");
    let tip = stage.until_entry("sync shop").hash;
    let second = stage.remove(&["shop/b.yaml"]);
    stage.until_synced("shop", &second);
    untell_since(&mut stage, &tip);
    let third = stage.commit("Have it again", &[("shop/b.yaml", &config_map("b", "one"))]);
    stage.daemon().restart();
    stage.until_looked_at(&third);
    stage.until_state("shop", "Synced");
    assert_eq!(stage.get("configmap", "b")["data"]["a"], "one");
    let told = stage.entries().split_off(1);
    assert!(
        !told.iter().any(|it| it.subject.contains("somebody")),
        "{told:#?}"
    );
    let pruned = format!("prune ConfigMap {}/b", stage.environment);
    let pruned = told
        .iter()
        .filter(|it| it.message.contains(&pruned))
        .count();
    assert_eq!(pruned, 1, "{told:#?}");
    stage.assert_consistent();
}

/// What is deleted to be made again, nobody else has deleted.
#[test]
fn a_replacement_that_was_killed_halfway_is_nobodys_deed() {
    let fixed = |value: &str| format!("{}immutable: true\n", config_map("a", value));
    let files = [("shop/a.yaml", fixed("one"))];
    let (mut stage, liar) = synced_at("half-replaced", &files, &["shop"]);
    let since = stage.entries().len();
    let deleted = AtomicBool::new(false);
    liar.lie(
        move |asked| {
            let first = asked.method == "DELETE" && is_write(asked);
            if first {
                deleted.store(true, Ordering::Relaxed);
            }
            !first && is_write(asked) && deleted.load(Ordering::Relaxed)
        },
        Lie::Silence,
    );
    let replace = stage.configuration(&[("shop", "replace: true")]);
    let files = [("agent.yaml", &*replace), ("shop/a.yaml", &*fixed("two"))];
    let revision = stage.repository.commit_as(GRACE, "Replace it", &files);
    stage.until_gone("configmap", "a");
    stage.daemon().kill();
    liar.be_true();
    stage.daemon().restart();
    stage.until_synced("shop", &revision);
    assert_eq!(stage.get("configmap", "a")["data"]["a"], "two");
    let told = stage.entries().split_off(since);
    assert!(
        !told.iter().any(|it| it.message.contains("somebody")),
        "{told:#?}"
    );
    assert!(told.iter().all(|it| it.author == GRACE), "{told:#?}");
    stage.assert_consistent();
}

/// Where nobody knows for which of several commits an agent did something, it is told as no
/// author's; what moved from unit to unit was not made.
#[test]
fn what_was_done_for_one_of_several_commits_is_nobodys_by_name() {
    let mut stage = two("one-of-several");
    let tip = stage.until_entry("sync shop").hash;
    let files = [("shop/a.yaml", &*config_map("a", "two"))];
    let second = stage.repository.commit_as(GRACE, "Change one", &files);
    stage.until_synced("shop", &second);
    untell_since(&mut stage, &tip);
    fs::remove_dir_all(stage.daemon().home().join("data")).unwrap();
    let third = stage.commit(
        "Change another",
        &[("shop/b.yaml", &config_map("b", "two"))],
    );
    stage.daemon().restart();
    stage.until_synced("shop", &third);
    let told = stage.entries().split_off(1);
    let of = |name: &str| {
        let file = format!("shop/{}/ConfigMap/{name}.yaml", stage.environment);
        told.iter()
            .find(|it| it.paths.contains(&file))
            .expect("it is told")
    };
    assert!(of("a").author.starts_with("gitops-agent"), "{told:#?}");
    assert!(of("b").author.starts_with("Ada"), "{told:#?}");
    stage.assert_consistent();
}
