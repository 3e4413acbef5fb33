//! From a name to a stream or an open WebSocket, all steps under one deadline.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{look_up, reach};
use crate::{
    conn::Connection,
    endpoint::{Endpoint, authority},
    error::{Error, Step},
    handshake::{ClientRequest, Response},
    limits::Limits,
    mask::Keys,
    proxy::Proxy,
};

/// Any byte stream that a [`Dialer`] opens.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// What a [`Dialer`] opens.
pub type Stream = Box<dyn ByteStream>;

type Opening = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;
type Open = Arc<dyn Fn(String, u16) -> Opening + Send + Sync>;

/// How to reach servers: name lookup, TCP, a tunnel through a proxy, TLS, and
/// the opening handshake, with one deadline over all of them.
///
/// # Examples
///
/// ```
/// use ws_core::{ClientRequest, Dialer, Endpoint, Keys, Limits, Proxy};
///
/// # async fn example() -> Result<(), ws_core::Error> {
/// let dialer = Dialer::new().proxy(Proxy::new("proxy.example", 3128));
/// let chat: Endpoint = "ws://chat.example/room".parse()?;
/// let request = ClientRequest::new(&chat);
/// let (chat, _) = dialer.connect(&chat, request, Limits::default(), Keys::system()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Dialer {
    timeout: Duration,
    via: Via,
    open: Option<Open>,
    #[cfg(feature = "tls")]
    tls: crate::tls::Tls,
}

#[derive(Clone, Debug)]
enum Via {
    Nothing,
    Proxy(Proxy),
    /// Whatever the environment says at each attempt.
    Environment,
}

impl Default for Dialer {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            via: Via::Nothing,
            open: None,
            #[cfg(feature = "tls")]
            tls: crate::tls::Tls::new(),
        }
    }
}

impl Dialer {
    /// Dials directly, and within 10 s.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the deadline over all steps. Default 10 s.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Goes through `proxy`.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.via = Via::Proxy(proxy);
        self
    }

    /// Goes through the proxy that the environment names, if it does, as
    /// [`Proxy::from_env`] says; asked at each attempt.
    #[must_use]
    pub fn proxy_from_env(mut self) -> Self {
        self.via = Via::Environment;
        self
    }

    /// Speaks TLS in this way.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::tls::Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Takes streams from `open` in the place of TCP connections: it is called
    /// with host and port, of the proxy if there is one. Its future is dropped
    /// at the deadline.
    #[must_use]
    pub fn open_with<F, R, S>(mut self, open: F) -> Self
    where
        F: Fn(String, u16) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<S>> + Send + 'static,
        S: ByteStream + 'static,
    {
        self.open = Some(Arc::new(move |host, port| {
            let opening = open(host, port);
            Box::pin(async { Ok(Box::new(opening.await?) as Stream) })
        }));
        self
    }

    /// Opens a stream to `host`, a name or an address without brackets, and
    /// `port`, over TLS if `secure`.
    ///
    /// # Errors
    ///
    /// - [`Error::Connect`] naming the step that failed.
    /// - [`Error::Proxy`] or [`Error::Tls`] with what was wrong there.
    /// - [`Error::Timeout`] naming the step in which the deadline came.
    /// - [`Error::Config`] if `secure` is asked for without the feature `tls`, or
    ///   the environment's proxy cannot be used.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped attempt leaves nothing behind.
    pub async fn dial(&self, host: &str, port: u16, secure: bool) -> Result<Stream, Error> {
        let attempt = Attempt::new(self, host, port);
        attempt.within(attempt.stream(secure)).await
    }

    /// Opens a WebSocket to `url`.
    ///
    /// # Errors
    ///
    /// As [`dial`](Self::dial), and [`Error::Handshake`] if the server refuses
    /// or answers something else.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped attempt leaves nothing behind.
    pub async fn connect(
        &self,
        url: &Endpoint,
        request: ClientRequest,
        limits: Limits,
        keys: Keys,
    ) -> Result<(Connection<Stream>, Response), Error> {
        let attempt = Attempt::new(self, url.host(), url.port());
        let connecting = async {
            let stream = attempt.stream(url.is_secure()).await?;
            attempt.at(Step::Upgrade);
            let connected = crate::handshake::connect(stream, request, limits, keys).await;
            connected.map_err(|e| attempt.named(e))
        };
        attempt.within(connecting).await
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("timeout", &self.timeout)
            .field("via", &self.via)
            .finish_non_exhaustive()
    }
}

struct Attempt<'a> {
    dialer: &'a Dialer,
    host: &'a str,
    port: u16,
    /// Where it stands: the deadline, outside, has to name the step it hits.
    step: Mutex<Step>,
}

impl<'a> Attempt<'a> {
    const fn new(dialer: &'a Dialer, host: &'a str, port: u16) -> Self {
        Self { dialer, host, port, step: Mutex::new(Step::Tcp) }
    }

    async fn within<T>(&self, steps: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match tokio::time::timeout(self.dialer.timeout, steps).await {
            Ok(ended) => ended,
            Err(_) => Err(Error::Timeout(self.step())),
        }
    }

    async fn stream(&self, secure: bool) -> Result<Stream, Error> {
        let proxy = match &self.dialer.via {
            Via::Nothing => None,
            Via::Proxy(proxy) => Some(proxy.clone()),
            Via::Environment => Proxy::from_env(self.host, self.port, secure)?,
        };
        let mut io = self.tcp(proxy.as_ref()).await?;
        if let Some(proxy) = proxy {
            self.at(Step::Proxy);
            let target = authority(self.host, self.port);
            proxy.tunnel(&mut io, &target).await.map_err(|e| self.named(e))?;
        }
        if secure {
            self.at(Step::Tls);
            io = self.secure(io).await?;
        }
        Ok(io)
    }

    async fn tcp(&self, proxy: Option<&Proxy>) -> Result<Stream, Error> {
        let (host, port) = match proxy {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (self.host, self.port),
        };
        match &self.dialer.open {
            Some(open) => open(host.to_owned(), port).await.map_err(|e| self.named(Error::Io(e))),
            None => {
                self.at(Step::Dns);
                let addresses = look_up(host, port).await?;
                self.at(Step::Tcp);
                Ok(Box::new(reach(host, port, addresses).await?))
            }
        }
    }

    #[cfg(feature = "tls")]
    async fn secure(&self, io: Stream) -> Result<Stream, Error> {
        let stream = self.dialer.tls.connect(io, self.host).await.map_err(Error::Tls)?;
        Ok(Box::new(stream))
    }

    #[cfg(not(feature = "tls"))]
    async fn secure(&self, _io: Stream) -> Result<Stream, Error> {
        Err(Error::Config("a secure connection needs the feature tls".into()))
    }

    fn at(&self, step: Step) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }

    fn step(&self) -> Step {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says in which step the stream failed.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::Io(source) => Error::Connect {
                step: self.step(),
                target: authority(self.host, self.port),
                source,
            },
            other => other,
        }
    }
}
