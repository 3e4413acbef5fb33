//! The connection's life, whatever is said on it: begin, authenticate, lose,
//! begin again, stop, close.
//!
//! ```text
//!   Down --start--> Connecting --open--> Authenticating --live--> Live
//!    ^                 ^    \____________ lost ___________\_________/
//!    | halted          '--timed-- Waiting <-- may be mended
//!    '-------------------------------------- cannot be mended
//! ```

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    backoff::{Advice, Backoff, Retry},
    heartbeat::{Beat, Heartbeat},
    life::{Event, State},
    monitor::Monitor,
    rng::Rng,
};

/// What a link has to know of a client's errors.
pub trait LinkError: Clone {
    /// Returns what this failure says about the next attempt.
    fn advice(&self) -> Advice;

    /// Returns whether trying again cannot help: credentials, configuration.
    fn is_terminal(&self) -> bool;
}

/// How a link behaves.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made from a client's own options")]
pub struct LinkSettings {
    /// When to connect again.
    pub backoff: Backoff,
    /// Over all steps of one attempt, authentication included.
    pub connect_timeout: Duration,
    /// Silence after which a ping is sent.
    pub ping_after: Duration,
    /// Silence after that ping which ends the connection.
    pub pong_within: Duration,
    /// A first attempt that fails is repeated like a later one.
    pub retry_first_connect: bool,
    /// Gives up when more attempts than these have failed in a row.
    pub max_failures: Option<u32>,
}

/// What a link asks of whoever owns the socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a connection is opened and given up")]
pub enum LinkOrder {
    /// Open a connection, at the latest at `deadline`, and report
    /// [`Link::opened`] or [`Link::lost`].
    Connect {
        /// The end of the attempt, authentication included.
        deadline: Instant,
    },
    /// Give the connection or the attempt up, and report nothing.
    Disconnect {
        /// Whether a closing handshake is worth its time.
        graceful: bool,
    },
}

/// What the passing of time did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "all that a link waits for")]
pub enum LinkTimeout {
    /// Send a ping.
    Ping,
    /// Nothing was heard for so long: the connection is dead.
    Silent(Duration),
    /// Authentication took too long.
    Unauthenticated,
}

/// What became of a link whose connection was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are these two ways on")]
pub enum Lost {
    /// The next attempt is timed.
    Waiting,
    /// No retry can mend it: settle what waits, and call [`Link::halted`].
    Halted,
}

/// `R` names somebody who waits for an answer, `E` is the client's error.
#[derive(Debug)]
pub struct Link<R, E> {
    settings: LinkSettings,
    monitor: Monitor<E>,
    phase: Phase,
    retry: Retry,
    /// Attempts that failed since the last usable connection.
    failures: u32,
    /// Who waits for the first connection.
    starting: Vec<R>,
    closing: Option<Closing<R>>,
    orders: VecDeque<LinkOrder>,
}

#[derive(Debug)]
enum Phase {
    /// Not wanted.
    Down,
    /// Asked for; whoever owns the socket gives it up at the deadline.
    Connecting { deadline: Instant },
    /// Open, not authenticated.
    Authenticating { deadline: Instant, heartbeat: Heartbeat },
    /// Usable.
    Live { heartbeat: Heartbeat },
    /// Lost; the next attempt begins at this time.
    Waiting { until: Instant },
    /// Closed for good.
    Closed,
}

#[derive(Debug)]
struct Closing<R> {
    to: Vec<R>,
    deadline: Instant,
}

/// What a call to start comes to.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "it waits, is there, or never will be")]
pub enum Started<R> {
    /// It is answered when the link is live, or stops first.
    Later,
    /// The link is live already.
    Live(R),
    /// The client is closed.
    Closed(R),
}

impl<R, E: LinkError> Link<R, E> {
    /// A link that waits for [`start`](Self::start).
    #[must_use]
    pub const fn new(settings: LinkSettings, rng: Rng, monitor: Monitor<E>) -> Self {
        Self {
            retry: Retry::new(settings.backoff, rng),
            settings,
            monitor,
            phase: Phase::Down,
            failures: 0,
            starting: Vec::new(),
            closing: None,
            orders: VecDeque::new(),
        }
    }

