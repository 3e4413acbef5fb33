//! Stored messages, as a stream.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

use super::handle::Client;
use crate::{
    answers::{HistoryPage, decode},
    error::Error,
    history::{HistoryMessage, Pager, sort},
    proto::Ask,
};

type Fetching = Pin<Box<dyn Future<Output = (Pager, Fetched)> + Send>>;

enum Fetched {
    Page(Vec<HistoryMessage>),
    /// There is no more.
    End,
    Failed(Error),
}

/// The stored messages of a channel, the newest first, fetched page by page while it is
/// read.
///
/// Ends after the last one, after the limit, and after an error.
pub struct History {
    client: Client,
    page: VecDeque<HistoryMessage>,
    state: State,
}

enum State {
    Idle(Pager),
    Fetching(Fetching),
    Over,
}

impl History {
    pub(super) const fn new(client: Client, pager: Pager) -> Self {
        Self { client, page: VecDeque::new(), state: State::Idle(pager) }
    }

    /// Waits for the next message; `None` after the last one.
    ///
    /// # Errors
    ///
    /// As [`Client::me`](crate::Client::me), and [`Error::AnswerTooLarge`] for a single
    /// message that is too large to be fetched.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a page that was asked for is waited for by the next call.
    pub async fn next(&mut self) -> Option<Result<HistoryMessage, Error>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Fetches all of it, the oldest message first.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, what was fetched is lost.
    pub async fn all(mut self) -> Result<Vec<HistoryMessage>, Error> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await {
            all.push(message?);
        }
        sort(&mut all);
        Ok(all)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<HistoryMessage, Error>>> {
        loop {
            if let Some(message) = self.page.pop_back() {
                return Poll::Ready(Some(Ok(message)));
            }
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Idle(pager) => {
                    let client = self.client.clone();
                    self.state = State::Fetching(Box::pin(fetch(client, pager)));
                }
                State::Fetching(mut fetching) => {
                    let polled = fetching.as_mut().poll(cx);
                    if polled.is_pending() {
                        self.state = State::Fetching(fetching);
                    }
                    match ready!(polled) {
                        (pager, Fetched::Page(page)) => {
                            (self.page, self.state) = (page.into(), State::Idle(pager));
                        }
                        (_, Fetched::End) => return Poll::Ready(None),
                        (_, Fetched::Failed(error)) => return Poll::Ready(Some(Err(error))),
                    }
                }
            }
        }
    }
}

/// Fetches the next page, a smaller one if the broker could not send it.
async fn fetch(client: Client, mut pager: Pager) -> (Pager, Fetched) {
    loop {
        let Some(ask) = pager.ask() else { return (pager, Fetched::End) };
        match page(&client, ask, &mut pager).await {
            Ok(page) => return (pager, Fetched::Page(page)),
            Err(Error::AnswerTooLarge) if pager.halve() => {}
            Err(error) => return (pager, Fetched::Failed(error)),
        }
    }
}

async fn page(client: &Client, ask: Ask, pager: &mut Pager) -> Result<Vec<HistoryMessage>, Error> {
    let json = client.ask_broker(ask).await?;
    pager.take(decode::<HistoryPage>("history", &json)?)
}

impl Stream for History {
    type Item = Result<HistoryMessage, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("page", &self.page.len()).finish_non_exhaustive()
    }
}
