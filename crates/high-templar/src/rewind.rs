//! A stream whose first bytes were read to see what it is.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Any byte stream.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

pub(crate) struct Rewind {
    first: Vec<u8>,
    io: Box<dyn ByteStream>,
}

/// How a request for a WebSocket begins; a space or a query follows.
const WEBSOCKET: &[u8] = b"GET /ws/";

impl Rewind {
    /// Reads until it is clear whether a request is one for a WebSocket.
    pub(crate) async fn sniff(mut io: Box<dyn ByteStream>) -> io::Result<(bool, Self)> {
        // Most requests come in one piece.
        let mut first = Vec::with_capacity(512);
        while first.len() <= WEBSOCKET.len()
            && first.iter().zip(WEBSOCKET).all(|(found, wanted)| found == wanted)
        {
            if io.read_buf(&mut first).await? == 0 {
                break;
            }
        }
        let rest = first.strip_prefix(WEBSOCKET);
        let is_websocket = matches!(rest, Some([b' ' | b'?', ..]));
        Ok((is_websocket, Self { first, io }))
    }
}

impl AsyncRead for Rewind {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let count = self.first.len().min(buf.remaining());
        let given: Vec<u8> = self.first.drain(..count).collect();
        buf.put_slice(&given);
        if self.first.is_empty() {
            self.first = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewind {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
