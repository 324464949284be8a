#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Instant;

use super::super::scratch::git_http::GitHttp;
use super::super::scratch::{Scratch, remote, until};
use super::*;

/// So long that what a test sees was never seen by polling.
const NEVER: Duration = Duration::from_hours(1);

fn follow(scratch: &Scratch, remote: Remote, poll_interval: Duration) -> Follower {
    Follower::start(Follow {
        data_dir: scratch.data(),
        remote,
        branch: "main".to_owned(),
        poll_interval,
        once: false,
    })
    .unwrap()
}

fn head_is(follower: &Follower, revision: &Revision) -> bool {
    let state = follower.state().borrow().clone();
    state.head.is_some_and(|head| head.revision == *revision) && state.problem.is_none()
}

fn sees(follower: &Follower, what: &str, found: impl Fn(&SourceProblem) -> bool) -> SourceState {
    let told = |state: &SourceState| state.problem.as_ref().is_some_and(&found);
    until(what, || told(&follower.state().borrow()));
    follower.state().borrow().clone()
}

#[test]
fn a_commit_in_a_local_repository_is_seen_at_once() {
    for scratch in [Scratch::new(), Scratch::bare()] {
        let follower = follow(&scratch, scratch.remote(), NEVER);
        let empty = sees(&follower, "empty", |problem| {
            matches!(problem, SourceProblem::Empty { .. })
        });
        assert!(empty.head.is_none() && empty.last_contact.is_some());
        let first = scratch.commit("a", "1");
        until("the first commit", || head_is(&follower, &first));
        scratch.git(&["pack-refs", "--all"]);
        let second = scratch.commit("a", "2");
        until("the second commit", || head_is(&follower, &second));
        scratch.git(&["update-ref", "refs/heads/main", first.as_str()]);
        until("the branch moved back", || head_is(&follower, &first));
    }
}

#[test]
fn a_deleted_branch_keeps_the_last_good_commit() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    let follower = follow(&scratch, scratch.remote(), NEVER);
    until("the commit", || head_is(&follower, &head));
    scratch.git(&["update-ref", "refs/heads/other", head.as_str()]);
    scratch.git(&["update-ref", "-d", "refs/heads/main"]);
    let state = sees(&follower, "missing", |problem| {
        matches!(problem, SourceProblem::BranchMissing { .. })
    });
    assert_eq!(state.head.unwrap().revision, head);
    scratch.git(&["update-ref", "refs/heads/main", head.as_str()]);
    until("its return", || head_is(&follower, &head));
}

#[test]
fn a_repository_that_is_moved_away_comes_back_by_itself() {
    let scratch = Scratch::bare();
    let first = scratch.commit("a", "1");
    let follower = follow(&scratch, scratch.remote(), NEVER);
    until("the commit", || head_is(&follower, &first));
    let away = scratch.directory.path().join("away");
    std::fs::rename(&scratch.repository, &away).unwrap();
    follower.poke();
    let state = sees(&follower, "gone", |problem| {
        matches!(problem, SourceProblem::NoRepository { .. })
    });
    assert_eq!(state.head.unwrap().revision, first);
    std::fs::rename(&away, &scratch.repository).unwrap();
    until("its return", || head_is(&follower, &first));
    let second = scratch.commit("a", "2");
    until("a commit after its return", || head_is(&follower, &second));
}

#[test]
fn a_server_that_was_away_is_followed_again_without_a_poke() {
    let scratch = Scratch::bare();
    let first = scratch.commit("a", "1");
    let mut server = GitHttp::start(scratch.directory.path());
    let follower = follow(&scratch, remote(&server.url("env.git")), NEVER);
    until("the commit", || head_is(&follower, &first));
    server.stop();
    follower.poke();
    sees(&follower, "away", |problem| {
        matches!(problem, SourceProblem::Unreachable { .. })
    });
    let second = scratch.commit("a", "2");
    server.restart();
    until("the commit made meanwhile", || head_is(&follower, &second));
}

