//! Accepts MQTT, plain and in WebSockets, on one port.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::io::{AsyncWriteExt, DuplexStream};

use super::{
    config::EmitterConfig,
    hub::{Hub, Outlet},
    line, session,
};
use crate::{
    door::{self, Door, Serve},
    engine::{Engine, Io, Opening, Refusal, Selected, accept},
    log::{EventLog, What},
};

/// How HTTP begins. The first byte of a CONNECT is none of these.
const HTTP: &str = "GET ";

/// An emitter broker: MQTT 3.1.1 over TCP, and over WebSockets on the same port. A
/// clone is the same broker; dropping the last one ends it and all its connections.
#[derive(Clone, Debug)]
pub struct EmitterServer {
    door: Door<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    hub: Hub,
    log: EventLog,
    connections: AtomicU64,
}

impl EmitterServer {
    /// A broker that listens nowhere: clients come through [`pipe`](Self::pipe).
    /// `engine` serves the WebSockets. Must be called inside a tokio runtime.
    #[must_use]
    pub fn new(config: EmitterConfig, engine: Engine) -> Self {
        let (log, connections) = (EventLog::default(), AtomicU64::new(0));
        let shared = Shared { engine, hub: Hub::new(config), log, connections };
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

    /// Returns the address on which the broker listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.door.address()
    }

    /// Returns the port on which the broker listens, 0 if it does not.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().map_or(0, |address| address.port())
    }

    /// Returns the master key.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.door.server().hub.config.secret_key
    }

    /// Returns the channel of [`channel_key`](Self::channel_key).
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.door.server().hub.config.channel
    }

    /// Returns a key to that channel and all below it, which allows everything.
    #[must_use]
    pub fn channel_key(&self) -> &str {
        &self.door.server().hub.config.channel_key
    }

    /// Returns the broker's log: packets with their topics, without keys.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.door.server().log
    }

    /// Writes bytes as they are to every client; returns to how many.
    #[must_use]
    pub fn send_raw(&self, bytes: &[u8]) -> usize {
        self.door.server().hub.tell_all(|outlet| outlet.push(bytes))
    }

    /// Ends every connection without a word; returns how many.
    #[must_use]
    pub fn drop_connections(&self) -> usize {
        self.door.server().hub.tell_all(Outlet::close)
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
        let first = door::sniff(io, HTTP);
        let Ok(Ok((is_http, io))) = tokio::time::timeout(self.hub.config.handshake, first).await
        else {
            return;
        };
        match is_http {
            true => self.serve_http(number, io).await,
            false => session::serve(&self.hub, &self.log, number, line::plain(io)).await,
        }
        self.log.add(number, What::Ended);
    }
}

impl Shared {
    async fn serve_http(&self, number: u64, io: Io) {
        let health = door::sniff(io, "GET /health ");
        let Ok(Ok((is_health, mut io))) =
            tokio::time::timeout(self.hub.config.handshake, health).await
        else {
            return;
        };
        if is_health {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            // Who does not read the answer has gone.
            let _sent = io.write_all(answer).await;
            let _closed = io.shutdown().await;
            return;
        }
        let most = 2 * self.hub.config.max_packet;
        let accepting = accept(self.engine, io, most, judge);
        match tokio::time::timeout(self.hub.config.handshake, accepting).await {
            Ok(Ok(socket)) => {
                session::serve(&self.hub, &self.log, number, line::websocket(socket)).await;
            }
            Ok(Err(Some(refusal))) => self.log.add(number, What::Refused(refusal.status)),
            Ok(Err(None)) | Err(_) => {}
        }
    }
}

/// Any path opens a WebSocket, and the first subprotocol of MQTT is taken.
fn judge(opening: &Opening) -> Result<Selected, Refusal> {
    if !door::is_loopback(opening.host.as_deref().unwrap_or_default()) {
        return Err(Refusal { status: 403, body: door::LOOPBACK_ONLY.to_owned() });
    }
    let known = |name: &&String| matches!(name.as_str(), "mqtt" | "mqttv3.1" | "mqttv3");
    Ok(opening.offered.iter().find(known).cloned())
}
