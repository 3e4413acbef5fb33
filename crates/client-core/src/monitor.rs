//! Where a driver writes how it is, and everyone else reads it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use crate::{
    inbox::{Reader, Received},
    life::{Dropped, Event, State, Stats},
    listeners::Listeners,
};

/// State, counters and event listeners of one client; a clone is the same.
pub struct Monitor<E> {
    inner: Arc<Mutex<Inner<E>>>,
    listeners: Listeners<Event<E>>,
}

struct Inner<E> {
    state: State,
    stats: Stats<E>,
}

impl<E: Clone> Monitor<E> {
    /// A client that was never started.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner { state: State::Idle, stats: Stats::default() };
        Self { inner: Arc::new(Mutex::new(inner)), listeners: Listeners::new() }
    }

    /// Returns where the client stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.with(|inner| inner.state)
    }

    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> Stats<E> {
        self.with(|inner| inner.stats.clone())
    }

    /// Opens a stream of what happens from now on.
    #[must_use]
    pub fn events(&self) -> Events<E> {
        Events(self.listeners.listen())
    }

    /// Moves to another state.
    pub fn set_state(&self, state: State) {
        self.with(|inner| inner.state = state);
    }

    /// Changes the counters.
    pub fn count(&self, change: impl FnOnce(&mut Stats<E>)) {
        self.with(|inner| change(&mut inner.stats));
    }

    /// Tells every listener; after [`Event::Closed`] their streams end. Only the
    /// driver tells, one event after the other.
    pub fn tell(&self, event: Event<E>) {
        self.listeners.tell(&event);
        if matches!(event, Event::Closed) {
            self.listeners.end();
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner<E>) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<E: Clone> Default for Monitor<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Clone for Monitor<E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), listeners: self.listeners.clone() }
    }
}

impl<E> fmt::Debug for Monitor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

/// A stream of [`Event`]s. A listener that falls 256 behind loses the oldest
/// and is told so by [`Event::Dropped`]. Ends after [`Event::Closed`].
#[derive(Debug)]
pub struct Events<E>(Reader<Event<E>>);

#[cfg(feature = "stream")]
impl<E> futures_core::Stream for Events<E> {
    type Item = Event<E>;

    fn poll_next(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event<E>>> {
        self.get_mut().poll_event(cx)
    }
}

impl<E> Events<E> {
    /// Waits for the next event; `None` after [`Event::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event is taken only when the future is ready.
    pub async fn next(&mut self) -> Option<Event<E>> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event<E>>> {
        self.0.poll_recv(cx).map(|received| {
            received.map(|received| match received {
                Received::Item(event) => event,
                Received::Dropped(count) => Event::Dropped { what: Dropped::Events, count },
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::listeners::UNREAD;

    fn next(events: &mut Events<&'static str>) -> Poll<Option<Event<&'static str>>> {
        events.poll_event(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn every_listener_hears_what_happens_after_it_came() {
        let monitor = Monitor::new();
        let mut early = monitor.events();
        monitor.tell(Event::Connecting { attempt: 0 });
        let mut late = monitor.events();
        monitor.tell(Event::Closed);
        let got = next(&mut early);
        assert!(matches!(got, Poll::Ready(Some(Event::Connecting { attempt: 0 }))));
        for events in [&mut early, &mut late] {
            assert!(matches!(next(events), Poll::Ready(Some(Event::Closed))));
            assert!(matches!(next(events), Poll::Ready(None)));
        }
    }

    #[test]
    fn a_listener_that_does_not_listen_costs_a_bounded_amount() {
        let monitor = Monitor::new();
        let mut events = monitor.events();
        for _ in 0..1000 {
            monitor.tell(Event::Refused { cause: "no" });
        }
        let lost = (1000 - UNREAD) as u64;
        assert!(matches!(
            next(&mut events),
            Poll::Ready(Some(Event::Dropped { what: Dropped::Events, count })) if count == lost
        ));
    }

    #[test]
    fn listening_to_a_closed_client_ends_at_once() {
        let monitor = Monitor::new();
        monitor.tell(Event::Closed);
        assert!(matches!(next(&mut monitor.events()), Poll::Ready(None)));
    }
}
