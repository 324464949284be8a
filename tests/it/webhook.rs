//! A webhook wakes the agent at once, and costs it nothing else: whoever can't sign is
//! refused, and nobody, signed or not, makes it fall or grow.

use std::env;
use std::fs;
use std::net::Ipv4Addr;
use std::time::Instant;

use crate::support::agent::Agent;
use crate::support::git_http::GitHttp;
use crate::support::gitea::Gitea;
use crate::support::hook::{Answer, Hook, gitea_push, sign};
use crate::support::ports::free_address;
use crate::support::stage::Stage;

const SECRET: &str = "correct horse battery staple";
/// How many deliveries [`no_delivery_makes_it_fall_or_grow`] sends; there is a variable
/// for more.
const DELIVERIES: usize = 2_000;

/// An agent that polls once an hour and takes webhooks.
struct Scene {
    stage: Stage<'static>,
    server: GitHttp,
    address: String,
    admin: String,
}

impl Scene {
    fn new(name: &str, secrets: &[&str]) -> Self {
        let mut stage = Stage::new(name, env!("CARGO_BIN_EXE_agent"));
        let server = GitHttp::start(stage.repository.remote().parent().unwrap());
        let [address, admin] = [free_address(), free_address()];
        let revision = stage.commit(
            "Start",
            &[
                ("agent.yaml", &stage.configuration(&[("shop", "")])),
                ("shop/settings.yaml", &settings("0")),
            ],
        );
        let mut agent = stage
            .agent(&["run", "--repo", &server.url("remote.git")])
            .args(["--environment", &stage.environment])
            .args(["--poll-interval", "1h", "--webhook-addr", &address])
            .args(["--admin-addr", &admin]);
        for (number, secret) in secrets.iter().enumerate() {
            let file = agent.home().join(format!("secret-{number}"));
            fs::write(&file, format!("{secret}\n")).unwrap();
            agent = agent.args([
                String::from("--webhook-secret-file"),
                file.display().to_string(),
            ]);
        }
        if secrets.is_empty() {
            agent = agent.args(["--webhook-unsigned"]);
        }
        stage.start_as(in_its_home(agent));
        stage.until_synced("shop", &revision);
        Self {
            stage,
            server,
            address,
            admin,
        }
    }

    fn hook(&self) -> Hook {
        Hook::new(&self.address)
    }

    fn push(&self, secret: &str) -> Answer {
        let (headers, body) = gitea_push(secret, "remote", "main");
        self.hook().post(&headers, &body).unwrap()
    }

    /// Commits a value, and expects it to be live after one delivery.
    fn is_live_after(&mut self, value: &str, deliver: impl Fn(&Self)) {
        self.stage
            .commit("Change it", &[("shop/settings.yaml", &settings(value))]);
        let begun = Instant::now();
        deliver(self);
        self.stage.until("the value to be live", |stage| {
            let seen = stage.get("configmap", "settings");
            if seen["data"]["a"] == *value {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        });
        println!("live {:?} after the hook was sent", begun.elapsed());
    }

    /// How many deliveries ended so.
    fn counted(&self, sender: &str, result: &str) -> u64 {
        let mut admin = Hook::new(&self.admin);
        let page = admin.raw(b"GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n", b"");
        let name = format!(
            "gitops_agent_webhook_deliveries_total{{sender=\"{sender}\",result=\"{result}\"}} "
        );
        let page = page.unwrap().body;
        let line = page.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |count| count.parse().unwrap())
    }

    /// Its resident memory, in KiB.
    fn memory(&mut self) -> u64 {
        let status = format!("/proc/{}/status", self.stage.daemon().id());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().split_whitespace().next();
        number.unwrap().parse().unwrap()
    }
}

fn settings(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{a: '{value}'}}\n"
    )
}

fn in_its_home(agent: Agent) -> Agent {
    let data = agent.home().join("data");
    agent.args([String::from("--data-dir"), data.display().to_string()])
}

