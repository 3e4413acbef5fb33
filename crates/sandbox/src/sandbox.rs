//! All servers of a sandbox under one owner.

use std::{collections::BTreeMap, io};

use crate::engine::Engine;
#[cfg(feature = "satori-rtm")]
use crate::rtm::{RtmConfig, RtmServer};

/// The servers that there are.
const SERVERS: [&str; 1] = ["satori-rtm"];

/// What a sandbox serves, and how.
///
/// # Examples
///
/// ```
/// use realtime_sandbox::{Engine, Sandbox};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let sandbox = Sandbox::builder().engine(Engine::Tungstenite).start().await?;
/// println!("{}", sandbox.rtm().url());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    engine: Engine,
    ports: BTreeMap<String, u16>,
    #[cfg(feature = "satori-rtm")]
    rtm: RtmConfig,
}

impl Builder {
    /// Sets the WebSocket implementation of all servers. Default ws-core.
    #[must_use]
    pub const fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Sets the port of the server called `name`. Default 0: a free one.
    #[must_use]
    pub fn port(mut self, name: impl Into<String>, port: u16) -> Self {
        self.ports.insert(name.into(), port);
        self
    }

    /// Sets keys and limits of the Satori RTM server.
    #[cfg(feature = "satori-rtm")]
    #[must_use]
    pub fn rtm(mut self, config: RtmConfig) -> Self {
        self.rtm = config;
        self
    }

    /// Starts every server on loopback.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if a port cannot be had, or was given to a server that there
    /// is not.
    pub async fn start(self) -> io::Result<Sandbox> {
        if let Some(name) = self.ports.keys().find(|name| !SERVERS.contains(&name.as_str())) {
            let text = format!("no server is called {name:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        #[cfg(feature = "satori-rtm")]
        let rtm = {
            let port = self.ports.get("satori-rtm").copied().unwrap_or_default();
            let server = RtmServer::new(self.rtm, self.engine);
            server.listen(port).await?;
            server
        };
        Ok(Sandbox {
            #[cfg(feature = "satori-rtm")]
            rtm,
        })
    }
}

/// Running servers. Dropping it ends them and every connection.
#[derive(Debug)]
pub struct Sandbox {
    #[cfg(feature = "satori-rtm")]
    rtm: RtmServer,
}

impl Sandbox {
    /// Starts every server with its defaults.
    ///
    /// # Errors
    ///
    /// As [`Builder::start`].
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Begins with the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the Satori RTM server.
    #[cfg(feature = "satori-rtm")]
    #[must_use]
    pub const fn rtm(&self) -> &RtmServer {
        &self.rtm
    }
}
