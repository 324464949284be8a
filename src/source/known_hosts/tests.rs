#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may panic, and runs ssh-keygen itself"
)]

use super::*;

const BLOB: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20................................";
const KEY: HostKey<'_> = HostKey {
    kind: "ssh-ed25519",
    blob: BLOB,
};

fn encoded() -> String {
    STANDARD.encode(BLOB)
}

fn verdict(hosts: &str, host: (&str, u16)) -> Result<(), HostKeyError> {
    let text = format!("# comment\n\n{hosts} ssh-ed25519 {} a comment\n", encoded());
    check(&text, "/etc/known_hosts", host, KEY)
}

#[test]
fn patterns_match_as_in_openssh() {
    let accepted = [
        ("git.example", ("git.example", 22)),
        ("GIT.example", ("git.Example", 22)),
        ("other,git.example", ("git.example", 22)),
        ("*.example", ("git.example", 22)),
        ("g?t.example", ("git.example", 22)),
        ("[git.example]:2222", ("git.example", 2222)),
        ("*,!evil.example", ("git.example", 22)),
    ];
    for (hosts, host) in accepted {
        assert_eq!(verdict(hosts, host), Ok(()), "{hosts}");
    }
    let refused = [
        ("git.example", ("git.example", 2222)),
        ("[git.example]:2222", ("git.example", 22)),
        ("*.example", ("example", 22)),
        ("*,!git.example", ("git.example", 22)),
        ("@cert-authority git.example", ("git.example", 22)),
        ("@revoked git.example", ("git.example", 22)),
    ];
    for (hosts, host) in refused {
        assert!(verdict(hosts, host).is_err(), "{hosts}");
    }
}

#[test]
fn an_unknown_host_is_told_with_its_fingerprint_and_the_line_to_add() {
    let error = verdict("other.example", ("git.example", 2222)).unwrap_err();
    let told = error.to_string();
    assert!(told.contains(&KEY.fingerprint()), "{told}");
    let line = format!("[git.example]:2222 ssh-ed25519 {}", encoded());
    assert!(told.ends_with(&line), "{told}");
    assert_eq!(check(&line, "f", ("git.example", 2222), KEY), Ok(()));
}

#[test]
fn a_changed_key_names_the_line() {
    let text = "a\ngit.example ssh-ed25519 AAAA\n";
    let error = check(text, "/etc/known_hosts", ("git.example", 22), KEY).unwrap_err();
    assert!(matches!(error, HostKeyError::Changed { number: 2, .. }));
    assert!(error.to_string().contains("/etc/known_hosts:2"), "{error}");
}

/// `ssh-keygen -H` is what hashes a file of known hosts, and `-l` what prints a fingerprint.
#[test]
fn hashed_names_and_fingerprints_are_those_of_openssh() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new("ssh-keygen")
            .current_dir(directory.path())
            .args(arguments)
            .output();
        output.ok().filter(|output| output.status.success())
    };
    if run(&["-q", "-t", "ed25519", "-N", "", "-f", "key"]).is_none() {
        eprintln!("no ssh-keygen here; the table below stands for it");
        return;
    }
    let public = std::fs::read_to_string(directory.path().join("key.pub")).unwrap();
    let blob = public.split(' ').nth(1).unwrap();
    let blob_bytes = STANDARD.decode(blob).unwrap();
    let key = HostKey {
        kind: "ssh-ed25519",
        blob: &blob_bytes,
    };
    let known = directory.path().join("known");
    std::fs::write(&known, format!("[git.example]:2222 ssh-ed25519 {blob}\n")).unwrap();
    run(&["-H", "-f", "known"]).unwrap();
    let text = std::fs::read_to_string(&known).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    assert_eq!(check(&text, "f", ("git.example", 2222), key), Ok(()));
    assert!(check(&text, "f", ("git.example", 22), key).is_err());
    let printed = run(&["-l", "-f", "key.pub"]).unwrap().stdout;
    assert!(
        String::from_utf8(printed)
            .unwrap()
            .contains(&key.fingerprint())
    );
}

/// RFC 2104 over SHA-1 with a salt of twenty zero bytes, as `ssh-keygen -H` writes it.
#[test]
fn a_hashed_name_matches_without_openssh() {
    let salt = [0_u8; 20];
    let mut mac = Hmac::<Sha1>::new_from_slice(&salt).unwrap();
    mac.update(b"git.example");
    let hash = STANDARD.encode(mac.finalize().into_bytes());
    let hosts = format!("|1|{}|{hash}", STANDARD.encode(salt));
    assert_eq!(verdict(&hosts, ("git.example", 22)), Ok(()));
    assert!(verdict(&hosts, ("evil.example", 22)).is_err());
}
