//! The client's side of the opening handshake.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tungstenite::{
    handshake::{client as wire, derive_accept_key},
    http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri},
};

use super::{HandshakeError, has_token, take_head, tokens};
use crate::{
    conn::Connection, endpoint::Endpoint, error::Error, limits::Limits, mask::Keys,
    session::Session,
};

/// What a client asks for in its opening request.
///
/// # Examples
///
/// ```
/// use ws_core::ClientRequest;
///
/// let endpoint: ws_core::Endpoint = "ws://127.0.0.1:8080/v2?appkey=K".parse()?;
/// let request = ClientRequest::new(&endpoint).header("Origin", &endpoint.origin())?;
/// # Ok::<(), ws_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientRequest {
    path: String,
    host: String,
    headers: HeaderMap<HeaderValue>,
    subprotocols: Vec<String>,
}

impl ClientRequest {
    /// A request for `endpoint`; `Host` is always `host:port`.
    #[must_use]
    pub fn new(endpoint: &Endpoint) -> Self {
        Self {
            path: endpoint.path().to_owned(),
            host: endpoint.authority(),
            headers: HeaderMap::new(),
            subprotocols: Vec::new(),
        }
    }

    /// Adds a header.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if name or value cannot stand in a header, or if the
    /// header is one that the handshake writes itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let wrong = || Error::Config(format!("header {name:?} cannot be sent"));
        let key: HeaderName = name.parse().map_err(|_| wrong())?;
        let own = ["host", "connection", "upgrade"];
        if own.contains(&key.as_str()) || key.as_str().starts_with("sec-websocket-") {
            return Err(wrong());
        }
        self.headers.append(key, value.parse().map_err(|_| wrong())?);
        Ok(self)
    }

    /// Offers a subprotocol; the first offered is the most wanted.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    fn into_http(mut self) -> Result<Request<()>, Error> {
        let wrong = |what: &str| Error::Config(format!("{what} cannot be sent in a request"));
        let uri: Uri = self.path.parse().map_err(|_| wrong("the path"))?;
        let host: HeaderValue = self.host.parse().map_err(|_| wrong("the host"))?;
        let key = wire::generate_key().parse().map_err(|_| wrong("the key"))?;
        self.headers.insert("host", host);
        self.headers.insert("connection", HeaderValue::from_static("Upgrade"));
        self.headers.insert("upgrade", HeaderValue::from_static("websocket"));
        self.headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        self.headers.insert("sec-websocket-key", key);
        if !self.subprotocols.is_empty() {
            let offer = self.subprotocols.join(", ");
            let offer = offer.parse().map_err(|_| wrong("the subprotocol"))?;
            self.headers.insert("sec-websocket-protocol", offer);
        }
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        Ok(request)
    }
}

/// The answer that opened a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The subprotocol that the server selected, one of those offered.
    pub subprotocol: Option<String>,
}

/// The client's side of the handshake, without I/O.
#[derive(Debug)]
pub struct ClientHandshake {
    accept: String,
    offered: Vec<String>,
    limits: Limits,
}

impl ClientHandshake {
    /// Begins: returns the bytes of the request, and what waits for the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the request holds what cannot be sent.
    pub fn begin(request: ClientRequest, limits: Limits) -> Result<(Vec<u8>, Self), Error> {
        let offered = request.subprotocols.clone();
        let (bytes, key) = wire::generate_request(request.into_http()?)
            .map_err(|e| Error::Config(e.to_string()))?;
        let accept = derive_accept_key(key.as_bytes());
        Ok((bytes, Self { accept, offered, limits }))
    }

    /// Reads the answer from the front of `input`; `None` means that more is
    /// needed. What follows the head stays in `input`.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] that says which part of the answer is wrong.
    pub fn handle_input(&self, input: &mut BytesMut) -> Result<Option<Response>, HandshakeError> {
        let head = take_head::<wire::Response>(input, &self.limits, |h| h.headers().len())?;
        let Some(head) = head else { return Ok(None) };
        let status = head.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let reason = status.canonical_reason().unwrap_or_default().to_owned();
            let retry_after = retry_after(head.headers());
            return Err(HandshakeError::Status { code: status.as_u16(), reason, retry_after });
        }
        self.judge(head.headers()).map(Some)
    }

    fn judge(&self, headers: &HeaderMap<HeaderValue>) -> Result<Response, HandshakeError> {
        for (name, token) in [("Upgrade", "websocket"), ("Connection", "upgrade")] {
            if !has_token(headers, name, token) {
                return Err(HandshakeError::NotUpgrade(name));
            }
        }
        let mut accepts = headers.get_all("Sec-WebSocket-Accept").iter();
        let accepted = accepts.next().is_some_and(|v| v.as_bytes() == self.accept.as_bytes());
        if !accepted || accepts.next().is_some() {
            return Err(HandshakeError::Accept);
        }
        if let Some(name) = tokens(headers, "Sec-WebSocket-Extensions").next() {
            return Err(HandshakeError::Extension(name.to_owned()));
        }
        let subprotocol = tokens(headers, "Sec-WebSocket-Protocol").next().map(str::to_owned);
        match subprotocol {
            Some(name) if !self.offered.contains(&name) => Err(HandshakeError::Subprotocol(name)),
            subprotocol => Ok(Response { subprotocol }),
        }
    }
}

/// A server that asks for more than a day asks for more than it will remember.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

fn retry_after(headers: &HeaderMap<HeaderValue>) -> Option<Duration> {
    let text = headers.get("Retry-After")?.to_str().ok()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // More digits than a number holds are longer than any bound.
    let seconds = digits.then(|| text.parse().map_or(u64::MAX, |seconds: u64| seconds))?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

/// Opens a WebSocket over `io` as the client.
///
/// There is no deadline here: whoever dials has one over all its steps.
///
/// # Errors
///
/// - [`Error::Handshake`] if the server refuses, or its answer is not right.
/// - [`Error::Config`] if the request holds what cannot be sent.
/// - [`Error::Io`] if the stream fails.
///
/// # Cancel safety
///
/// Not cancel safe: dropped half-way, the stream is lost with the future.
pub async fn connect<S>(
    mut io: S,
    request: ClientRequest,
    limits: Limits,
    keys: Keys,
) -> Result<(Connection<S>, Response), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (bytes, handshake) = ClientHandshake::begin(request, limits)?;
    io.write_all(&bytes).await.map_err(Error::Io)?;
    io.flush().await.map_err(Error::Io)?;
    let mut session = Session::client(limits, keys);
    loop {
        if io.read_buf(session.input()).await.map_err(Error::Io)? == 0 {
            return Err(Error::Handshake(HandshakeError::Eof));
        }
        if let Some(response) = handshake.handle_input(session.input()).map_err(Error::Handshake)? {
            return Ok((Connection::new(io, session), response));
        }
    }
}
