//! Sockets that connections come in by.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
#[cfg(feature = "tls")]
use tokio_rustls::TlsAcceptor;

use crate::{log, server::Server};

/// Connections of publishers at a time, by all internal listeners.
const INTERNAL: usize = 1000;

/// What is left for sending and for hooks when a server ends, beside the time to close.
const LINGER: Duration = Duration::from_secs(5);

/// A listening socket, and what comes in by it.
pub struct Listener {
    tcp: TcpListener,
    door: Door,
}

/// What is done with what comes in.
#[derive(Clone)]
struct Door {
    #[cfg(feature = "tls")]
    tls: Option<TlsAcceptor>,
    is_internal: bool,
}

impl Listener {
    /// For clients, and for triggers unless
    /// [`Config::internal_triggers`](crate::Config::internal_triggers) is set.
    #[must_use]
    pub const fn new(tcp: TcpListener) -> Self {
        let door = Door {
            #[cfg(feature = "tls")]
            tls: None,
            is_internal: false,
        };
        Self { tcp, door }
    }

    /// For triggers and status only.
    #[must_use]
    pub const fn internal(mut self) -> Self {
        self.door.is_internal = true;
        self
    }

    /// Speaks TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.door.tls = Some(config.into());
        self
    }
}

impl Door {
    async fn serve(&self, server: &Server, stream: TcpStream) {
        // A socket that cannot be told so still works, only slower.
        let _best_effort = stream.set_nodelay(true);
        #[cfg(feature = "tls")]
        if let Some(acceptor) = &self.tls {
            // Boxed, as everything that is large and soon over: a client may stay for hours.
            let accepting = Box::pin(acceptor.accept(stream));
            let secured = tokio::time::timeout(server.config().handshake_timeout, accepting);
            // A client that cannot agree on TLS has been told by an alert.
            let Ok(Ok(stream)) = secured.await else { return };
            return match self.is_internal {
                true => server.serve_internal(stream).await,
                false => server.serve(stream).await,
            };
        }
        match self.is_internal {
            true => server.serve_internal(stream).await,
            false => server.serve(stream).await,
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl Server {
    /// Accepts from `listeners` until `until` is ready. Then nothing more is accepted,
    /// connections stay usable for [`Config::grace`](crate::Config::grace), and are closed
    /// with code 1001.
    ///
    /// That is the end of the server, its clones included: whoever comes to
    /// [`serve`](Self::serve) later is closed with 1001 at once, and another `run` returns
    /// at once.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, every connection ends at once.
    pub async fn run(
        &self,
        listeners: impl IntoIterator<Item = Listener>,
        until: impl Future<Output = ()>,
    ) {
        if self.0.has_ended() {
            return;
        }
        let room = Arc::new(Semaphore::new(self.config().max_connections));
        let internal = Arc::new(Semaphore::new(INTERNAL));
        let (stop, stopped) = watch::channel(());
        let mut accepting = JoinSet::new();
        for listener in listeners {
            // Clients in any number do not keep publishers out.
            let room = if listener.door.is_internal { &internal } else { &room };
            let (server, stopped) = (self.clone(), stopped.clone());
            accepting.spawn(accept_from(server, listener, Arc::clone(room), stopped));
        }
        until.await;
        drop(stop);
        // Each ends with its connections.
        while accepting.join_next().await.is_some() {}
    }
}

async fn accept_from(
    server: Server,
    listener: Listener,
    room: Arc<Semaphore>,
    mut stopped: watch::Receiver<()>,
) {
    let Listener { tcp, door } = listener;
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = tcp.accept() => accepted,
            // It never changes: it ends with its sender.
            _ended = stopped.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match (accepted, Arc::clone(&room).try_acquire_owned()) {
            (Ok((stream, _)), Ok(permit)) => {
                let (server, door) = (server.clone(), door.clone());
                connections.spawn(async move {
                    door.serve(&server, stream).await;
                    drop(permit);
                });
            }
            // There is no room: it is closed at once.
            (Ok(_), Err(_)) => {}
            (Err(error), _) => {
                // Out of descriptors, most likely: wait for some to close.
                log::cannot_accept(&error);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(tcp);
    tokio::time::sleep(server.config().grace).await;
    server.0.end();
    // Those who do not take their end, and hooks that hear of it late, are dropped.
    let most = server.config().close_timeout + LINGER;
    let ended = async { while connections.join_next().await.is_some() {} };
    let _in_time = tokio::time::timeout(most, ended).await;
}
