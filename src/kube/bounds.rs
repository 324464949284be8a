//! How much of an answer of the API server is taken in: for every caller of the client, so
//! that no answer without an end takes the memory of the process.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use kube::Client;
use kube::client::Body;
use tower_service::Service;

/// The most bytes of one answer, or of one line of a watch. What etcd takes of one object is
/// 1.5 MiB, and 8 MiB where it was told otherwise; as JSON it may be twice that. A page of a
/// list that would be larger is asked for in smaller ones.
pub(super) const MOST: usize = 16 << 20;

/// The same client, whose answers end with [`TooLarge`] where they are larger than
/// [`MOST`].
pub(super) fn bounded(client: &Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    Client::new(Bounded(client.clone()), namespace)
}

/// An answer, or one line of it, is larger than what is taken in.
#[derive(Debug)]
pub(super) struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its answer is larger than {} MiB", MOST >> 20)
    }
}

impl Error for TooLarge {}

/// Whether an error comes of an answer that is too large.
pub(super) fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<TooLarge>() {
            return true;
        }
        next = error.source();
    }
    false
}

#[derive(Clone)]
struct Bounded(Client);

impl Service<Request<Body>> for Bounded {
    type Response = Response<BoundedBody>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = self.0.clone();
        let counted = counted(request.uri());
        Box::pin(async move {
            let response = client.send(request).await?;
            Ok(response.map(|body| BoundedBody {
                body,
                counted,
                size: 0,
            }))
        })
    }
}

/// What must not be too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// All of it.
    Whole,
    /// Each line: a watch goes on for long.
    Line,
}

fn counted(uri: &Uri) -> Counted {
    let parameters = uri.query().unwrap_or_default().split('&');
    if parameters.into_iter().any(|it| it == "watch=true") {
        Counted::Line
    } else {
        Counted::Whole
    }
}

struct BoundedBody {
    body: Body,
    counted: Counted,
    /// Of what is counted, so far.
    size: usize,
}

impl BoundedBody {
    fn count(&mut self, data: &[u8]) -> Result<(), TooLarge> {
        self.size += data.len();
        if self.counted == Counted::Line
            && let Some(end) = data.iter().rposition(|byte| *byte == b'\n')
        {
            self.size = data.len() - end - 1;
        }
        if self.size > MOST {
            return Err(TooLarge);
        }
        Ok(())
    }
}

impl HttpBody for BoundedBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(frame)) => frame,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        let counted = match frame {
            Ok(frame) => {
                let data = frame.data_ref();
                let fits = data.map_or(Ok(()), |data| self.count(data));
                fits.map(|()| frame).map_err(Into::into)
            }
            Err(error) => Err(error.into()),
        };
        Poll::Ready(Some(counted))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_bounded_by_its_lines_and_anything_else_as_a_whole() {
        let body = |uri: &str| BoundedBody {
            body: Body::empty(),
            counted: counted(&uri.parse().expect("it is a URI")),
            size: 0,
        };
        let half = vec![b'a'; MOST / 2];
        let ended = [&half[..], b"\n"].concat();
        let mut watch = body("/api/v1/pods?watch=true&timeoutSeconds=1");
        for _ in 0..4 {
            assert!(watch.count(&ended).is_ok());
        }
        assert!(watch.count(&half).is_ok());
        assert!(watch.count(&half).is_ok());
        assert!(watch.count(b"a").is_err());

        let mut whole = body("/api/v1/pods?limit=500");
        assert!(whole.count(&ended).is_ok());
        assert!(whole.count(&ended).is_err());
    }
}