#[test]
fn a_push_is_live_without_a_poll() {
    let mut scene = Scene::new("hook", &["old secret", SECRET]);
    scene.is_live_after("1", |scene| {
        let answer = scene.push(SECRET);
        assert_eq!(answer.status, 202, "{answer:?}");
    });
    scene.is_live_after("2", |scene| {
        assert_eq!(scene.push("old secret").status, 202);
    });

    // Rotated while it runs.
    let file = scene.stage.daemon().home().join("secret-0");
    fs::write(file, "new secret").unwrap();
    assert_eq!(scene.push("old secret").status, 401);
    scene.is_live_after("3", |scene| {
        assert_eq!(scene.push("new secret").status, 202);
    });
    assert_eq!(scene.counted("gitea", "fetch"), 3);
    assert_eq!(scene.counted("gitea", "bad_signature"), 1);
    let log = scene.stage.log();
    for secret in [SECRET, "old secret", "new secret"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn gitea_delivers_and_the_merge_is_live() {
    let mut stage = Stage::new("gitea-hook", env!("CARGO_BIN_EXE_agent"));
    let gitea = Gitea::shared();
    let owner = gitea.user("hook");
    let forged = gitea.repository(&owner, "deploy");
    let address = free_address();
    let configuration = stage.configuration(&[("shop", "")]);
    let revision = forged.repository.commit(
        "Start",
        &[
            ("agent.yaml", &configuration),
            ("shop/settings.yaml", &settings("0")),
        ],
    );
    forged.hook(&format!("http://{address}/webhook"), SECRET);
    let url = format!("{}/{}/deploy", gitea.url(), owner.name);
    let agent = stage
        .agent(&["run", "--repo", &url, "--poll-interval", "1h"])
        .args(["--environment", &stage.environment])
        .args(["--webhook-addr", &address]);
    let [token, secret] = [("token", &*owner.token), ("secret", SECRET)].map(|(name, text)| {
        let file = agent.home().join(name);
        fs::write(&file, text).unwrap();
        file.display().to_string()
    });
    let agent = agent.args(["--git-token-file", &token, "--webhook-secret-file", &secret]);
    stage.start_as(in_its_home(agent));
    // Where the record is read.
    stage.repository = forged.repository;
    stage.until_synced("shop", &revision);
    let forged = gitea.forged(&owner, "deploy");
    forged
        .repository
        .git(&["pull", "--quiet", "origin", "main"]);

    let pushed = forged
        .repository
        .commit("Push", &[("shop/settings.yaml", &settings("1"))]);
    let begun = Instant::now();
    stage.until_synced("shop", &pushed);
    println!("recorded {:?} after the push", begun.elapsed());

    forged.branch("more", "Propose", &[("shop/settings.yaml", &settings("2"))]);
    let number = forged.open(&owner, "Propose", "more");
    let merged = forged.merge(number);
    let begun = Instant::now();
    stage.until_synced("shop", &merged);
    println!("recorded {:?} after the merge", begun.elapsed());
    assert_eq!(stage.get("configmap", "settings")["data"]["a"], "2");
}

#[test]
fn many_hints_are_few_fetches() {
    let scene = Scene::new("hooks", &[SECRET]);
    let before = scene.server.requests();
    let (headers, body) = gitea_push(SECRET, "remote", "main");
    let mut hook = scene.hook();
    for _ in 0..500 {
        assert_eq!(hook.post(&headers, &body).unwrap().status, 202);
    }
    assert_eq!(scene.counted("gitea", "fetch"), 500);
    let asked = scene.server.requests() - before;
    assert!(asked < 250, "{asked} requests for 500 hints");
}

#[test]
fn what_is_not_signed_or_not_ours_is_told_so_and_does_nothing() {
    let mut scene = Scene::new("refused", &[SECRET]);
    let mut hook = scene.hook();
    let mut expect = |headers: &[String], body: &[u8], status: u16, says: &str| {
        let answer = hook.post(headers, body).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(says), "{answer:?}");
    };
    let (signed, body) = gitea_push(SECRET, "remote", "main");
    let unsigned: Vec<String> = signed
        .iter()
        .filter(|header| !header.contains("Signature"))
        .cloned()
        .collect();
    expect(&unsigned, &body, 401, "not signed");
    expect(&signed, &body[..body.len() - 1], 401, "does not hold");
    expect(
        &[
            "X-Gitlab-Event: Push Hook".into(),
            "X-Gitlab-Token: guess".into(),
        ],
        b"{}",
        401,
        "",
    );
    expect(&[], &body, 400, "no headers of GitHub");
    let (headers, body) = gitea_push(SECRET, "remote", "other");
    expect(&headers, &body, 202, "another branch");
    let (headers, body) = gitea_push(SECRET, "team/other", "main");
    expect(&headers, &body, 202, "another repository");
    let garbage = b"{";
    let headers = [
        "X-GitHub-Event: push".into(),
        format!("X-Hub-Signature-256: sha256={}", sign(SECRET, garbage)),
    ];
    expect(&headers, garbage, 400, "not what its sender");
    let endless = vec![b' '; (25 << 20) + 1];
    let code = format!("X-Signature: sha256={}", sign(SECRET, &endless));
    let answer = hook.post(&[code], &endless);
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 413));

    // Neither metrics nor probes are to be found where the outside comes in.
    for path in ["/metrics", "/readyz", "/"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\n\r\n");
        assert_eq!(
            scene.hook().raw(request.as_bytes(), b"").unwrap().status,
            404
        );
    }
    let get = b"GET /webhook HTTP/1.1\r\nHost: agent\r\n\r\n";
    assert_eq!(scene.hook().raw(get, b"").unwrap().status, 405);
    assert_eq!(scene.counted("gitea", "fetch"), 0);

    // Whoever fails too often is not heard, which nobody else feels.
    let mut guesser = Hook::from(Ipv4Addr::new(127, 0, 0, 9), &scene.address);
    let (headers, body) = gitea_push("guess", "remote", "main");
    let guess = |_| guesser.post(&headers, &body).unwrap().status;
    let statuses: Vec<u16> = (0..200).map(guess).collect();
    assert!(
        statuses[..20].iter().all(|status| *status == 401),
        "{statuses:?}"
    );
    assert!(statuses.contains(&429), "{statuses:?}");
    scene.is_live_after("1", |scene| {
        assert_eq!(scene.push(SECRET).status, 202);
    });

    // What is signed and too long to be read is hint enough.
    let long = format!(
        "{{\"ref\":\"refs/heads/main\",\"x\":\"{}\"}}",
        "x".repeat(1 << 20)
    );
    scene.is_live_after("2", |scene| {
        let headers = [
            "X-GitHub-Event: push".to_owned(),
            format!(
                "X-Hub-Signature-256: sha256={}",
                sign(SECRET, long.as_bytes())
            ),
        ];
        let answer = scene.hook().post(&headers, long.as_bytes()).unwrap();
        assert_eq!(answer.status, 202);
    });
}

