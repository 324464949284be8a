#![expect(clippy::unwrap_used, reason = "a test may panic")]

use jiff::Timestamp;

use super::*;
use crate::model::Signature;
use crate::record::BranchPattern;
use crate::record::{README, RecordView};
use crate::source::scratch::git_http::GitHttp;
use crate::source::scratch::{Scratch, commit_on, git, remote};

const BRANCH: &str = "refs/heads/live/staging";

fn staging() -> EnvironmentName {
    "staging".parse().unwrap()
}

fn open(scratch: &Scratch) -> RecordBranch {
    open_in(&scratch.data(), scratch.remote())
}

fn open_in(data: &Path, remote: Remote) -> RecordBranch {
    let mut record =
        RecordBranch::open(data, remote, &staging(), &BranchPattern::default()).unwrap();
    // A remote that is away is what some of these tests are about.
    let _ = record.refresh();
    record
}

fn entry(subject: &str, changes: &[(&str, Option<&str>)]) -> Entry {
    let owned = |(path, content): &(&str, Option<&str>)| {
        let content = content.map(|text| text.as_bytes().to_vec());
        ((*path).to_owned(), content)
    };
    Entry {
        subject: subject.to_owned(),
        body: String::new(),
        trailers: vec![("Environment".to_owned(), "staging".to_owned())],
        author: Signature {
            name: "kubectl-scale".to_owned(),
            email: String::new(),
            time: Timestamp::from_second(1_790_000_000).unwrap(),
        },
        time: Timestamp::from_second(1_790_000_005).unwrap(),
        changes: changes.iter().map(owned).collect(),
    }
}

fn subjects(repository: &Path, reference: &str) -> Vec<String> {
    let log = git(repository, &["log", "--reverse", "--format=%s", reference]);
    log.lines().map(str::to_owned).collect()
}

fn listing(repository: &Path) -> Vec<String> {
    let tree = git(repository, &["ls-tree", "-r", "--name-only", BRANCH]);
    tree.lines().map(str::to_owned).collect()
}

fn pushed(record: &mut RecordBranch) -> (usize, Below) {
    match record.push().unwrap() {
        Pushed::Nothing => (0, Below::Same),
        Pushed::Entries { count, below, .. } => (count, below),
    }
}

#[test]
fn entries_arrive_in_order_on_any_kind_of_repository() {
    for scratch in [Scratch::bare(), Scratch::new()] {
        scratch.commit("agent.yaml", "version: 1");
        let mut record = open(&scratch);
        assert_eq!((record.tip(), record.queued()), (None, 0));
        record
            .append(&entry(
                "one",
                &[("a/b/c.yaml", Some("1")), (README, Some("hi"))],
            ))
            .unwrap();
        record
            .append(&entry(
                "two",
                &[("a/b/c.yaml", None), ("a/d.yaml", Some("2"))],
            ))
            .unwrap();
        let last = record.append(&entry("three", &[])).unwrap();
        assert_eq!((record.tip(), record.queued()), (Some(last), 3));
        assert_eq!(pushed(&mut record), (3, Below::Same));
        assert_eq!(
            (record.push().unwrap(), record.queued()),
            (Pushed::Nothing, 0)
        );
        assert_eq!(
            subjects(&scratch.repository, BRANCH),
            ["one", "two", "three"]
        );
        assert_eq!(listing(&scratch.repository), [README, "a/d.yaml"]);
        scratch.git(&["fsck", "--strict", "--no-dangling"]);
        record.append(&entry("four", &[])).unwrap();
        assert_eq!(pushed(&mut record), (1, Below::Same));
        assert_eq!(subjects(&scratch.repository, BRANCH).len(), 4);
    }
}

