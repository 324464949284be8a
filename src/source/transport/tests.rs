#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Instant;

use super::super::auth::{Credentials, HttpLogin};
use super::super::scratch::git_http::{Asked, GitHttp};
use super::super::scratch::hostile_git::Manner;
use super::super::scratch::{Scratch, remote};
use super::*;

/// Short, and large enough for what is right.
fn short(_: Act) -> Limits {
    Limits {
        silence: Duration::from_millis(500),
        rate: None,
        all: Duration::from_secs(2),
        size: 1 << 20,
    }
}

fn conversation(remote: &Remote, limits: fn(Act) -> Limits) -> Conversation {
    let conversation = Conversation::new(remote, Config::new());
    Conversation {
        limits,
        ..Arc::into_inner(conversation).unwrap()
    }
}

/// Asks for the refs; gives what is wrong.
fn ask(remote: &Remote) -> Result<(), SourceProblem> {
    talk(remote, conversation(remote, short))
}

fn talk(remote: &Remote, conversation: Conversation) -> Result<(), SourceProblem> {
    let conversation = Arc::new(conversation);
    let connected = conversation.hold(|| {
        git2::Remote::create_detached(remote.url.connect_text())?.connect(git2::Direction::Fetch)
    });
    connected.map_err(|error| {
        let known = conversation.problem();
        known.unwrap_or_else(|| super::super::explain(&remote.url, &error))
    })
}

fn token() -> Credentials {
    Credentials {
        http: Some(HttpLogin::Given {
            username: Some("ada".to_owned()),
            secret: Redacted::new("s3cr3t"),
        }),
        ..Credentials::default()
    }
}

#[test]
fn whatever_never_ends_is_given_up_and_told() {
    let scratch = Scratch::bare();
    scratch.commit("a", "1");
    let server = GitHttp::start(scratch.directory.path());
    let remote = remote(&server.url("env.git"));
    let cases = [
        (Manner::EndlessRefs, "larger than 1 MiB"),
        (Manner::EndlessHeaders, "too large"),
        (Manner::EndlessPromises, "gave no answer"),
        (
            Manner::Trickle(Duration::from_millis(200)),
            "not complete after 2 s",
        ),
        (Manner::Silence, "gave no answer"),
        (Manner::Cut, "broke off"),
    ];
    for (manner, says) in cases {
        server.answer_as(Some((manner.clone(), Asked::All)));
        let begun = Instant::now();
        let problem = ask(&remote).unwrap_err();
        let unreachable = matches!(problem, SourceProblem::Unreachable { .. });
        assert!(
            unreachable && problem.to_string().contains(says),
            "{manner:?}: {problem}"
        );
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(20), "{manner:?}: {took:?}");
    }
    server.answer_as(None);
    assert_eq!(ask(&remote), Ok(()));
}

#[test]
fn the_end_of_the_process_ends_the_wait() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    server.answer_as(Some((Manner::Silence, Asked::All)));
    let remote = remote(&server.url("env.git"));
    let begun = Instant::now();
    let conversation = Conversation {
        asked: || Instant::now().checked_sub(GRACE),
        begun: begun.checked_sub(GRACE).unwrap(),
        ..conversation(&remote, Limits::of)
    };
    let problem = talk(&remote, conversation).unwrap_err();
    assert!(problem.to_string().contains("asked to end"), "{problem}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_is_not_git_s_is_told_as_such() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    let remote = remote(&server.url("env.git"));
    let told = |manner| {
        server.answer_as(Some((manner, Asked::All)));
        ask(&remote).unwrap_err()
    };
    let page = told(Manner::Page);
    assert!(
        matches!(page, SourceProblem::NoRepository { .. }),
        "{page:?}"
    );
    assert!(page.to_string().contains("text/html"), "{page}");
    let to_page = told(Manner::Redirect(
        "https://git.example/login?next=s3cr3t".to_owned(),
    ));
    assert!(
        matches!(to_page, SourceProblem::NoRepository { .. }),
        "{to_page:?}"
    );
    let text = to_page.to_string();
    assert!(
        text.contains("a page of https://git.example") && !text.contains("s3cr3t"),
        "{text}"
    );
    let round = told(Manner::Redirect(
        server.url("env.git/info/refs?service=git-upload-pack"),
    ));
    assert!(round.to_string().contains("goes on redirecting"), "{round}");
}

