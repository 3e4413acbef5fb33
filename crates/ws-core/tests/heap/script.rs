//! A server of a few lines, whose bytes are made when they are read: it holds
//! nothing itself.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use allocation_counter::opt_out;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ws_core::{ClientRequest, Connection, Endpoint, Error, Keys, Limits, ServerRequest};

/// Writes the next bytes of a server into a slice; 0 means its end.
type Source = Box<dyn FnMut(&mut [u8]) -> usize>;

pub(crate) struct Script {
    request: BytesMut,
    answer: BytesMut,
    source: Source,
    /// Bytes that the server still reads before it stops reading.
    reads: usize,
}

impl Script {
    /// A server that sends what `source` gives, and reads at most `reads` bytes
    /// after the handshake.
    pub(crate) fn new(reads: usize, source: impl FnMut(&mut [u8]) -> usize + 'static) -> Self {
        let (request, answer) = (BytesMut::new(), BytesMut::new());
        Self { request, answer, source: Box::new(source), reads }
    }

    /// A server that sends `wire` and then nothing.
    pub(crate) fn of(wire: Vec<u8>) -> Self {
        let mut wire = io::Cursor::new(wire);
        Self::new(usize::MAX, move |out| io::Read::read(&mut wire, out).unwrap())
    }

    pub(crate) async fn connect(self, limits: Limits) -> Connection<Self> {
        let url: Endpoint = "ws://127.0.0.1/".parse().unwrap();
        let request = ClientRequest::new(&url);
        ws_core::connect(self, request, limits, Keys::system()).await.unwrap().0
    }
}

impl Script {
    fn answer_to(&mut self, request: &[u8]) {
        self.request.extend_from_slice(request);
        let mut head = self.request.clone();
        let request = ServerRequest::parse(&mut head, &Limits::default());
        self.answer.extend_from_slice(&request.unwrap().unwrap().accept(None));
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        opt_out(|| {
            let this = &mut *self;
            if !this.answer.is_empty() {
                let head = this.answer.split_to(this.answer.len().min(buf.remaining()));
                buf.put_slice(&head);
                return;
            }
            let filled = (this.source)(buf.initialize_unfilled());
            buf.advance(filled);
        });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.request.is_empty() {
            opt_out(|| self.answer_to(bytes));
            return Poll::Ready(Ok(bytes.len()));
        }
        let taken = bytes.len().min(self.reads);
        if taken == 0 {
            return Poll::Pending;
        }
        self.reads -= taken;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What came of a connection, and what it held meanwhile.
pub(crate) struct Held {
    /// The first error other than the end of the stream.
    pub(crate) error: Option<Error>,
    pub(crate) messages: u64,
    /// Payload of the messages that came.
    pub(crate) bytes: u64,
    /// The most that was allocated at a time, after the handshake.
    pub(crate) most: u64,
    pub(crate) allocations: u64,
}

/// Receives from `server` until it ends, and counts.
pub(crate) fn receive(server: Script, limits: Limits) -> Held {
    run(async {
        let mut socket = server.connect(limits).await;
        let (mut error, mut messages, mut bytes) = (None, 0, 0);
        let counted = allocation_counter::measure(|| {
            let mut reading = std::pin::pin!(async {
                loop {
                    match socket.next_ref().await {
                        Ok(Some(message)) => {
                            messages += 1;
                            bytes += message.payload_len() as u64;
                        }
                        Ok(None) | Err(Error::UnexpectedEof) => break,
                        Err(other) => {
                            error = Some(other);
                            break;
                        }
                    }
                }
            });
            // The script is never pending: what yields goes on at once.
            let mut cx = Context::from_waker(std::task::Waker::noop());
            while reading.as_mut().poll(&mut cx).is_pending() {}
        });
        let most = counted.bytes_max;
        Held { error, messages, bytes, most, allocations: counted.count_total }
    })
}

/// Runs `future` on this thread, so that its allocations are counted here.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// The header of a frame from a server.
pub(crate) fn header(fin: bool, opcode: u8, len: u64) -> Vec<u8> {
    let first = opcode | if fin { 0x80 } else { 0 };
    match len {
        0..=125 => vec![first, len as u8],
        126..=0xffff => [&[first, 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, 127][..], &len.to_be_bytes()].concat(),
    }
}

/// Hands out `count` copies of `part`.
pub(crate) fn repeat(part: Vec<u8>, count: usize) -> impl FnMut(&mut [u8]) -> usize {
    let (mut left, mut at) = (count, 0);
    move |out| {
        let mut filled = 0;
        while filled < out.len() && left > 0 {
            let now = (out.len() - filled).min(part.len() - at);
            out[filled..filled + now].copy_from_slice(&part[at..at + now]);
            filled += now;
            at += now;
            if at == part.len() {
                (at, left) = (0, left - 1);
            }
        }
        filled
    }
}