#[test]
fn an_entry_has_the_author_and_committer_that_it_should() {
    let scratch = Scratch::bare();
    let mut record = open(&scratch);
    record.append(&entry("one", &[])).unwrap();
    record.push().unwrap();
    let format = "--format=%an <%ae> %aI|%cn <%ce> %cI|%(trailers:key=Environment,valueonly)";
    let shown = scratch.git(&["log", format, BRANCH]);
    assert_eq!(
        shown.trim(),
        "kubectl-scale <kubectl-scale@localhost> 2026-09-21T14:13:20+00:00|\
         gitops-agent <gitops-agent@localhost> 2026-09-21T14:13:25+00:00|staging"
    );
}

#[test]
fn what_is_recorded_can_be_read_and_compared() {
    let scratch = Scratch::bare();
    let mut record = open(&scratch);
    assert!(record.files().unwrap().is_empty());
    record
        .append(&entry("one", &[("u/n/K/system:x.yaml", Some("x: 1\n"))]))
        .unwrap();
    assert_eq!(
        record.read("u/n/K/system:x.yaml").unwrap().unwrap(),
        b"x: 1\n"
    );
    assert_eq!(record.read("u/n/K").unwrap(), None);
    assert_eq!(record.read("nothing").unwrap(), None);
    assert_eq!(
        record.files().unwrap()["u/n/K/system:x.yaml"],
        content_id(b"x: 1\n")
    );
    record.append(&entry("two", &[("nothing", None)])).unwrap();
    assert_eq!(record.files().unwrap().len(), 1);
}

#[test]
fn entries_outlive_a_remote_that_is_away_and_a_restart() {
    let scratch = Scratch::bare();
    let mut server = GitHttp::start(scratch.directory.path());
    let there = remote(&server.url("env.git"));
    let mut record = open_in(&scratch.data(), there.clone());
    record.append(&entry("one", &[("a", Some("1"))])).unwrap();
    assert_eq!(pushed(&mut record), (1, Below::Same));
    server.stop();
    record.append(&entry("two", &[("a", Some("2"))])).unwrap();
    let away = record.push().unwrap_err();
    let unreachable = matches!(away, PushError::Source(SourceProblem::Unreachable { .. }));
    assert!(unreachable, "{away:?}");
    // It may as well be what kept it from being read.
    assert!(!away.to_string().contains("pushed"), "{away}");
    drop(record);
    let mut record = open_in(&scratch.data(), there);
    record.append(&entry("three", &[])).unwrap();
    assert_eq!(record.queued(), 2);
    server.restart();
    assert_eq!(pushed(&mut record), (2, Below::Same));
    assert_eq!(
        subjects(&scratch.repository, BRANCH),
        ["one", "two", "three"]
    );
}

#[test]
fn a_new_data_directory_goes_on_where_the_remote_is() {
    let scratch = Scratch::bare();
    let mut record = open(&scratch);
    record.append(&entry("one", &[("a", Some("1"))])).unwrap();
    record.push().unwrap();
    let mut other = open_in(&scratch.directory.path().join("new"), scratch.remote());
    assert_eq!(other.tip(), record.tip());
    other.append(&entry("two", &[("b", Some("2"))])).unwrap();
    assert_eq!(pushed(&mut other), (1, Below::Same));
    assert_eq!(listing(&scratch.repository), ["a", "b"]);
}

#[test]
fn entries_made_before_the_remote_was_seen_go_on_top_of_what_it_has() {
    let scratch = Scratch::bare();
    commit_on(&scratch.repository, "live/staging", "old", "1");
    let mut record = RecordBranch::open(
        &scratch.data(),
        scratch.remote(),
        &staging(),
        &BranchPattern::default(),
    )
    .unwrap();
    record.append(&entry("one", &[("a", Some("1"))])).unwrap();
    assert_eq!(pushed(&mut record), (1, Below::Foreign));
    assert_eq!(subjects(&scratch.repository, BRANCH), ["Set old", "one"]);
    assert_eq!(listing(&scratch.repository), ["a", "old"]);
}

