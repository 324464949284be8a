#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::super::auth::{Credentials, HttpLogin};
use super::super::objects::{MOST_PACKS, packs};
use super::super::scratch::git_http::GitHttp;
use super::super::scratch::{Scratch, commit_on, git};
use super::*;
use crate::model::Redacted;

fn mirror(scratch: &Scratch) -> Mirror {
    Mirror::new(&scratch.data(), scratch.remote(), "main")
}

fn over_network(scratch: &Scratch, url: &str, credentials: Credentials) -> Mirror {
    let remote = Remote::new(url.parse().unwrap(), credentials);
    Mirror::new(&scratch.data(), remote, "main")
}

fn token(secret: &str) -> Credentials {
    Credentials {
        http: Some(HttpLogin::Given {
            username: Some("ada".to_owned()),
            secret: Redacted::new(secret),
        }),
        ..Credentials::default()
    }
}

#[test]
fn commits_are_fetched_as_they_come() {
    let scratch = Scratch::new();
    let first = scratch.commit("a", "1");
    let mirror = mirror(&scratch);
    assert_eq!(mirror.head(), None);
    assert_eq!(mirror.update(Check::Presence), Ok(first.clone()));
    assert_eq!(mirror.head(), Some(first.clone()));
    let second = scratch.commit("a", "2");
    assert_eq!(mirror.update(Check::Presence), Ok(second.clone()));
    assert!(!mirror.rewritten(&first, &second));
}

#[test]
fn a_rewritten_history_is_followed() {
    let scratch = Scratch::bare();
    let base = scratch.commit("a", "1");
    let old = scratch.commit("a", "2");
    let mirror = mirror(&scratch);
    assert_eq!(mirror.update(Check::Presence), Ok(old.clone()));
    scratch.git(&["update-ref", "refs/heads/main", base.as_str()]);
    let new = scratch.commit("a", "3");
    assert_eq!(mirror.update(Check::Presence), Ok(new.clone()));
    assert!(mirror.rewritten(&old, &new));
}

#[test]
fn an_empty_repository_and_a_missing_branch_are_told_apart() {
    let scratch = Scratch::bare();
    let mirror = mirror(&scratch);
    let empty = mirror.update(Check::Presence).unwrap_err();
    assert!(matches!(empty, SourceProblem::Empty { .. }), "{empty}");
    commit_on(&scratch.repository, "trunk", "a", "1");
    let missing = mirror.update(Check::Presence).unwrap_err();
    assert!(matches!(missing, SourceProblem::BranchMissing { .. }));
    assert!(
        missing.to_string().contains("(it has `trunk`)"),
        "{missing}"
    );
}

#[test]
fn nothing_there_is_said_with_its_path() {
    let scratch = Scratch::bare();
    std::fs::rename(&scratch.repository, scratch.directory.path().join("away")).unwrap();
    let gone = mirror(&scratch).update(Check::Presence).unwrap_err();
    assert!(
        matches!(gone, SourceProblem::NoRepository { .. }),
        "{gone:?}"
    );
    assert!(gone.to_string().contains("env.git"), "{gone}");
}

/// Each way in which a copy can be damaged, by what is done to it.
#[test]
fn a_damaged_copy_is_made_anew() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("objects gone", |path| {
            std::fs::remove_dir_all(path.join("objects")).unwrap();
            std::fs::create_dir(path.join("objects")).unwrap();
        }),
        ("no HEAD", |path| {
            std::fs::remove_file(path.join("HEAD")).unwrap();
        }),
        ("a config of nonsense", |path| {
            std::fs::write(path.join("config"), "[[[").unwrap();
        }),
        ("a ref of nonsense", |path| {
            std::fs::write(path.join("refs/remotes/origin/main"), "nonsense").unwrap();
        }),
        ("a ref that is locked", |path| {
            std::fs::write(path.join("refs/remotes/origin/main.lock"), "").unwrap();
        }),
        ("a file", |path| {
            std::fs::remove_dir_all(path).unwrap();
            std::fs::write(path, "").unwrap();
        }),
    ];
    for (what, damage) in damages {
        let scratch = Scratch::bare();
        scratch.commit("a", "1");
        let mirror = mirror(&scratch);
        mirror.update(Check::Presence).unwrap();
        damage(mirror.path());
        let second = scratch.commit("a", "2");
        assert_eq!(mirror.update(Check::Presence), Ok(second.clone()), "{what}");
        assert_eq!(mirror.head(), Some(second), "{what}");
    }
}

