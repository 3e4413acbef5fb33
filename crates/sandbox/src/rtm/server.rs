//! Accepts clients, over TCP and over pipes in the same process.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::io::DuplexStream;

use super::{config::RtmConfig, connection::Connection, hub::Hub};
use crate::{
    door::{self, Door, Serve},
    engine::{Engine, Incoming, Io, Opening, Refusal, Selected, Socket, accept},
    log::{EventLog, What},
};

/// A Satori RTM v2 server. A clone is the same server; dropping the last one
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
        &self.door.server().config.role_secret
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
        // A PDU is a message and an envelope around it.
        let max_message = self.config.max_message + (16 << 10);
        let accepting = accept(self.engine, io, max_message, |opening| self.judge(opening));
        match tokio::time::timeout(self.config.handshake, accepting).await {
            Ok(Ok(socket)) => {
                self.log.add(number, What::Opened);
                let connection =
                    Connection::new(number, self.config.clone(), Arc::clone(&self.hub));
                self.converse(number, connection, socket).await;
                self.log.add(number, What::Ended);
            }
            Ok(Err(Some(refusal))) => self.log.add(number, What::Refused(refusal.status)),
            Ok(Err(None)) | Err(_) => self.log.add(number, What::Ended),
        }
    }
}

impl Shared {
    fn judge(&self, opening: &Opening) -> Result<Selected, Refusal> {
        let refuse = |status, body: &str| Err(Refusal { status, body: body.to_owned() });
        if !door::is_loopback(opening.host.as_deref().unwrap_or_default()) {
            return refuse(403, door::LOOPBACK_ONLY);
        }
        if opening.path != "/v2" {
            return refuse(404, "the RTM endpoint is /v2?appkey=KEY\n");
        }
        let appkey = opening.query.split('&').find_map(|pair| pair.strip_prefix("appkey="));
        match appkey == Some(self.config.appkey.as_str()) {
            // JSON is what is spoken without a choice, too.
            true => Ok(opening.offered.iter().find(|name| *name == "json").cloned()),
            false => refuse(403, "unknown appkey\n"),
        }
    }

    async fn converse(&self, number: u64, mut connection: Connection, mut socket: Socket) {
        let notify = Arc::clone(&connection.notify);
        loop {
            // In no fixed order: a client that publishes without a pause still gets
            // what it subscribes to.
            let reply = tokio::select! {
                incoming = socket.next() => match incoming {
                    Ok(Incoming::Text(text)) => {
                        let (action, reply) = connection.handle(&text);
                        self.log.add(number, What::Received(action));
                        reply
                    }
                    Ok(Incoming::Control) => continue,
                    // RTM over JSON is text; what else comes is not for us.
                    Ok(Incoming::Binary(_)) | Err(_) => return,
                },
                () = notify.notified() => {
                    let delivery = connection.next_delivery();
                    if delivery.is_some() {
                        // There may be more; requests in between are served first.
                        notify.notify_one();
                    }
                    delivery
                }
            };
            if let Some(reply) = reply {
                self.log.add(number, What::Sent(reply.action));
                // A client that reads nothing does not keep its place for ever.
                match tokio::time::timeout(self.config.send, socket.send(reply.text)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return,
                }
            }
        }
    }
}
