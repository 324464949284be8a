//! What the parts of a control plane know each other by.

use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::parts::{ADMIN, AUDIT_POLICY, Layout, USERS};

/// RFC 5480: what comes before the point of a P-256 key in a `SubjectPublicKeyInfo`.
const P256_PUBLIC_KEY: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Writes what the API server is to find when it starts.
pub fn write(layout: &Layout) -> Result<()> {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let failed = |error| anyhow!("cannot make a key for service accounts: {error}");
    let private = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), &random)
        .map_err(|error| anyhow!("cannot read the key just made: {error}"))?;
    let public = [&P256_PUBLIC_KEY, pair.public_key().as_ref()].concat();
    fs::write(layout.file("sa.key"), pem("PRIVATE KEY", private.as_ref()))?;
    fs::write(layout.file("sa.pub"), pem("PUBLIC KEY", &public))?;

    let users: String = USERS.iter().map(super::parts::User::csv).collect();
    fs::write(layout.file("tokens.csv"), users)?;
    fs::write(layout.file("audit-policy.yaml"), AUDIT_POLICY)?;
    Ok(())
}

/// Writes a kubeconfig for every user, once the API server has made its certificate.
pub fn write_kubeconfigs(layout: &Layout) -> Result<()> {
    for user in USERS {
        let path = layout.kubeconfig(user.name);
        write_kubeconfig(layout, &path, &user.token())?;
    }
    Ok(())
}

/// Writes a kubeconfig for whoever holds a token.
pub fn write_kubeconfig(layout: &Layout, path: &Path, token: &str) -> Result<()> {
    let authority = STANDARD.encode(fs::read(layout.file("certs/apiserver.crt"))?);
    let server = layout.server();
    let text = format!(
        "apiVersion: v1
kind: Config
current-context: test
contexts:
- name: test
  context: {{cluster: test, user: {ADMIN}}}
clusters:
- name: test
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {ADMIN}
  user:
    token: {token}
"
    );
    Ok(fs::write(path, text)?)
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for start in (0..body.len()).step_by(64) {
        text.push_str(&body[start..body.len().min(start + 64)]);
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}