#[test]
fn somebody_elses_commit_stays_below_ours() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    for (data, there) in [
        ("local", scratch.remote()),
        ("http", remote(&server.url("env.git"))),
    ] {
        let mut record = open_in(&scratch.directory.path().join(data), there);
        record.append(&entry("one", &[("a", Some("1"))])).unwrap();
        record.push().unwrap();
        commit_on(&scratch.repository, "live/staging", data, "theirs");
        record
            .append(&entry("two", &[("a", Some("2")), ("b", Some(data))]))
            .unwrap();
        record.append(&entry("three", &[("a", None)])).unwrap();
        assert_eq!(pushed(&mut record), (2, Below::Foreign), "{data}");
        let last = subjects(&scratch.repository, BRANCH);
        let theirs = format!("Set {data}");
        assert_eq!(
            last[last.len() - 4..],
            ["one", theirs.as_str(), "two", "three"]
        );
        assert_eq!(record.read(data).unwrap().unwrap(), b"theirs");
        assert_eq!(record.read("a").unwrap(), None);
        assert_eq!(record.queued(), 0);
    }
}

#[test]
fn a_deleted_branch_is_pushed_again_in_full() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    for (data, there) in [
        ("local", scratch.remote()),
        ("http", remote(&server.url("env.git"))),
    ] {
        let mut record = open_in(&scratch.directory.path().join(data), there);
        let known = subjects_or_none(&scratch).len();
        record.append(&entry("one", &[("a", Some("1"))])).unwrap();
        record.push().unwrap();
        scratch.git(&["update-ref", "-d", BRANCH]);
        record.append(&entry("two", &[])).unwrap();
        record.push().unwrap();
        assert_eq!(subjects(&scratch.repository, BRANCH).len(), known + 2);
        scratch.git(&["update-ref", "-d", BRANCH]);
        record.refresh().unwrap();
        assert_eq!(record.queued(), known + 2);
        assert_eq!(pushed(&mut record).0, known + 2);
    }
}

fn subjects_or_none(scratch: &Scratch) -> Vec<String> {
    let there = scratch.git(&["for-each-ref", BRANCH]);
    if there.is_empty() {
        Vec::new()
    } else {
        subjects(&scratch.repository, BRANCH)
    }
}

#[test]
fn a_branch_that_was_set_back_gets_its_entries_again() {
    let scratch = Scratch::bare();
    let mut record = open(&scratch);
    let one = record.append(&entry("one", &[("a", Some("1"))])).unwrap();
    record.append(&entry("two", &[("b", Some("2"))])).unwrap();
    record.push().unwrap();
    scratch.git(&["update-ref", BRANCH, one.as_str()]);
    commit_on(&scratch.repository, "live/staging", "theirs", "x");
    record.append(&entry("three", &[])).unwrap();
    record.push().unwrap();
    assert_eq!(
        subjects(&scratch.repository, BRANCH),
        ["one", "Set theirs", "two", "three"]
    );
}

/// An entry at a second, of what somebody changed.
fn drift(second: i64, object: &str, content: &str) -> Entry {
    let mut drift = entry("bob changed it", &[(object, Some(content))]);
    drift.body = format!("changed ConfigMap shop/{object}\n  data.a: 1 -> 2, set by bob");
    let told = ["Event", "Cause"].map(|key| (key.to_owned(), "drift".to_owned()));
    drift.trailers.extend(told);
    drift.time = Timestamp::from_second(1_790_000_005 + second).unwrap();
    drift
}

