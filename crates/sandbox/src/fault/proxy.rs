//! Stands between clients and a server.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};

use super::{
    Faults,
    pipe::Pipe,
    pump::{Cut, pump},
};
use crate::tasks::Tasks;

/// A fault proxy. Dropping it ends every connection that it carries.
#[derive(Debug)]
pub struct Proxy {
    faults: Faults,
    tasks: Tasks,
    address: Option<SocketAddr>,
}

impl Proxy {
    /// A proxy for pipes; see [`wrap`](Self::wrap).
    #[must_use]
    pub fn pipes(faults: Faults) -> Self {
        Self { faults, tasks: Tasks::default(), address: None }
    }

    /// Listens on a free loopback port and carries every connection to
    /// `server`.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if no port can be had.
    pub async fn tcp(server: SocketAddr, faults: Faults) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = Some(listener.local_addr()?);
        let (tasks, carried, shared) = (Tasks::default(), Tasks::default(), faults.clone());
        tasks.spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    // Out of descriptors, most likely: wait for some to close.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let (faults, number) = (shared.clone(), shared.connect());
                carried.spawn(async move {
                    // A server that is not there ends the client's connection too.
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    for stream in [&client, &server] {
                        let _best_effort = stream.set_nodelay(true);
                    }
                    pump(&faults, number, client, server).await;
                });
            }
        });
        Ok(Self { faults, tasks, address })
    }

    /// Puts the proxy before an open stream to a server; returns the client's
    /// end. Must be called inside a tokio runtime.
    #[must_use]
    pub fn wrap<S: Cut + 'static>(&self, server: S) -> Pipe {
        let (ours, theirs) = Pipe::pair();
        let (faults, number) = (self.faults.clone(), self.faults.connect());
        self.tasks.spawn(async move { pump(&faults, number, theirs, server).await });
        ours
    }

    /// Returns where a TCP proxy listens.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Returns the rules and what came of them.
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }
}
