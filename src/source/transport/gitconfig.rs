//! What Git's configuration says of connections.

use git2::Config;

use crate::model::Redacted;

/// The proxy that it names for an address: `http.<address>.proxy` with the longest address
/// that the wanted one begins with, else `http.proxy`. An empty one means none.
pub(super) fn proxy(config: &Config, url: &str) -> Result<Option<Redacted>, git2::Error> {
    let mut best: Option<(usize, Redacted)> = None;
    let mut entries = config.entries(Some("^http\\..*proxy$"))?;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let (Ok(name), Ok(value)) = (entry.name(), entry.value()) else {
            continue;
        };
        // A later entry takes the place of one that is as good.
        if let Some(length) = fits(name, url)
            && best.as_ref().is_none_or(|(best, _)| *best <= length)
        {
            best = Some((length, Redacted::new(value)));
        }
    }
    Ok(best.map(|(_, proxy)| proxy))
}

/// How much of the address an entry's name demands, if it is for it.
fn fits(name: &str, url: &str) -> Option<usize> {
    let base = name.strip_prefix("http.")?;
    if base == "proxy" {
        return Some(0);
    }
    let base = base.strip_suffix(".proxy")?.trim_end_matches('/');
    let rest = url.strip_prefix(base)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(base.len())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn of(text: &str, url: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, text).unwrap();
        let found = proxy(&Config::open(&file).unwrap(), url).unwrap();
        found.map(|proxy| proxy.expose().to_owned())
    }

    #[test]
    fn the_entry_that_says_most_of_the_address_counts() {
        let text = "[http]
  proxy = all:1
[http \"https://git.example\"]
  proxy = git:1
[http \"https://git.example/team/\"]
  proxy =
";
        let cases = [
            ("https://other.example/env", Some("all:1")),
            ("https://git.example/env", Some("git:1")),
            ("https://git.example.org/env", Some("all:1")),
            ("http://git.example/env", Some("all:1")),
            ("https://git.example/team/env", Some("")),
            ("https://git.example/teams/env", Some("git:1")),
        ];
        for (url, expected) in cases {
            assert_eq!(of(text, url).as_deref(), expected, "{url}");
        }
        assert_eq!(
            of("[http]\n  sslVerify = true\n", "https://git.example"),
            None
        );
    }
}
