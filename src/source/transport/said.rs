//! What the words of `ssh` mean, or those of the server's shell or forge.

use super::words;

/// Why there is no repository, as far as the words tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The host's key is not one that is trusted.
    HostKey(String),
    /// We are not let in.
    Refused(String),
    /// There is no such repository.
    Nothing(String),
    /// Anything else.
    Other(String),
}

/// How much of the words is shown, in bytes: the end of them, where the reason stands.
const SHOWN: usize = 450;

/// The meaning of what came on standard error.
pub(super) fn said(text: &str) -> Said {
    let lower = text.to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|some| lower.contains(some));
    let shown = ending(text);
    if shown.is_empty() {
        return Said::Other("ssh ended without a word".to_owned());
    }
    if says(&["host key verification failed"]) {
        return Said::HostKey(host_key(text).unwrap_or(shown));
    }
    // The server was not reached, whatever its name contains.
    if lower.lines().any(|line| line.starts_with("ssh: ")) || says(&["command not found"]) {
        return Said::Other(shown);
    }
    if says(&[
        "permission denied",
        "too many authentication failures",
        "no supported authentication methods",
        "access denied",
        "unauthorized",
    ]) {
        return Said::Refused(shown);
    }
    if says(&[
        "not found",
        "could not be found",
        "does not exist",
        "cannot find repository",
        "not appear to be a git repository",
    ]) {
        return Said::Nothing(shown);
    }
    Said::Other(shown)
}

/// What is wrong with a host's key, and what to do. `OpenSSH` says it in some ten lines.
fn host_key(text: &str) -> Option<String> {
    const KNOWN: &str = " host key is known for ";
    let lines = || text.lines().map(str::trim);
    let after = |start: &str| lines().find_map(|line| line.strip_prefix(start));
    if text.contains("REVOKED HOST KEY") {
        let key = lines().find(|line| line.contains("host key for"))?;
        return Some(words(&format!("its key was revoked: {key}")));
    }
    if text.contains("IDENTIFICATION HAS CHANGED") {
        let print = lines().find(|line| line.starts_with("SHA256:"))?;
        let print = print.trim_end_matches('.');
        let known = after("Offending ").map(|known| format!(" than the {known}"));
        return Some(words(&format!(
            "the host answers with another key{}: {print}; somebody may be in between; if the host's key was changed on purpose, replace that line",
            known.unwrap_or_default()
        )));
    }
    let line = lines().find(|line| line.starts_with("No ") && line.contains(KNOWN))?;
    let (kind, rest) = line.strip_prefix("No ")?.split_once(KNOWN)?;
    let host = rest.split(' ').next()?;
    Some(words(&format!(
        "host {host} is not in known_hosts, with its {kind} key at least; get its keys with `ssh-keyscan`, compare their fingerprints with what its owner says, and add them"
    )))
}

/// The end of a text, from the beginning of a line where lines are short.
fn ending(text: &str) -> String {
    let kept: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.chars().all(|c| c == '@'))
        .collect();
    let mut from = kept.len();
    let mut size = 0;
    while from > 0 && size + kept[from - 1].len() <= SHOWN {
        from -= 1;
        size += kept[from].len() + 2;
    }
    // A last line that is too long is cut at its end.
    let from = from.min(kept.len().saturating_sub(1));
    words(&kept[from..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kind of a meaning.
    fn kind(said: &Said) -> &'static str {
        match said {
            Said::HostKey(_) => "host key",
            Said::Refused(_) => "refused",
            Said::Nothing(_) => "nothing",
            Said::Other(_) => "other",
        }
    }

    #[test]
    fn the_words_of_ssh_and_of_forges_have_their_meaning() {
        let cases = [
            ("git@h: Permission denied (publickey).", "refused"),
            (
                "Received disconnect from 1.2.3.4: 2: Too many authentication failures",
                "refused",
            ),
            (
                "ssh: connect to host h port 22: Connection refused",
                "other",
            ),
            (
                "ssh: Could not resolve hostname not-found.example: Name or service not known",
                "other",
            ),
            ("bash: line 1: git-upload-pack: command not found", "other"),
            (
                "fatal: '/env' does not appear to be a git repository",
                "nothing",
            ),
            ("ERROR: Repository not found.", "nothing"),
            (
                "remote: ERROR: The project you are looking for could not be found or you don't have permission to view it.",
                "nothing",
            ),
            ("Gitea: Cannot find repository: team/env", "nothing"),
            ("Connection timed out during banner exchange", "other"),
            ("Host key verification failed.", "host key"),
        ];
        for (text, expected) in cases {
            assert_eq!(kind(&said(text)), expected, "{text}");
        }
        assert_eq!(
            said("\n \n"),
            Said::Other("ssh ended without a word".to_owned())
        );
    }

    #[test]
    fn the_end_of_many_words_is_shown() {
        let text = format!(
            "{}last\u{202e} word\n",
            "a line of the banner\n".repeat(200)
        );
        let Said::Other(shown) = said(&text) else {
            panic!("{text}");
        };
        assert!(shown.ends_with(r"last\u{202e} word"), "{shown}");
        assert!(shown.len() < 600, "{shown}");
        let Said::Other(shown) = said(&"x".repeat(9_000)) else {
            panic!("x");
        };
        assert!(shown.starts_with('x') && shown.len() < 600, "{shown}");
    }

    #[test]
    fn a_key_that_is_not_trusted_is_told_with_what_to_do() {
        let told = |text: &str| match said(text) {
            Said::HostKey(reason) => reason,
            other => panic!("{other:?}"),
        };
        let unknown = told(
            "No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.\nHost key verification failed.\n",
        );
        assert!(
            unknown.contains("host [127.0.0.1]:2222 is not in known_hosts")
                && unknown.contains("ssh-keyscan"),
            "{unknown}"
        );
        let changed = told(
            "@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@\nIT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\nThe fingerprint for the ED25519 key sent by the remote host is\nSHA256:abc.\nPlease contact your system administrator.\nAdd correct host key in /k to get rid of this message.\nOffending ED25519 key in /k:3\nHost key for h has changed and you have requested strict checking.\nHost key verification failed.\n",
        );
        assert!(
            changed.contains("than the ED25519 key in /k:3: SHA256:abc;"),
            "{changed}"
        );
    }
}
