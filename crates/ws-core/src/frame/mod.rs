//! Frames (RFC 6455, section 5): their headers, why connections are closed, and
//! the rules that a peer can break.

mod close;
mod code;
mod header;
mod violation;

pub use close::CloseFrame;
pub use code::CloseCode;
pub(crate) use header::MAX_CONTROL;
pub use header::{Header, OpCode};
pub use violation::ProtocolError;
