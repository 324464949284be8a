#![expect(clippy::unwrap_used, reason = "a test may panic")]

use kube::config::ExecConfig;

use super::*;

/// A user whose program is a shell script.
fn user(script: &str) -> AuthInfo {
    let exec = ExecConfig {
        api_version: Some("client.authentication.k8s.io/v1".to_owned()),
        command: Some("sh".to_owned()),
        args: Some(vec!["-c".to_owned(), script.to_owned()]),
        interactive_mode: Some(ExecInteractiveMode::Never),
        ..ExecConfig::default()
    };
    AuthInfo {
        exec: Some(exec),
        ..AuthInfo::default()
    }
}

async fn refused(script: &str) -> String {
    let error = resolve(&mut user(script)).await.unwrap_err();
    assert!(matches!(error, ApiError::Unauthorized(_)), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn what_it_gives_is_used_until_it_expires() {
    let mut by_token =
        user(r#"echo '{"status": {"token": "t", "expirationTimestamp": "2026-01-02T03:04:05Z"}}'"#);
    let until = resolve(&mut by_token).await.unwrap();
    assert_eq!(until, Some("2026-01-02T03:04:05Z".parse().unwrap()));
    assert!(by_token.token.is_some() && by_token.exec.is_none());

    // YAML is taken as well.
    let mut by_certificate =
        user("printf 'status:\\n  clientCertificateData: c\\n  clientKeyData: k\\n'");
    assert_eq!(resolve(&mut by_certificate).await.unwrap(), None);
    let certificate = by_certificate.client_certificate_data.unwrap();
    assert_eq!(certificate, STANDARD.encode("c"));
}

#[tokio::test]
async fn what_is_wrong_is_told_without_what_it_wrote() {
    let failing = refused("echo hunter2; echo first >&2; echo 'log in first' >&2; exit 3").await;
    assert!(
        failing.contains("exit status: 3): log in first"),
        "{failing}"
    );
    let odd = refused("echo 'hunter2: ['").await;
    assert!(odd.contains("gave no ExecCredential"), "{odd}");
    let none = refused("echo '{\"status\": {\"clientKeyData\": \"hunter2\"}}'").await;
    assert!(none.contains("neither a token nor a certificate"), "{none}");
    for told in [failing, odd, none] {
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn one_that_is_missing_says_how_to_install_it() {
    let mut user = user("");
    let exec = user.exec.as_mut().unwrap();
    exec.command = Some("no-such-program".to_owned());
    exec.install_hint = Some("brew install it".to_owned());
    let error = resolve(&mut user).await.unwrap_err().to_string();
    assert!(
        error.contains("no-such-program cannot be started"),
        "{error}"
    );
    assert!(error.ends_with("; brew install it"), "{error}");
}

#[tokio::test]
async fn what_it_started_ends_with_the_wait_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
    let pid = || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    };
    let started = async {
        while pid().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = refused(&script) => panic!("it ended by itself"),
        () = started => {}
    }
    let stat = format!("/proc/{}/stat", pid().unwrap());
    let runs = || {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        let rest = stat.rsplit(") ").next();
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    };
    let gone = async {
        while runs() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(20), gone).await;
    assert!(gone.is_ok(), "it is left running");
}
