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
    header::{CONTENT_TYPE, HOST, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::DuplexStream;

use super::{
    client::converse,
    config::CentrifugoConfig,
    dialects::Reply,
    http::{Head, answer, door},
    hub::Hub,
};
use crate::{
    door::{self, Door, Serve},
    engine::{Engine, Io, Opening, Refusal, Selected, accept},
    log::{EventLog, What},
};

/// Where clients open their WebSockets.
const WEBSOCKET: &str = "/connection/websocket";

/// How an opening request begins.
const OPENING: &str = "GET /connection/websocket";

/// A message of a client, its envelope included.
const MAX_MESSAGE: usize = 64 << 10;

/// The HTTP API of Centrifugo, and the WebSocket of its clients on the same port.
/// A clone is the same server; dropping the last one ends it and all its
/// connections.
#[derive(Clone, Debug)]
pub struct CentrifugoServer {
    door: Door<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: CentrifugoConfig,
    engine: Engine,
    hub: Arc<Hub>,
    log: EventLog,
    connections: AtomicU64,
}

impl CentrifugoServer {
    /// A server that listens nowhere: clients come through
    /// [`pipe`](Self::pipe). `engine` serves the WebSockets.
    #[must_use]
    pub fn new(config: CentrifugoConfig, engine: Engine) -> Self {
        let hub = Arc::new(Hub::new(config.clone()));
        let (log, connections) = (EventLog::default(), AtomicU64::new(0));
        let shared = Shared { config, engine, hub, log, connections };
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
    /// `localhost` and `127.0.0.1`; returns the `https://` URL.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the port cannot be had, or a certificate not be made.
    #[cfg(feature = "tls")]
    pub async fn listen_tls(
        &self,
        port: u16,
        authority: &crate::tls::Authority,
    ) -> io::Result<String> {
        let address = self.door.listen_tls(port, authority).await?;
        Ok(format!("https://{address}"))
    }

    /// Opens a connection without a network: the client's end of a pipe. Must
    /// be called inside a tokio runtime.
    #[must_use]
    pub fn pipe(&self) -> DuplexStream {
        self.door.pipe()
    }

    /// Returns `http://host:port`, without a port if the server does not listen.
    #[must_use]
    pub fn url(&self) -> String {
        match self.address() {
            Some(address) => format!("http://{address}"),
            None => "http://127.0.0.1".to_owned(),
        }
    }

    /// Returns where clients open their WebSockets.
    #[must_use]
    pub fn websocket_url(&self) -> String {
        format!("{}{WEBSOCKET}", self.url().replacen("http", "ws", 1))
    }

    /// Returns the address on which the server listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.door.address()
    }

    /// Returns the API key of v2 and later.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.door.server().config.api_key
    }

    /// Returns the secret of v1's calls and of all tokens.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.door.server().config.secret
    }

    /// Returns the project's key of v0.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.door.server().config.project
    }

    /// Returns the server's log; an API request is received under its path.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.door.server().log
    }
}

impl Serve for Shared {
    fn max_connections(&self) -> usize {
        self.config.max_connections
    }

    fn handshake(&self) -> Duration {
        self.config.handshake
    }

    async fn serve(&self, io: Io) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let first = tokio::time::timeout(self.config.handshake, door::sniff(io, OPENING));
        let Ok(Ok((is_websocket, io))) = first.await else { return };
        match is_websocket {
            true => self.serve_client(number, io).await,
            false => self.serve_http(number, io).await,
        }
        self.log.add(number, What::Ended);
    }
}

impl Shared {
    async fn serve_client(&self, number: u64, io: Io) {
        let accepting = accept(self.engine, io, MAX_MESSAGE, judge);
        match tokio::time::timeout(self.config.handshake, accepting).await {
            Ok(Ok(socket)) => {
                self.log.add(number, What::Opened);
                converse(&self.hub, &self.config, socket).await;
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
            .header_read_timeout(self.config.send)
            .title_case_headers(true)
            .serve_connection(TokioIo::new(io), service)
            .await;
        // Whoever breaks a request off has gone by himself.
        drop(served);
    }

    async fn respond(&self, number: u64, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        self.log.add(number, What::Received(path.clone()));
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        if !door::is_loopback(host.unwrap_or_default()) {
            return respond(Reply::Status(403), &path);
        }
        let head = Head {
            verb: parts.method.as_str(),
            path: &path,
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
        };
        let reply = match door(&self.config, &head) {
            Err(refused) => refused,
            // A declared length is believed before anything is read.
            Ok(_) if body.size_hint().lower() > self.config.max_body as u64 => Reply::Status(413),
            Ok(door) => {
                let body = Limited::new(body, self.config.max_body).collect();
                match tokio::time::timeout(self.config.handshake, body).await {
                    Ok(Ok(body)) => answer(&self.config, &self.hub, &door, &head, &body.to_bytes()),
                    Ok(Err(_)) => Reply::Status(413),
                    Err(_) => Reply::Status(408),
                }
            }
        };
        if let Reply::Status(status) = reply {
            self.log.add(number, What::Refused(status));
        }
        respond(reply, &path)
    }
}

/// JSON is what is spoken without a choice.
fn judge(opening: &Opening) -> Result<Selected, Refusal> {
    let refuse = |status, body: &str| Err(Refusal { status, body: body.to_owned() });
    if !door::is_loopback(opening.host.as_deref().unwrap_or_default()) {
        return refuse(403, door::LOOPBACK_ONLY);
    }
    if opening.path != WEBSOCKET {
        return refuse(404, "404 page not found\n");
    }
    let is_protobuf = opening.query.contains("format=protobuf")
        || opening.offered.iter().any(|name| name == "centrifuge-protobuf");
    match is_protobuf {
        true => refuse(400, "this development server speaks JSON only\n"),
        false => Ok(None),
    }
}

/// As the real servers: the texts of refusals, and which headers they have.
fn respond(reply: Reply, path: &str) -> Response<Full<Bytes>> {
    let (status, kind, body) = match reply {
        Reply::Json(body) => (200, Some("application/json"), body),
        Reply::Failed(status, body) => (status, Some("application/json"), body),
        Reply::Status(status) => {
            let text = match status {
                400 => "Bad Request\n",
                403 => door::LOOPBACK_ONLY,
                404 => "404 page not found\n",
                413 => "Request Entity Too Large\n",
                500 => "Internal Server Error\n",
                _ => "",
            };
            let kind = (!text.is_empty()).then_some("text/plain; charset=utf-8");
            (status, kind, text.to_owned())
        }
    };
    let is_plain = kind.is_some_and(|kind| kind.starts_with("text"));
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status.try_into().unwrap_or_default();
    let headers = response.headers_mut();
    if let Some(kind) = kind {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if is_plain {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    if let (301, Ok(to)) = (status, HeaderValue::try_from(format!("{path}/"))) {
        headers.insert(LOCATION, to);
    }
    response
}
