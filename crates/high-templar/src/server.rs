//! The server: where connections come in, and how it ends.

use std::{fmt, sync::Arc};

use high_templar_client::Trigger;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    backend::Backend,
    bus::{Bus, BusError, LocalBus},
    config::{Config, ConfigError},
    connection,
    hooks::Hooks,
    http,
    parts::Parts,
    rewind::Rewind,
    status::Status,
};

/// Makes a [`Server`].
pub struct Builder {
    config: Config,
    backend: Box<dyn Backend>,
    hooks: Option<Box<dyn Hooks>>,
    bus: Box<dyn Bus>,
}

impl Builder {
    /// Sets the options.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Calls `hooks` when users come, ping and go.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks = Some(Box::new(hooks));
        self
    }

    /// Shares triggers with other servers on `bus`. Default: a bus of its own.
    #[must_use]
    pub fn bus(mut self, bus: impl Bus) -> Self {
        self.bus = Box::new(bus);
        self
    }

    /// Makes the server; it serves what it is given.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming an option that cannot be used.
    pub fn build(self) -> Result<Server, ConfigError> {
        let Self { config, backend, hooks, bus } = self;
        config.validate()?;
        Ok(Server(Arc::new(Parts::new(config, backend, hooks, bus))))
    }
}

/// A server of rooms. A clone is the same.
///
/// It owns no socket: [`run`](Self::run) accepts from listeners, [`serve`](Self::serve)
/// takes a single stream of any kind.
///
/// # Examples
///
/// ```no_run
/// use high_templar::{HttpBackend, Listener, Server};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let backend = HttpBackend::new("http://127.0.0.1:8001/api/")?;
/// let server = Server::builder(backend).build()?;
/// let listener = Listener::new(tokio::net::TcpListener::bind("127.0.0.1:8000").await?);
/// server.run([listener], std::future::pending()).await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Server(pub(crate) Arc<Parts>);

impl Server {
    /// Begins with the defaults, and whoever knows the users.
    pub fn builder(backend: impl Backend) -> Builder {
        let (backend, bus) = (Box::new(backend), Box::new(LocalBus::new()));
        Builder { config: Config::new(), backend, hooks: None, bus }
    }

    /// Serves one connection of a client, or HTTP requests, to its end.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the connection ends without a closing handshake, is
    /// forgotten, and no hook hears of its end.
    pub async fn serve<S>(&self, io: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let sniffed = Rewind::sniff(Box::new(io));
        let sniffed = tokio::time::timeout(self.0.config.handshake_timeout, sniffed).await;
        // Whoever says nothing is left.
        let Ok(Ok((is_websocket, io))) = sniffed else { return };
        if is_websocket {
            connection::serve(&self.0, io).await;
        } else {
            // Thousands of the others wait at a time: they have no room for this.
            Box::pin(http::serve(&self.0, io, false)).await;
        }
    }

    /// Serves triggers and status over one connection, also where clients are not to send
    /// them, and no WebSocket.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, a trigger may have been carried out.
    pub async fn serve_internal<S>(&self, io: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let sniffed = Rewind::sniff(Box::new(io));
        let sniffed = tokio::time::timeout(self.0.config.handshake_timeout, sniffed).await;
        if let Ok(Ok((_, io))) = sniffed {
            http::serve(&self.0, io, true).await;
        }
    }

    /// Hands a trigger to the bus, as the HTTP route does, which holds it against its
    /// bounds before.
    ///
    /// # Errors
    ///
    /// [`BusError`] if the bus does not take it.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it may have been carried out.
    pub async fn trigger(&self, trigger: Trigger) -> Result<(), BusError> {
        self.0.bus.publish(trigger).await
    }

    /// Returns the counters.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.hub.status()
    }

    /// Ends every connection when what waits for it is sent.
    pub fn close_all(&self) {
        self.0.close_all();
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
