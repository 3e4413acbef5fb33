//! Triggers from async programs.

use std::{fmt, sync::Arc};

use client_core::http::Http;

use super::{MAX_BODY, PublisherConfig, USER_AGENT, finish, unusable};
use crate::{error::Error, trigger::Trigger};

/// Sends triggers to a server with an HTTP route for them: 2.x, or ours. A clone is
/// cheap and shares its connections.
///
/// # Examples
///
/// ```no_run
/// use high_templar_client::{Publisher, PublisherConfig, Room, Trigger};
///
/// # async fn example() -> Result<(), high_templar_client::Error> {
/// let publisher = Publisher::new(PublisherConfig::new("http://localhost:8002"))?;
/// let room = Room::new().with("target", "message").with("customer", "1");
/// publisher.trigger(&Trigger::new([room], &serde_json::json!({"id": 7}))?).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Publisher {
    config: Arc<PublisherConfig>,
    http: Arc<Http>,
}

impl Publisher {
    /// Makes a publisher; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming an option that cannot be used.
    pub fn new(config: PublisherConfig) -> Result<Self, Error> {
        config.validate()?;
        let dialer = config.dialer.clone().timeout(config.timeout);
        #[cfg(feature = "tls")]
        let http = Http::with_tls(dialer, &config.url, USER_AGENT, MAX_BODY, &config.tls);
        #[cfg(not(feature = "tls"))]
        let http = Http::new(dialer, &config.url, USER_AGENT, MAX_BODY);
        Ok(Self { config: Arc::new(config), http: Arc::new(http.map_err(unusable)?) })
    }

    /// Sends a trigger, once. `Ok` means that the server has taken it, and says nothing
    /// about subscribers.
    ///
    /// # Wire
    ///
    /// `POST /trigger/` (docs/protocols/high-templar.md, 12).
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] with the status and the server's text.
    /// - [`Error::Transport`] and [`Error::Timeout`]: ask [`Error::is_in_doubt`] before
    ///   sending it again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the trigger may have been carried out, once.
    pub async fn trigger(&self, trigger: &Trigger) -> Result<(), Error> {
        let (headers, body) = (self.config.headers(), trigger.to_json());
        finish(self.http.send(self.config.request(&headers, &body)).await)
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("url", &self.config.url).finish_non_exhaustive()
    }
}