#[test]
fn a_missing_file_is_noticed_without_a_new_commit() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    let mirror = mirror(&scratch);
    mirror.update(Check::Presence).unwrap();
    std::fs::remove_dir_all(mirror.path().join("objects/pack")).unwrap();
    assert_eq!(mirror.head(), None);
    assert_eq!(mirror.update(Check::Presence), Ok(head));
}

#[test]
fn damaged_content_is_found_when_it_is_looked_for() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", &"content ".repeat(100));
    let mirror = mirror(&scratch);
    mirror.update(Check::Presence).unwrap();
    flip_a_byte_of_each_pack(mirror.path());
    assert_eq!(mirror.update(Check::Content), Ok(head.clone()));
    let repository = open(mirror.path()).unwrap();
    let id = Oid::from_str(head.as_str()).unwrap();
    assert!(whole(&repository, id, Check::Content).is_ok());
}

fn flip_a_byte_of_each_pack(mirror: &Path) {
    let mut flipped = 0;
    for file in std::fs::read_dir(mirror.join("objects/pack")).unwrap() {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "pack")
        {
            let mut bytes = std::fs::read(&path).unwrap();
            let from = bytes.len() - 60;
            bytes[from..from + 20].fill(0);
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 0, "the fetch made no pack");
}

#[test]
fn a_damaged_remote_is_not_blamed_on_the_copy() {
    let scratch = Scratch::bare();
    scratch.commit("a", "1");
    let mirror = mirror(&scratch);
    mirror.update(Check::Presence).unwrap();
    let second = scratch.commit("a", "2");
    let objects = scratch.repository.join("objects");
    let commit = objects
        .join(&second.as_str()[..2])
        .join(&second.as_str()[2..]);
    std::fs::remove_file(commit).unwrap();
    assert!(mirror.update(Check::Presence).is_err());
    assert!(mirror.head().is_some(), "what was fetched before stays");
}

#[test]
fn http_serves_as_a_path_does() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    let mut server = GitHttp::start(scratch.directory.path());
    let mirror = over_network(&scratch, &server.url("env.git"), Credentials::default());
    assert_eq!(mirror.update(Check::Presence), Ok(head.clone()));
    let asked = server.requests();
    assert_eq!(mirror.update(Check::Presence), Ok(head));
    assert_eq!(
        server.requests(),
        asked + 1,
        "an unmoved branch costs one question"
    );
    server.stop();
    let away = mirror.update(Check::Presence).unwrap_err();
    assert!(
        matches!(away, SourceProblem::Unreachable { .. }),
        "{away:?}"
    );
    server.restart();
    let second = scratch.commit("a", "2");
    assert_eq!(mirror.update(Check::Presence), Ok(second));
}

#[test]
fn wrong_and_missing_credentials_are_told_without_showing_any() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    let server = GitHttp::start(scratch.directory.path());
    server.demand_login(Some("ada:right"));
    let url = server.url("env.git");
    let cases = [
        (url.clone(), token("wr0ng"), "refused"),
        (url.clone(), Credentials::default(), "none are configured"),
        (
            server.url_with_login("ada:wr0ng", "env.git"),
            Credentials::default(),
            "refused",
        ),
    ];
    for (url, credentials, says) in cases {
        let problem = over_network(&scratch, &url, credentials)
            .update(Check::Presence)
            .unwrap_err();
        assert!(
            matches!(problem, SourceProblem::Unauthorized { .. }),
            "{problem:?}"
        );
        let told = format!("{problem} {problem:?}");
        assert!(told.contains(says) && !told.contains("wr0ng"), "{told}");
    }
    assert!(
        server.requests() < 10,
        "no endless asking: {}",
        server.requests()
    );
    let right = over_network(&scratch, &url, token("right"));
    assert_eq!(right.update(Check::Presence), Ok(head.clone()));
    let url = server.url_with_login("ada:right", "env.git");
    let in_url = over_network(&scratch, &url, Credentials::default());
    assert_eq!(in_url.update(Check::Presence), Ok(head));
}

#[test]
fn what_a_server_says_is_told() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    let update = |repository: &str| {
        let url = server.url(repository);
        over_network(&scratch, &url, Credentials::default())
            .update(Check::Presence)
            .unwrap_err()
    };
    assert!(matches!(
        update("nothing.git"),
        SourceProblem::NoRepository { .. }
    ));
    server.answer_with(Some("503 Service Unavailable"));
    let problem = update("env.git");
    assert!(matches!(problem, SourceProblem::Busy { .. }), "{problem:?}");
    assert!(problem.to_string().contains("503"), "{problem}");
    server.answer_with(Some("403 Forbidden"));
    assert!(matches!(
        update("env.git"),
        SourceProblem::Unauthorized { .. }
    ));
}

