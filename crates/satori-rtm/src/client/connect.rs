//! One attempt to open a WebSocket: name, TCP, tunnel, TLS, upgrade.

use std::time::Duration;

use tokio::time::Instant;
use ws_core::{ClientRequest, Connection, Endpoint, HandshakeError, Keys, Limits, Step, Stream};

use crate::{
    config::Config,
    error::{ConnectError, ConnectStep, Error, Refusal},
};

/// Bytes that may wait in the socket's own buffer; what exceeds it waits in the
/// outbox, which has the bounds that the application chose.
const MAX_OUT: usize = 64 << 10;

pub(super) type Socket = Box<Connection<Stream>>;

/// Opens a WebSocket before `deadline`, and names the step that fails.
pub(super) async fn connect(
    config: &Config,
    url: &Endpoint,
    deadline: Instant,
) -> Result<Socket, Error> {
    let request = ClientRequest::new(url)
        .header("Origin", &url.origin())
        .map_err(|e| Error::config("endpoint", e.to_string()))?;
    let limits = Limits::default().max_message(config.max_message_bytes).max_out(MAX_OUT);
    let left = deadline.saturating_duration_since(Instant::now());
    let dialer = config.dialer.clone().timeout(left);
    #[cfg(feature = "tls")]
    let dialer = dialer.tls(config.tls.clone());
    match dialer.connect(url, request, limits, Keys::system()).await {
        Ok((socket, _)) => Ok(Box::new(socket)),
        Err(error) => Err(told(error, &config.endpoint)),
    }
}

/// A client error means that what we ask for is refused; any other status, that
/// what answers is no RTM service, or not now.
fn told(error: ws_core::Error, url: &str) -> Error {
    if let ws_core::Error::Handshake(HandshakeError::Status { code, reason, retry_after }) = &error
        && (400..500).contains(code)
    {
        let mut refusal = Refusal::new("upgrade", &code.to_string(), reason);
        refusal.retry_after = *retry_after;
        return Error::Refused(refusal);
    }
    // What is left without a step is the environment's proxy.
    let Some(step) = error.step() else { return Error::config("proxy", error.to_string()) };
    let mut failure = ConnectError::new(at(step), url);
    failure.status = error.status();
    failure.retry_after = error.retry_after();
    Error::Connect(match error {
        ws_core::Error::Timeout(_) => failure.timed_out(),
        ws_core::Error::Connect { source, .. } => failure.because(source),
        ws_core::Error::Proxy(source) => failure.because(source),
        ws_core::Error::Handshake(source) => failure.because(source),
        #[cfg(feature = "tls")]
        ws_core::Error::Tls(source) => failure.tls(source.reason()).because(source),
        other => failure.because(other),
    })
}

const fn at(step: Step) -> ConnectStep {
    match step {
        Step::Dns => ConnectStep::Dns,
        Step::Proxy => ConnectStep::Proxy,
        Step::Tls => ConnectStep::Tls,
        Step::Upgrade => ConnectStep::Upgrade,
        _ => ConnectStep::Tcp,
    }
}

/// Closes a socket that is no longer wanted, for at most `wait`.
pub(super) async fn hang_up(mut socket: Socket, wait: Duration) {
    let frame = ws_core::CloseFrame::new(ws_core::CloseCode::NORMAL, "");
    // Nobody is left to tell: the peer that does not answer is dropped.
    let _ended = socket.close(Some(&frame), wait).await;
}
