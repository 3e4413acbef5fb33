//! One attempt to open a WebSocket: name, TCP, tunnel, TLS, upgrade.

use std::time::{Duration, Instant};

use ws_core::{
    ClientRequest, Connection, Dialer, Endpoint, HandshakeError, Keys, Limits, Step, Stream,
};

use crate::connect::{ConnectError, ConnectStep};

/// Bytes that may wait in the socket's own buffer; what exceeds it waits in the
/// outbox, which has the bounds that the application chose.
const MAX_OUT: usize = 64 << 10;

/// An open WebSocket.
pub type Socket = Box<Connection<Stream>>;

/// Why a WebSocket is not open.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "refused by the service, failed, or misconfigured")]
pub enum OpenError {
    /// The service refused what was asked for (HTTP 4xx).
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its text.
        reason: String,
        /// How long the service asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// A step failed, or was not done in time.
    Failed(ConnectError),
    /// The proxy that the environment names cannot be used.
    Proxy(ws_core::Error),
}

/// Opens a WebSocket before `deadline`, and names the step that fails on the way to
/// `shown`, the URL without its keys.
///
/// # Errors
///
/// [`OpenError`]: a client error of HTTP means that what is asked for is refused;
/// any other status, that what answers is another service, or not now.
pub async fn open(
    dialer: Dialer,
    url: &Endpoint,
    request: ClientRequest,
    max_message: usize,
    deadline: Instant,
    shown: &str,
) -> Result<Socket, OpenError> {
    let limits = Limits::default().max_message(max_message).max_out(MAX_OUT);
    let now = tokio::time::Instant::now().into_std();
    let dialer = dialer.timeout(deadline.saturating_duration_since(now));
    match dialer.connect(url, request, limits, Keys::system()).await {
        Ok((socket, _)) => Ok(Box::new(socket)),
        Err(error) => Err(told(error, shown)),
    }
}

fn told(error: ws_core::Error, shown: &str) -> OpenError {
    if let ws_core::Error::Handshake(HandshakeError::Status { code, reason, retry_after }) = &error
        && (400..500).contains(code)
    {
        let (reason, retry_after) = (reason.clone(), *retry_after);
        return OpenError::Refused { status: *code, reason, retry_after };
    }
    // What is left without a step is the environment's proxy.
    let Some(step) = error.step() else { return OpenError::Proxy(error) };
    let mut failure = ConnectError::new(at(step), shown);
    failure.status = error.status();
    failure.retry_after = error.retry_after();
    OpenError::Failed(match error {
        ws_core::Error::Timeout(_) => failure.timed_out(),
        ws_core::Error::Connect { source, .. } => failure.because(source),
        ws_core::Error::Proxy(source) => failure.because(source),
        ws_core::Error::Handshake(source) => failure.because(source),
        #[cfg(feature = "tls")]
        ws_core::Error::Tls(source) => {
            failure.tls = Some(source.reason().code());
            failure.is_lasting = source.reason().is_lasting();
            failure.because(source)
        }
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
