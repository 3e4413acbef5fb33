//! Tunnels through an HTTP proxy by `CONNECT` (RFC 9110, section 9.3.6).

mod env;
mod error;

use std::fmt;

pub use error::ProxyError;

use crate::{error::Error, handshake::HandshakeError, limits::Limits};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// An HTTP proxy, and what it wants to know.
///
/// # Examples
///
/// ```
/// let proxy = ws_core::Proxy::new("proxy.example", 3128).basic("user", "password");
/// assert!(!format!("{proxy:?}").contains("password"));
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Proxy {
    host: String,
    port: u16,
    authorization: Option<String>,
}

impl Proxy {
    /// The proxy at `host`, an IPv6 address without brackets, and `port`.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, authorization: None }
    }

    /// Authenticates with the Basic scheme (RFC 7617). The words go to the proxy
    /// in plain text, as that scheme has it.
    #[must_use]
    pub fn basic(mut self, user: &str, password: &str) -> Self {
        let words = base64(format!("{user}:{password}").as_bytes());
        self.authorization = Some(format!("Basic {words}"));
        self
    }

    /// Returns the proxy's host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the proxy's port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Asks for a tunnel to `authority`, a `host:port` with an IPv6 address in
    /// brackets, over `io`, which leads to the proxy. Afterwards `io` leads to
    /// the target.
    ///
    /// There is no deadline here: whoever dials has one over all its steps.
    ///
    /// # Errors
    ///
    /// - [`Error::Proxy`] if the proxy refuses, or answers something else.
    /// - [`Error::Io`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropped half-way, the stream is of no use any more.
    pub async fn tunnel<S>(&self, io: &mut S, authority: &str) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let request = self.request(authority).ok_or_else(|| {
            Error::Config(format!("{authority:?} cannot stand in a request to a proxy"))
        })?;
        io.write_all(request.as_bytes()).await.map_err(Error::Io)?;
        io.flush().await.map_err(Error::Io)?;
        let limits = Limits::default();
        let mut input = BytesMut::new();
        loop {
            // What follows the answer belongs to the target, which speaks second
            // in TLS and in HTTP: reading on cannot take a byte of it.
            if io.read_buf(&mut input).await.map_err(Error::Io)? == 0 {
                return Err(Error::Proxy(ProxyError::Eof));
            }
            if answered(&input, &limits).map_err(Error::Proxy)? {
                return Ok(());
            }
        }
    }

    fn request(&self, authority: &str) -> Option<String> {
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if !plain(authority) {
            return None;
        }
        let authorization = self.authorization.as_ref();
        let line = authorization.map(|words| format!("Proxy-Authorization: {words}\r\n"));
        let line = line.unwrap_or_default();
        Some(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{line}\r\n"))
    }
}

/// Whether the proxy has opened the tunnel; no answer yet is `false`.
fn answered(input: &[u8], limits: &Limits) -> Result<bool, ProxyError> {
    let mut lines = vec![httparse::EMPTY_HEADER; limits.max_headers];
    let mut head = httparse::Response::new(&mut lines);
    let window = input.get(..limits.max_head).unwrap_or(input);
    let used = match head.parse(window) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) if input.len() < limits.max_head => return Ok(false),
        Ok(httparse::Status::Partial) => return Err(ProxyError::Head(HandshakeError::HeadTooBig)),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(ProxyError::Head(HandshakeError::TooManyHeaders));
        }
        Err(error) => {
            return Err(ProxyError::Head(HandshakeError::Malformed(error.to_string())));
        }
    };
    match head.code.unwrap_or_default() {
        200..=299 if used < input.len() => Err(ProxyError::ExtraBytes),
        200..=299 => Ok(true),
        407 => Err(ProxyError::Credentials),
        status => Err(ProxyError::Status(status)),
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = self.authorization.as_ref().map(|_| "[redacted]");
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("credentials", &credentials)
            .finish()
    }
}

/// Standard base64 with padding, for one header: not worth a dependency of a
/// crate that has none for it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS.get((word >> (18 - 6 * place) & 63) as usize).copied();
            let digit = digit.filter(|_| place <= chunk.len());
            text.push(char::from(digit.unwrap_or(b'=')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_one_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("\u{ff}\u{fe}", "w7/Dvg=="),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    /// Asks a proxy that answers `answer`, in pieces of `size` bytes.
    async fn ask(answer: &str, size: usize) -> (String, Result<(), Error>) {
        let (mut near, mut far) = tokio::io::duplex(1 << 16);
        let proxy = Proxy::new("p", 1).basic("user", "pass");
        let talking = async {
            let result = proxy.tunnel(&mut near, "[::1]:443").await;
            drop(near);
            result
        };
        let answering = async {
            let mut asked = vec![0; 1024];
            let read = far.read(&mut asked).await.unwrap();
            asked.truncate(read);
            for piece in answer.as_bytes().chunks(size) {
                if far.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(far);
            String::from_utf8(asked).unwrap()
        };
        let (result, asked) = tokio::join!(talking, answering);
        (asked, result)
    }

    #[tokio::test]
    async fn asks_as_the_rfc_says_and_takes_any_2xx_in_any_pieces() {
        for answer in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 299 Fine\r\nVia: x\r\n\r\n"] {
            for size in 1..answer.len() {
                let (asked, result) = ask(answer, size).await;
                assert!(result.is_ok(), "{result:?}");
                assert_eq!(
                    asked,
                    "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\
                     Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_head_over_the_limit_or_of_no_http_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(20_000));
        let (_, result) = ask(&long, usize::MAX).await;
        let too_big = ProxyError::Head(HandshakeError::HeadTooBig);
        assert!(matches!(&result, Err(Error::Proxy(e)) if *e == too_big), "{result:?}");
        let (_, result) = ask("SSH-2.0-x\r\n\r\n", usize::MAX).await;
        assert!(matches!(result, Err(Error::Proxy(ProxyError::Head(_)))), "{result:?}");
    }
}