#[test]
fn what_another_agent_has_written_since_stays_and_drift_is_told_by_one() {
    let scratch = Scratch::bare();
    let mut first = open(&scratch);
    let there = [("a", Some("1")), ("b", Some("1")), ("c", Some("1"))];
    first.append(&entry("one", &there)).unwrap();
    first.push().unwrap();
    let elsewhere = scratch.directory.path().join("elsewhere");
    let mut second = open_in(&elsewhere, scratch.remote());
    // It ends, or is stopped, before these are sent.
    first.append(&drift(1, "a", "2")).unwrap();
    first.append(&drift(2, "b", "2")).unwrap();
    first.append(&drift(3, "c", "2")).unwrap();
    second.append(&drift(10, "a", "2")).unwrap();
    let mut later = entry("put back", &[("a", Some("1")), ("b", None)]);
    later.time = Timestamp::from_second(1_790_000_020).unwrap();
    second.append(&later).unwrap();
    second.push().unwrap();

    first.push().unwrap();
    let told = [
        "one",
        "bob changed it",
        "put back",
        "bob changed it",
        "bob changed it",
    ];
    assert_eq!(subjects(&scratch.repository, BRANCH), told);
    assert_eq!(listing(&scratch.repository), ["a", "c"]);
    let content = |path: &str| scratch.git(&["show", &format!("{BRANCH}:{path}")]);
    assert_eq!(
        [content("a"), content("c")].map(|it| it.trim().to_owned()),
        ["1", "2"]
    );
}

/// A record of two entries, of which the second comes once the branch begins with this file.
fn replaced_by(file: &str) -> Scratch {
    let scratch = Scratch::bare();
    let mut record = open(&scratch);
    record.append(&entry("one", &[("a", Some("1"))])).unwrap();
    record.push().unwrap();
    scratch.git(&["update-ref", "-d", BRANCH]);
    commit_on(&scratch.repository, "live/staging", file, "x");
    record.append(&entry("two", &[("b", Some("2"))])).unwrap();
    record.push().unwrap();
    scratch
}

#[test]
fn a_branch_that_another_record_has_replaced_gets_only_what_is_new() {
    let scratch = replaced_by("status.yaml");
    let expected = ["Set status.yaml", "two"];
    assert_eq!(subjects(&scratch.repository, BRANCH), expected);
    assert_eq!(listing(&scratch.repository), ["b", "status.yaml"]);
}

#[test]
fn a_branch_that_something_else_has_replaced_is_put_back_beside_it() {
    let scratch = replaced_by("theirs");
    let told = subjects(&scratch.repository, BRANCH);
    for subject in ["one", "two", "Set theirs"] {
        assert!(told.iter().any(|it| it == subject), "{told:?}");
    }
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(listing(&scratch.repository), ["a", "b"]);
}

#[test]
fn a_server_that_says_no_is_heard() {
    let scratch = Scratch::bare();
    let hook = scratch.repository.join("hooks/pre-receive");
    write_hook(&hook);
    let server = GitHttp::start(scratch.directory.path());
    let mut record = open_in(&scratch.data(), remote(&server.url("env.git")));
    record.append(&entry("one", &[])).unwrap();
    let error = record.push().unwrap_err();
    assert!(matches!(error, PushError::Rejected { .. }), "{error:?}");
    assert!(error.to_string().contains("hook declined"), "{error}");
    assert_eq!(record.queued(), 1);
    std::fs::remove_file(&hook).unwrap();
    assert_eq!(pushed(&mut record).0, 1);
}

