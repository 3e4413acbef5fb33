//! Where a WebSocket server lives.

use std::fmt;

use tungstenite::http::Uri;

use crate::error::Error;

/// A `ws://` or `wss://` URL, taken apart and known to be usable.
///
/// # Examples
///
/// ```
/// let endpoint: ws_core::Endpoint = "ws://[::1]:8080/v2?appkey=K".parse()?;
/// assert_eq!((endpoint.host(), endpoint.port()), ("::1", 8080));
/// assert_eq!(endpoint.path(), "/v2?appkey=K");
/// # Ok::<(), ws_core::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    secure: bool,
    host: String,
    port: Option<u16>,
    path: String,
}

impl std::str::FromStr for Endpoint {
    type Err = Error;

    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming what is wrong, without the URL itself, which may
    /// hold keys: no URL, a scheme other than
    /// `ws` or `wss`, no host, credentials in the URL, a fragment.
    fn from_str(url: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Config(format!("not a WebSocket URL: {what}"));
        if url.contains('#') {
            return Err(wrong("it has a fragment"));
        }
        let uri: Uri = url.parse().map_err(|_| wrong("it cannot be parsed"))?;
        let secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(wrong("it must begin with ws:// or wss://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it holds credentials"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let port = authority.port_u16();
        if port.is_none() && authority.as_str().trim_end_matches(']').ends_with(':')
            || port == Some(0)
            || (port.is_none() && authority.as_str().len() > authority.host().len())
        {
            return Err(wrong("its port is not a number from 1 to 65535"));
        }
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        Ok(Self { secure, host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl Endpoint {
    /// Returns whether the URL asks for TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the host, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, 80 or 443 if the URL has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// Returns path and query, at least `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        authority(&self.host, self.port())
    }

    /// Returns scheme, host and, if the URL has one, port: what belongs into an
    /// `Origin` header.
    #[must_use]
    pub fn origin(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.scheme(), bracketed(&self.host))
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "wss" } else { "ws" }
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(crate) fn authority(host: &str, port: u16) -> String {
    format!("{}:{port}", bracketed(host))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_url_apart() {
        let endpoint: Endpoint = "wss://rtm.example/foo?x=1".parse().unwrap();
        assert!(endpoint.is_secure());
        assert_eq!(endpoint.authority(), "rtm.example:443");
        assert_eq!(endpoint.origin(), "wss://rtm.example");
        assert_eq!(endpoint.to_string(), "wss://rtm.example/foo?x=1");
        let endpoint: Endpoint = "ws://[::1]:9".parse().unwrap();
        assert_eq!(endpoint.authority(), "[::1]:9");
        assert_eq!(endpoint.to_string(), "ws://[::1]:9/");
    }

    #[test]
    fn refuses_what_is_no_websocket_url() {
        for url in [
            "",
            "127.0.0.1:80",
            "http://host/",
            "ws://",
            "ws:///path",
            "ws://host:99999/",
            "ws://host:0/",
            "ws://host:/",
            "ws://user:secret@host/",
            "ws://host/#part",
            "ws://ho st/",
            "ws://[::1/",
        ] {
            assert!(matches!(url.parse::<Endpoint>(), Err(Error::Config(_))), "{url}");
        }
    }
}
