//! What is sent with a request: kept until it is complete, so that its length can be told
//! beforehand. Some servers take no other (411), and a request can be sent again.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::Body as RequestBody;

/// What is kept in memory; more goes to a file.
const IN_MEMORY: usize = 1 << 20;

/// What is read from the file at once.
const PIECE: usize = 64 << 10;

/// Bytes in memory, or in a file that has no name.
#[derive(Debug, Default)]
pub(super) struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    size: u64,
}

impl Spool {
    /// How much it is.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// All of it, to be sent; may be asked for again.
    pub(super) fn body(&mut self) -> io::Result<RequestBody> {
        let Some(file) = &mut self.file else {
            return Ok(self.memory.clone().into());
        };
        file.seek(SeekFrom::Start(0))?;
        Ok(RequestBody::wrap(FileBody {
            file: file.try_clone()?,
            left: self.size,
        }))
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + bytes.len() > IN_MEMORY {
            let mut file = tempfile::tempfile()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        let written = match &mut self.file {
            Some(file) => file.write(bytes)?,
            None => self.memory.write(bytes)?,
        };
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file as a body whose length is known. Read where it is asked for: it was written a
/// moment ago, so it comes from memory.
struct FileBody {
    file: File,
    left: u64,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut piece = vec![0; PIECE];
        let read = self.file.read(&mut piece).and_then(|length| match length {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => Ok(length),
        });
        Poll::Ready(Some(read.map(|length| {
            piece.truncate(length);
            self.left = self.left.saturating_sub(length as u64);
            Frame::data(piece.into())
        })))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
