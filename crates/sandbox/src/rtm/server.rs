//! Accepts clients, over TCP and over pipes in the same process.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{io::DuplexStream, sync::Notify, time::Instant};

use super::{
    config::RtmConfig,
    connection::Connection,
    hub::Hub,
    kv,
    lenient::Lenient,
    reply::Reply,
    wire::{Frame, Protocol},
};
use crate::{
    door::{self, Door, Serve},
    engine::{Engine, Gone, Incoming, Io, Opening, Refusal, Selected, Socket, accept},
    log::{EventLog, What},
};

/// How the opening request of a WebSocket begins; what else comes is the key-value
/// interface.
const OPENING: &str = "GET /v2?";

/// A Satori RTM v2 server: WebSockets, and the key-value interface by HTTP on the same
/// port. A clone is the same server; dropping the last one
/// ends it and all its connections.
#[derive(Clone, Debug)]
pub struct RtmServer {
    door: Door<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: RtmConfig,
    engine: Engine,
    hub: Arc<Hub>,
    log: EventLog,
    connections: AtomicU64,
}

impl RtmServer {
    /// A server that listens nowhere: clients come through
    /// [`pipe`](Self::pipe).
    #[must_use]
    pub fn new(config: RtmConfig, engine: Engine) -> Self {
        let hub = Arc::new(Hub::new(config.clone()));
        let shared = Shared {
            config,
            engine,
            hub,
            log: EventLog::default(),
            connections: AtomicU64::new(0),
        };
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
    /// `localhost` and `127.0.0.1`; returns the `wss://` URL.
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
        Ok(format!("wss://{address}"))
    }

    /// Opens a connection without a network: the client's end of a pipe. Must
    /// be called inside a tokio runtime.
    #[must_use]
    pub fn pipe(&self) -> DuplexStream {
        self.door.pipe()
    }

    /// Returns `ws://host:port`, without a port if the server does not listen.
    #[must_use]
    pub fn url(&self) -> String {
        match self.address() {
            Some(address) => format!("ws://{address}"),
            None => "ws://127.0.0.1".to_owned(),
        }
    }

    /// Returns the address on which the server listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.door.address()
    }

    /// Returns the appkey.
    #[must_use]
    pub fn appkey(&self) -> &str {
        &self.door.server().config.appkey
    }

    /// Returns the role that may use the restricted channel.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.door.server().config.role
    }

    /// Returns that role's secret.
    #[must_use]
    pub fn role_secret(&self) -> &str {
        let config = &self.door.server().config;
        config.roles.get(&config.role).map_or("", String::as_str)
    }

    /// Returns the channel that only the role may use.
    #[must_use]
    pub fn restricted_channel(&self) -> &str {
        &self.door.server().config.restricted_channel
    }

    /// Returns the server's log.
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
        match first.await {
            Ok(Ok((true, io))) => self.serve_socket(number, io).await,
            Ok(Ok((false, io))) => kv::serve(&self.config, &self.hub, &self.log, number, io).await,
            Ok(Err(_)) | Err(_) => {}
        }
        self.log.add(number, What::Ended);
    }
}

impl Shared {
    async fn serve_socket(&self, number: u64, io: Io) {
        let cbor = Arc::new(AtomicBool::new(false));
        let io: Io = match self.config.text_frames {
            true => Box::new(Lenient::new(io, Arc::clone(&cbor))),
            false => io,
        };
        // A PDU is a message and an envelope around it.
        let max_message = self.config.max_message + (16 << 10);
        let accepting = accept(self.engine, io, max_message, |opening| {
            let selected = self.judge(opening)?;
            cbor.store(selected.as_deref() == Some("cbor"), Ordering::Relaxed);
            Ok(selected)
        });
        match tokio::time::timeout(self.config.handshake, accepting).await {
            Ok(Ok(socket)) => {
                self.log.add(number, What::Opened);
                let protocol =
                    if cbor.load(Ordering::Relaxed) { Protocol::Cbor } else { Protocol::Json };
                let connection =
                    Connection::new(number, self.config.clone(), Arc::clone(&self.hub));
                self.converse(number, protocol, connection, socket).await;
            }
            Ok(Err(Some(refusal))) => self.log.add(number, What::Refused(refusal.status)),
            Ok(Err(None)) | Err(_) => {}
        }
    }

