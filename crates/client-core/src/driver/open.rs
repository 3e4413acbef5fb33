//! One attempt to open a wire: name, TCP, tunnel, TLS, and for a WebSocket the
//! upgrade.

use std::time::{Duration, Instant};

use ws_core::{ClientRequest, Dialer, Endpoint, HandshakeError, Keys, Limits, Response, Step};

use super::wire::Wire;
use crate::{
    connect::{ConnectError, ConnectStep},
    connector::Target,
};

/// Bytes that may wait in the wire's own buffer; what exceeds it waits in the
/// outbox, which has the bounds that the application chose.
pub(super) const MAX_OUT: usize = 64 << 10;

/// Why a wire is not open.
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
/// `shown`, the URL without its keys. Returns what the server selected, too.
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
) -> Result<(Wire, Response), OpenError> {
    let limits = Limits::default().max_message(max_message).max_out(MAX_OUT);
    let dialer = until(deadline, dialer);
    match dialer.connect(url, request, limits, Keys::system()).await {
        Ok((socket, response)) => Ok((socket.into(), response)),
        Err(error) => Err(told(error, shown)),
    }
}

/// Opens a byte stream to `target` before `deadline`, over TLS if `secure`, and names
/// the step that fails on the way to `shown`.
///
/// # Errors
///
/// [`OpenError`]; a byte stream is never refused.
pub async fn open_bytes(
    dialer: Dialer,
    target: &Target,
    secure: bool,
    deadline: Instant,
    shown: &str,
) -> Result<Wire, OpenError> {
    match until(deadline, dialer).dial(&target.host, target.port, secure).await {
        Ok(stream) => Ok(stream.into()),
        Err(error) => Err(told(error, shown)),
    }
}

fn until(deadline: Instant, dialer: Dialer) -> Dialer {
    let now = tokio::time::Instant::now().into_std();
    dialer.timeout(deadline.saturating_duration_since(now))
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