fn write_hook(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_branch_that_is_checked_out_is_left_alone() {
    let scratch = Scratch::new();
    let mut record = open(&scratch);
    record.append(&entry("one", &[])).unwrap();
    record.push().unwrap();
    scratch.git(&["checkout", "-q", "live/staging"]);
    record.append(&entry("two", &[])).unwrap();
    let error = record.push().unwrap_err();
    assert!(error.to_string().contains("checked out"), "{error}");
    scratch.git(&["checkout", "-q", "--orphan", "main"]);
    assert_eq!(pushed(&mut record).0, 1);
}

#[test]
fn one_record_has_one_writer() {
    let scratch = Scratch::bare();
    let first = open(&scratch);
    let second = RecordBranch::open(
        &scratch.data(),
        scratch.remote(),
        &staging(),
        &BranchPattern::default(),
    );
    assert!(matches!(second, Err(RecordError::Locked { .. })));
    drop(first);
    open(&scratch);
}

#[test]
fn two_writers_with_their_own_directories_lose_nothing() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    let writer = |name: &'static str| {
        let data = scratch.directory.path().join(name);
        let mut record = open_in(&data, remote(&server.url("env.git")));
        std::thread::spawn(move || {
            for number in 0..5 {
                let subject = format!("{name} {number}");
                record
                    .append(&entry(&subject, &[(name, Some(&subject))]))
                    .unwrap();
                // Contended: the rest goes with the next.
                let _ = record.push();
            }
            while record.queued() > 0 {
                let _ = record.push();
            }
        })
    };
    for thread in [writer("a"), writer("b")] {
        thread.join().unwrap();
    }
    let all = subjects(&scratch.repository, BRANCH);
    for name in ["a", "b"] {
        let of_one: Vec<_> = all
            .iter()
            .filter(|subject| subject.starts_with(name))
            .collect();
        let expected: Vec<_> = (0..5).map(|number| format!("{name} {number}")).collect();
        assert_eq!(of_one, expected.iter().collect::<Vec<_>>(), "{all:?}");
    }
}

#[test]
fn a_store_that_is_packed_holds_all_that_it_held() {
    let scratch = Scratch::bare();
    let mut record = open(&scratch);
    for round in 0..3 {
        for number in 0..20 {
            let (path, text) = (format!("u/n/K/{number}.yaml"), format!("{round} {number}"));
            record
                .append(&entry("one", &[(&path, Some(&text))]))
                .unwrap();
        }
        // Back to what is packed already.
        record
            .append(&entry("back", &[("u/n/K/0.yaml", Some("0 0"))]))
            .unwrap();
        record.push().unwrap();
        let tip = record.ours().unwrap();
        compact::now(&record.repository, tip).unwrap();
        let store = record.repository.path();
        git(store, &["fsck", "--strict", "--full"]);
        assert!(git(store, &["count-objects"]).starts_with("0 objects"));
        assert_eq!(record.files().unwrap().len(), 20);
    }
    assert_eq!(subjects(&scratch.repository, BRANCH).len(), 63);
    assert_eq!(record.read("u/n/K/0.yaml").unwrap().unwrap(), b"0 0");
}

#[test]
fn a_damaged_store_is_set_aside_and_the_remotes_record_taken() {
    let scratch = Scratch::bare();
    let mut record = open(&scratch);
    record.append(&entry("one", &[("a", Some("1"))])).unwrap();
    record.push().unwrap();
    let store = record.repository.path().to_owned();
    drop(record);
    std::fs::remove_dir_all(store.join("objects")).unwrap();
    std::fs::create_dir(store.join("objects")).unwrap();
    let mut record = open(&scratch);
    record.append(&entry("two", &[])).unwrap();
    record.push().unwrap();
    assert_eq!(subjects(&scratch.repository, BRANCH), ["one", "two"]);
}

#[test]
fn a_lock_that_a_killed_process_left_is_no_obstacle() {
    let scratch = Scratch::bare();
    let mut record = open(&scratch);
    record.append(&entry("one", &[])).unwrap();
    record.push().unwrap();
    let store = record.repository.path().to_owned();
    drop(record);
    for reference in [record_ref("heads"), record_ref("remotes/origin")] {
        std::fs::write(store.join(reference), "").unwrap();
    }
    let mut record = open(&scratch);
    record.append(&entry("two", &[])).unwrap();
    assert_eq!(pushed(&mut record).0, 1);
}

fn record_ref(place: &str) -> String {
    format!("refs/{place}/live/staging.lock")
}

