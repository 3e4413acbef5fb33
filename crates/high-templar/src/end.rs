//! How a connection ends.

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The client has closed, or is gone.
    Gone,
    /// It has said nothing for too long.
    Idle,
    /// It does not read what it is sent.
    Slow,
    /// The server stops.
    Shutdown,
    /// It has said something that ends a connection of the original.
    Malformed,
    /// A hook has failed.
    Hook,
}
