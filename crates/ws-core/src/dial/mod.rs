//! TCP connections by name.

use std::io;

use tokio::net::{TcpStream, lookup_host};

use crate::error::{Error, Step};

/// Opens a TCP connection to `host` and `port`, trying each address that the
/// name has, without delay for small writes (`TCP_NODELAY`).
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
    let failed = |step, source| Error::Connect { step, target: format!("{host}:{port}"), source };
    let addresses = lookup_host((host, port)).await.map_err(|e| failed(Step::Dns, e))?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A socket that cannot be told so still works, only slower.
                let _best_effort = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) => failed(Step::Tcp, error),
        None => failed(Step::Dns, io::Error::other("the name has no address")),
    })
}
