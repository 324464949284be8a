//! What the head of an answer means.

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, StatusCode};

use super::pace::Act;

/// What is to be done about an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its body is Git's.
    Git,
    /// The question belongs elsewhere.
    Moved(String),
    /// It wants to know who we are.
    WhoAreYou,
    /// It may not be asked that by us.
    Forbidden,
    /// There is no such repository.
    Nothing,
    /// It has no time now.
    Busy,
    /// What was sent is too large.
    TooLarge,
    /// It answers, and not in Git's words: in those of this type.
    NotGit(String),
    /// Anything else.
    Failed,
}

impl Act {
    /// What is appended to the repository's address.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::FetchRefs | Self::PushRefs => "/info/refs",
            Self::Fetch => "/git-upload-pack",
            Self::Push => "/git-receive-pack",
        }
    }

    /// The program that serves it.
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::FetchRefs | Self::Fetch => "git-upload-pack",
            Self::PushRefs | Self::Push => "git-receive-pack",
        }
    }

    /// Whether it is a question without a body.
    pub(super) fn asks(self) -> bool {
        matches!(self, Self::FetchRefs | Self::PushRefs)
    }

    /// The type of its answer.
    pub(super) fn answer_type(self) -> String {
        let end = if self.asks() {
            "advertisement"
        } else {
            "result"
        };
        format!("application/x-{}-{end}", self.service())
    }
}

/// The verdict on an answer to an act.
pub(super) fn verdict(act: Act, status: StatusCode, headers: &HeaderMap) -> Verdict {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match status.as_u16() {
        200 => {
            let given = header(CONTENT_TYPE).unwrap_or_default();
            if given.split(';').next().map(str::trim) == Some(&act.answer_type()) {
                Verdict::Git
            } else {
                Verdict::NotGit(plain(given))
            }
        }
        301 | 302 | 303 | 307 | 308 if act.asks() => match header(LOCATION) {
            Some(location) => Verdict::Moved(location.to_owned()),
            None => Verdict::Failed,
        },
        401 => Verdict::WhoAreYou,
        403 => Verdict::Forbidden,
        404 | 410 => Verdict::Nothing,
        413 => Verdict::TooLarge,
        429 | 503 => Verdict::Busy,
        _ => Verdict::Failed,
    }
}

/// A media type as it can be shown.
fn plain(given: &str) -> String {
    let fine = |c: &char| c.is_ascii_alphanumeric() || "/.+-".contains(*c);
    let shown: String = given.chars().take_while(fine).take(60).collect();
    if shown.is_empty() {
        "no type".to_owned()
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn each_answer_has_its_meaning() {
        const REFS: &str = "application/x-git-upload-pack-advertisement";
        let moved = || Verdict::Moved("/new/info/refs".to_owned());
        let cases = [
            (Act::FetchRefs, 200, REFS, Verdict::Git),
            (
                Act::FetchRefs,
                200,
                "application/x-git-upload-pack-advertisement; charset=utf-8",
                Verdict::Git,
            ),
            (
                Act::Fetch,
                200,
                "application/x-git-upload-pack-result",
                Verdict::Git,
            ),
            (
                Act::Push,
                200,
                "application/x-git-receive-pack-result",
                Verdict::Git,
            ),
            (Act::PushRefs, 200, REFS, Verdict::NotGit(REFS.to_owned())),
            (
                Act::FetchRefs,
                200,
                "text/html; charset=utf-8",
                Verdict::NotGit("text/html".to_owned()),
            ),
            (
                Act::FetchRefs,
                200,
                "",
                Verdict::NotGit("no type".to_owned()),
            ),
            (Act::FetchRefs, 204, REFS, Verdict::Failed),
            (Act::FetchRefs, 301, "", moved()),
            (Act::PushRefs, 308, "", moved()),
            (Act::Push, 302, "", Verdict::Failed),
            (Act::FetchRefs, 401, "", Verdict::WhoAreYou),
            (Act::Push, 403, "", Verdict::Forbidden),
            (Act::FetchRefs, 404, "", Verdict::Nothing),
            (Act::Push, 413, "", Verdict::TooLarge),
            (Act::FetchRefs, 429, "", Verdict::Busy),
            (Act::FetchRefs, 503, "", Verdict::Busy),
            (Act::FetchRefs, 500, "", Verdict::Failed),
            (Act::FetchRefs, 407, "", Verdict::Failed),
        ];
        for (act, status, kind, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            headers.insert(LOCATION, "/new/info/refs".parse().unwrap());
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                verdict(act, status, &headers),
                expected,
                "{act:?} {status} {kind}"
            );
        }
    }
}
