#![doc = include_str!("../README.md")]

mod assembly;
mod decode;
mod encode;
mod error;
mod frame;
mod limits;
mod mask;
mod message;
mod role;
mod session;
mod utf8;

#[cfg(feature = "tokio")]
mod conn;
#[cfg(feature = "tokio")]
mod dial;
#[cfg(feature = "tokio")]
mod endpoint;
#[cfg(feature = "tokio")]
mod handshake;
#[cfg(feature = "tokio")]
mod proxy;
#[cfg(feature = "tls")]
mod tls;

pub use crate::{
    error::{Error, Step},
    frame::{CloseCode, CloseFrame, Header, OpCode, ProtocolError},
    limits::Limits,
    mask::{Keys, mask_append, mask_in_place},
    message::{Message, MessageRef},
    role::Role,
    session::Session,
    utf8::{Utf8Bytes, Utf8Error, Utf8Stream},
};

#[cfg(feature = "tls")]
pub use crate::tls::{Tls, TlsError, TlsReason};
#[cfg(feature = "tokio")]
pub use crate::{
    conn::{Connection, Handle, Queues, Reader, Receiver, TrySendError, Writer},
    dial::{ByteStream, Dialer, Stream, dial},
    endpoint::Endpoint,
    handshake::{
        ClientHandshake, ClientRequest, HandshakeError, Response, ServerHandshake, ServerRequest,
        accept, connect,
    },
    proxy::{Proxy, ProxyError},
};