#[test]
fn a_view_reads_what_was_pushed() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    let there = remote(&server.url("env.git"));
    let scratch_copy = scratch.directory.path().join("view");
    let view = || {
        RecordView::of_remote(&there, &staging(), &BranchPattern::default(), &scratch_copy).unwrap()
    };
    assert!(view().is_none());
    assert!(
        RecordView::in_repository(&scratch.repository, &staging(), &BranchPattern::default())
            .unwrap()
            .is_none()
    );
    let mut record = open(&scratch);
    for content in ["units: 1\n", "units: 2\n"] {
        let tip = record
            .append(&entry("one", &[("status.yaml", Some(content))]))
            .unwrap();
        record.push().unwrap();
        let local =
            RecordView::in_repository(&scratch.repository, &staging(), &BranchPattern::default())
                .unwrap();
        for view in [view(), local] {
            let view = view.unwrap();
            assert_eq!(
                (view.tip(), view.time().unwrap().as_second()),
                (tip.clone(), 1_790_000_005)
            );
            assert_eq!(
                view.read("status.yaml").unwrap().unwrap(),
                content.as_bytes()
            );
            assert_eq!(view.files().unwrap().len(), 1);
        }
    }
}

#[test]
fn a_view_of_a_checkout_takes_what_was_fetched_last() {
    let scratch = Scratch::bare();
    let mut record = open(&scratch);
    record
        .append(&entry("one", &[("status.yaml", Some("1"))]))
        .unwrap();
    record.push().unwrap();
    let clone = scratch.directory.path().join("clone");
    git(
        scratch.directory.path(),
        &["clone", "-q", "env.git", "clone"],
    );
    git(
        &clone,
        &["branch", "-q", "live/staging", "origin/live/staging"],
    );
    record
        .append(&entry("two", &[("status.yaml", Some("2"))]))
        .unwrap();
    record.push().unwrap();
    git(&clone, &["fetch", "-q"]);
    let view = RecordView::in_repository(&clone, &staging(), &BranchPattern::default())
        .unwrap()
        .unwrap();
    assert_eq!(view.read("status.yaml").unwrap().unwrap(), b"2");
}

#[test]
fn an_entry_of_many_files_is_one_pack_and_arrives_whole() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    entries_of_many_files(&scratch, remote(&server.url("env.git")));
    let scratch = Scratch::bare();
    entries_of_many_files(&scratch, scratch.remote());
    let counted = scratch.git(&["count-objects", "-v"]);
    assert!(counted.contains("count: 0\n"), "{counted}");
}

fn entries_of_many_files(scratch: &Scratch, there: Remote) {
    let mut record = open_in(&scratch.data(), there.clone());
    let mut tips = Vec::new();
    for value in ["one", "two"] {
        let mut many = entry(value, &[]);
        let file = |at: usize| {
            let path = format!("shop/shop/ConfigMap/m-{at:05}.yaml");
            (path, Some(format!("{value} {at}").into_bytes()))
        };
        many.changes = (0..PACKED).map(file).collect();
        tips.push(record.append(&many).unwrap());
        let one = entry(
            "and one",
            &[("shop/shop/ConfigMap/m-00001.yaml", Some("x"))],
        );
        tips.push(record.append(&one).unwrap());
    }
    let counted = git(record.path(), &["count-objects", "-v"]);
    assert!(counted.contains("packs: 2\n"), "{counted}");
    let loose: usize = counted
        .lines()
        .find_map(|line| line.strip_prefix("count: ")?.parse().ok())
        .unwrap();
    assert!(loose < 20, "{counted}");
    assert_eq!(record.queued(), 4);
    assert_eq!(pushed(&mut record), (4, Below::Same));
    scratch.git(&["fsck", "--strict", "--connectivity-only"]);
    let log = scratch.git(&["log", "--format=%H", BRANCH]);
    let log: Vec<&str> = log.lines().rev().collect();
    assert_eq!(log, tips.iter().map(Revision::as_str).collect::<Vec<_>>());
    assert_eq!(record.files().unwrap().len(), PACKED);
    drop(record);
    let reopened = open_in(&scratch.data(), there);
    assert_eq!(reopened.tip().as_ref(), tips.last());
}
