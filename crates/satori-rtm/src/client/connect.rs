//! One attempt to open a WebSocket.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use client_core::{ByteStream, Target};
use tokio::time::Instant;
use ws_core::{ClientRequest, Connection, Endpoint, HandshakeError, Keys, Limits};

use crate::{
    config::Config,
    error::{ConnectError, ConnectStep, Error, Refusal},
};

/// Bytes that may wait in the socket's own buffer; what exceeds it waits in the
/// outbox, which has the bounds that the application chose.
const MAX_OUT: usize = 64 << 10;

pub(super) type Socket = Box<Connection<Box<dyn ByteStream>>>;

/// Opens a WebSocket before `deadline`, and names the step that fails.
pub(super) async fn connect(
    config: &Config,
    url: &Endpoint,
    deadline: Instant,
) -> Result<Socket, Error> {
    // Which step the deadline hits is known only inside the attempt.
    let step = AtomicU8::new(TCP);
    let attempt = open(config, url, &step);
    let timed = tokio::time::timeout_at(deadline, attempt).await;
    timed.unwrap_or_else(|_| {
        let step = match step.load(Ordering::Relaxed) {
            TCP => ConnectStep::Tcp,
            _ => ConnectStep::Upgrade,
        };
        Err(Error::Connect(ConnectError::new(step, &config.endpoint).timed_out()))
    })
}

const TCP: u8 = 0;
const UPGRADE: u8 = 1;

async fn open(config: &Config, url: &Endpoint, step: &AtomicU8) -> Result<Socket, Error> {
    let failed = |step| ConnectError::new(step, &config.endpoint);
    let io: Box<dyn ByteStream> = match &config.connector {
        Some(connector) => connector
            .connect(Target::new(url.host(), url.port()))
            .await
            .map_err(|e| Error::Connect(failed(ConnectStep::Tcp).because(e)))?,
        None => Box::new(ws_core::dial(url.host(), url.port()).await.map_err(|e| {
            let (step, source) = match e {
                ws_core::Error::Connect { step: ws_core::Step::Dns, source, .. } => {
                    (ConnectStep::Dns, source)
                }
                ws_core::Error::Connect { source, .. } => (ConnectStep::Tcp, source),
                other => (ConnectStep::Tcp, std::io::Error::other(other)),
            };
            Error::Connect(failed(step).because(source))
        })?),
    };
    step.store(UPGRADE, Ordering::Relaxed);
    let request = ClientRequest::new(url)
        .header("Origin", &url.origin())
        .map_err(|e| Error::config("endpoint", e.to_string()))?;
    let limits = Limits::default().max_message(config.max_message_bytes).max_out(MAX_OUT);
    match ws_core::connect(io, request, limits, Keys::system()).await {
        Ok((socket, _)) => Ok(Box::new(socket)),
        Err(ws_core::Error::Handshake(HandshakeError::Status { code, reason })) => {
            Err(refused(code, &reason, failed(ConnectStep::Upgrade)))
        }
        Err(ws_core::Error::Handshake(e)) => {
            Err(Error::Connect(failed(ConnectStep::Upgrade).because(e)))
        }
        Err(other) => Err(Error::Connect(failed(ConnectStep::Upgrade).because(other))),
    }
}

/// A client error means that what we ask for is refused; any other status, that
/// what answers is no RTM service, or not now.
fn refused(code: u16, reason: &str, error: ConnectError) -> Error {
    match code {
        400..=499 => Error::Refused(Refusal::new("upgrade", &code.to_string(), reason)),
        _ => Error::Connect(error.status(code)),
    }
}

/// Closes a socket that is no longer wanted, for at most `wait`.
pub(super) async fn hang_up(mut socket: Socket, wait: Duration) {
    let frame = ws_core::CloseFrame::new(ws_core::CloseCode::NORMAL, "");
    // Nobody is left to tell: the peer that does not answer is dropped.
    let _ended = socket.close(Some(&frame), wait).await;
}