#[test]
fn unsigned_ones_are_taken_only_where_that_was_said() {
    let mut scene = Scene::new("unsigned", &[]);
    scene.is_live_after("1", |scene| {
        assert_eq!(scene.hook().post(&[], b"").unwrap().status, 202);
    });
    let run = |more: &[&str]| {
        let agent = scene
            .stage
            .invocation()
            .args(["--webhook-addr", "127.0.0.1:0"]);
        agent.args(more).run()
    };
    let ran = run(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("--webhook-secret-file"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        run(&["--webhook-unsigned", "--webhook-secret-file", "x"]).code,
        Some(2)
    );
    let nowhere = scene.stage.invocation().args(["--webhook-unsigned"]).run();
    assert!(nowhere.stderr.contains("do nothing without --webhook-addr"));
    let empty = scene.stage.invocation();
    let file = empty.home().join("empty");
    fs::write(&file, "\n").unwrap();
    let file = file.display().to_string();
    let ran = empty
        .args([
            "--webhook-addr",
            "127.0.0.1:0",
            "--webhook-secret-file",
            &file,
        ])
        .run();
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("is empty"), "{}", ran.stderr);
}

#[test]
fn no_delivery_makes_it_fall_or_grow() {
    let wanted = env::var("AGENT_TEST_DELIVERIES").ok();
    let count = wanted.map_or(DELIVERIES, |text| text.parse().unwrap());
    let mut scene = Scene::new("fuzz", &[SECRET]);
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut hooks: Vec<Hook> = (0..4).map(|_| scene.hook()).collect();
    let mut warm = 0;
    for number in 0..count {
        let before = noise.below(100);
        let answer = match before {
            0..90 => {
                let (headers, body) = signed_nonsense(&mut noise);
                hooks[number % 4].post(&headers, &body).unwrap().status
            }
            90..95 => {
                let from = Ipv4Addr::new(127, 0, 1, u8::try_from(noise.below(250)).unwrap() + 1);
                let (mut headers, body) = signed_nonsense(&mut noise);
                headers.retain(|header| !header.contains("ignature"));
                headers.push(format!(
                    "X-Hub-Signature-256: sha256={}",
                    sign("guess", &body)
                ));
                Hook::from(from, &scene.address)
                    .post(&headers, &body)
                    .unwrap()
                    .status
            }
            _ => {
                // What is no HTTP need not be answered.
                let garbage = noise.bytes(400);
                let head = [
                    b"POST /webhook HTTP/1.1\r\n".as_slice(),
                    &garbage,
                    b"\r\n\r\n",
                ]
                .concat();
                let answer = scene.hook().raw(&head, b"");
                answer.map_or(400, |answer| answer.status)
            }
        };
        assert!(
            [202, 400, 401, 408, 413, 429, 431].contains(&answer),
            "{answer}"
        );
        if number == count / 4 {
            warm = scene.memory();
        }
    }
    let after = scene.memory();
    println!("{count} deliveries: {warm} KiB after a quarter of them, {after} KiB at the end");
    assert!(
        after < warm + 3 * 1024,
        "it grew from {warm} KiB to {after} KiB"
    );
    scene.is_live_after("1", |scene| {
        assert_eq!(scene.push(SECRET).status, 202);
    });
    assert!(!scene.stage.log().contains("panicked"));
}

