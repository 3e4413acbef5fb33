//! The two WebSocket implementations that a server can run on. Everything
//! above them sees one [`Socket`].

#[cfg(any(feature = "cent", feature = "emitter", feature = "satori-rtm", feature = "stream-sea"))]
mod socket;
#[cfg(any(feature = "cent", feature = "emitter", feature = "satori-rtm", feature = "stream-sea"))]
mod tungstenite;
#[cfg(any(feature = "cent", feature = "emitter", feature = "satori-rtm", feature = "stream-sea"))]
mod ws_core;

use std::{fmt, str::FromStr};

use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(any(
    feature = "cent",
    feature = "emitter",
    feature = "satori-rtm",
    feature = "stream-sea"
))]
pub(crate) use self::socket::*;

/// Any byte stream.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

pub(crate) type Io = Box<dyn ByteStream>;

/// Which WebSocket implementation serves.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Engine {
    /// Ours.
    #[default]
    WsCore,
    /// tokio-tungstenite: not ours, so that our clients never agree only with
    /// themselves.
    Tungstenite,
}

impl Engine {
    /// Every engine, for suites that run on each.
    pub const ALL: [Self; 2] = [Self::WsCore, Self::Tungstenite];
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WsCore => "ws-core",
            Self::Tungstenite => "tungstenite",
        })
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "ws-core" => Ok(Self::WsCore),
            "tungstenite" => Ok(Self::Tungstenite),
            _ => Err(format!("no engine {name:?}: take ws-core or tungstenite")),
        }
    }
}