    /// Begins to connect.
    pub fn start(&mut self, now: Instant, to: R) -> Started<R> {
        match self.phase {
            _ if self.is_closing() => return Started::Closed(to),
            Phase::Live { .. } => return Started::Live(to),
            Phase::Closed | Phase::Connecting { .. } | Phase::Authenticating { .. } => {}
            Phase::Down => {
                self.retry.reset();
                self.failures = 0;
                self.begin(now);
            }
            Phase::Waiting { .. } => self.begin(now),
        }
        self.starting.push(to);
        Started::Later
    }

    /// Ends the connection until the next [`start`](Self::start); returns who waited
    /// for it, or nothing if there is nothing to stop.
    pub fn stop(&mut self) -> Option<Vec<R>> {
        if self.is_closing() || matches!(self.phase, Phase::Down) {
            return None;
        }
        self.hang_up(true);
        self.phase = Phase::Down;
        self.monitor.set_state(State::Stopped);
        self.monitor.tell(Event::Disconnected { cause: None });
        Some(std::mem::take(&mut self.starting))
    }

    /// The connection is open. False if it is no longer wanted.
    pub fn opened(&mut self, now: Instant) -> bool {
        let Phase::Connecting { deadline } = self.phase else { return false };
        self.phase = Phase::Authenticating { deadline, heartbeat: self.heartbeat(now) };
        true
    }

    /// The connection is usable; returns who waited for it.
    pub fn live(&mut self, now: Instant) -> Vec<R> {
        self.phase = Phase::Live { heartbeat: self.heartbeat(now) };
        self.retry.connected(now);
        self.failures = 0;
        self.monitor.set_state(State::Connected);
        self.monitor.count(|stats| stats.connects += 1);
        self.monitor.tell(Event::Connected);
        std::mem::take(&mut self.starting)
    }

    /// Something was received; returns whether there is a connection.
    pub const fn heard(&mut self, now: Instant) -> bool {
        match &mut self.phase {
            Phase::Authenticating { heartbeat, .. } | Phase::Live { heartbeat } => {
                heartbeat.heard(now);
                true
            }
            _ => false,
        }
    }

    /// The connection, or the attempt to make one, failed. Only meaningful while
    /// there [`is one`](Self::has_connection).
    pub fn lost(&mut self, now: Instant, cause: &E) -> Lost {
        let was_open = matches!(self.phase, Phase::Authenticating { .. } | Phase::Live { .. });
        self.monitor.count(|stats| stats.last_error = Some(cause.clone()));
        if was_open {
            self.monitor.tell(Event::Disconnected { cause: Some(cause.clone()) });
        }
        let first = self.retry.is_fresh() && !self.settings.retry_first_connect;
        if !self.is_live() {
            self.failures = self.failures.saturating_add(1);
        }
        let too_many = self.settings.max_failures.is_some_and(|most| self.failures > most);
        if first || too_many || cause.is_terminal() {
            self.phase = Phase::Down;
            return Lost::Halted;
        }
        let delay = self.retry.failed(now, cause.advice());
        self.phase = Phase::Waiting { until: after(now, delay) };
        self.monitor.set_state(State::Waiting);
        let (attempt, cause) = (self.retry.attempt(), cause.clone());
        self.monitor.tell(Event::Waiting { attempt, delay, cause });
        Lost::Waiting
    }

    /// Everyone else has been told that no retry can mend `cause`; returns who
    /// waited for the connection.
    pub fn halted(&mut self, cause: E) -> Vec<R> {
        self.monitor.set_state(State::Stopped);
        if self.starting.is_empty() {
            self.monitor.tell(Event::Refused { cause });
        }
        std::mem::take(&mut self.starting)
    }

    /// Leaves a connection that works for a new one, at once.
    pub fn renew(&mut self, now: Instant) {
        if self.is_live() {
            self.hang_up(true);
            self.monitor.tell(Event::Disconnected { cause: None });
            self.begin(now);
        }
    }

    /// Gives the connection up; [`lost`](Self::lost) says why.
    pub fn hang_up(&mut self, graceful: bool) {
        if self.has_connection() {
            self.orders.push_back(LinkOrder::Disconnect { graceful });
        }
    }

    /// Begins to close, until `wait` after `now`; `to` gets the report.
    pub fn close(&mut self, now: Instant, wait: Duration, to: R) {
        let deadline = after(now, wait);
        let closing = self.closing.get_or_insert(Closing { to: Vec::new(), deadline });
        closing.deadline = closing.deadline.min(deadline);
        closing.to.push(to);
    }

