//! The buffer of the original: `add`, `send`, `reset`.

use std::sync::{MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::value::RawValue;

use super::Client;
use crate::{
    error::{ApiError, Error},
    proto::Command,
};

/// What came of one command of the buffer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Item {
    /// The command's method.
    pub method: String,
    /// What the server says against it.
    pub error: Option<ApiError>,
    /// Its result as the server wrote it.
    pub body: Option<Box<RawValue>>,
}

impl Client {
    /// Puts a command into the buffer: any method, also one that this crate has
    /// no type for, with its parameters as an object. Nothing is checked against
    /// the version.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] if `params` is no JSON object, or `method` no name, or for
    /// what servers do badly with: no user where that means all anonymous
    /// connections, bytes in base64 that are no JSON.
    pub fn add<P>(&self, method: &str, params: &P) -> Result<(), Error>
    where
        P: Serialize + ?Sized,
    {
        let command = Command::raw(method, params)?;
        command.check(self.config.version)?;
        self.buffered().push(command);
        Ok(())
    }

    /// As [`add`](Self::add), and also what servers do badly with.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] if `params` is no JSON object, or `method` no name.
    pub fn add_unchecked<P>(&self, method: &str, params: &P) -> Result<(), Error>
    where
        P: Serialize + ?Sized,
    {
        let command = Command::raw(method, params)?;
        self.buffered().push(command);
        Ok(())
    }

    /// Sends what is in the buffer, which is empty afterwards, also if that
    /// fails. Returns what came of each command, and fails for none of them; an
    /// empty buffer sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] if the request fails as a whole.
    pub fn send(&self) -> Result<Vec<Item>, Error> {
        let commands = std::mem::take(&mut *self.buffered());
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = self.exchange(&commands, false, self.config.timeout)?;
        let item = |(command, outcome): (Command, Result<Box<RawValue>, ApiError>)| {
            let (error, body) = match outcome {
                Ok(body) => (None, Some(body).filter(|body| body.get() != "null")),
                Err(error) => (Some(error), None),
            };
            Item { method: command.method.into_owned(), error, body }
        };
        Ok(commands.into_iter().zip(outcomes).map(item).collect())
    }

    /// Empties the buffer.
    pub fn reset(&self) {
        self.buffered().clear();
    }

    pub(super) fn buffered(&self) -> MutexGuard<'_, Vec<Command>> {
        // A panic under this lock leaves nothing half done.
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
