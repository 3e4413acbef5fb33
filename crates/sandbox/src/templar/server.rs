//! The server and its backend, each with its door.

use std::{io, net::SocketAddr, time::Duration};

use high_templar::{BackendHooks, Connector, HttpBackend, Room, Server, Status, Trigger};
use tokio::io::{AsyncWriteExt, DuplexStream};

use super::{
    backend::FakeBackend,
    bridge::{self, Head},
    config::HighTemplarConfig,
};
use crate::{
    door::{Door, LOOPBACK_ONLY, Serve, is_loopback},
    engine::{Engine, Io},
};

/// How long a client may take to read the end.
const CLOSING: Duration = Duration::from_secs(5);

/// A High-Templar server: the real one, on a bus of its own, with a backend that says what
/// it is told. A clone is the same server; dropping the last one ends it and all its
/// connections.
#[derive(Clone, Debug)]
pub struct HighTemplarServer {
    door: Door<Shared>,
    backend: Door<FakeBackend>,
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    server: Server,
    handshake: Duration,
    max_connections: usize,
}

impl HighTemplarServer {
    /// A server that listens nowhere: clients come through [`pipe`](Self::pipe), and it
    /// asks its backend through one. `engine` serves the WebSockets. Must be called inside
    /// a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if an option of the server cannot be used.
    pub fn new(config: HighTemplarConfig, engine: Engine) -> io::Result<Self> {
        let HighTemplarConfig { server, rooms, with_hooks, handshake, max_connections } = config;
        let rooms: Vec<String> = rooms.iter().map(Room::to_string).collect();
        let body = format!(r#"{{"allowed_rooms": [{}]}}"#, rooms.join(", "));
        let backend = Door::new(FakeBackend::new(body));
        let asking = backend.clone();
        let connector = Connector::new(move |_| {
            let pipe = asking.pipe();
            async { Ok(pipe) }
        });
        let http = HttpBackend::connected_by("http://localhost/api/", connector);
        let http = std::sync::Arc::new(http.map_err(io::Error::other)?);
        let mut builder = Server::builder(std::sync::Arc::clone(&http)).config(server);
        if with_hooks {
            let hooks = BackendHooks::new(http).on_connect("online/").on_ping("ping/");
            builder = builder.hooks(hooks.on_disconnect("offline/"));
        }
        let server = builder.build().map_err(io::Error::other)?;
        let door = Door::new(Shared { engine, server, handshake, max_connections });
        Ok(Self { door, backend })
    }

    /// Listens on a loopback port, 0 for a free one, and lets the backend listen on
    /// another.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the port cannot be had.
    pub async fn listen(&self, port: u16) -> io::Result<()> {
        self.backend.listen(0).await?;
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

    /// Returns where WebSockets are opened; `localhost` without a port if it does not
    /// listen.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}/ws/", shown(self.address()))
    }

    /// Returns where triggers are sent.
    #[must_use]
    pub fn trigger_url(&self) -> String {
        format!("http://{}/trigger/", shown(self.address()))
    }

    /// Returns the prefix of the backend, whose answer `POST /__state` at the same origin
    /// sets.
    #[must_use]
    pub fn backend_url(&self) -> String {
        format!("http://{}/api/", shown(self.backend.address()))
    }

    /// Returns the backend.
    #[must_use]
    pub fn backend(&self) -> &FakeBackend {
        self.backend.server()
    }

    /// Returns the counters of the server.
    #[must_use]
    pub fn status(&self) -> Status {
        self.door.server().server.status()
    }

    /// Sends data to rooms, past HTTP.
    pub async fn trigger(&self, trigger: Trigger) {
        // The bus within the process takes everything.
        let _taken = self.door.server().server.trigger(trigger).await;
    }

    /// Closes every connection as a server does that stops, with code 1001.
    pub fn close_connections(&self) {
        self.door.server().server.close_all();
    }
}

fn shown(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "localhost".to_owned(), |address| address.to_string())
}

impl Serve for Shared {
    fn max_connections(&self) -> usize {
        self.max_connections
    }

    fn handshake(&self) -> Duration {
        self.handshake
    }

    async fn serve(&self, mut io: Io) {
        let head = tokio::time::timeout(self.handshake, Head::read(&mut io)).await;
        let Ok(Ok(head)) = head else { return };
        if !head.header("host").is_some_and(is_loopback) {
            let answer = format!(
                "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: {}\r\n\r\n\
                 {LOOPBACK_ONLY}",
                LOOPBACK_ONLY.len()
            );
            // Who does not read the answer has gone.
            let _sent = io.write_all(answer.as_bytes()).await;
            let _closed = io.shutdown().await;
            return;
        }
        if self.engine == Engine::Tungstenite && head.is_websocket() {
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            let mut served = std::pin::pin!(self.server.serve(theirs));
            let mut bridged = std::pin::pin!(bridge::run(io, head, ours));
            tokio::select! {
                // A client that takes nothing does not take the end either.
                () = &mut served => drop(tokio::time::timeout(CLOSING, bridged).await),
                // The server hears of it, and its hooks.
                _gone = &mut bridged => served.await,
            }
            return;
        }
        self.server.serve(head.before(io)).await;
    }
}
