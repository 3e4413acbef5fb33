//! The WebSocket that is not ours, in front of the server that runs on ours: what was
//! agreed on in the opening handshake is passed on, frames are read and written anew.

use std::io::{self, Cursor};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::engine::Io;

/// Most bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;

/// The beginning of a request, up to the empty line and what came with it.
pub(super) struct Head {
    pub(super) bytes: Vec<u8>,
    /// Where the head ends.
    end: usize,
}

impl Head {
    pub(super) async fn read(io: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Self> {
        let mut bytes = Vec::new();
        loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok(Self { bytes, end: at + 4 });
            }
            if bytes.len() > MAX_HEAD || io.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// The first value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.bytes.get(..self.end)?).ok()?;
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(super) fn is_websocket(&self) -> bool {
        self.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    }

    /// The stream as if nothing had been read.
    pub(super) fn before(self, io: Io) -> Io {
        let (reader, writer) = tokio::io::split(io);
        Box::new(tokio::io::join(Cursor::new(self.bytes).chain(reader), writer))
    }
}

/// Passes a client on to the server behind `inner`.
pub(super) async fn run(mut client: Io, request: Head, mut inner: DuplexStream) -> io::Result<()> {
    let (head, rest) = request.bytes.split_at(request.end);
    inner.write_all(head).await?;
    let answer = Head::read(&mut inner).await?;
    let (head, begun) = answer.bytes.split_at(answer.end);
    client.write_all(head).await?;
    if !head.starts_with(b"HTTP/1.1 101") {
        client.write_all(begun).await?;
        tokio::io::copy(&mut inner, &mut client).await?;
        return client.shutdown().await;
    }
    // The limits are those of the server behind.
    let most = Some(64 << 20);
    let config = WebSocketConfig::default().max_message_size(most).max_frame_size(most);
    let config = Some(config.read_buffer_size(8 << 10).max_write_buffer_size(4 << 20));
    let rest = rest.to_vec();
    let mut outer = WebSocketStream::from_partially_read(client, rest, Role::Server, config).await;
    let begun = begun.to_vec();
    let mut inner = WebSocketStream::from_partially_read(inner, begun, Role::Client, config).await;
    let lost = io::Error::other;
    loop {
        tokio::select! {
            said = outer.next() => match said {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    inner.send(message).await.map_err(lost)?;
                }
                Some(Ok(Message::Close(frame))) => inner.close(frame).await.map_err(lost)?,
                // The engine answers pings.
                Some(Ok(_)) => {}
                // Dropped without a closing handshake, as the client's own end is.
                Some(Err(_)) | None => return Ok(()),
            },
            said = inner.next() => match said {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    outer.send(message).await.map_err(lost)?;
                }
                Some(Ok(Message::Close(frame))) => outer.close(frame).await.map_err(lost)?,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return outer.close(None).await.map_err(lost),
            },
        }
    }
}