    /// Ends the connection for good; returns who waits for the report. What waits
    /// is settled next, and then the link is [`closed`](Self::closed).
    pub fn end(&mut self, graceful: bool) -> Vec<R> {
        if !matches!(self.phase, Phase::Down) {
            self.hang_up(graceful);
            self.monitor.tell(Event::Disconnected { cause: None });
        }
        self.phase = Phase::Closed;
        self.closing.take().map(|closing| closing.to).unwrap_or_default()
    }

    /// Everything is settled; returns who still waited for a connection.
    pub fn closed(&mut self) -> Vec<R> {
        self.monitor.set_state(State::Closed);
        self.monitor.tell(Event::Closed);
        std::mem::take(&mut self.starting)
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due. Who is
    /// `blocked` from reading cannot judge the peer's silence.
    #[must_use]
    pub fn poll_timeout(&self, blocked: bool) -> Option<Instant> {
        let link = match &self.phase {
            Phase::Down | Phase::Closed | Phase::Connecting { .. } => None,
            Phase::Authenticating { deadline, heartbeat } => {
                Some(heartbeat.poll_timeout().min(*deadline))
            }
            Phase::Live { .. } if blocked => None,
            Phase::Live { heartbeat } => Some(heartbeat.poll_timeout()),
            Phase::Waiting { until } => Some(*until),
        };
        let closing = self.closing.as_ref().map(|closing| closing.deadline);
        [link, closing].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant, blocked: bool) -> Option<LinkTimeout> {
        let beat = match &mut self.phase {
            Phase::Authenticating { deadline, .. } if *deadline <= now => {
                return Some(LinkTimeout::Unauthenticated);
            }
            Phase::Waiting { until } if *until <= now => {
                self.begin(now);
                return None;
            }
            Phase::Live { heartbeat } if !blocked => heartbeat.handle_timeout(now),
            Phase::Authenticating { heartbeat, .. } => heartbeat.handle_timeout(now),
            _ => None,
        };
        beat.map(|beat| match beat {
            Beat::Ping => LinkTimeout::Ping,
            Beat::Dead => LinkTimeout::Silent(self.settings.ping_after + self.settings.pong_within),
        })
    }

    /// Returns the next thing to do with the socket.
    pub fn poll_order(&mut self) -> Option<LinkOrder> {
        self.orders.pop_front()
    }

    /// Returns whether [`poll_order`](Self::poll_order) has something.
    #[must_use]
    pub fn has_order(&self) -> bool {
        !self.orders.is_empty()
    }

    /// Returns whether there is a connection, or an attempt to make one.
    #[must_use]
    pub const fn has_connection(&self) -> bool {
        matches!(
            self.phase,
            Phase::Connecting { .. } | Phase::Authenticating { .. } | Phase::Live { .. }
        )
    }

    /// Returns whether the connection is open and not authenticated.
    #[must_use]
    pub const fn is_authenticating(&self) -> bool {
        matches!(self.phase, Phase::Authenticating { .. })
    }

    /// Returns whether the connection is usable.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live { .. })
    }

    /// Returns whether no connection is wanted.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        matches!(self.phase, Phase::Down)
    }

    /// Returns whether the client was asked to close, or is closed.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.closing.is_some() || self.is_closed()
    }

    /// Returns whether the time to close is over at `now`.
    #[must_use]
    pub fn is_close_overdue(&self, now: Instant) -> bool {
        self.closing.as_ref().is_some_and(|closing| closing.deadline <= now)
    }

    /// Returns whether the client is closed for good.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    fn begin(&mut self, now: Instant) {
        let deadline = after(now, self.settings.connect_timeout);
        self.phase = Phase::Connecting { deadline };
        self.retry.began(now);
        self.monitor.set_state(State::Connecting);
        self.monitor.tell(Event::Connecting { attempt: self.retry.attempt() });
        self.orders.push_back(LinkOrder::Connect { deadline });
    }

    const fn heartbeat(&self, now: Instant) -> Heartbeat {
        Heartbeat::new(self.settings.ping_after, self.settings.pong_within, now)
    }
}

