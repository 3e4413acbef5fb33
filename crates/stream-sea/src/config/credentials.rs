//! Who the client is.

use std::fmt;
#[cfg(feature = "client")]
use std::{error::Error as StdError, future::Future, pin::Pin, sync::Arc};

use client_core::Secret;

use crate::error::Error;

#[cfg(feature = "client")]
type Failed = Box<dyn StdError + Send + Sync>;
#[cfg(feature = "client")]
type Token = Pin<Box<dyn Future<Output = Result<String, Failed>> + Send>>;

/// Who the client is: a client id, and what proves it.
///
/// Wire: `authenticate` and Basic authentication (docs/protocols/stream-sea.md, 3.1
/// and 7.3).
#[derive(Clone)]
pub struct Credentials {
    pub(crate) client_id: String,
    pub(crate) proof: Proof,
}

/// What proves who the client is.
#[derive(Clone)]
pub(crate) enum Proof {
    Secret(Secret),
    Jwt(Secret),
    #[cfg(feature = "client")]
    Callback(Arc<dyn Fn() -> Token + Send + Sync>),
}

/// Credentials as one connection uses them.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) client_id: String,
    pub(crate) is_jwt: bool,
    pub(crate) secret: Secret,
}

impl Credentials {
    /// A client id, without a colon, and its secret: for all calls.
    #[must_use]
    pub fn basic(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        let proof = Proof::Secret(Secret::new(client_secret.into()));
        Self { client_id: client_id.into(), proof }
    }

    /// A client id, and a token that its owner has signed: for subscriptions only.
    #[must_use]
    pub fn jwt(client_id: impl Into<String>, jwt: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), proof: Proof::Jwt(Secret::new(jwt.into())) }
    }

    /// A client id, and a token that `callback` fetches before each attempt to
    /// connect, within its deadline. If it fails or panics, so does the attempt, and
    /// the next one asks again. It runs in a task of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn fetch() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let credentials = stream_sea::Credentials::jwt_from("app123", || fetch());
    /// ```
    #[cfg(feature = "client")]
    pub fn jwt_from<F, R, E>(client_id: impl Into<String>, callback: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let callback = Arc::new(move || -> Token {
            let token = callback();
            Box::pin(async move { token.await.map_err(Into::into) })
        });
        Self { client_id: client_id.into(), proof: Proof::Callback(callback) }
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.client_id.is_empty() || self.client_id.contains(':') {
            return Err(Error::config("client_id", "it is not empty and has no colon"));
        }
        match &self.proof {
            Proof::Secret(secret) if secret.reveal().is_empty() => {
                Err(Error::config("client_secret", "it is empty"))
            }
            Proof::Jwt(jwt) if jwt.reveal().is_empty() => {
                Err(Error::config("jwt", "the token is empty"))
            }
            _ => Ok(()),
        }
    }

    /// The value of the header `Authorization`.
    #[cfg(any(feature = "client", feature = "blocking"))]
    pub(crate) fn authorization(&self) -> Result<String, Error> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let Proof::Secret(secret) = &self.proof else {
            let reason = "tokens are for subscriptions: calls need a client's secret";
            return Err(Error::misuse("jwt", reason));
        };
        let pair = [self.client_id.as_bytes(), b":", secret.reveal()].concat();
        Ok(format!("Basic {}", STANDARD.encode(pair)))
    }

    /// What the next connection proves itself with.
    #[cfg(feature = "client")]
    pub(crate) async fn give(&self) -> Result<Given, Failed> {
        let (is_jwt, secret) = match &self.proof {
            Proof::Secret(secret) => (false, secret.clone()),
            Proof::Jwt(jwt) => (true, jwt.clone()),
            Proof::Callback(callback) => {
                let callback = Arc::clone(callback);
                // A panic is the callback's, and not that of the connection's task.
                let mut fetching = Fetching(tokio::spawn(async move { callback().await }));
                let token = (&mut fetching.0).await;
                (true, Secret::new(token.map_err(|_| "the callback panicked")??))
            }
        };
        Ok(Given { client_id: self.client_id.clone(), is_jwt, secret })
    }
}

/// A callback on its way, which ends with the attempt that it is for.
#[cfg(feature = "client")]
struct Fetching(tokio::task::JoinHandle<Result<String, Failed>>);

#[cfg(feature = "client")]
impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.proof {
            Proof::Secret(_) => "basic",
            Proof::Jwt(_) => "jwt",
            #[cfg(feature = "client")]
            Proof::Callback(_) => "jwt_from",
        };
        f.debug_struct("Credentials")
            .field("client_id", &self.client_id)
            .field("kind", &kind)
            .finish_non_exhaustive()
    }
}
