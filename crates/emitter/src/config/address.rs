//! Where a broker is.

use std::{fmt, str::FromStr};

use crate::error::Error;

/// The address of a broker: host, port, and how it is spoken to.
///
/// Parses `host`, `host:port`, and URLs with the schemes `tcp`, `mqtt`, `ssl`,
/// `mqtts`, `ws` and `wss`. Without a scheme it is TLS, as in the original; the port is
/// 443 with TLS and 8080 without, unless it is given.
///
/// # Examples
///
/// ```
/// use emitter::Address;
///
/// let hosted: Address = "api.emitter.io".parse().unwrap();
/// assert_eq!(hosted.to_string(), "mqtts://api.emitter.io:443");
/// let local: Address = "ws://127.0.0.1:8080".parse().unwrap();
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Address {
    pub(crate) host: String,
    port: Option<u16>,
    pub(crate) secure: bool,
    pub(crate) websocket: bool,
}

impl Address {
    /// Names a host, over TLS and TCP.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), port: None, secure: true, websocket: false }
    }

    /// Sets the port. Default 443 with TLS, 8080 without.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Speaks without TLS.
    #[must_use]
    pub const fn insecure(mut self) -> Self {
        self.secure = false;
        self
    }

    /// Speaks through a WebSocket, as browsers do.
    #[must_use]
    pub const fn websocket(mut self) -> Self {
        self.websocket = true;
        self
    }

    pub(crate) fn effective_port(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 443 } else { 8080 })
    }

    /// An IPv6 address has colons of its own.
    fn authority(&self) -> String {
        let port = self.effective_port();
        match self.host.contains(':') {
            true => format!("[{}]:{port}", self.host),
            false => format!("{}:{port}", self.host),
        }
    }

    /// The URL of the WebSocket.
    #[cfg(feature = "client")]
    pub(crate) fn websocket_url(&self) -> String {
        format!("ws{}://{}/", if self.secure { "s" } else { "" }, self.authority())
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        if self.host.is_empty() || !self.host.bytes().all(is_host) {
            return Err(Error::config("host", "takes a host name or address, or a URL of one"));
        }
        if self.port == Some(0) {
            return Err(Error::config("port", "takes 1 to 65535"));
        }
        if self.secure && !cfg!(feature = "tls") {
            return Err(Error::config("secure", "it needs the feature tls"));
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.websocket, self.secure) {
            (false, false) => "mqtt",
            (false, true) => "mqtts",
            (true, false) => "ws",
            (true, true) => "wss",
        };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("mqtts", text));
        let (secure, websocket) = match scheme {
            "tcp" | "mqtt" => (false, false),
            "ssl" | "mqtts" => (true, false),
            "ws" => (false, true),
            "wss" => (true, true),
            _ => {
                let reason = format!("{scheme:?} is no scheme: mqtt, mqtts, ws, wss, tcp or ssl");
                return Err(Error::config("host", reason));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // An address of IPv6 without brackets has no port.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let port = port.parse().map_err(|_| Error::config("port", "takes 1 to 65535"))?;
                (host, Some(port))
            }
            _ => (rest, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let address = Self { host, port, secure, websocket };
        address.validate()?;
        Ok(address)
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_and_urls() {
        for (text, shown) in [
            ("api.emitter.io", "mqtts://api.emitter.io:443"),
            ("localhost:8080", "mqtts://localhost:8080"),
            ("tcp://localhost", "mqtt://localhost:8080"),
            ("mqtt://localhost:1883/", "mqtt://localhost:1883"),
            ("ssl://localhost", "mqtts://localhost:443"),
            ("mqtts://[::1]:8443", "mqtts://[::1]:8443"),
            ("::1", "mqtts://[::1]:443"),
            ("ws://localhost/", "ws://localhost:8080"),
            ("wss://localhost:9", "wss://localhost:9"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn names_what_cannot_be_used() {
        for (text, option) in [
            ("", "host"),
            ("http://localhost", "host"),
            ("a b", "host"),
            ("localhost/path", "host"),
            ("localhost:x", "port"),
            ("localhost:0", "port"),
            ("localhost:65536", "port"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().code(), option, "{text}");
        }
    }
}