#[test]
fn a_data_directory_that_cannot_be_written_is_told() {
    let scratch = Scratch::bare();
    scratch.commit("a", "1");
    std::fs::write(scratch.data(), "a file in its place").unwrap();
    let problem = mirror(&scratch).update(Check::Presence).unwrap_err();
    assert!(matches!(problem, SourceProblem::Disk { .. }), "{problem:?}");
}

#[test]
fn a_copy_of_many_packs_becomes_one() {
    let scratch = Scratch::bare();
    scratch.commit("a", "1");
    let mirror = mirror(&scratch);
    mirror.update(Check::Presence).unwrap();
    let pack = mirror.path().join("objects/pack");
    for number in 0..=MOST_PACKS {
        std::fs::write(pack.join(format!("pack-{number:040}.pack")), "").unwrap();
    }
    let head = scratch.commit("a", "2");
    assert_eq!(mirror.update(Check::Presence), Ok(head.clone()));
    assert_eq!(packs(&open(mirror.path()).unwrap()), 1);
    assert_eq!(mirror.head(), Some(head));
    let left = std::fs::read_dir(scratch.data().join("mirror")).unwrap();
    assert_eq!(left.count(), 1, "nothing is left beside it");
}

#[test]
fn an_ssh_host_that_does_not_answer_is_unreachable() {
    let scratch = Scratch::bare();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("ssh://git@{closed}/env.git");
    let away = over_network(&scratch, &url, Credentials::default());
    let problem = away.update(Check::Presence).unwrap_err();
    assert!(
        matches!(problem, SourceProblem::Unreachable { .. }),
        "{problem:?}"
    );
}

#[test]
fn a_tree_of_more_paths_than_can_be_counted_is_followed_like_any_other() {
    let scratch = Scratch::bare();
    scratch.commit("a", "1");
    let endless = scratch.commit_endless("beside", ("end", 0o100_644, "x"));
    let mirror = mirror(&scratch);
    assert_eq!(mirror.update(Check::Presence), Ok(endless.clone()));
    assert_eq!(mirror.update(Check::Presence), Ok(endless.clone()));
    assert_eq!(mirror.update(Check::Content), Ok(endless));
    let mended = scratch.commit("a", "2");
    assert_eq!(mirror.update(Check::Presence), Ok(mended));
}

/// What is there of the copy's objects: how many packs, and how many files.
fn weight(mirror: &Mirror) -> (usize, usize) {
    let repository = open(mirror.path()).unwrap();
    let mut loose = 0;
    for first in 0..=u8::MAX {
        let files = std::fs::read_dir(mirror.path().join(format!("objects/{first:02x}")));
        loose += files.into_iter().flatten().count();
    }
    (packs(&repository), loose)
}

fn follows_around_an_odd_commit(scratch: &Scratch, mirror: &Mirror) {
    let first = scratch.commit("a", "1");
    assert_eq!(mirror.update(Check::Presence), Ok(first.clone()));
    let odd = scratch.odd_commit();
    assert_eq!(mirror.update(Check::Presence), Ok(odd.clone()));
    assert_eq!(
        mirror.head(),
        Some(first.clone()),
        "the last good one stays"
    );
    let before = weight(mirror);
    for check in [Check::Presence, Check::Content, Check::Presence] {
        assert_eq!(mirror.update(check), Ok(odd.clone()));
    }
    assert_eq!(weight(mirror), before, "nothing is fetched again");
    // On top of it, and further on.
    for content in ["2", "3"] {
        let good = scratch.commit_by_git("a", content, "good");
        assert_eq!(mirror.update(Check::Presence), Ok(good.clone()));
        assert_eq!(mirror.head(), Some(good.clone()));
        assert!(!mirror.rewritten(&first, &good));
    }
    assert!(!std::fs::exists(mirror.path().with_extension("new")).unwrap());
    // Back to where it was.
    let odd = scratch.odd_commit();
    assert_eq!(mirror.update(Check::Presence), Ok(odd.clone()));
    scratch.git(&["update-ref", "refs/heads/main", first.as_str()]);
    assert_eq!(mirror.update(Check::Presence), Ok(first));
}

