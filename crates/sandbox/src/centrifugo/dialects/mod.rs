//! The ways in which commands travel: a body in, an HTTP answer out.

mod method;
mod signed;
mod stream;

pub(super) use method::{batch, method};
pub(super) use signed::{Item, signed};
pub(super) use stream::stream;

/// What goes back for a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// The commands were looked at.
    Json(String),
    /// A failed command in transport error mode.
    Failed(u16, String),
    /// Refused as a whole.
    Status(u16),
}
