//! What waits to be sent to one connection.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{config::Overflow, frames};

/// Something to be sent.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Answer(String),
    /// The data is shared by all who get it.
    Publish {
        data: Arc<str>,
        id: Arc<str>,
    },
}

impl Outgoing {
    fn len(&self) -> usize {
        match self {
            Self::Answer(text) => text.len(),
            Self::Publish { data, id } => frames::publish_len(data, id),
        }
    }

    pub(crate) const fn is_publish(&self) -> bool {
        matches!(self, Self::Publish { .. })
    }

    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Answer(text) => text,
            Self::Publish { data, id } => frames::publish(&data, &id),
        }
    }
}

/// Why a connection is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    /// It does not read.
    Slow,
    /// The server stops.
    Shutdown,
}

/// What became of something that was to be queued.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Push {
    Queued,
    /// It is queued, and so many older publications are not any more.
    Dropped(u64),
    /// The reader is too slow: nothing is queued any more, with so many publications.
    Ended(u64),
    /// The connection has ended before; so many publications go nowhere.
    Gone(u64),
}

#[derive(Debug)]
pub(crate) struct Outlet {
    /// Names the connection.
    pub(crate) number: u64,
    state: Mutex<State>,
    /// Bytes that may wait.
    max: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outgoing>,
    bytes: usize,
    ended: Option<Ended>,
    waker: Option<Waker>,
}

impl State {
    fn publications(&self) -> u64 {
        self.queue.iter().filter(|outgoing| outgoing.is_publish()).count() as u64
    }
}

impl Outlet {
    pub(crate) fn new(number: u64, max: usize) -> Self {
        Self { number, state: Mutex::default(), max }
    }

    /// Queues something; what is alone may be longer than the bound.
    pub(super) fn push(&self, outgoing: Outgoing, overflow: Overflow) -> Push {
        let mut state = self.state();
        let own = u64::from(outgoing.is_publish());
        if state.ended.is_some() {
            return Push::Gone(own);
        }
        let len = outgoing.len();
        let mut dropped = 0;
        while !state.queue.is_empty() && state.bytes + len > self.max {
            let oldest = match overflow {
                Overflow::Disconnect => None,
                Overflow::DropOldest => state.queue.iter().position(Outgoing::is_publish),
            };
            let Some(dropping) = oldest.and_then(|at| state.queue.remove(at)) else {
                // Answers are never dropped: who asks and does not read ends as well.
                let publications = state.publications() + own + dropped;
                state.queue = VecDeque::new();
                (state.bytes, state.ended) = (0, Some(Ended::Slow));
                wake(state);
                return Push::Ended(publications);
            };
            state.bytes -= dropping.len();
            dropped += 1;
        }
        state.bytes += len;
        state.queue.push_back(outgoing);
        wake(state);
        if dropped > 0 { Push::Dropped(dropped) } else { Push::Queued }
    }

    /// Ends the connection when what waits is sent.
    pub(crate) fn end(&self, why: Ended) {
        let mut state = self.state();
        state.ended.get_or_insert(why);
        wake(state);
    }

    /// Nobody sends any more; returns how many publications waited.
    pub(crate) fn close(&self) -> u64 {
        let mut state = self.state();
        state.ended.get_or_insert(Ended::Shutdown);
        let publications = state.publications();
        (state.queue, state.bytes, state.waker) = (VecDeque::new(), 0, None);
        publications
    }

    /// Takes the next; the end comes when all is taken.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Result<Outgoing, Ended>> {
        let mut state = self.state();
        if let Some(outgoing) = state.queue.pop_front() {
            state.bytes -= outgoing.len();
            if state.queue.is_empty() {
                // An idle connection holds nothing.
                state.queue = VecDeque::new();
            }
            return Poll::Ready(Ok(outgoing));
        }
        match state.ended {
            Some(why) => Poll::Ready(Err(why)),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits for the end of a reader that is too slow, while nothing can be taken.
    pub(crate) fn poll_slow(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.ended == Some(Ended::Slow) {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes outside the lock: a waker may run anything.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(len: usize) -> Outgoing {
        Outgoing::Answer("x".repeat(len))
    }

    fn publish(data: &str) -> Outgoing {
        Outgoing::Publish { data: data.into(), id: "\"a\"".into() }
    }

    fn take(outlet: &Outlet) -> Poll<Result<Outgoing, Ended>> {
        outlet.poll_take(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_reader_that_is_too_slow_ends_with_what_it_has_not_read() {
        let outlet = Outlet::new(1, 200);
        assert_eq!(outlet.push(answer(500), Overflow::Disconnect), Push::Queued);
        let Poll::Ready(Ok(_)) = take(&outlet) else { panic!() };
        for _ in 0..4 {
            assert_eq!(outlet.push(publish("1"), Overflow::Disconnect), Push::Queued);
        }
        assert_eq!(outlet.push(publish("1"), Overflow::Disconnect), Push::Ended(5));
        assert_eq!(outlet.push(publish("1"), Overflow::Disconnect), Push::Gone(1));
        assert!(matches!(take(&outlet), Poll::Ready(Err(Ended::Slow))));
    }

    #[test]
    fn the_oldest_publications_make_room_and_answers_never() {
        let outlet = Outlet::new(1, 200);
        assert_eq!(outlet.push(answer(50), Overflow::DropOldest), Push::Queued);
        for _ in 0..3 {
            assert_eq!(outlet.push(publish("1"), Overflow::DropOldest), Push::Queued);
        }
        assert_eq!(outlet.push(publish("2"), Overflow::DropOldest), Push::Dropped(1));
        assert_eq!(outlet.push(answer(190), Overflow::DropOldest), Push::Ended(3));
        assert!(matches!(take(&outlet), Poll::Ready(Err(Ended::Slow))));
    }

    #[test]
    fn the_end_comes_after_what_waits() {
        let outlet = Outlet::new(1, 200);
        outlet.push(answer(5), Overflow::Disconnect);
        outlet.end(Ended::Shutdown);
        assert!(matches!(take(&outlet), Poll::Ready(Ok(_))));
        assert!(matches!(take(&outlet), Poll::Ready(Err(Ended::Shutdown))));
        assert_eq!(outlet.close(), 0);
    }
}