#[test]
fn a_commit_that_cannot_be_read_is_followed_around() {
    let scratch = Scratch::bare();
    follows_around_an_odd_commit(&scratch, &mirror(&scratch));
}

#[test]
fn over_a_network_too() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    let mirror = over_network(&scratch, &server.url("env.git"), Credentials::default());
    follows_around_an_odd_commit(&scratch, &mirror);
    let told = std::fs::read_to_string(mirror.path().join("info/grafts")).unwrap();
    assert!(!told.is_empty(), "what is here was told around it");
}

#[test]
fn a_fresh_copy_begins_below_what_cannot_be_read() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    let network = over_network(&scratch, &server.url("env.git"), Credentials::default());
    let first = scratch.commit("a", "1");
    let odd = scratch.odd_commit();
    for mirror in [mirror(&scratch), network] {
        assert_eq!(mirror.update(Check::Presence), Ok(odd.clone()));
        assert_eq!(mirror.head(), Some(first.clone()));
    }
}

#[test]
fn what_is_no_commit_is_told_and_the_last_good_one_stays() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    let network = over_network(&scratch, &server.url("env.git"), Credentials::default());
    let first = scratch.commit("a", "1");
    let mirrors = [mirror(&scratch), network];
    for mirror in &mirrors {
        assert_eq!(mirror.update(Check::Presence), Ok(first.clone()));
    }
    let blob = scratch.git(&["rev-parse", "main:a"]);
    scratch.git(&["tag", "-a", "-m", "a tag", "one", "main"]);
    let tag = scratch.git(&["rev-parse", "one"]);
    for (id, kind) in [(blob, "blob"), (tag, "tag")] {
        // Git itself writes no such ref; other programs do.
        std::fs::write(scratch.repository.join("refs/heads/main"), &id).unwrap();
        for mirror in &mirrors {
            let problem = mirror.update(Check::Presence).unwrap_err();
            let said = problem.to_string();
            assert!(
                said.contains(&format!("is no commit but a {kind}")),
                "{said}"
            );
            assert_eq!(mirror.head(), Some(first.clone()));
        }
    }
    scratch.git(&["update-ref", "refs/heads/main", first.as_str()]);
    let second = scratch.commit("a", "2");
    for mirror in &mirrors {
        assert_eq!(mirror.update(Check::Presence), Ok(second.clone()));
    }
}

/// One of a repository's refs is nobody else's business.
#[test]
fn other_refs_may_lead_anywhere() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    scratch.odd_commit();
    scratch.git(&["update-ref", "refs/heads/odd", "main"]);
    scratch.git(&["update-ref", "refs/heads/main", head.as_str()]);
    let nothing = format!("{}\n", "1".repeat(40));
    std::fs::write(scratch.repository.join("refs/heads/gone"), nothing).unwrap();
    std::fs::write(scratch.repository.join("refs/heads/text"), "text\n").unwrap();
    let mirror = mirror(&scratch);
    assert_eq!(mirror.update(Check::Presence), Ok(head));
    let second = scratch.commit("a", "2");
    assert_eq!(mirror.update(Check::Presence), Ok(second));
}

#[test]
fn a_repository_that_is_damaged_itself_is_not_fetched_whole_again_and_again() {
    let scratch = Scratch::bare();
    let first = scratch.commit("a", "1");
    let mirror = mirror(&scratch);
    assert_eq!(mirror.update(Check::Presence), Ok(first.clone()));
    scratch.commit("b", "2");
    let blob = scratch.git(&["rev-parse", "main:b"]);
    let (start, end) = blob.trim().split_at(2);
    std::fs::remove_file(scratch.repository.join("objects").join(start).join(end)).unwrap();
    for _ in 0..3 {
        let problem = mirror.update(Check::Presence).unwrap_err();
        assert!(
            matches!(problem, SourceProblem::Corrupt { .. }),
            "{problem:?}"
        );
        assert_eq!(mirror.head(), Some(first.clone()));
    }
    let fresh = mirror.path().with_extension("new");
    std::fs::remove_dir_all(&fresh).unwrap();
    mirror.update(Check::Presence).unwrap_err();
    assert!(!fresh.exists(), "it was fetched whole again");
}

/// A clone of the last commit alone, bare, as a mirror of CI may be; and its source.
fn shallow(scratch: &Scratch) -> PathBuf {
    let shallow = scratch.directory.path().join("shallow.git");
    let from = format!("file://{}", scratch.repository.display());
    let to = shallow.to_str().unwrap();
    let clone = ["clone", "--quiet", "--bare", "--depth", "1", &from, to];
    git(scratch.directory.path(), &clone);
    shallow
}

