//! One open WebSocket on either engine.

use bytes::Bytes;

use super::{Engine, Io, tungstenite, ws_core};

/// What a client asks for when it opens a WebSocket.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(any(feature = "cent", feature = "satori-rtm")),
    expect(dead_code, reason = "Stream-sea has one path, no query and no subprotocol")
)]
pub(crate) struct Opening {
    #[cfg_attr(
        all(feature = "satori-rtm", not(feature = "cent")),
        expect(dead_code, reason = "RTM's path is known before its WebSocket is opened")
    )]
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) host: Option<String>,
    /// Subprotocols, the most wanted first.
    pub(crate) offered: Vec<String>,
}

/// The subprotocol that was selected, if any.
pub(crate) type Selected = Option<String>;

/// An HTTP answer that opens nothing.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// What a client sent.
#[derive(Debug)]
pub(crate) enum Incoming {
    Text(String),
    #[cfg_attr(
        not(any(feature = "emitter", feature = "satori-rtm")),
        expect(dead_code, reason = "only MQTT and CBOR are binary")
    )]
    Binary(Bytes),
    /// A ping or pong; the engine has answered.
    Control,
}

/// One open WebSocket on either engine.
pub(crate) enum Socket {
    WsCore(Box<::ws_core::Connection<Io>>),
    Tungstenite(Box<tungstenite::Stream>),
}

/// Opens a WebSocket over `io` if `judge` has nothing against it. A refusal is
/// sent and given back.
pub(crate) async fn accept<J>(
    engine: Engine,
    io: Io,
    max_message: usize,
    judge: J,
) -> Result<Socket, Option<Refusal>>
where
    J: FnOnce(&Opening) -> Result<Selected, Refusal> + Send + Unpin,
{
    match engine {
        Engine::WsCore => ws_core::accept(io, max_message, judge).await,
        Engine::Tungstenite => tungstenite::accept(io, max_message, judge).await,
    }
}

/// Why a socket gives nothing more. What exactly ended it is not a server's
/// concern: the client is gone.
#[derive(Debug)]
pub(crate) struct Gone;

impl Socket {
    /// Receives; cancel safe on both engines.
    #[cfg(any(feature = "cent", feature = "satori-rtm", feature = "stream-sea"))]
    pub(crate) async fn next(&mut self) -> Result<Incoming, Gone> {
        match self {
            Self::WsCore(socket) => ws_core::next(socket).await,
            Self::Tungstenite(socket) => tungstenite::next(socket).await,
        }
    }

    /// Sends and flushes a text message.
    #[cfg(any(feature = "cent", feature = "stream-sea"))]
    pub(crate) async fn send(&mut self, text: String) -> Result<(), Gone> {
        match self {
            Self::WsCore(socket) => ws_core::send(socket, text).await,
            Self::Tungstenite(socket) => tungstenite::send(socket, text).await,
        }
    }

    /// Queues a message, a text or a binary one; [`flush`](Self::flush) sends it at the
    /// latest.
    #[cfg(feature = "satori-rtm")]
    pub(crate) async fn feed(&mut self, bytes: Vec<u8>, is_text: bool) -> Result<(), Gone> {
        // What is written as text is text.
        let text = |bytes| String::from_utf8(bytes).unwrap_or_default();
        match self {
            Self::WsCore(socket) => {
                let message = match is_text {
                    true => ::ws_core::Message::text(text(bytes)),
                    false => ::ws_core::Message::Binary(bytes.into()),
                };
                socket.feed(&message).await.map_err(|_| Gone)
            }
            Self::Tungstenite(socket) => {
                use tokio_tungstenite::tungstenite::Message;
                let message = match is_text {
                    true => Message::text(text(bytes)),
                    false => Message::Binary(bytes.into()),
                };
                futures_util::SinkExt::feed(&mut **socket, message).await.map_err(|_| Gone)
            }
        }
    }

    /// Sends what is queued.
    #[cfg(feature = "satori-rtm")]
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        match self {
            Self::WsCore(socket) => socket.flush().await.map_err(|_| Gone),
            Self::Tungstenite(socket) => {
                futures_util::SinkExt::flush(&mut **socket).await.map_err(|_| Gone)
            }
        }
    }

    /// Sends a ping.
    #[cfg(feature = "stream-sea")]
    pub(crate) async fn ping(&mut self) -> Result<(), Gone> {
        match self {
            Self::WsCore(socket) => ws_core::ping(socket).await,
            Self::Tungstenite(socket) => tungstenite::ping(socket).await,
        }
    }

    /// Closes with a code and a reason. A code that no close frame may hold ends
    /// the connection without one.
    #[cfg(any(feature = "cent", feature = "stream-sea"))]
    pub(crate) async fn close(self, code: u16, reason: &str) {
        let is_code = matches!(code, 1000..=1003 | 1007..=1013 | 3000..=4999);
        let is_sendable = is_code && reason.len() <= 123;
        match self {
            _ if !is_sendable => {}
            Self::WsCore(socket) => ws_core::close(*socket, code, reason).await,
            Self::Tungstenite(socket) => tungstenite::close(*socket, code, reason).await,
        }
    }

    /// The two directions, for servers that read and write at the same time.
    #[cfg(feature = "emitter")]
    pub(crate) fn split(self) -> (SocketReader, SocketWriter) {
        match self {
            Self::WsCore(socket) => {
                let (reader, writer) = socket.split();
                (SocketReader::WsCore(reader), SocketWriter::WsCore(writer))
            }
            Self::Tungstenite(socket) => {
                let (writer, reader) = futures_util::StreamExt::split(*socket);
                (SocketReader::Tungstenite(reader), SocketWriter::Tungstenite(writer))
            }
        }
    }
}

/// What is received on a WebSocket.
#[cfg(feature = "emitter")]
pub(crate) enum SocketReader {
    WsCore(::ws_core::Reader<Io>),
    Tungstenite(futures_util::stream::SplitStream<tungstenite::Stream>),
}

/// What is sent on a WebSocket.
#[cfg(feature = "emitter")]
pub(crate) enum SocketWriter {
    WsCore(::ws_core::Writer<Io>),
    Tungstenite(
        futures_util::stream::SplitSink<
            tungstenite::Stream,
            tokio_tungstenite::tungstenite::Message,
        >,
    ),
}

#[cfg(feature = "emitter")]
impl SocketReader {
    /// Receives; cancel safe on both engines.
    pub(crate) async fn next(&mut self) -> Result<Incoming, Gone> {
        match self {
            Self::WsCore(reader) => ws_core::received(reader.next().await),
            Self::Tungstenite(reader) => {
                tungstenite::received(futures_util::StreamExt::next(reader).await)
            }
        }
    }
}

#[cfg(feature = "emitter")]
impl SocketWriter {
    /// Sends and flushes a binary message.
    pub(crate) async fn send(&mut self, bytes: Bytes) -> Result<(), Gone> {
        match self {
            Self::WsCore(writer) => {
                writer.send(&::ws_core::Message::Binary(bytes)).await.map_err(|_| Gone)
            }
            Self::Tungstenite(writer) => {
                let message = tokio_tungstenite::tungstenite::Message::Binary(bytes);
                futures_util::SinkExt::send(writer, message).await.map_err(|_| Gone)
            }
        }
    }
}
