//! Our own engine.

#[cfg(any(feature = "cent", feature = "stream-sea"))]
use std::time::Duration;

#[cfg(any(feature = "cent", feature = "satori-rtm", feature = "stream-sea"))]
use ::ws_core::Connection;
#[cfg(any(feature = "cent", feature = "stream-sea"))]
use ::ws_core::{CloseCode, CloseFrame};
use ::ws_core::{Limits, Message};

use super::{Gone, Incoming, Io, Opening, Refusal, Selected, Socket};

pub(super) async fn accept<J>(
    io: Io,
    max_message: usize,
    judge: J,
) -> Result<Socket, Option<Refusal>>
where
    J: FnOnce(&Opening) -> Result<Selected, Refusal> + Send + Unpin,
{
    let limits = Limits::default().max_message(max_message);
    let handshake = ::ws_core::accept(io, limits).await.map_err(|_| None)?;
    let request = handshake.request();
    let opening = Opening {
        path: request.path().to_owned(),
        query: request.query().unwrap_or_default().to_owned(),
        host: request.header("host").map(str::to_owned),
        offered: request.subprotocols().map(str::to_owned).collect(),
    };
    let selected = match judge(&opening) {
        Ok(selected) => selected,
        Err(refusal) => {
            // A client that does not take its refusal has gone by itself.
            let _sent = handshake.reject(refusal.status, &refusal.body).await;
            return Err(Some(refusal));
        }
    };
    let socket = handshake.accept(selected.as_deref()).await.map_err(|_| None)?;
    Ok(Socket::WsCore(Box::new(socket)))
}

#[cfg(any(feature = "cent", feature = "satori-rtm", feature = "stream-sea"))]
pub(super) async fn next(socket: &mut Connection<Io>) -> Result<Incoming, Gone> {
    received(socket.next().await)
}

pub(super) fn received(
    message: Result<Option<Message>, ::ws_core::Error>,
) -> Result<Incoming, Gone> {
    match message {
        Ok(Some(Message::Text(text))) => Ok(Incoming::Text(text.as_str().to_owned())),
        Ok(Some(Message::Binary(bytes))) => Ok(Incoming::Binary(bytes)),
        Ok(Some(_)) => Ok(Incoming::Control),
        Ok(None) | Err(_) => Err(Gone),
    }
}

#[cfg(any(feature = "cent", feature = "stream-sea"))]
pub(super) async fn send(socket: &mut Connection<Io>, text: String) -> Result<(), Gone> {
    socket.send(&Message::text(text)).await.map_err(|_| Gone)
}

#[cfg(feature = "stream-sea")]
pub(super) async fn ping(socket: &mut Connection<Io>) -> Result<(), Gone> {
    socket.send(&Message::Ping(bytes::Bytes::new())).await.map_err(|_| Gone)
}

#[cfg(any(feature = "cent", feature = "stream-sea"))]
pub(super) async fn close(mut socket: Connection<Io>, code: u16, reason: &str) {
    let frame = CloseFrame::new(CloseCode::new(code), reason.to_owned());
    // Whoever does not answer the frame is gone all the same.
    let _closed = socket.close(Some(&frame), Duration::from_secs(5)).await;
}