#[test]
fn a_repository_whose_history_is_cut_off_is_followed() {
    let scratch = Scratch::bare();
    for value in ["1", "2", "3"] {
        scratch.commit("a", value);
    }
    let shallow = shallow(&scratch);
    let mirror = over_network(&scratch, shallow.to_str().unwrap(), Credentials::default());
    let head = git(&shallow, &["rev-parse", "main"]);
    let first = mirror.update(Check::Presence).map(|head| head.to_string());
    assert_eq!(first, Ok(head.trim().to_owned()));
    for value in ["4", "5"] {
        let next = commit_on(&shallow, "main", "a", value);
        assert_eq!(mirror.update(Check::Presence), Ok(next.clone()));
        assert_eq!(mirror.head(), Some(next));
    }

    // libgit2 can't read what a server says of it.
    let server = GitHttp::start(scratch.directory.path());
    let cut = over_network(&scratch, &server.url("shallow.git"), Credentials::default());
    let problem = cut.update(Check::Presence).unwrap_err();
    assert!(matches!(problem, SourceProblem::Form { .. }), "{problem:?}");
    assert!(problem.to_string().contains("--unshallow"), "{problem}");
}

#[test]
fn a_form_of_repository_that_cannot_be_read_is_told_as_such() {
    let scratch = Scratch::bare();
    let named = scratch.directory.path().join("named.git");
    let by = [
        "init",
        "--quiet",
        "--bare",
        "--object-format=sha256",
        "named.git",
    ];
    git(scratch.directory.path(), &by);
    let tabled = scratch.directory.path().join("tabled.git");
    git(
        scratch.directory.path(),
        &["init", "--quiet", "--bare", "tabled.git"],
    );
    git(&tabled, &["config", "core.repositoryFormatVersion", "1"]);
    git(&tabled, &["config", "extensions.refStorage", "reftable"]);
    let cases = [
        (named, "SHA-256", "--object-format=sha1"),
        (tabled, "reftable", "git refs migrate"),
    ];
    for (path, what, says) in cases {
        let mirror = over_network(&scratch, path.to_str().unwrap(), Credentials::default());
        let problem = mirror.update(Check::Presence).unwrap_err();
        let text = problem.to_string();
        assert!(matches!(problem, SourceProblem::Form { .. }), "{problem:?}");
        assert!(text.contains(what) && text.contains(says), "{text}");
    }
}

#[test]
fn names_by_sha_256_are_told_over_the_network() {
    let scratch = Scratch::new();
    let named = scratch.directory.path().join("named");
    let by = [
        "init",
        "--quiet",
        "-b",
        "main",
        "--object-format=sha256",
        "named",
    ];
    git(scratch.directory.path(), &by);
    git(&named, &["commit", "--quiet", "--allow-empty", "-m", "one"]);
    let server = GitHttp::start(scratch.directory.path());
    let mirror = over_network(&scratch, &server.url("named/.git"), Credentials::default());
    let problem = mirror.update(Check::Presence).unwrap_err();
    assert!(matches!(problem, SourceProblem::Form { .. }), "{problem:?}");
}

#[test]
fn what_is_wrong_with_the_data_directory_is_not_blamed_on_the_repository() {
    let scratch = Scratch::bare();
    let mirror = mirror(&scratch);
    let beside = mirror.path().with_extension("new");
    let unreachable = |reason: &str| SourceProblem::Unreachable {
        url: "env.git".to_owned(),
        reason: reason.to_owned(),
    };
    for words in [
        "failed to write out file: No space left on device".to_owned(),
        "failed to create temporary file: Read-only file system".to_owned(),
        format!(
            "failed to create temporary file '{}/objects/tmp': Permission denied",
            beside.display()
        ),
    ] {
        let problem = unreachable(&words).of_copy(mirror.path());
        let told = problem.to_string();
        assert!(matches!(problem, SourceProblem::Disk { .. }), "{told}");
        assert!(told.contains(&*mirror.path().to_string_lossy()), "{told}");
    }
    let theirs = unreachable("failed to open '/srv/env.git/HEAD': Permission denied");
    assert_eq!(theirs.clone().of_copy(mirror.path()), theirs);

    let raced = mirror.unkept(&io::Error::from(io::ErrorKind::DirectoryNotEmpty));
    assert!(raced.to_string().contains("another process"), "{raced}");
}
