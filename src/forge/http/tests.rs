use std::fs;

use super::*;
use crate::forge::ForgeKind;
use crate::model::Redacted;
use crate::runtime::net::tls_server;

#[tokio::test]
async fn an_authority_that_was_renewed_is_read_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let authorities = directory.path().join("ca.pem");
    let trust = |name: &str| fs::copy(tls_server::file(name), &authorities).expect(name);
    let address = ForgeAddress {
        kind: ForgeKind::Gitea,
        web: format!("https://127.0.0.1:{}", tls_server::serve("server", false)),
        repository: "team/deploy".to_owned(),
    };
    let tls = Tls {
        authorities: Some(authorities.clone()),
        identity: None,
    };
    trust("elsewhere.pem");
    let token = ForgeToken::Given(Redacted::new("t"));
    let http = Http::new(&address, (token, &tls), &[]).expect("a client");
    let unknown = http.exists("/a").await;
    assert!(
        matches!(unknown, Err(ForgeError::Unreachable { .. })),
        "{unknown:?}"
    );
    trust("ca.pem");
    assert_eq!(http.exists("/a").await, Ok(true));
}
