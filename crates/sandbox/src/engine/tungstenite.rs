//! The engine that is not ours.

#[cfg(any(feature = "cent", feature = "stream-sea"))]
use futures_util::SinkExt;
#[cfg(any(feature = "cent", feature = "satori-rtm", feature = "stream-sea"))]
use futures_util::StreamExt;
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::WebSocketConfig,
    },
};

use super::{Gone, Incoming, Io, Opening, Refusal, Selected, Socket};

pub(crate) type Stream = WebSocketStream<Io>;

#[expect(clippy::result_large_err, reason = "the shape of the callback is the library's")]
pub(super) async fn accept<J>(
    io: Io,
    max_message: usize,
    judge: J,
) -> Result<Socket, Option<Refusal>>
where
    J: FnOnce(&Opening) -> Result<Selected, Refusal> + Send + Unpin,
{
    let mut refused = None;
    let verdict = |request: &Request, mut response: Response| {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let offered = header("sec-websocket-protocol").unwrap_or_default().split(',');
        let opening = Opening {
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            host: header("host").map(str::to_owned),
            offered: offered.map(|name| name.trim().to_owned()).collect(),
        };
        let judged = judge(&opening).map(|selected| {
            // What was offered in a header can stand in one.
            if let Some(Ok(name)) = selected.map(|name| name.parse()) {
                response.headers_mut().insert("sec-websocket-protocol", name);
            }
            response
        });
        judged.map_err(|refusal| {
            let mut answer = ErrorResponse::new(Some(refusal.body.clone()));
            *answer.status_mut() = refusal.status.try_into().unwrap_or_default();
            refused = Some(refusal);
            answer
        })
    };
    // Its default lets a client that reads nothing grow the write buffer
    // without end, and takes 128 KiB a connection.
    let config = WebSocketConfig::default()
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
        .read_buffer_size(8 << 10)
        .max_write_buffer_size(4 << 20);
    match accept_hdr_async_with_config(io, verdict, Some(config)).await {
        Ok(socket) => Ok(Socket::Tungstenite(Box::new(socket))),
        Err(_) => Err(refused),
    }
}

#[cfg(any(feature = "cent", feature = "satori-rtm", feature = "stream-sea"))]
pub(super) async fn next(socket: &mut Stream) -> Result<Incoming, Gone> {
    received(socket.next().await)
}

pub(super) fn received(
    message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
) -> Result<Incoming, Gone> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Incoming::Text(text.as_str().to_owned())),
        Some(Ok(Message::Binary(bytes))) => Ok(Incoming::Binary(bytes)),
        // A close is answered by the engine while it is polled to its end.
        Some(Ok(_)) => Ok(Incoming::Control),
        Some(Err(_)) | None => Err(Gone),
    }
}

#[cfg(any(feature = "cent", feature = "stream-sea"))]
pub(super) async fn send(socket: &mut Stream, text: String) -> Result<(), Gone> {
    socket.send(Message::text(text)).await.map_err(|_| Gone)
}

#[cfg(feature = "stream-sea")]
pub(super) async fn ping(socket: &mut Stream) -> Result<(), Gone> {
    socket.send(Message::Ping(bytes::Bytes::new())).await.map_err(|_| Gone)
}

#[cfg(any(feature = "cent", feature = "stream-sea"))]
pub(super) async fn close(mut socket: Stream, code: u16, reason: &str) {
    let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
        code: code.into(),
        reason: reason.to_owned().into(),
    };
    // Until the other side has answered, or is gone.
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}
