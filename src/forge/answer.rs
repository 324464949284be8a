//! What a forge's answers say beside the data: where a list goes on, where something has
//! moved to, what went wrong.

use http::header::{LINK, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Request, Response};
use serde_json::Value;

use crate::model::{cut, shown_line};

/// How much of what a forge says about a failure is shown, in characters.
const SHOWN: usize = 300;

/// The address of the next page (RFC 8288).
pub(super) fn next(headers: &HeaderMap) -> Option<String> {
    let links = headers.get(LINK)?.to_str().ok()?;
    links.split(',').find_map(|link| {
        let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        let mut parameters = rest.split(';').map(str::trim);
        let next = parameters.any(|it| it == r#"rel="next""# || it == "rel=next");
        next.then(|| target.to_owned())
    })
}

/// An address below the API, on the host by which we know it. A forge in a cluster is
/// often asked by another name than the one that it gives itself.
pub(super) fn here(api: &str, address: &str) -> Option<String> {
    let (origin, root) = split(api)?;
    let (_, path) = split(address)?;
    let below = path.strip_prefix(root)?;
    below
        .starts_with('/')
        .then(|| format!("{origin}{root}{below}"))
}

/// `https://host/a/b` as `https://host` and `/a/b`.
fn split(address: &str) -> Option<(&str, &str)> {
    let host = address.find("://")? + 3;
    let path = address[host..].find('/').unwrap_or(address.len() - host);
    Some(address.split_at(host + path))
}

/// The same request to where the answer says that it belongs, if that is below the API.
/// What writes is sent again only where the answer says that it is to stay the same: else
/// it would be sent as a question, and taken for done.
pub(super) fn moved(api: &str, mut request: Request, answer: &Response) -> Option<Request> {
    let follow = match answer.status() {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *request.method() == Method::GET,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => false,
    };
    let location = location(answer.headers()).filter(|_| follow)?;
    let target = request.url().join(location).ok()?;
    *request.url_mut() = here(api, target.as_str())?.parse().ok()?;
    Some(request)
}

fn location(headers: &HeaderMap) -> Option<&str> {
    headers.get(LOCATION)?.to_str().ok()
}

/// What a forge says about a failure: `message` or `error`, with what GitHub adds as
/// `errors`, or the text itself; and where it has gone.
pub(super) fn message(headers: &HeaderMap, body: &[u8]) -> String {
    let parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let mut said = match (&parsed["message"], &parsed["error"]) {
        (Value::String(text), _) | (Value::Null, Value::String(text)) => text.clone(),
        (Value::Null, _) => String::from_utf8_lossy(body).into_owned(),
        (other, _) => other.to_string(),
    };
    for error in parsed["errors"].as_array().into_iter().flatten() {
        said = format!("{said}; {}", detail(error));
    }
    if let Some(location) = location(headers) {
        said = format!("{said}; it is at {location}");
    }
    let text = shown_line(&cut(&said, SHOWN));
    match text.trim_start_matches("; ") {
        "" => "it does not say why".to_owned(),
        text => text.to_owned(),
    }
}

/// One of the `errors` of GitHub's `Validation Failed`.
///
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed>
fn detail(error: &Value) -> String {
    let text = |name: &str| error[name].as_str();
    match (
        error.as_str().or(text("message")),
        text("field"),
        text("code"),
    ) {
        (Some(message), _, _) => message.to_owned(),
        (None, Some(field), Some(code)) => format!("{field} is {code}"),
        (None, _, _) => error.to_string(),
    }
}
