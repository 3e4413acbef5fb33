//! Who the user is: what the server hands on to the backend.

use std::fmt;
#[cfg(feature = "client")]
use std::{error::Error as StdError, future::Future, pin::Pin, sync::Arc};

use client_core::Secret;

use crate::error::Error;

/// What the opening request says of the user; the server hands it on to the backend.
///
/// Wire: query and headers of the upgrade (docs/protocols/high-templar.md, 4).
///
/// # Examples
///
/// ```
/// use high_templar_client::Credentials;
///
/// let credentials = Credentials::new().cookie("sessionid", "abc").cookie("csrftoken", "42");
/// ```
#[derive(Clone)]
pub struct Credentials {
    token: Option<Secret>,
    /// `name=value; ..`
    cookies: Option<Secret>,
    /// None of them would be two.
    are_cookies: bool,
    headers: Vec<(String, Secret)>,
}

impl Default for Credentials {
    fn default() -> Self {
        Self::new()
    }
}

impl Credentials {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self { token: None, cookies: None, are_cookies: true, headers: Vec::new() }
    }

    /// Sends `?token=`, which the backend gets as `Authorization: Token ..`. A header
    /// `Authorization` would not get there.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Secret::new(token.into()));
        self
    }

    /// Sends a cookie; `csrftoken` reaches the backend as `X-CSRFToken` as well.
    #[must_use]
    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        self.are_cookies &= !name.contains([';', '=']) && !value.contains(';');
        let before = self.cookies.as_ref().map(text);
        let before = before.map(|cookies| format!("{cookies}; ")).unwrap_or_default();
        self.cookies = Some(Secret::new(format!("{before}{name}={value}")));
        self
    }

    /// Sends a header, for example `X-Real-IP`. `Cookie` and those of the WebSocket
    /// handshake are not for here.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), Secret::new(value.into())));
        self
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let printable = |secret: &Secret| secret.reveal().iter().all(|b| (b' '..=b'~').contains(b));
        if !self.are_cookies || !self.cookies.as_ref().is_none_or(printable) {
            return Err(Error::config("cookie", "takes printable ASCII without semicolons"));
        }
        let of_upgrade = [
            "host",
            "connection",
            "upgrade",
            "cookie",
            "user-agent",
            "content-length",
            "transfer-encoding",
        ];
        for (name, value) in &self.headers {
            let lower = name.to_ascii_lowercase();
            let is_own =
                of_upgrade.contains(&lower.as_str()) || lower.starts_with("sec-websocket-");
            let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if is_own || name.is_empty() || !name.bytes().all(is_token) || !printable(value) {
                return Err(Error::config("header", format!("{name:?} cannot be sent")));
            }
        }
        Ok(())
    }
}

#[cfg(feature = "client")]
impl Credentials {
    /// The token as it stands in a query.
    pub(crate) fn query(&self) -> Option<String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let escaped = |b: &u8| match plain(*b) {
            true => char::from(*b).to_string(),
            false => format!("%{b:02X}"),
        };
        let token = self.token.as_ref().filter(|token| !token.reveal().is_empty())?;
        Some(format!("token={}", token.reveal().iter().map(escaped).collect::<String>()))
    }

    pub(crate) fn cookies(&self) -> Option<&str> {
        self.cookies.as_ref().map(text)
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), text(value)))
    }
}

fn text(secret: &Secret) -> &str {
    // It was made of text.
    std::str::from_utf8(secret.reveal()).unwrap_or_default()
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Credentials")
            .field("token", &self.token.is_some())
            .field("cookies", &self.cookies.is_some())
            .field("headers", &headers)
            .finish()
    }
}

#[cfg(feature = "client")]
type Failed = Box<dyn StdError + Send + Sync>;
#[cfg(feature = "client")]
type Fetched = Pin<Box<dyn Future<Output = Result<Credentials, Failed>> + Send>>;

/// Where the credentials of a connection come from.
#[derive(Clone)]
pub(crate) enum Giver {
    Fixed(Credentials),
    #[cfg(feature = "client")]
    Callback(Arc<dyn Fn() -> Fetched + Send + Sync>),
}

impl Giver {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Fixed(credentials) => credentials.validate(),
            #[cfg(feature = "client")]
            Self::Callback(_) => Ok(()),
        }
    }
}

#[cfg(feature = "client")]
impl Giver {
    pub(crate) fn callback<F, R, E>(callback: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Failed>,
    {
        Self::Callback(Arc::new(move || {
            let fetching = callback();
            Box::pin(async move { fetching.await.map_err(Into::into) })
        }))
    }

    /// What the next connection says of the user.
    pub(crate) async fn give(&self) -> Result<Credentials, Failed> {
        let callback = match self {
            Self::Fixed(credentials) => return Ok(credentials.clone()),
            Self::Callback(callback) => Arc::clone(callback),
        };
        // A panic is the callback's, and not that of the connection's task.
        let mut fetching = Fetching(tokio::spawn(async move { callback().await }));
        let credentials = (&mut fetching.0).await.map_err(|_| "the callback panicked")??;
        credentials.validate()?;
        Ok(credentials)
    }
}

/// A callback on its way, which ends with the attempt that it is for.
#[cfg(feature = "client")]
struct Fetching(tokio::task::JoinHandle<Result<Credentials, Failed>>);

#[cfg(feature = "client")]
impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Giver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(credentials) => credentials.fmt(f),
            #[cfg(feature = "client")]
            Self::Callback(_) => f.write_str("Callback"),
        }
    }
}
