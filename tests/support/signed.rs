//! Signed commits, without ssh-keygen: the keys lie in `testdata/verify`.

use std::fs;
use std::path::{Path, PathBuf};

use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::git::Repository;

/// A file of `testdata/verify`.
pub fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("testdata/verify").join(name)
}

/// Commits files, signs that with one of the keys, and pushes it.
///
/// # Panics
/// When there is no such key.
pub fn commit(repository: &Repository, key: &str, message: &str, files: &[(&str, &str)]) -> String {
    for (path, text) in files {
        repository.write(path, text);
    }
    repository.git(&["add", "--all"]);
    repository.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
    let payload = repository.git(&["cat-file", "commit", "HEAD"]);
    let key = fs::read_to_string(fixture("keys").join(key)).expect("it is there");
    let key = PrivateKey::from_openssh(key).expect("it is a key");
    let signature = key.sign("git", HashAlg::Sha512, payload.as_bytes());
    let text = signature.and_then(|signature| signature.to_pem(LineEnding::LF));
    let text = text
        .expect("a key can sign")
        .trim_end()
        .replace('\n', "\n ");
    let signed = payload.replacen("\n\n", &format!("\ngpgsig {text}\n\n"), 1);
    let file = repository.work().join(".git/signed");
    fs::write(&file, signed).expect("the clone is writable");
    let id = repository.git(&["hash-object", "-w", "-t", "commit", ".git/signed"]);
    repository.git(&["reset", "--quiet", "--hard", id.trim()]);
    repository.push();
    id.trim().to_owned()
}
