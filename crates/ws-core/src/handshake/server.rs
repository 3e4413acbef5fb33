//! The server's side of the opening handshake.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tungstenite::{
    handshake::{derive_accept_key, server as wire},
    http::StatusCode,
};

use super::{HandshakeError, has_token, take_head, tokens};
use crate::{conn::Connection, error::Error, limits::Limits, session::Session};

/// A client's opening request, already known to be one for a WebSocket.
#[derive(Clone, Debug)]
pub struct ServerRequest {
    head: wire::Request,
    accept: String,
}

impl ServerRequest {
    /// Reads a request from the front of `input`; `None` means that more is
    /// needed. What follows the head stays in `input`.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] that says which part of the request is wrong.
    pub fn parse(input: &mut BytesMut, limits: &Limits) -> Result<Option<Self>, HandshakeError> {
        let head = take_head::<wire::Request>(input, limits, |h| h.headers().len())?;
        let Some(head) = head else { return Ok(None) };
        let headers = head.headers();
        for (name, token) in
            [("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Version", "13")]
        {
            if !has_token(headers, name, token) {
                return Err(HandshakeError::NotUpgrade(name));
            }
        }
        let mut keys = headers.get_all("Sec-WebSocket-Key").iter();
        // Sixteen bytes in base64; their value means nothing to a server.
        let key = keys.next().filter(|key| key.len() == 24 && key.as_bytes().ends_with(b"=="));
        match (key, keys.next()) {
            (Some(key), None) => {
                let accept = derive_accept_key(key.as_bytes());
                Ok(Some(Self { head, accept }))
            }
            _ => Err(HandshakeError::NotUpgrade("Sec-WebSocket-Key")),
        }
    }

    /// Returns the path without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.uri().path()
    }

    /// Returns the query as it stands, without the `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.head.uri().query()
    }

    /// Returns the first header of that name, if it is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the subprotocols that the client offers, the most wanted first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        tokens(self.head.headers(), "Sec-WebSocket-Protocol")
    }

    /// Returns the answer that opens the connection.
    #[must_use]
    pub fn accept(&self, subprotocol: Option<&str>) -> Vec<u8> {
        let protocol = subprotocol
            .map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"))
            .unwrap_or_default();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n{protocol}\r\n",
            self.accept
        )
        .into_bytes()
    }
}

/// Returns the answer that refuses a connection.
fn refusal(status: u16, body: &str) -> Vec<u8> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    format!(
        "HTTP/1.1 {} {}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{body}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    )
    .into_bytes()
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct ServerHandshake<S> {
    io: S,
    session: Session,
    request: ServerRequest,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ServerHandshake<S> {
    /// Returns what the client asks for.
    pub fn request(&self) -> &ServerRequest {
        &self.request
    }

    /// Opens the connection, selecting `subprotocol` if one is given.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropped half-way, the stream is lost with the future.
    pub async fn accept(mut self, subprotocol: Option<&str>) -> Result<Connection<S>, Error> {
        let answer = self.request.accept(subprotocol);
        self.io.write_all(&answer).await.map_err(Error::Io)?;
        self.io.flush().await.map_err(Error::Io)?;
        Ok(Connection::new(self.io, self.session))
    }

    /// Refuses the connection with an HTTP status and a text, and ends the
    /// stream.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropped half-way, the stream is lost with the future.
    pub async fn reject(mut self, status: u16, body: &str) -> Result<(), Error> {
        refuse(&mut self.io, status, body).await
    }
}

async fn refuse<S>(io: &mut S, status: u16, body: &str) -> Result<(), Error>
where
    S: AsyncWrite + Unpin,
{
    io.write_all(&refusal(status, body)).await.map_err(Error::Io)?;
    io.shutdown().await.map_err(Error::Io)
}

/// Reads the opening request of a WebSocket from `io`, as the server.
///
/// A request that is none is answered with 400 before the error is returned.
/// There is no deadline here: a server sets one over the whole exchange.
///
/// # Errors
///
/// - [`Error::Handshake`] if the request is not one for a WebSocket.
/// - [`Error::Io`] if the stream fails.
///
/// # Cancel safety
///
/// Not cancel safe: dropped half-way, the stream is lost with the future.
pub async fn accept<S>(mut io: S, limits: Limits) -> Result<ServerHandshake<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut session = Session::server(limits);
    loop {
        if io.read_buf(session.input()).await.map_err(Error::Io)? == 0 {
            return Err(Error::Handshake(HandshakeError::Eof));
        }
        match ServerRequest::parse(session.input(), &limits) {
            Ok(Some(request)) => return Ok(ServerHandshake { io, session, request }),
            Ok(None) => {}
            Err(error) => {
                refuse(&mut io, 400, &error.to_string()).await?;
                return Err(Error::Handshake(error));
            }
        }
    }
}
