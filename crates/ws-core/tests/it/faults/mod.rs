//! Rows of the fault catalogue, by their ids. C1 to C3 are beside the decoder and
//! the UTF-8 check, C4 to C7 in `tests/heap`.

mod handshake;
mod proxy;
#[cfg(feature = "ring")]
mod records;
mod slow;
#[cfg(feature = "tls")]
mod tls;
