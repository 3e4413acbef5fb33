//! TCP connections by name, and what is built on them.

mod dialer;
mod race;

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::{TcpStream, lookup_host};

use crate::{
    endpoint::authority,
    error::{Error, Step},
};

pub use dialer::{ByteStream, Dialer, Stream};

/// How long an address has before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// Opens a TCP connection to `host` and `port`, without delay for small writes
/// (`TCP_NODELAY`).
///
/// A name may have several addresses, and some of them may be dead: the next one
/// is tried when one fails, or beside it after 250 ms, and the first that answers
/// wins. IPv6 and IPv4 take turns, in the order of the resolver.
///
/// There is no deadline here: whoever calls has one over all its steps.
///
/// # Errors
///
/// [`Error::Connect`] naming the step: [`Step::Dns`] if the name has no
/// address, [`Step::Tcp`] with the last address's reason if none answers.
///
/// # Cancel safety
///
/// Cancel safe: a dropped attempt leaves nothing behind.
pub async fn dial(host: &str, port: u16) -> Result<TcpStream, Error> {
    let addresses = look_up(host, port).await?;
    reach(host, port, addresses).await
}

/// The first step: the addresses of a name, at least one.
async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let failed = |source| Error::Connect { step: Step::Dns, target: authority(host, port), source };
    let addresses = lookup_host((host, port)).await.map_err(failed)?;
    let addresses = race::alternate(addresses.collect());
    match addresses.is_empty() {
        true => Err(failed(io::Error::other("the name has no address"))),
        false => Ok(addresses),
    }
}

/// The second step: the first address that answers.
async fn reach(host: &str, port: u16, addresses: Vec<SocketAddr>) -> Result<TcpStream, Error> {
    let stream = race::first(addresses, STAGGER, TcpStream::connect).await;
    let failed = |source| Error::Connect { step: Step::Tcp, target: authority(host, port), source };
    let stream = stream.map_err(failed)?;
    // A socket that cannot be told so still works, only slower.
    let _best_effort = stream.set_nodelay(true);
    Ok(stream)
}
