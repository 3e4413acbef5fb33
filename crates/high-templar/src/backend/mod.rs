//! Who a user is, and where he may go: what the backend says.

mod http;
mod verdict;
mod visitor;

use std::{fmt, future::Future, pin::Pin};

pub use http::{Forward, HttpBackend};
pub use verdict::Verdict;
pub use visitor::Visitor;

/// What an asynchronous method of a trait returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who knows the users.
///
/// [`HttpBackend`] asks an HTTP application, as the original does. Anything else that
/// knows who a user is can stand in its place.
///
/// # Examples
///
/// ```
/// use high_templar::{Backend, BackendError, BoxFuture, Verdict, Visitor};
/// use high_templar_client::Room;
///
/// /// Everybody may read the news.
/// struct Open;
///
/// impl Backend for Open {
///     fn bootstrap<'a>(&'a self, _: &'a Visitor) -> BoxFuture<'a, Result<Verdict, BackendError>> {
///         let news = Room::new().with("target", "news");
///         Box::pin(async { Ok(Verdict::Allowed(vec![news])) })
///     }
/// }
/// ```
pub trait Backend: Send + Sync + 'static {
    /// Says whether a user is let in, and which rooms he may enter. Asked once a
    /// connection, before it is opened.
    ///
    /// # Errors
    ///
    /// [`BackendError`], by which the handshake fails with an HTTP status.
    ///
    /// # Cancel safety
    ///
    /// Dropped when it takes longer than
    /// [`Config::bootstrap_timeout`](crate::Config::bootstrap_timeout).
    fn bootstrap<'a>(
        &'a self,
        visitor: &'a Visitor,
    ) -> BoxFuture<'a, Result<Verdict, BackendError>>;
}

impl<B: Backend> Backend for std::sync::Arc<B> {
    fn bootstrap<'a>(
        &'a self,
        visitor: &'a Visitor,
    ) -> BoxFuture<'a, Result<Verdict, BackendError>> {
        B::bootstrap(self, visitor)
    }
}

/// Why a backend has said nothing of use. The user is answered with an HTTP status and
/// may try again.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BackendError {
    /// It cannot be reached: 502.
    Unreachable(String),
    /// It takes too long: 504.
    Timeout,
    /// Its answer cannot be used: 502.
    Unusable(String),
}

impl BackendError {
    /// The status of the handshake that fails by this.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::Unreachable(_) | Self::Unusable(_) => 502,
            Self::Timeout => 504,
        }
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "the backend cannot be reached: {why}"),
            Self::Timeout => f.write_str("the backend takes too long"),
            Self::Unusable(why) => write!(f, "the backend's answer cannot be used: {why}"),
        }
    }
}

impl std::error::Error for BackendError {}
