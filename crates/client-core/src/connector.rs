//! Where a client's byte streams come from.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

/// Any byte stream a client can speak over.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// What a client wants to reach.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// Host name or address, an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Target {
    /// Names a target.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send>>;

/// Opens byte streams in the network's place: a pipe to a server in the same
/// process, a tunnel, a stream with faults built in.
///
/// # Examples
///
/// ```
/// # async fn serve(_: tokio::io::DuplexStream) {}
/// use client_core::Connector;
///
/// let pipes = Connector::new(|_target| async {
///     let (ours, theirs) = tokio::io::duplex(64 * 1024);
///     tokio::spawn(serve(theirs));
///     Ok(ours)
/// });
/// ```
#[derive(Clone)]
pub struct Connector(Arc<dyn Fn(Target) -> Opening + Send + Sync>);

impl Connector {
    /// Calls `open` once for each attempt to connect. The future is dropped
    /// when the client's connect timeout ends.
    pub fn new<F, R, S>(open: F) -> Self
    where
        F: Fn(Target) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<S>> + Send + 'static,
        S: ByteStream + 'static,
    {
        Self(Arc::new(move |target| {
            let opening = open(target);
            Box::pin(async { Ok(Box::new(opening.await?) as Box<dyn ByteStream>) })
        }))
    }

    /// Opens a stream to `target`.
    ///
    /// # Errors
    ///
    /// Whatever the connector's function returns.
    ///
    /// # Cancel safety
    ///
    /// As the connector's function.
    pub async fn connect(&self, target: Target) -> io::Result<Box<dyn ByteStream>> {
        (self.0)(target).await
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}
