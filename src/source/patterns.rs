//! OpenSSH's pattern lists (`PATTERNS` in `ssh_config(5)`), as `known_hosts` and
//! `allowed_signers` have them. Pure.

/// Whether a list has a name: patterns apart by commas, with `*` and `?`, and `!` before
/// what is not meant, which counts wherever it stands.
pub(super) fn in_list(list: &str, name: &str) -> bool {
    let patterns = || list.split(',').map(str::trim);
    let matched = |pattern: &str| wildcard(pattern.as_bytes(), name.as_bytes());
    let refused = patterns().any(|pattern| pattern.strip_prefix('!').is_some_and(matched));
    !refused && patterns().any(|pattern| !pattern.starts_with('!') && matched(pattern))
}

/// `*` and `?`, in time proportional to the product of the lengths.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p + 1, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            (p, t) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}
