//! Triggers from programs without an async runtime.

use std::{fmt, sync::Arc};

use client_core::http::BlockingHttp;

use super::{MAX_BODY, PublisherConfig, USER_AGENT, finish, unusable};
use crate::{error::Error, trigger::Trigger};

/// Sends triggers; each call blocks until the server has answered or
/// [`PublisherConfig::timeout`] is over. A clone is cheap and shares its connections.
///
/// # Examples
///
/// ```no_run
/// use high_templar_client::{BlockingPublisher, PublisherConfig, Room, Trigger};
///
/// # fn example() -> Result<(), high_templar_client::Error> {
/// let publisher = BlockingPublisher::new(PublisherConfig::new("http://localhost:8002"))?;
/// let room = Room::new().with("target", "message").with("customer", "1");
/// publisher.trigger(&Trigger::new([room], "hello")?)?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BlockingPublisher {
    config: Arc<PublisherConfig>,
    http: Arc<BlockingHttp>,
}

impl BlockingPublisher {
    /// Makes a publisher; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming an option that cannot be used.
    pub fn new(config: PublisherConfig) -> Result<Self, Error> {
        config.validate()?;
        #[cfg(feature = "tls")]
        let http = BlockingHttp::with_tls(&config.url, USER_AGENT, MAX_BODY, &config.tls);
        #[cfg(not(feature = "tls"))]
        let http = BlockingHttp::new(&config.url, USER_AGENT, MAX_BODY);
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
    pub fn trigger(&self, trigger: &Trigger) -> Result<(), Error> {
        let (headers, body) = (self.config.headers(), trigger.to_json());
        finish(self.http.send(self.config.request(&headers, &body)))
    }
}

impl fmt::Debug for BlockingPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPublisher").field("url", &self.config.url).finish_non_exhaustive()
    }
}
