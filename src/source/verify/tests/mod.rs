#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod history;
mod keys;
mod repository;
mod signatures;

use std::path::{Path, PathBuf};

use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::super::scratch::Scratch;
use super::*;
use crate::model::Revision;

/// 2024-02-01, when most of the fixtures were signed, and a later day.
const FEBRUARY: i64 = 1_706_745_600;
const NOW: i64 = 1_800_000_000;

fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("testdata/verify").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

fn all_keys() -> Keys {
    let names = [
        "allowed_signers",
        "ed.asc",
        "rsa.asc",
        "sub.asc",
        "expiring.asc",
        "compromised.asc",
        "retired.asc",
    ];
    Keys::read(&names.map(fixture)).unwrap()
}

fn judge(raw: &str, keys: &Keys) -> Result<Signer, Distrust> {
    commit::signer(raw.as_bytes(), keys, Timestamp::from_second(NOW).unwrap())
}

/// The name of the signer, or why not, of a fixture's commit.
fn told(name: &str) -> String {
    match judge(&read(&format!("commits/{name}")), &all_keys()) {
        Ok(signer) => signer.name,
        Err(why) => {
            let why = why.to_string();
            let hidden = why.split(' ').map(|word| match word.trim_end_matches(',') {
                key if key.len() == 40 || key.starts_with("SHA256:") => "KEY",
                _ => word,
            });
            hidden.collect::<Vec<_>>().join(" ")
        }
    }
}

/// A repository whose commits are signed or not, and the verifier of one environment.
struct Scene {
    scratch: Scratch,
    policy: Option<Policy>,
}

impl Scene {
    fn new(mode: Mode) -> Self {
        let scratch = Scratch::new();
        let policy = Policy {
            mode,
            keys: vec![fixture("allowed_signers")],
            since: None,
        };
        let policy = Some(policy);
        Self { scratch, policy }
    }

    /// A commit on some parents, signed with a fixture's key if one is named.
    fn commit(&self, key: &str, parents: &[&Revision]) -> Revision {
        self.commit_files(key, parents, &[])
    }

    /// The same with files.
    fn commit_files(&self, key: &str, parents: &[&Revision], files: &[(&str, &str)]) -> Revision {
        self.scratch.git(&["read-tree", "--empty"]);
        for (path, text) in files {
            let file = self.scratch.directory.path().join("blob");
            std::fs::write(&file, text).unwrap();
            let blob = self
                .scratch
                .git(&["hash-object", "-w", file.to_str().unwrap()]);
            let entry = format!("100644,{},{path}", blob.trim());
            self.scratch
                .git(&["update-index", "--add", "--cacheinfo", &entry]);
        }
        let tree = self.scratch.git(&["write-tree"]);
        let tree = tree.trim();
        let parents: Vec<String> = parents.iter().map(|id| format!("parent {id}\n")).collect();
        let parents = parents.concat();
        // Else two of the same would be one.
        let number = self.scratch.git(&["count-objects"]);
        let payload = format!(
            "tree {tree}\n{parents}author Eve <eve@x> {FEBRUARY} +0000\ncommitter Eve <eve@x> {FEBRUARY} +0000\n\nChange {number}\n"
        );
        let header = if key.is_empty() {
            String::new()
        } else {
            let key = PrivateKey::from_openssh(read(&format!("keys/{key}"))).unwrap();
            let signature = key
                .sign("git", HashAlg::Sha512, payload.as_bytes())
                .unwrap();
            let text = signature.to_pem(LineEnding::LF).unwrap();
            format!("gpgsig {}\n", text.trim_end().replace('\n', "\n "))
        };
        let raw = payload.replacen("\n\n", &format!("\n{header}\n"), 1);
        let file = self.scratch.directory.path().join("commit");
        std::fs::write(&file, raw).unwrap();
        let file = file.to_str().unwrap();
        self.scratch
            .git(&["hash-object", "-w", "-t", "commit", file])
            .trim()
            .parse()
            .unwrap()
    }

    fn verifier(&self) -> Verifier {
        let environment = "staging".parse().unwrap();
        Verifier::new(
            self.policy.clone(),
            &environment,
            &self.scratch.data(),
            Path::new("m.git"),
        )
    }

    fn judge(
        &self,
        verifier: &Verifier,
        head: &Revision,
        recorded: Option<&Revision>,
    ) -> Result<(), String> {
        let judged = verifier.head(&self.scratch.repository, head, recorded);
        judged.map_err(|error| error.to_string())
    }
}