/// Headers and a body of some forge, with something wrong in the body, properly signed.
fn signed_nonsense(noise: &mut Noise) -> (Vec<String>, Vec<u8>) {
    const BODIES: [&str; 5] = [
        r#"{"ref":"refs/heads/main","repository":{"full_name":"remote"},"commits":[{"id":"0","message":"x"}]}"#,
        r#"{"object_kind":"push","ref":"refs/heads/main","project":{"path_with_namespace":"remote"}}"#,
        r#"{"push":{"changes":[{"old":null,"new":{"type":"branch","name":"main"}}]},"repository":{"full_name":"remote"}}"#,
        r#"{"repository":{"slug":"deploy","project":{"key":"team"}},"changes":[{"ref":{"id":"refs/heads/main"}}]}"#,
        "payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%7D",
    ];
    const EVENTS: [&str; 6] = [
        "X-GitHub-Event: push",
        "X-GitHub-Event: pull_request",
        "X-Gitea-Event: push",
        "X-Event-Key: repo:push",
        "X-Event-Key: pr:opened",
        "X-Forgejo-Event: \u{fffd}push",
    ];
    let mut body = BODIES[noise.below(5)].as_bytes().to_vec();
    for _ in 0..noise.below(6) {
        let at = noise.below(body.len().max(1));
        match noise.below(6) {
            0 => body.truncate(at),
            1 => body = body.repeat(2),
            2 => body = "[{\"ref\":".repeat(at).into_bytes(),
            3 => body.splice(at..at, noise.bytes(40)).for_each(drop),
            4 if noise.below(10) == 0 => body.resize(1 << (16 + noise.below(6)), b'['),
            _ => {
                if let Some(byte) = body.get_mut(at) {
                    *byte = u8::try_from(noise.below(256)).unwrap();
                }
            }
        }
    }
    let code = sign(SECRET, &body);
    let form = ["json", "x-www-form-urlencoded"][noise.below(2)];
    let mut headers = vec![
        EVENTS[noise.below(6)].to_owned(),
        format!("Content-Type: application/{form}"),
    ];
    if noise.below(4) == 0 {
        headers.push("X-Gitlab-Event: System Hook".to_owned());
        headers.push(format!("X-Gitlab-Token: {SECRET}"));
    }
    for name in [
        "X-Gitea-Signature: ",
        "X-Hub-Signature-256: sha256=",
        "X-Hub-Signature: sha256=",
    ] {
        headers.push(format!("{name}{code}"));
    }
    (headers, body)
}

/// The same in every run: a xorshift.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most);
        (0..length)
            .map(|_| u8::try_from(self.below(256)).unwrap())
            .collect()
    }
}
