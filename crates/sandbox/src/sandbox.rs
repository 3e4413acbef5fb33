//! All servers of a sandbox under one owner.

use std::{collections::BTreeMap, io};

#[cfg(feature = "cent")]
use crate::centrifugo::{CentrifugoConfig, CentrifugoServer};
#[cfg(feature = "emitter")]
use crate::emitter::{EmitterConfig, EmitterServer};
use crate::engine::Engine;
#[cfg(feature = "satori-rtm")]
use crate::rtm::{RtmConfig, RtmServer};
#[cfg(feature = "stream-sea")]
use crate::sea::{StreamSeaConfig, StreamSeaServer};
#[cfg(feature = "high-templar")]
use crate::templar::{HighTemplarConfig, HighTemplarServer};

/// The servers that there are, by the names of their clients' crates.
const SERVERS: &[&str] = &[
    #[cfg(feature = "satori-rtm")]
    "satori-rtm",
    #[cfg(feature = "stream-sea")]
    "stream-sea",
    #[cfg(feature = "cent")]
    "cent",
    #[cfg(feature = "emitter")]
    "emitter",
    #[cfg(feature = "high-templar")]
    "high-templar",
];

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
/// # #[cfg(feature = "satori-rtm")]
/// println!("{}", sandbox.rtm().url());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    engine: Engine,
    ports: BTreeMap<String, u16>,
    only: Option<Vec<String>>,
    #[cfg(feature = "cent")]
    centrifugo: CentrifugoConfig,
    #[cfg(feature = "emitter")]
    emitter: EmitterConfig,
    #[cfg(feature = "high-templar")]
    high_templar: HighTemplarConfig,
    #[cfg(feature = "satori-rtm")]
    rtm: RtmConfig,
    #[cfg(feature = "stream-sea")]
    stream_sea: StreamSeaConfig,
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

    /// Starts only the servers of these names: `satori-rtm`, `stream-sea`, `cent`,
    /// `emitter`, `high-templar`. Default all.
    #[must_use]
    pub fn only<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.only = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets version, keys, channels and limits of the Centrifugo server.
    #[cfg(feature = "cent")]
    #[must_use]
    pub fn centrifugo(mut self, config: CentrifugoConfig) -> Self {
        self.centrifugo = config;
        self
    }

    /// Sets keys and limits of the emitter broker.
    #[cfg(feature = "emitter")]
    #[must_use]
    pub fn emitter(mut self, config: EmitterConfig) -> Self {
        self.emitter = config;
        self
    }

    /// Sets rooms, compatibility and limits of the High-Templar server.
    #[cfg(feature = "high-templar")]
    #[must_use]
    pub fn high_templar(mut self, config: HighTemplarConfig) -> Self {
        self.high_templar = config;
        self
    }

    /// Sets keys and limits of the Satori RTM server.
    #[cfg(feature = "satori-rtm")]
    #[must_use]
    pub fn rtm(mut self, config: RtmConfig) -> Self {
        self.rtm = config;
        self
    }

    /// Sets keys, streams and limits of the Stream-sea server.
    #[cfg(feature = "stream-sea")]
    #[must_use]
    pub fn stream_sea(mut self, config: StreamSeaConfig) -> Self {
        self.stream_sea = config;
        self
    }

    /// Starts the servers on loopback.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if a port cannot be had, or a name is no server's.
    pub async fn start(self) -> io::Result<Sandbox> {
        let mut names = self.ports.keys().chain(self.only.iter().flatten());
        if let Some(name) = names.find(|name| !SERVERS.contains(&name.as_str())) {
            let text = format!("no server is called {name:?}; there is {}", SERVERS.join(", "));
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        #[cfg(feature = "satori-rtm")]
        let rtm = {
            let server = RtmServer::new(self.rtm.clone(), self.engine);
            if let Some(port) = self.port_of("satori-rtm") {
                server.listen(port).await?;
            }
            server
        };
        #[cfg(feature = "cent")]
        let centrifugo = {
            let server = CentrifugoServer::new(self.centrifugo.clone(), self.engine);
            if let Some(port) = self.port_of("cent") {
                server.listen(port).await?;
            }
            server
        };
        #[cfg(feature = "emitter")]
        let emitter = {
            let server = EmitterServer::new(self.emitter.clone(), self.engine);
            if let Some(port) = self.port_of("emitter") {
                server.listen(port).await?;
            }
            server
        };
        #[cfg(feature = "high-templar")]
        let high_templar = {
            let server = HighTemplarServer::new(self.high_templar.clone(), self.engine)?;
            if let Some(port) = self.port_of("high-templar") {
                server.listen(port).await?;
            }
            server
        };
        #[cfg(feature = "stream-sea")]
        let stream_sea = {
            let server = StreamSeaServer::new(self.stream_sea.clone(), self.engine);
            if let Some(port) = self.port_of("stream-sea") {
                server.listen(port).await?;
            }
            server
        };
        Ok(Sandbox {
            #[cfg(feature = "satori-rtm")]
            rtm,
            #[cfg(feature = "cent")]
            centrifugo,
            #[cfg(feature = "emitter")]
            emitter,
            #[cfg(feature = "high-templar")]
            high_templar,
            #[cfg(feature = "stream-sea")]
            stream_sea,
        })
    }

    /// The port of a server that is to listen, 0 for a free one.
    fn port_of(&self, name: &str) -> Option<u16> {
        let is_wanted =
            self.only.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name));
        is_wanted.then(|| self.ports.get(name).copied().unwrap_or_default())
    }
}

/// Running servers. Dropping it ends them and every connection.
#[derive(Debug)]
pub struct Sandbox {
    #[cfg(feature = "satori-rtm")]
    rtm: RtmServer,
    #[cfg(feature = "cent")]
    centrifugo: CentrifugoServer,
    #[cfg(feature = "emitter")]
    emitter: EmitterServer,
    #[cfg(feature = "high-templar")]
    high_templar: HighTemplarServer,
    #[cfg(feature = "stream-sea")]
    stream_sea: StreamSeaServer,
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

    /// Returns the Centrifugo server; its [`CentrifugoServer::address`] is `None`
    /// if it was not to be started.
    #[cfg(feature = "cent")]
    #[must_use]
    pub const fn centrifugo(&self) -> &CentrifugoServer {
        &self.centrifugo
    }

    /// Returns the emitter broker; its [`EmitterServer::address`] is `None` if it was
    /// not to be started.
    #[cfg(feature = "emitter")]
    #[must_use]
    pub const fn emitter(&self) -> &EmitterServer {
        &self.emitter
    }

    /// Returns the High-Templar server; its [`HighTemplarServer::address`] is `None` if it
    /// was not to be started.
    #[cfg(feature = "high-templar")]
    #[must_use]
    pub const fn high_templar(&self) -> &HighTemplarServer {
        &self.high_templar
    }

    /// Returns the Satori RTM server; its [`RtmServer::address`] is `None` if it
    /// was not to be started.
    #[cfg(feature = "satori-rtm")]
    #[must_use]
    pub const fn rtm(&self) -> &RtmServer {
        &self.rtm
    }

    /// Returns the Stream-sea server; its [`StreamSeaServer::address`] is `None` if it
    /// was not to be started.
    #[cfg(feature = "stream-sea")]
    #[must_use]
    pub const fn stream_sea(&self) -> &StreamSeaServer {
        &self.stream_sea
    }
}
