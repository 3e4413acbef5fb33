//! Where clients come in: what all servers do with a listening socket.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::DuplexStream,
    net::{TcpListener, TcpStream},
};

#[cfg(feature = "tls")]
use crate::tls::Authority;
use crate::{engine::Io, tasks::Tasks};

/// A server as its door sees it.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Connections at a time; more are closed at once.
    fn max_connections(&self) -> usize;

    /// How long a client may take until it is let in.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "only TLS takes time here"))]
    fn handshake(&self) -> Duration;

    /// Serves one client to its end.
    fn serve(&self, io: Io) -> impl Future<Output = ()> + Send;
}

/// Bytes that a pipe holds in each direction.
const PIPE: usize = 64 << 10;

/// A server and the ways to it: TCP, TLS, and pipes in the same process. A clone leads
/// to the same server; with the last one it ends.
#[derive(Debug)]
pub(crate) struct Door<S> {
    server: Arc<S>,
    tasks: Tasks,
    address: Arc<Mutex<Option<SocketAddr>>>,
}

impl<S> Clone for Door<S> {
    fn clone(&self) -> Self {
        let (server, address) = (Arc::clone(&self.server), Arc::clone(&self.address));
        Self { server, tasks: self.tasks.clone(), address }
    }
}

impl<S: Serve> Door<S> {
    pub(crate) fn new(server: S) -> Self {
        Self { server: Arc::new(server), tasks: Tasks::default(), address: Arc::default() }
    }

    pub(crate) fn server(&self) -> &S {
        &self.server
    }

    /// Listens on a loopback port, 0 for a free one.
    pub(crate) async fn listen(&self, port: u16) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        accept_from(&self.server, &self.tasks, listener, |server, stream| async move {
            server.serve(Box::new(stream)).await;
        });
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        Ok(())
    }

    /// Listens with TLS, as `localhost` and `127.0.0.1`.
    #[cfg(feature = "tls")]
    pub(crate) async fn listen_tls(
        &self,
        port: u16,
        authority: &Authority,
    ) -> io::Result<SocketAddr> {
        let acceptor = authority.acceptor(&["localhost", "127.0.0.1"])?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        accept_from(&self.server, &self.tasks, listener, move |server, stream| {
            let acceptor = acceptor.clone();
            async move {
                let secured = tokio::time::timeout(server.handshake(), acceptor.accept(stream));
                // A client that cannot agree on TLS has been told by an alert.
                if let Ok(Ok(stream)) = secured.await {
                    server.serve(Box::new(stream)).await;
                }
            }
        });
        Ok(address)
    }

    /// The client's end of a pipe. Must be called inside a tokio runtime.
    pub(crate) fn pipe(&self) -> DuplexStream {
        let (client, theirs) = tokio::io::duplex(PIPE);
        let server = Arc::clone(&self.server);
        self.tasks.spawn(async move { server.serve(Box::new(theirs)).await });
        client
    }

    /// Where it listens without TLS.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves what comes to `listener`, each connection by `serve`.
fn accept_from<S, C, F>(server: &Arc<S>, tasks: &Tasks, listener: TcpListener, serve: C)
where
    S: Serve,
    C: Fn(Arc<S>, TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    // The task must not keep the set alive that ends it.
    let (server, connections) = (Arc::clone(server), Tasks::default());
    tasks.spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) if connections.running() < server.max_connections() => {
                    // A socket that cannot be told so still works, only slower.
                    let _best_effort = stream.set_nodelay(true);
                    connections.spawn(serve(Arc::clone(&server), stream));
                }
                Ok(_) => {}
                // Out of descriptors, most likely: wait for some to close.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
}

/// What who comes by another name is told.
pub(crate) const LOOPBACK_ONLY: &str = "this development server answers to loopback names only\n";

/// Reads until it is clear whether a request begins with `wanted`; gives the stream
/// back whole.
#[cfg(any(feature = "cent", feature = "emitter", feature = "satori-rtm", feature = "stream-sea"))]
pub(crate) async fn sniff(mut io: Io, wanted: &str) -> io::Result<(bool, Io)> {
    use tokio::io::AsyncReadExt;
    let mut first = Vec::with_capacity(wanted.len());
    let mut byte = [0];
    while first.len() < wanted.len() && wanted.as_bytes().starts_with(&first) {
        if io.read(&mut byte).await? == 0 {
            break;
        }
        first.extend_from_slice(&byte);
    }
    let found = first == wanted.as_bytes();
    let (reader, writer) = tokio::io::split(io);
    Ok((found, Box::new(tokio::io::join(io::Cursor::new(first).chain(reader), writer))))
}

/// Whether `host`, of a request's header, is this machine. A page in a browser
/// can reach a loopback port under a name of its own.
pub(crate) fn is_loopback(host: &str) -> bool {
    let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let name = port.map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}
