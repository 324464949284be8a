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
fn a_password_s_file_is_read_each_time() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let login = HttpLogin::PasswordFile {
        username: Some("ada".to_owned()),
        file: file.path().to_owned(),
    };
    for secret in ["old:er", " newer "] {
        std::fs::write(file.path(), format!("{secret}\r\n")).unwrap();
        let read = login.read();
        assert_eq!(read, Ok(("ada".to_owned(), Redacted::new(secret))));
    }
}
