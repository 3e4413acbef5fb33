//! What a client speaks over, as the task sees it.

use std::{
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use ws_core::{CloseCode, CloseFrame, Connection, Message, MessageRef, Stream};

use super::bytes::ByteWire;
use crate::traffic::{Input, Transmit};

/// An open connection.
pub struct Wire(Kind);

enum Kind {
    WebSocket(Box<Connection<Stream>>),
    /// Pieces of any size arrive as [`Input::Binary`], and what is sent goes out as
    /// it is.
    Bytes(Box<ByteWire>),
}

impl From<Connection<Stream>> for Wire {
    fn from(socket: Connection<Stream>) -> Self {
        Self(Kind::WebSocket(Box::new(socket)))
    }
}

impl From<Stream> for Wire {
    fn from(stream: Stream) -> Self {
        Self(Kind::Bytes(Box::new(ByteWire::new(stream))))
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::WebSocket(_) => "WebSocket",
            Kind::Bytes(_) => "Bytes",
        })
    }
}

impl Wire {
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Input<'_>>, ws_core::Error>> {
        match &mut self.0 {
            Kind::WebSocket(socket) => socket.poll_next_ref(cx).map_ok(|message| {
                message.map(|message| match message {
                    MessageRef::Text(text) => Input::Text(text),
                    MessageRef::Binary(bytes) => Input::Binary(bytes),
                    _ => Input::Control,
                })
            }),
            Kind::Bytes(wire) => wire.poll_next(cx).map_ok(|bytes| bytes.map(Input::Binary)),
        }
    }

    /// Takes what is to be sent.
    pub(super) fn queue(&mut self, transmit: Transmit) -> Result<(), ws_core::Error> {
        match &mut self.0 {
            Kind::WebSocket(socket) => socket.queue(&match transmit {
                Transmit::Text(text) => Message::text(text),
                Transmit::Binary(bytes) => Message::Binary(bytes.into()),
                Transmit::Ping => Message::Ping(bytes::Bytes::from_static(b"py")),
            }),
            Kind::Bytes(wire) => {
                match transmit {
                    Transmit::Text(text) => wire.queue(text.into_bytes()),
                    Transmit::Binary(bytes) => wire.queue(bytes),
                    // A byte stream has no ping of its own.
                    Transmit::Ping => {}
                }
                Ok(())
            }
        }
    }

    pub(super) fn has_room(&self) -> bool {
        match &self.0 {
            Kind::WebSocket(socket) => socket.has_room(),
            Kind::Bytes(wire) => wire.has_room(),
        }
    }

    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws_core::Error>> {
        match &mut self.0 {
            Kind::WebSocket(socket) => socket.poll_room(cx),
            Kind::Bytes(wire) => wire.poll_room(cx),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws_core::Error>> {
        match &mut self.0 {
            Kind::WebSocket(socket) => socket.poll_flush(cx),
            Kind::Bytes(wire) => wire.poll_flush(cx),
        }
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        match &self.0 {
            Kind::WebSocket(socket) => socket.received(),
            Kind::Bytes(wire) => wire.received(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        match &self.0 {
            Kind::WebSocket(socket) => socket.is_open(),
            Kind::Bytes(_) => true,
        }
    }

    /// The frame with which the peer closed, if there is such a thing.
    pub(super) fn close_frame(&self) -> Option<CloseFrame> {
        match &self.0 {
            Kind::WebSocket(socket) => socket.close_frame().cloned(),
            Kind::Bytes(_) => None,
        }
    }

    /// Writes what is queued and closes, for at most `wait`.
    pub(super) async fn hang_up(self, wait: Duration) {
        // Nobody is left to tell: the peer that does not answer is dropped.
        match self.0 {
            Kind::WebSocket(mut socket) => {
                let frame = CloseFrame::new(CloseCode::NORMAL, "");
                let _ended = socket.close(Some(&frame), wait).await;
            }
            Kind::Bytes(mut wire) => {
                let _ended = tokio::time::timeout(wait, wire.close()).await;
            }
        }
    }
}
