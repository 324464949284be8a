//! A real server of Git over SSH on loopback, with host keys, certificates of theirs and
//! a client's key, made by OpenSSH's own programs.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::leash::{self, Process};
use super::programs::{Program, Programs};

/// The kinds of its host keys.
pub const KINDS: [&str; 3] = ["rsa", "ecdsa", "ed25519"];

/// A running server. Dropped, it is gone.
pub struct Sshd {
    _process: Process,
    directory: TempDir,
    port: u16,
}

impl Sshd {
    /// Starts one on a free port, which lets in one key, that of [`key`](Self::key).
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start() -> Self {
        let programs = Programs::build(&[Program::Sshd]).expect("the server can be built");
        let directory = leash::scratch("sshd");
        let at = |name: &str| directory.path().join(name);
        for kind in KINDS {
            make_key(&at(&format!("host-{kind}")), kind, "");
        }
        make_key(&at("client"), "ed25519", "");
        fs::copy(at("client.pub"), at("authorized.pub")).expect("it was made");
        let mut command = Command::new(programs.path(Program::Sshd));
        command.arg(directory.path()).stdout(Stdio::piped());
        command.stderr(fs::File::create(at("log")).expect("it can be written"));
        let mut process = leash::spawn(&mut command).expect("it starts");
        let mut line = String::new();
        let read = BufReader::new(process.stdout()).read_line(&mut line);
        read.expect("it says its port");
        Self {
            _process: process,
            directory,
            port: line.trim().parse().expect("it is a port"),
        }
    }

    /// The address of a repository on this machine's disk.
    pub fn url(&self, repository: &Path) -> String {
        let port = self.port;
        format!("ssh://git@127.0.0.1:{port}{}", repository.display())
    }

    /// The name of the server in `known_hosts`.
    pub fn host(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// The private key that is let in.
    pub fn key(&self) -> PathBuf {
        self.file("client")
    }

    /// Another key in its place, with a passphrase; gives its file.
    pub fn locked_key(&self, passphrase: &str) -> PathBuf {
        let key = self.file("locked");
        make_key(&key, "ed25519", passphrase);
        fs::copy(self.file("locked.pub"), self.file("authorized.pub")).expect("it was made");
        key
    }

    /// The public half of a host key, as `known_hosts` has it.
    pub fn host_key(&self, kind: &str) -> String {
        public(&self.file(&format!("host-{kind}.pub")))
    }

    /// Gives the server a certificate of its ed25519 key; gives the authority's key.
    pub fn certify(&self) -> String {
        let authority = self.file("authority");
        make_key(&authority, "ed25519", "");
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-h", "-I", "server", "-n", "127.0.0.1", "-s"])
            .args([authority, self.file("host-ed25519.pub")])
            .status();
        assert!(signed.expect("ssh-keygen runs").success());
        public(&self.file("authority.pub"))
    }

    /// A `known_hosts` of these lines.
    pub fn known_hosts(&self, lines: &[String]) -> PathBuf {
        let file = self.file("known_hosts");
        fs::write(&file, lines.join("\n") + "\n").expect("it can be written");
        file
    }

    /// From now on serves so: `silence`, `banner`, or a script in the place of what is
    /// asked for; `None` serves again.
    pub fn serve_as(&self, manner: Option<&str>) {
        let file = self.file("manner");
        match manner {
            Some(manner) => fs::write(file, manner).expect("it can be written"),
            None => fs::remove_file(file).expect("it was written"),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn make_key(file: &Path, kind: &str, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-a", "1", "-N", passphrase, "-f"])
        .arg(file)
        .status();
    assert!(made.expect("ssh-keygen runs").success());
}

/// A public key without its comment.
fn public(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("it was made");
    let words: Vec<&str> = text.split(' ').take(2).collect();
    words.join(" ")
}
