//! A byte stream with a buffer each way.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use ws_core::Stream;

use super::open::MAX_OUT;

/// Bytes read at one go.
const AT_ONCE: usize = 8 << 10;

/// An open byte stream.
pub(super) struct ByteWire {
    io: Stream,
    /// What was read last; it is lent out.
    input: Box<[u8]>,
    received: u64,
    output: Vec<u8>,
    /// How much of `output` is written already.
    written: usize,
    /// Something was written and not flushed.
    unflushed: bool,
}

impl ByteWire {
    pub(super) fn new(io: Stream) -> Self {
        let input = vec![0; AT_ONCE].into_boxed_slice();
        Self { io, input, received: 0, output: Vec::new(), written: 0, unflushed: false }
    }

    /// Writes what is queued, and lends what comes next; `None` at the end of the
    /// stream.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<&[u8]>, ws_core::Error>> {
        if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        let mut buf = ReadBuf::new(&mut self.input);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)).map_err(ws_core::Error::Io)?;
        let read = buf.filled().len();
        self.received += read as u64;
        Poll::Ready(Ok(self.input.get(..read).filter(|bytes| !bytes.is_empty())))
    }

    pub(super) fn queue(&mut self, bytes: Vec<u8>) {
        if self.output.is_empty() {
            self.output = bytes;
            return;
        }
        // What is written already makes room, moved at most as often as written.
        if self.written * 2 > self.output.len() {
            drop(self.output.drain(..self.written));
            self.written = 0;
        }
        self.output.extend_from_slice(&bytes);
    }

    pub(super) const fn has_room(&self) -> bool {
        self.output.len() - self.written < MAX_OUT
    }

    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    /// Writes until there is room.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws_core::Error>> {
        while !self.has_room() {
            ready!(self.poll_write(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws_core::Error>> {
        while self.written < self.output.len() {
            ready!(self.poll_write(cx))?;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx)).map_err(ws_core::Error::Io)?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is queued, ends the stream, and reads until the peer has ended it
    /// too: what is unread would make a reset of the end, and undo the writing.
    pub(super) async fn close(&mut self) -> Result<(), ws_core::Error> {
        poll_fn(|cx| self.poll_flush(cx)).await?;
        self.io.shutdown().await.map_err(ws_core::Error::Io)?;
        while poll_fn(|cx| self.poll_next(cx).map_ok(|bytes| bytes.is_some())).await? {}
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws_core::Error>> {
        let rest = self.output.get(self.written..).unwrap_or_default();
        match ready!(Pin::new(&mut self.io).poll_write(cx, rest)).map_err(ws_core::Error::Io)? {
            0 => return Poll::Ready(Err(ws_core::Error::Io(io::ErrorKind::WriteZero.into()))),
            written => self.written += written,
        }
        self.unflushed = true;
        if self.written == self.output.len() {
            // An idle connection holds nothing.
            (self.output, self.written) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}
