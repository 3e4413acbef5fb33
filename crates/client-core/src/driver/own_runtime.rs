//! The runtime of a client for programs without one.

use std::{fmt, future::Future, io};

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime with one thread of its own, which may be dropped anywhere, inside another
/// runtime included.
pub struct OwnRuntime(Option<Runtime>);

/// A call that blocks was made where nothing may block: inside a runtime.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InsideRuntime;

impl OwnRuntime {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the system gives none.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    /// Returns what spawns on it.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }

    /// Runs `future` to its end while the caller waits.
    ///
    /// # Errors
    ///
    /// [`InsideRuntime`] if the caller is part of a runtime.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, InsideRuntime> {
        match &self.0 {
            Some(runtime) if Handle::try_current().is_err() => Ok(runtime.block_on(future)),
            _ => Err(InsideRuntime),
        }
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for OwnRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnRuntime")
    }
}