#[test]
fn polling_sees_what_nobody_announced() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    let often = Duration::from_millis(20);
    let follower = follow(&scratch, remote(&server.url("env.git")), often);
    sees(&follower, "empty", |problem| {
        matches!(problem, SourceProblem::Empty { .. })
    });
    let head = scratch.commit("a", "1");
    until("the commit", || head_is(&follower, &head));
}

#[test]
fn after_a_restart_the_last_good_commit_stands_in_for_a_remote_that_is_away() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    let mut server = GitHttp::start(scratch.directory.path());
    let url = server.url("env.git");
    let before = follow(&scratch, remote(&url), NEVER);
    until("the commit", || head_is(&before, &head));
    drop(before);
    server.stop();
    let after = follow(&scratch, remote(&url), NEVER);
    let state = sees(&after, "away", |problem| {
        matches!(problem, SourceProblem::Unreachable { .. })
    });
    assert_eq!(state.head.unwrap().revision, head);
    assert_eq!(state.last_contact, None);
}

#[test]
fn a_mirror_that_is_suspected_is_looked_at_and_made_anew() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    let follower = follow(&scratch, scratch.remote(), NEVER);
    until("the commit", || head_is(&follower, &head));
    std::fs::remove_dir_all(follower.mirror_path()).unwrap();
    follower.waker().suspect();
    until("a new mirror", || {
        checkout::commit(follower.mirror_path(), &head).is_ok()
    });
}

#[test]
fn a_look_that_brings_nothing_new_wakes_nobody() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    let server = GitHttp::start(scratch.directory.path());
    let follower = follow(&scratch, remote(&server.url("env.git")), NEVER);
    until("the commit", || head_is(&follower, &head));
    let mut state = follower.state();
    state.mark_unchanged();
    let contact = state.borrow().last_contact;
    let asked = server.requests();
    follower.poke();
    until("another look", || {
        server.requests() > asked && follower.state().borrow().last_contact > contact
    });
    assert!(!state.has_changed().unwrap());
}

#[test]
fn dropping_it_ends_the_thread() {
    let scratch = Scratch::bare();
    let follower = follow(&scratch, scratch.remote(), NEVER);
    let state = follower.state();
    drop(follower);
    until("the end", || state.has_changed().is_err());
}

#[test]
fn the_wait_grows_to_the_poll_interval_or_a_minute() {
    let waits = |interval| [1, 2, 3, 7, 50].map(|failures| backoff(failures, interval).as_secs());
    assert_eq!(waits(Duration::from_secs(30)), [1, 2, 4, 30, 30]);
    assert_eq!(waits(NEVER), [1, 2, 4, 60, 60]);
    for _ in 0..100 {
        let wait = jittered(Duration::from_secs(10)).as_millis();
        assert!((9_000..=11_000).contains(&wait), "{wait}");
    }
}

#[test]
fn pokes_during_a_look_lead_to_exactly_one_more() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    let server = GitHttp::start(scratch.directory.path());
    let follower = follow(&scratch, remote(&server.url("env.git")), NEVER);
    until("the commit", || head_is(&follower, &head));
    let before = server.requests();
    server.hold();
    follower.poke();
    until("a question", || server.requests() > before);
    (0..100).for_each(|_| follower.poke());
    server.release();
    until("one more", || server.requests() > before + 1);
    // A third one would come now, if there were one.
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        assert_eq!(server.requests(), before + 2);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_hint_that_comes_too_early_is_followed_up() {
    let scratch = Scratch::bare();
    let first = scratch.commit("a", "1");
    let server = GitHttp::start(scratch.directory.path());
    let follower = follow(&scratch, remote(&server.url("env.git")), NEVER);
    until("the commit", || head_is(&follower, &first));
    let before = server.requests();
    follower.waker().hint();
    until("a look that sees nothing", || server.requests() > before);
    let second = scratch.commit("a", "2");
    until("the commit", || head_is(&follower, &second));
}
