//! Accepts HTTP and WebSocket on one port.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response,
    body::{Body, Bytes, Incoming},
    header::{CONTENT_TYPE, HOST, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::DuplexStream;

use super::{
    api::Answer,
    config::StreamSeaConfig,
    http::{Asked, answer},
    hub::{Hub, Order, Sent},
    socket::converse,
};
use crate::{
    door::{self, Door, Serve},
    engine::{Engine, Io, Opening, Refusal, Selected, accept},
    log::{EventLog, What},
};

/// How the opening request of a subscriber begins. Where a stream is named, a slash
/// follows.
const OPENING: &str = "GET /api/v1/streams ";

/// A Stream-sea 4 server: HTTP calls, and the WebSocket of subscribers on the same
/// port. A clone is the same server; dropping the last one ends it and all its
/// connections.
#[derive(Clone, Debug)]
pub struct StreamSeaServer {
    door: Door<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    hub: Arc<Hub>,
    log: EventLog,
    connections: AtomicU64,
}

impl StreamSeaServer {
    /// A server that listens nowhere: clients come through
    /// [`pipe`](Self::pipe). `engine` serves the WebSockets.
    #[must_use]
    pub fn new(config: StreamSeaConfig, engine: Engine) -> Self {
        let hub = Arc::new(Hub::new(config));
        let (log, connections) = (EventLog::default(), AtomicU64::new(0));
        let shared = Shared { engine, hub, log, connections };
        Self { door: Door::new(shared) }
    }

    /// Listens on a loopback port, 0 for a free one.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the port cannot be had.
    pub async fn listen(&self, port: u16) -> io::Result<()> {
        self.door.listen(port).await
    }

    /// Listens with TLS on another loopback port, 0 for a free one, as
    /// `localhost` and `127.0.0.1`; returns the port.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the port cannot be had, or a certificate not be made.
    #[cfg(feature = "tls")]
    pub async fn listen_tls(
        &self,
        port: u16,
        authority: &crate::tls::Authority,
    ) -> io::Result<u16> {
        let address = self.door.listen_tls(port, authority).await?;
        Ok(address.port())
    }

    /// Opens a connection without a network: the client's end of a pipe. Must
    /// be called inside a tokio runtime.
    #[must_use]
    pub fn pipe(&self) -> DuplexStream {
        self.door.pipe()
    }

    /// Returns the address on which the server listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.door.address()
    }

    /// Returns the port on which the server listens, 0 if it does not.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().map_or(0, |address| address.port())
    }

    /// Returns the id of the first client.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.door.server().hub.config.client_id
    }

    /// Returns the first client's secret.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.door.server().hub.config.client_secret
    }

    /// Returns the server's log; a call is received under its path.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.door.server().log
    }

    /// Sends `text` to every subscriber as it is; returns to how many.
    #[must_use]
    pub fn send_raw(&self, text: &str) -> usize {
        self.door.server().hub.tell_all(|| Order::Send(Sent::uncounted(text.to_owned())))
    }

    /// Closes the WebSocket of every subscriber with `code`; returns of how many.
    #[must_use]
    pub fn close_sockets(&self, code: u16) -> usize {
        self.door.server().hub.tell_all(|| Order::Close(code, "closed by the server"))
    }

    /// Ends the stream of every subscriber without a word; returns of how many.
    #[must_use]
    pub fn drop_sockets(&self) -> usize {
        self.door.server().hub.tell_all(|| Order::Abort)
    }
}

impl Serve for Shared {
    fn max_connections(&self) -> usize {
        self.hub.config.max_connections
    }

    fn handshake(&self) -> Duration {
        self.hub.config.handshake
    }

    async fn serve(&self, io: Io) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let first = door::sniff(io, OPENING);
        let first = tokio::time::timeout(self.hub.config.handshake, first).await;
        let Ok(Ok((is_websocket, io))) = first else { return };
        match is_websocket {
            true => self.serve_subscriber(number, io).await,
            false => self.serve_http(number, io).await,
        }
        self.log.add(number, What::Ended);
    }
}

impl Shared {
    async fn serve_subscriber(&self, number: u64, io: Io) {
        let accepting = accept(self.engine, io, self.hub.config.max_message, judge);
        match tokio::time::timeout(self.hub.config.handshake, accepting).await {
            Ok(Ok(socket)) => {
                self.log.add(number, What::Opened);
                converse(&self.hub, &self.log, number, socket).await;
            }
            Ok(Err(Some(refusal))) => self.log.add(number, What::Refused(refusal.status)),
            Ok(Err(None)) | Err(_) => {}
        }
    }

    async fn serve_http(&self, number: u64, io: Io) {
        let service = service_fn(|request| async move {
            Ok::<_, Infallible>(self.respond(number, request).await)
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.hub.config.send)
            .serve_connection(TokioIo::new(io), service)
            .await;
        // Whoever breaks a request off has gone by himself.
        drop(served);
    }

    async fn respond(&self, number: u64, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        self.log.add(number, What::Received(path.to_owned()));
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let Answer(status, json) = if !door::is_loopback(host.unwrap_or_default()) {
            Answer::refused(403, door::LOOPBACK_ONLY.trim_end())
        } else {
            match self.read(body).await {
                Ok(body) => {
                    let (verb, headers) = (parts.method.as_str(), &parts.headers);
                    answer(&self.hub, &Asked { verb, path, headers, body: &body })
                }
                Err(refused) => refused,
            }
        };
        if status != 200 {
            self.log.add(number, What::Refused(status));
        }
        let mut response = Response::new(Full::new(Bytes::from(json.to_string())));
        *response.status_mut() = status.try_into().unwrap_or_default();
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Answer> {
        let most = self.hub.config.max_body;
        let too_big = || Answer::refused(413, "The body is too big");
        // A declared length is believed before anything is read.
        if body.size_hint().lower() > most as u64 {
            return Err(too_big());
        }
        let reading = Limited::new(body, most).collect();
        match tokio::time::timeout(self.hub.config.handshake, reading).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(_)) => Err(too_big()),
            Err(_) => Err(Answer::refused(408, "The body does not come")),
        }
    }
}

fn judge(opening: &Opening) -> Result<Selected, Refusal> {
    match door::is_loopback(opening.host.as_deref().unwrap_or_default()) {
        true => Ok(None),
        false => Err(Refusal { status: 403, body: door::LOOPBACK_ONLY.to_owned() }),
    }
}
