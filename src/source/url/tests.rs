#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn url(text: &str) -> RepoUrl {
    text.parse().unwrap()
}

#[test]
fn every_form_is_read() {
    let cases = [
        (
            "https://git.example/team/env.git",
            "https://git.example/team/env.git",
            "env",
        ),
        (
            "http://Git.Example:8080/env",
            "http://Git.Example:8080/env",
            "env",
        ),
        (
            "ssh://git@git.example:2222/team/env.git",
            "ssh://git@git.example:2222/team/env.git",
            "env",
        ),
        (
            "git@git.example:team/env.git",
            "git@git.example:team/env.git",
            "env",
        ),
        (
            "git@[git.example:2222]:env.git",
            "git@[git.example:2222]:env.git",
            "env",
        ),
        ("file:///srv/my%20env.git", "/srv/my env.git", "myenv"),
        ("/srv/env.git/", "/srv/env.git/", "env"),
    ];
    for (text, shown, name) in cases {
        assert_eq!(url(text).to_string(), shown);
        assert_eq!(url(text).short_name(), name);
    }
}

#[test]
fn the_host_and_port_of_ssh_are_known() {
    let ssh = |host: &str, port, user: Option<&str>| Transport::Ssh {
        host: host.to_owned(),
        port,
        user: user.map(str::to_owned),
    };
    assert_eq!(
        *url("git@Git.Example:env").transport(),
        ssh("git.example", 22, Some("git"))
    );
    assert_eq!(
        *url("git.example:env").transport(),
        ssh("git.example", 22, None)
    );
    assert_eq!(
        *url("ssh://a@h:2222/e").transport(),
        ssh("h", 2222, Some("a"))
    );
    assert_eq!(
        *url("ssh://[::1]:2222/e").transport(),
        ssh("::1", 2222, None)
    );
    assert_eq!(*url("a@[h:2222]:e").transport(), ssh("h", 2222, Some("a")));
}

#[test]
fn credentials_never_show() {
    for text in [
        "https://ada:s3cr3t@git.example/env",
        "https://s3cr3t@git.example/env",
        "https://ada:s3cr3t%40%2F@git.example:8443/env",
        "ssh://git:s3cr3t@git.example/env",
    ] {
        let url = url(text);
        assert!(
            !format!("{url} {url:?} {}", url.connect_text()).contains("s3cr3t"),
            "{url:?}"
        );
    }
    let with = url("https://ada:s3cr3t%40%2F@git.example:8443/env");
    let (user, password) = with.userinfo().unwrap();
    assert_eq!(
        (user.expose(), password.unwrap().expose()),
        ("ada", "s3cr3t@/")
    );
    assert_eq!(with.to_string(), "https://git.example:8443/env");
}

#[test]
fn what_is_no_address_is_refused_without_being_repeated() {
    for text in [
        "",
        "ftp://ada:s3cr3t@h/env",
        "https:///env",
        "https://h:notaport/s3cr3t",
        "https://h/env?token=s3cr3t",
        "https://ada:%zzs3cr3t@h/env",
        "ssh://h",
        "-oProxyCommand=s3cr3t:env",
        "ssh://-oProxyCommand=s3cr3t/env",
        "git@h:",
        "ada:s3cr3t@git.example/env",
        "ada:s3cr3t@git.example:env",
        "ada:s3cr3t@git.example:8443/env",
        "ada@corp.example:s3cr3t@git.example/env",
        "file://elsewhere/s3cr3t",
        "a\nb",
    ] {
        let error = text.parse::<RepoUrl>().unwrap_err();
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}

#[test]
fn a_relative_path_is_made_absolute() {
    let path = url("some/env").local_path().unwrap().to_owned();
    assert!(path.is_absolute() && path.ends_with("some/env"));
    assert_eq!(
        url("./with:colon")
            .local_path()
            .unwrap()
            .file_name()
            .unwrap(),
        "with:colon"
    );
}
