//! The bytes of a connection, whatever carries them.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::engine::{Gone, Incoming, Io, Socket, SocketReader, SocketWriter};

pub(super) enum Reader {
    Plain(ReadHalf<Io>),
    WebSocket(SocketReader),
}

pub(super) enum Writer {
    Plain(WriteHalf<Io>),
    WebSocket(SocketWriter),
}

pub(super) fn plain(io: Io) -> (Reader, Writer) {
    let (reader, writer) = tokio::io::split(io);
    (Reader::Plain(reader), Writer::Plain(writer))
}

pub(super) fn websocket(socket: Socket) -> (Reader, Writer) {
    let (reader, writer) = socket.split();
    (Reader::WebSocket(reader), Writer::WebSocket(writer))
}

impl Reader {
    /// The next piece; cancel safe.
    pub(super) async fn next(&mut self) -> Result<Bytes, Gone> {
        match self {
            Self::Plain(reader) => {
                let mut piece = Vec::with_capacity(16 << 10);
                match reader.read_buf(&mut piece).await {
                    Ok(0) | Err(_) => Err(Gone),
                    Ok(_) => Ok(piece.into()),
                }
            }
            Self::WebSocket(reader) => loop {
                match reader.next().await? {
                    Incoming::Text(text) => return Ok(text.into()),
                    Incoming::Binary(bytes) => return Ok(bytes),
                    Incoming::Control => {}
                }
            },
        }
    }
}

impl Writer {
    pub(super) async fn send(&mut self, bytes: Bytes) -> Result<(), Gone> {
        match self {
            Self::Plain(writer) => {
                writer.write_all(&bytes).await.map_err(|_| Gone)?;
                writer.flush().await.map_err(|_| Gone)
            }
            Self::WebSocket(writer) => writer.send(bytes).await,
        }
    }
}
