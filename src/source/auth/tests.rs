#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn file(text: &str) -> Result<(String, Redacted), CredentialsError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    HttpLogin::File(file.path().to_owned()).read()
}

#[test]
fn a_file_holds_a_token_or_a_user_and_password() {
    let given = |user: &str, secret: &str| Ok((user.to_owned(), Redacted::new(secret)));
    assert_eq!(file("t0ken\n"), given("x-access-token", "t0ken"));
    assert_eq!(file("ada:pass:word\n"), given("ada", "pass:word"));
    assert!(matches!(
        file(" \n"),
        Err(CredentialsError::EmptyFile { .. })
    ));
    let gone = HttpLogin::File("/nowhere/token".into()).read().unwrap_err();
    assert!(gone.to_string().contains("/nowhere/token"), "{gone}");
}

#[test]
fn another_host_is_not_given_the_credentials() {
    assert_eq!(
        other_host("git.example", "https://git.example:8443/env"),
        None
    );
    let other = other_host("git.example", "https://evil.example/env");
    assert_eq!(other.as_deref(), Some("evil.example"));
}

#[test]
fn a_second_question_ends_the_asking() {
    let url: RepoUrl = "https://git.example/env".parse().unwrap();
    let credentials = Credentials {
        http: Some(HttpLogin::Given {
            username: None,
            secret: Redacted::new("t0ken"),
        }),
        ssh: None,
    };
    let mut offer = Offer::new(&url, &credentials);
    let kind = CredentialType::USER_PASS_PLAINTEXT;
    let mut ask = || offer.answer("https://git.example/env", None, kind).unwrap();
    assert!(ask().is_ok());
    assert!(matches!(ask(), Err(CredentialsError::Refused { .. })));
}

#[test]
fn an_ssh_key_that_is_not_there_is_named() {
    let url: RepoUrl = "git@git.example:env".parse().unwrap();
    let credentials = Credentials {
        http: None,
        ssh: Some(SshLogin {
            key: "/nowhere/id_ed25519".into(),
            passphrase: None,
            known_hosts: "/nowhere/known_hosts".into(),
        }),
    };
    let mut offer = Offer::new(&url, &credentials);
    let answer = offer
        .answer("", Some("git"), CredentialType::SSH_KEY)
        .unwrap();
    let error = answer.err().unwrap();
    assert!(error.to_string().contains("/nowhere/id_ed25519"), "{error}");
}
