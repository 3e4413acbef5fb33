//! Two ends of a connection.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use ws_core::{ClientRequest, Connection, Endpoint, Keys, Limits};

/// A stream that gives and takes one byte at a time, and makes its user wait
/// before each.
#[derive(Debug)]
pub(crate) struct Dribble {
    io: DuplexStream,
    may_read: bool,
    may_write: bool,
}

impl Dribble {
    pub(crate) fn new(io: DuplexStream) -> Self {
        Self { io, may_read: false, may_write: false }
    }
}

/// Ready every second time.
fn turn(may: &mut bool, cx: &Context<'_>) -> bool {
    let ready = std::mem::replace(may, !*may);
    if !ready {
        cx.waker().wake_by_ref();
    }
    ready
}

impl AsyncRead for Dribble {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !turn(&mut self.may_read, cx) {
            return Poll::Pending;
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        let read = Pin::new(&mut self.io).poll_read(cx, &mut one);
        buf.put_slice(one.filled());
        read
    }
}

impl AsyncWrite for Dribble {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if !turn(&mut self.may_write, cx) {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_write(cx, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A client and a server that are connected.
pub(crate) async fn pair<S>(
    wrap: impl Fn(DuplexStream) -> S,
    limits: Limits,
) -> (Connection<S>, Connection<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (near, far) = tokio::io::duplex(1 << 16);
    let endpoint: Endpoint = "ws://127.0.0.1/chat".parse().unwrap();
    let client =
        ws_core::connect(wrap(near), ClientRequest::new(&endpoint), limits, Keys::system());
    let server = async { ws_core::accept(wrap(far), limits).await.unwrap().accept(None).await };
    let (client, server) = tokio::join!(client, server);
    (client.unwrap().0, server.unwrap())
}

/// Polls `future` at most `polls` times, then drops it.
pub(crate) async fn poll_times<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}