#[test]
fn a_server_without_time_is_left_alone_up_to_a_minute() {
    let scratch = Scratch::bare();
    let server = GitHttp::start(scratch.directory.path());
    let remote = remote(&server.url("env.git"));
    let cases = [
        (
            "429 Too Many Requests",
            "Retry-After: 86400\r\n",
            60,
            "86400 s, of which 60 s",
        ),
        (
            "503 Service Unavailable",
            "Retry-After: 7\r\n",
            7,
            "left alone for 7 s",
        ),
        ("503 Service Unavailable", "", 0, "503"),
    ];
    for (status, headers, seconds, says) in cases {
        server.answer_as(Some((Manner::Status(status, headers), Asked::All)));
        let problem = ask(&remote).unwrap_err();
        assert_eq!(problem.pause(), Duration::from_secs(seconds), "{problem}");
        let text = problem.to_string();
        assert!(
            text.contains("can't be reached") && text.contains(says),
            "{text}"
        );
    }
}

#[test]
fn a_redirect_is_followed_and_another_place_is_not_given_the_credentials() {
    let scratch = Scratch::bare();
    scratch.commit("a", "1");
    let [first, second] = [0, 1].map(|_| GitHttp::start(scratch.directory.path()));
    let there = second.url("env.git/info/refs?service=git-upload-pack");
    first.answer_as(Some((Manner::Redirect(there), Asked::All)));
    let url = first.url("old.git").parse().unwrap();
    let remote = Remote::new(url, token());

    assert_eq!(ask(&remote), Ok(()));
    assert!(remote.branches().unwrap().contains_key("main"));
    second.demand_login(Some("ada:s3cr3t"));
    let problem = ask(&remote).unwrap_err();
    assert!(
        matches!(problem, SourceProblem::Unauthorized { .. }),
        "{problem:?}"
    );
    assert!(
        problem
            .to_string()
            .contains(second.url("").trim_end_matches('/')),
        "{problem}"
    );
    assert_eq!(second.logins(), 0, "the other port was given the token");
}

#[test]
fn a_push_larger_than_memory_tells_its_length() {
    use std::io::{Read as _, Write as _};
    let mut spool = spool::Spool::default();
    for _ in 0..40 {
        spool.write_all(&vec![7; 100_000]).unwrap();
    }
    assert_eq!(spool.size(), 4_000_000);
    // Twice, as after a question for credentials.
    for _ in 0..2 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let body = spool.body().unwrap();
        let sent = std::thread::spawn(move || {
            let tls = Credentials::default().tls.configuration().unwrap();
            let client = net::client(net::Proxies::default(), tls).build().unwrap();
            let minute = Duration::from_mins(1);
            net::wait(minute, || false, async move {
                client.post(url).body(body).send().await.is_ok()
            })
            .unwrap()
        });
        let (mut stream, _) = listener.accept().unwrap();
        let (mut all, mut came) = (Vec::new(), 0);
        let mut piece = vec![0; 65_536];
        while came < 4_000_000 {
            let length = stream.read(&mut piece).unwrap();
            assert_ne!(length, 0, "the body ends early");
            came += piece[..length]
                .split(|byte| *byte != 7)
                .map(<[u8]>::len)
                .sum::<usize>();
            all.extend_from_slice(&piece[..length]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        assert!(sent.join().unwrap());
        let head = String::from_utf8_lossy(&all[..400]).to_lowercase();
        assert!(head.contains("content-length: 4000000"), "{head}");
    }
}