/// Returns the time `wait` after `now`; a wait past the end of the clock is one of
/// a year.
#[must_use]
pub fn after(now: Instant, wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    now.checked_add(wait).unwrap_or_else(|| now + YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Failed {
        terminal: bool,
    }

    impl LinkError for Failed {
        fn advice(&self) -> Advice {
            Advice::None
        }

        fn is_terminal(&self) -> bool {
            self.terminal
        }
    }

    const LOST: Failed = Failed { terminal: false };
    const REFUSED: Failed = Failed { terminal: true };

    fn link() -> Link<char, Failed> {
        let settings = LinkSettings {
            backoff: Backoff::default(),
            connect_timeout: Duration::from_secs(10),
            ping_after: Duration::from_secs(20),
            pong_within: Duration::from_secs(10),
            retry_first_connect: false,
            max_failures: Some(1),
        };
        Link::new(settings, Rng::seeded(1), Monitor::new())
    }

    fn live(now: Instant) -> Link<char, Failed> {
        let mut link = link();
        assert!(matches!(link.start(now, 's'), Started::Later));
        assert!(matches!(link.poll_order(), Some(LinkOrder::Connect { .. })));
        assert!(link.opened(now) && link.is_authenticating());
        assert_eq!(link.live(now), ['s']);
        link
    }

    #[test]
    fn a_lost_connection_is_made_again_and_a_refused_one_is_not() {
        let now = Instant::now();
        let mut link = live(now);
        assert_eq!(link.lost(now, &LOST), Lost::Waiting);
        let at = link.poll_timeout(false).unwrap();
        assert_eq!(link.handle_timeout(at, false), None);
        assert!(link.has_connection());
        assert_eq!(link.lost(at, &REFUSED), Lost::Halted);
        assert_eq!(link.halted(REFUSED), []);
        assert!(link.is_down() && link.poll_timeout(false).is_none());
    }

    #[test]
    fn the_first_attempt_is_made_once() {
        let now = Instant::now();
        let mut link = link();
        assert!(matches!(link.start(now, 'a'), Started::Later));
        assert!(matches!(link.start(now, 'b'), Started::Later));
        assert_eq!(link.lost(now, &LOST), Lost::Halted);
        assert_eq!(link.halted(LOST), ['a', 'b']);
    }

    #[test]
    fn too_many_failures_in_a_row_are_the_end_and_the_attempt_after_a_loss_is_always_made() {
        let now = Instant::now();
        let mut link = live(now);
        for _ in 0..2 {
            assert_eq!(link.lost(now, &LOST), Lost::Waiting);
            let at = link.poll_timeout(false).unwrap();
            assert_eq!(link.handle_timeout(at, false), None);
        }
        assert_eq!(link.lost(now, &LOST), Lost::Halted);
        assert_eq!(link.halted(LOST), []);
    }

    #[test]
    fn silence_is_asked_after_unless_nobody_reads() {
        let now = Instant::now();
        let mut link = live(now);
        assert_eq!(link.poll_timeout(true), None);
        let at = now + Duration::from_secs(20);
        assert_eq!(link.handle_timeout(at, true), None);
        assert_eq!(link.handle_timeout(at, false), Some(LinkTimeout::Ping));
        let at = at + Duration::from_secs(10);
        let silence = Duration::from_secs(30);
        assert_eq!(link.handle_timeout(at, false), Some(LinkTimeout::Silent(silence)));
    }

    #[test]
    fn authentication_has_the_deadline_of_the_attempt() {
        let now = Instant::now();
        let mut link = link();
        let _later = link.start(now, 's');
        assert!(link.opened(now + Duration::from_secs(9)));
        let at = now + Duration::from_secs(10);
        assert_eq!(link.poll_timeout(false), Some(at));
        assert_eq!(link.handle_timeout(at, false), Some(LinkTimeout::Unauthenticated));
    }

    #[test]
    fn a_closed_link_stays_closed() {
        let now = Instant::now();
        let mut link = live(now);
        link.close(now, Duration::from_secs(5), 'c');
        link.close(now, Duration::from_secs(1), 'd');
        assert!(link.is_closing() && !link.is_close_overdue(now));
        assert!(link.is_close_overdue(now + Duration::from_secs(1)));
        assert_eq!(link.end(true), ['c', 'd']);
        assert_eq!(link.poll_order(), Some(LinkOrder::Disconnect { graceful: true }));
        assert_eq!(link.closed(), []);
        assert!(matches!(link.start(now, 'x'), Started::Closed('x')));
        assert_eq!(link.stop(), None);
    }
}
