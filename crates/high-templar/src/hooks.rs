//! What else happens when users come and go (docs/protocols/high-templar.md, 14).

use std::{fmt, sync::Arc};

use crate::{
    backend::{BoxFuture, HttpBackend, Visitor},
    config::Config,
};

/// Called when users come, ping and go. All methods do nothing by themselves.
///
/// Those of one connection are called one after the other. What its client says waits
/// meanwhile; what it is sent does not, and other connections do not.
///
/// # Cancel safety
///
/// Each is dropped when it takes longer than
/// [`Config::bootstrap_timeout`](crate::Config::bootstrap_timeout), which counts as an
/// error, and when the server is dropped; that of a ping also when its connection ends.
///
/// # Examples
///
/// ```
/// use high_templar::{BoxFuture, HookError, Hooks, Visitor};
///
/// /// Lets nobody in without a session.
/// struct Sessions;
///
/// impl Hooks for Sessions {
///     fn on_connect<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
///         let known = visitor.cookie("sessionid").is_some();
///         Box::pin(async move { known.then_some(()).ok_or(HookError::new("no session")) })
///     }
/// }
/// ```
pub trait Hooks: Send + Sync + 'static {
    /// A user has come; called beside the question to the backend, also for who is
    /// refused. An error ends the handshake with 502.
    fn on_connect<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
        let _nothing = visitor;
        Box::pin(async { Ok(()) })
    }

    /// A user has sent a ping and has been answered. An error ends the connection.
    fn on_ping<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
        let _nothing = visitor;
        Box::pin(async { Ok(()) })
    }

    /// A user has gone, or was refused.
    fn on_disconnect<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
        let _nothing = visitor;
        Box::pin(async { Ok(()) })
    }
}

/// Waits for a hook, as long as the backend may take.
pub(crate) async fn within(
    config: &Config,
    hook: BoxFuture<'_, Result<(), HookError>>,
) -> Result<(), HookError> {
    let late = |_| HookError::new("it takes too long");
    tokio::time::timeout(config.bootstrap_timeout, hook).await.map_err(late)?
}

/// A hook has failed.
#[derive(Debug)]
pub struct HookError(String);

impl HookError {
    /// Says why.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HookError {}

/// Hooks that tell the backend: `POST` to a path behind its prefix, with what the backend
/// is told of a user anyway. What it answers does not count; that it cannot be reached
/// does.
#[derive(Clone, Debug)]
pub struct BackendHooks {
    backend: Arc<HttpBackend>,
    connect: Option<String>,
    ping: Option<String>,
    disconnect: Option<String>,
}

impl BackendHooks {
    /// Tells nothing yet.
    #[must_use]
    pub const fn new(backend: Arc<HttpBackend>) -> Self {
        Self { backend, connect: None, ping: None, disconnect: None }
    }

    /// Tells of users who come, e.g. at `user/notify_online/`.
    #[must_use]
    pub fn on_connect(mut self, path: impl Into<String>) -> Self {
        self.connect = Some(path.into());
        self
    }

    /// Tells of pings. A backend that is down then ends every connection at its next
    /// ping.
    #[must_use]
    pub fn on_ping(mut self, path: impl Into<String>) -> Self {
        self.ping = Some(path.into());
        self
    }

    /// Tells of users who go, e.g. at `user/notify_offline/`.
    #[must_use]
    pub fn on_disconnect(mut self, path: impl Into<String>) -> Self {
        self.disconnect = Some(path.into());
        self
    }

    fn tell<'a>(
        &'a self,
        path: Option<&'a str>,
        visitor: &'a Visitor,
    ) -> BoxFuture<'a, Result<(), HookError>> {
        Box::pin(async move {
            let Some(path) = path else { return Ok(()) };
            let told = self.backend.tell(path, visitor).await;
            told.map_err(|e| HookError::new(format!("{path}: {e}")))
        })
    }
}

impl Hooks for BackendHooks {
    fn on_connect<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
        self.tell(self.connect.as_deref(), visitor)
    }

    fn on_ping<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
        self.tell(self.ping.as_deref(), visitor)
    }

    fn on_disconnect<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
        self.tell(self.disconnect.as_deref(), visitor)
    }
}
