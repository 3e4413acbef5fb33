//! One attempt to open a WebSocket: name, TCP, tunnel, TLS, upgrade.

use std::{
    error::Error as StdError,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use client_core::{ByteStream, Target};
use tokio::time::Instant;
use ws_core::{
    ClientRequest, Connection, Endpoint, HandshakeError, Keys, Limits, ProxyError, Step,
};

use crate::{
    config::Config,
    error::{ConnectError, ConnectStep, Error, Refusal},
};

/// Bytes that may wait in the socket's own buffer; what exceeds it waits in the
/// outbox, which has the bounds that the application chose.
const MAX_OUT: usize = 64 << 10;

type Io = Box<dyn ByteStream>;
pub(super) type Socket = Box<Connection<Io>>;

/// Opens a WebSocket before `deadline`, and names the step that fails.
pub(super) async fn connect(
    config: &Config,
    url: &Endpoint,
    deadline: Instant,
) -> Result<Socket, Error> {
    let attempt = Attempt { config, url, step: Mutex::new(ConnectStep::Tcp) };
    match tokio::time::timeout_at(deadline, attempt.run()).await {
        Ok(opened) => opened,
        Err(_) => Err(Error::Connect(attempt.failure().timed_out())),
    }
}

struct Attempt<'a> {
    config: &'a Config,
    url: &'a Endpoint,
    /// Where it stands: the deadline, outside, has to name the step it hits.
    step: Mutex<ConnectStep>,
}

impl Attempt<'_> {
    async fn run(&self) -> Result<Socket, Error> {
        let mut io = self.dial().await?;
        if let Some(proxy) = &self.config.proxy {
            self.at(ConnectStep::Proxy);
            let tunnel = proxy.tunnel(&mut io, &self.url.authority()).await;
            tunnel.map_err(|e| self.of_proxy(e))?;
        }
        if self.url.is_secure() {
            self.at(ConnectStep::Tls);
            io = self.secure(io).await?;
        }
        self.at(ConnectStep::Upgrade);
        self.upgrade(io).await
    }

    /// Opens a stream to the proxy, or to the service.
    async fn dial(&self) -> Result<Io, Error> {
        let (host, port) = match &self.config.proxy {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (self.url.host(), self.url.port()),
        };
        if let Some(connector) = &self.config.connector {
            let opened = connector.connect(Target::new(host, port)).await;
            return opened.map_err(|e| self.failed(e));
        }
        match ws_core::dial(host, port).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(ws_core::Error::Connect { step, source, .. }) => {
                if step == Step::Dns {
                    self.at(ConnectStep::Dns);
                }
                Err(self.failed(source))
            }
            Err(other) => Err(self.failed(other)),
        }
    }

    #[cfg(feature = "tls")]
    async fn secure(&self, io: Io) -> Result<Io, Error> {
        match self.config.tls.connect(io, self.url.host()).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                let failure = self.failure().tls(error.reason().code());
                Err(Error::Connect(failure.because(error)))
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    async fn secure(&self, _io: Io) -> Result<Io, Error> {
        // The configuration has refused such an endpoint.
        Err(Error::config("endpoint", "wss:// needs the feature tls"))
    }

    async fn upgrade(&self, io: Io) -> Result<Socket, Error> {
        let request = ClientRequest::new(self.url)
            .header("Origin", &self.url.origin())
            .map_err(|e| Error::config("endpoint", e.to_string()))?;
        let limits = Limits::default().max_message(self.config.max_message_bytes).max_out(MAX_OUT);
        match ws_core::connect(io, request, limits, Keys::system()).await {
            Ok((socket, _)) => Ok(Box::new(socket)),
            Err(ws_core::Error::Handshake(HandshakeError::Status { code, reason })) => {
                Err(self.refused(code, &reason))
            }
            Err(ws_core::Error::Handshake(e)) => Err(self.failed(e)),
            Err(other) => Err(self.failed(other)),
        }
    }

    fn at(&self, step: ConnectStep) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }

    /// A failure of the step where the attempt stands.
    fn failure(&self) -> ConnectError {
        let step = *self.step.lock().unwrap_or_else(PoisonError::into_inner);
        ConnectError::new(step, &self.config.endpoint)
    }

    fn failed(&self, source: impl StdError + Send + Sync + 'static) -> Error {
        Error::Connect(self.failure().because(source))
    }

    fn of_proxy(&self, error: ws_core::Error) -> Error {
        match error {
            ws_core::Error::Proxy(error) => {
                let failure = self.failure();
                Error::Connect(match &error {
                    ProxyError::Credentials => failure.status(407).because(error),
                    ProxyError::Status(status) => {
                        let status = *status;
                        failure.status(status).because(error)
                    }
                    _ => failure.because(error),
                })
            }
            ws_core::Error::Io(error) => self.failed(error),
            other => self.failed(io::Error::other(other)),
        }
    }

    /// A client error means that what we ask for is refused; any other status,
    /// that what answers is no RTM service, or not now.
    fn refused(&self, code: u16, reason: &str) -> Error {
        match code {
            400..=499 => Error::Refused(Refusal::new("upgrade", &code.to_string(), reason)),
            _ => Error::Connect(self.failure().status(code)),
        }
    }
}

/// Closes a socket that is no longer wanted, for at most `wait`.
pub(super) async fn hang_up(mut socket: Socket, wait: Duration) {
    let frame = ws_core::CloseFrame::new(ws_core::CloseCode::NORMAL, "");
    // Nobody is left to tell: the peer that does not answer is dropped.
    let _ended = socket.close(Some(&frame), wait).await;
}
