//! What a watch says, line by line.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use kube::client::Body;
use kube::core::Status;
use serde_json::Value;

use super::error::{ApiError, from_status};

/// By this the server says that all objects which were there at the beginning are told
/// (KEP-3157).
const LISTED: &str = "/metadata/annotations/k8s.io~1initial-events-end";

/// One thing that a watch says.
pub(super) enum Line {
    /// An object is there, or has changed.
    Changed(Value),
    /// An object is gone, or is none of those that are watched any more.
    Deleted(Value),
    /// Everything up to here is told.
    UpTo(Value),
    /// And so are all objects that were there at the beginning.
    Listed(Value),
}

/// A watch that was opened. How long a line may be, the client says.
pub(super) struct Lines<B = Body> {
    body: B,
    buffer: BytesMut,
    /// So much of the buffer holds no end of a line.
    scanned: usize,
}

impl<B: http_body::Body<Data = Bytes, Error = kube::Error> + Unpin> Lines<B> {
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            scanned: 0,
        }
    }

    /// What it says next; `None` when it has ended, in the middle of a line or not.
    /// Cancel-safe: what was read is kept.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, ApiError> {
        loop {
            if let Some(line) = self.take() {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return read(&line).map(Some);
            }
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await;
            let Some(frame) = frame.transpose()? else {
                return Ok(None);
            };
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    fn take(&mut self) -> Option<Bytes> {
        let fresh = self.buffer.get(self.scanned..)?;
        let Some(end) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.scanned + end + 1).freeze();
        self.scanned = 0;
        Some(line)
    }
}

fn read(line: &[u8]) -> Result<Line, ApiError> {
    let mut event: Value =
        serde_json::from_slice(line).map_err(|error| unreadable(&error.to_string()))?;
    let object = event.get_mut("object").map(Value::take).unwrap_or_default();
    match event.get("type").and_then(Value::as_str) {
        Some("ADDED" | "MODIFIED") => Ok(Line::Changed(object)),
        Some("DELETED") => Ok(Line::Deleted(object)),
        Some("BOOKMARK") => {
            let listed = object.pointer(LISTED).and_then(Value::as_str) == Some("true");
            Ok(if listed {
                Line::Listed(object)
            } else {
                Line::UpTo(object)
            })
        }
        Some("ERROR") => Err(said(object)),
        // A Status where events were expected has none.
        _ => Err(said(event)),
    }
}

/// What a Status says. Every field of one may be missing, so that its code tells it from
/// anything else.
fn said(status: Value) -> ApiError {
    match serde_json::from_value::<Status>(status) {
        Ok(status) if status.code >= 400 => from_status(&status),
        Ok(_) | Err(_) => unreadable("it holds something that is no event"),
    }
}

fn unreadable(why: &str) -> ApiError {
    ApiError::Unavailable(format!("its watch cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use http_body::Frame;
    use proptest::prelude::*;

    use super::*;

    async fn all(text: &str) -> Result<Vec<&'static str>, ApiError> {
        let mut lines = Lines::new(Body::from(text.as_bytes().to_vec()));
        let mut told = Vec::new();
        while let Some(line) = lines.next().await? {
            told.push(match line {
                Line::Changed(_) => "changed",
                Line::Deleted(_) => "deleted",
                Line::UpTo(_) => "up to",
                Line::Listed(_) => "listed",
            });
        }
        Ok(told)
    }

    #[tokio::test]
    async fn each_line_is_an_event_and_half_a_line_is_none() {
        let text = r#"{"type":"ADDED","object":{}}

{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}
{"type":"BOOKMARK","object":{"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}}
{"type":"DELETED","object":{}}
{"type":"MODIF"#;
        assert_eq!(
            all(text).await,
            Ok(vec!["changed", "up to", "listed", "deleted"])
        );
    }

    #[tokio::test]
    async fn what_is_no_event_is_an_error() {
        let expired = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"old"}}"#;
        let told = all(&format!("{expired}\n")).await;
        assert_eq!(told, Err(ApiError::Expired("old".to_owned())));
        for text in ["<html>", "{}", "[]", r#"{"type":"ADDED""#, "null"] {
            let told = all(&format!("{text}\n")).await;
            assert!(
                matches!(told, Err(ApiError::Unavailable(_))),
                "{text}: {told:?}"
            );
        }
    }

    /// What comes in pieces.
    struct Pieces(std::vec::IntoIter<Vec<u8>>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = kube::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let piece = self.0.next();
            Poll::Ready(piece.map(|piece| Ok(Frame::data(piece.into()))))
        }
    }

    /// What a watch says in these pieces, up to what can't be read.
    fn told(pieces: Vec<Vec<u8>>) -> Vec<String> {
        let mut lines = Lines::new(Pieces(pieces.into_iter()));
        let mut told = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            loop {
                told.push(match lines.next().await {
                    Ok(Some(Line::Changed(object))) => format!("changed {object}"),
                    Ok(Some(Line::Deleted(object))) => format!("deleted {object}"),
                    Ok(Some(Line::UpTo(object))) => format!("up to {object}"),
                    Ok(Some(Line::Listed(object))) => format!("listed {object}"),
                    Ok(None) => return,
                    Err(error) => return told.push(error.to_string()),
                });
            }
        });
        told
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let kind = "(ADDED|MODIFIED|DELETED|BOOKMARK|ERROR|[A-Z]{0,3})";
        let object = prop_oneof![
            Just("{}".to_owned()),
            Just("null".to_owned()),
            Just(r#"{"metadata":{"name":"a","resourceVersion":"7"}}"#.to_owned()),
            Just(r#"{"metadata":[],"code":410,"message":"old"}"#.to_owned()),
            Just(r#"{"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}"#.to_owned()),
            ".{0,20}",
        ];
        let event = (kind, object).prop_map(|(kind, object)| {
            format!("{{\"type\":\"{kind}\",\"object\":{object}}}").into_bytes()
        });
        prop_oneof![8 => event, 1 => prop::collection::vec(any::<u8>(), 0..40)]
    }

    proptest! {
        #[test]
        fn the_pieces_in_which_it_comes_change_nothing(
            lines in prop::collection::vec(line(), 0..6),
            cuts in prop::collection::vec(0..300_usize, 0..12),
            ended in any::<bool>(),
        ) {
            let mut whole = lines.join(&b'\n');
            if ended {
                whole.push(b'\n');
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|ends| whole[ends[0]..ends[1]].to_vec());
            prop_assert_eq!(told(pieces.collect()), told(vec![whole.clone()]));
        }
    }
}
