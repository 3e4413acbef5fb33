//! Several commands in one request.

use super::AsyncClient;
use crate::{
    client::batch::{Batch, Replies},
    error::Error,
};

impl AsyncClient {
    /// Begins a batch.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(client: &cent::AsyncClient) -> Result<(), cent::Error> {
    /// let mut batch = client.batch();
    /// let news = batch.add(cent::Publish::new("news", "zebra"))?;
    /// let replies = batch.send().await?;
    /// println!("{:?}", replies.take(news)?);
    /// # Ok(()) }
    /// ```
    pub fn batch(&self) -> Batch<'_, Self> {
        Batch::begin(self, &self.calls.config)
    }
}

impl Batch<'_, AsyncClient> {
    /// Sends the commands; an empty batch sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] if the request fails as a whole:
    /// [`RequestError::in_doubt`](crate::RequestError::in_doubt) says how many
    /// commands may have been carried out.
    pub async fn send(self) -> Result<Replies, Error> {
        let (client, timeout) = (self.client(), self.config().timeout);
        let outcomes = match self.commands() {
            [] => Vec::new(),
            commands => client.calls.exchange(commands, self.is_parallel(), timeout).await?,
        };
        Ok(self.replies(outcomes))
    }
}
