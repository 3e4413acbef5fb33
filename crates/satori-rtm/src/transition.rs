//! Every step of a client and its subscriptions, as the original's observers see them.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use client_core::{Reader, Received};
use futures_core::Stream;

use crate::error::Error;

/// One step of the client or of one subscription. It shows itself by the name of the
/// original's observer method, without `on_`: `enter_subscribed`.
///
/// Wire: docs/protocols/satori-rtm.md, 9.1 and 11.1.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transition {
    /// Whose.
    pub subject: Subject,
    /// What.
    pub step: Step,
}

/// Whose step it is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Subject {
    /// The client's.
    Client,
    /// A subscription's.
    Subscription {
        /// Its id: the channel, or the name of the view.
        id: Arc<str>,
        /// Its number among the client's subscriptions, from 0: it tells those that
        /// follow each other on one id apart.
        number: u64,
    },
}

/// A step.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// A state begins.
    Enter(Phase),
    /// A state ends.
    Leave(Phase),
    /// A subscription fails, for this reason.
    EnterFailed(Error),
    /// A subscription takes the place of another one on its id.
    Created,
    /// A subscription is over.
    Deleted,
    /// This listener was slow, and so many steps are missing here.
    Missed(u64),
}

/// The states of the original's client, from `Stopped` to `Disposed`, and of its
/// subscriptions, from `Unsubscribed` to `Failed`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Phase {
    /// Not started, or stopped.
    Stopped,
    /// On the way to a connection.
    Connecting,
    /// Usable.
    Connected,
    /// Waiting for the time of the next attempt.
    Awaiting,
    /// Asked to stop.
    Stopping,
    /// Closed for good.
    Disposed,
    /// Not known to the service on this connection.
    Unsubscribed,
    /// Asked for.
    Subscribing,
    /// Accepted.
    Subscribed,
    /// Asked to end.
    Unsubscribing,
    /// Ended against the application's will.
    Failed,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Awaiting => "awaiting",
            Self::Stopping => "stopping",
            Self::Disposed => "disposed",
            Self::Unsubscribed => "unsubscribed",
            Self::Subscribing => "subscribing",
            Self::Subscribed => "subscribed",
            Self::Unsubscribing => "unsubscribing",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enter(phase) => write!(f, "enter_{phase}"),
            Self::Leave(phase) => write!(f, "leave_{phase}"),
            Self::EnterFailed(_) => f.write_str("enter_failed"),
            Self::Created => f.write_str("created"),
            Self::Deleted => f.write_str("deleted"),
            Self::Missed(count) => write!(f, "missed {count}"),
        }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Client => write!(f, "client {}", self.step),
            Subject::Subscription { id, number } => write!(f, "{id:?} {number} {}", self.step),
        }
    }
}

/// A stream of [`Transition`]s. A listener that falls 256 behind loses the oldest and is
/// told so by [`Step::Missed`]. Ends with the client.
#[derive(Debug)]
pub struct Transitions(Reader<Transition>);

impl Transitions {
    #[cfg(feature = "client")]
    pub(crate) const fn new(reader: Reader<Transition>) -> Self {
        Self(reader)
    }

    /// Waits for the next step; `None` when the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a step is taken only when the future is ready.
    pub async fn next(&mut self) -> Option<Transition> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Transitions {
    type Item = Transition;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Transition>> {
        self.get_mut().0.poll_recv(cx).map(|received| {
            received.map(|received| match received {
                Received::Item(transition) => transition,
                Received::Dropped(count) => {
                    Transition { subject: Subject::Client, step: Step::Missed(count) }
                }
            })
        })
    }
}