    fn judge(&self, opening: &Opening) -> Result<Selected, Refusal> {
        let refuse = |status, body: &str| Err(Refusal { status, body: body.to_owned() });
        if !door::is_loopback(opening.host.as_deref().unwrap_or_default()) {
            return refuse(403, door::LOOPBACK_ONLY);
        }
        let appkey = opening.query.split('&').find_map(|pair| pair.strip_prefix("appkey="));
        if appkey != Some(self.config.appkey.as_str()) {
            return refuse(403, "unknown appkey\n");
        }
        // JSON is what is spoken without a choice, too.
        let known = |name: &&String| *name == "json" || (*name == "cbor" && self.config.cbor);
        Ok(opening.offered.iter().find(known).cloned())
    }

    async fn converse(
        &self,
        number: u64,
        protocol: Protocol,
        mut connection: Connection,
        mut socket: Socket,
    ) {
        let notify = Arc::clone(&connection.notify);
        let mut unsent = false;
        loop {
            let deadline = connection.deadline();
            // Answers to requests that have come together go out together.
            let at_once = next(&mut socket, &notify, deadline).now_or_never();
            let next = match (at_once, unsent) {
                (Some(next), _) => next,
                (None, false) => next(&mut socket, &notify, deadline).await,
                (None, true) => {
                    unsent = false;
                    match self.in_time(socket.flush()).await {
                        true => continue,
                        false => return,
                    }
                }
            };
            let reply = match next {
                Next::Due => Self::delivery(&mut connection),
                Next::Incoming(incoming) => {
                    let bytes = match (&incoming, protocol) {
                        (Ok(Incoming::Text(text)), Protocol::Json) => text.as_bytes(),
                        (Ok(Incoming::Binary(bytes)), Protocol::Cbor) => bytes,
                        (Ok(Incoming::Control), _) => continue,
                        // A message of the other kind is not for us; who has only stopped
                        // sending gets what was answered.
                        (Ok(Incoming::Text(_) | Incoming::Binary(_)) | Err(Gone), _) => {
                            let _sent = self.in_time(socket.flush()).await;
                            return;
                        }
                    };
                    let (action, reply) = connection.handle(protocol, bytes);
                    self.log.add(number, What::Received(action));
                    reply
                }
            };
            let Some(reply) = reply else { continue };
            let (bytes, is_text) = match protocol.write(&reply) {
                Frame::Text(text) => (text.into_bytes(), true),
                Frame::Binary(bytes) => (bytes, false),
            };
            self.log.add(number, What::Sent(reply.action));
            unsent = true;
            if !self.in_time(socket.feed(bytes, is_text)).await {
                return;
            }
        }
    }

    /// Whether something was sent: a client that reads nothing does not keep its place
    /// for ever.
    async fn in_time(&self, sending: impl Future<Output = Result<(), Gone>>) -> bool {
        matches!(tokio::time::timeout(self.config.send, sending).await, Ok(Ok(())))
    }

    fn delivery(connection: &mut Connection) -> Option<Reply> {
        let delivery = connection.next_delivery();
        if delivery.is_some() {
            // There may be more; requests in between are served first.
            connection.notify.notify_one();
        }
        delivery
    }
}

/// What a connection waits for.
enum Next {
    Incoming(Result<Incoming, Gone>),
    /// A subscription may have something to say.
    Due,
}

/// Waits, in no fixed order: a client that publishes without a pause still gets what it
/// subscribes to.
async fn next(socket: &mut Socket, notify: &Notify, deadline: Option<Instant>) -> Next {
    let counted = async {
        match deadline {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        incoming = socket.next() => Next::Incoming(incoming),
        () = notify.notified() => Next::Due,
        () = counted => Next::Due,
    }
}
