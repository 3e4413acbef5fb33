//! When to try again.

use std::time::{Duration, Instant};

use crate::rng::Rng;

/// How long to wait between attempts to connect.
///
/// The first wait is random between zero and [`first`](Self::first), so that
/// clients which lost the same server do not return in the same instant. The
/// n-th wait is random between half of and all of `first * factor^(n-1)`, at
/// most [`max`](Self::max). A connection counts as good, and the count starts
/// again, only after [`reset_after`](Self::reset_after).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// let calm = client_core::Backoff::default().max(Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    factor: f64,
    reset_after: Duration,
    is_exact: bool,
    is_from_attempt: bool,
}

impl Default for Backoff {
    /// 1 s, growing by 1.6 up to 10 s; reset after 30 s.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            max: Duration::from_secs(10),
            factor: 1.6,
            reset_after: Duration::from_secs(30),
            is_exact: false,
            is_from_attempt: false,
        }
    }
}

impl Backoff {
    /// Sets the upper end of the first wait, at least 1 ms. Default 1 s.
    #[must_use]
    pub const fn first(mut self, wait: Duration) -> Self {
        self.first = wait;
        self
    }

    /// Sets the longest wait, at least 1 ms. Default 10 s.
    #[must_use]
    pub const fn max(mut self, wait: Duration) -> Self {
        self.max = wait;
        self
    }

    /// Sets by what the wait grows, 1.0 to 10.0; values outside are taken as
    /// the nearer end. Default 1.6.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = if factor.is_nan() { 1.0 } else { factor.clamp(1.0, 10.0) };
        self
    }

    /// Sets how long a connection must last before a loss counts as the first
    /// again. Default 30 s.
    #[must_use]
    pub const fn reset_after(mut self, stable: Duration) -> Self {
        self.reset_after = stable;
        self
    }

    /// Takes each wait at its upper end, the first included: for schedules that are
    /// known beforehand. Clients that lose the same server then return in the same
    /// instant.
    #[must_use]
    pub const fn without_jitter(mut self) -> Self {
        self.is_exact = true;
        self
    }

    /// Counts each wait from the beginning of the attempt that failed, and for a
    /// connection that was lost from the beginning of the attempt that made it: after
    /// one that lasted, the next begins at once.
    #[must_use]
    pub const fn from_attempt(mut self) -> Self {
        self.is_from_attempt = true;
        self
    }
}

impl Backoff {
    /// Returns whether a client with this policy waits at all: both waits are
    /// at least 1 ms.
    #[must_use]
    pub fn is_patient(&self) -> bool {
        let least = Duration::from_millis(1);
        self.first >= least && self.max >= least
    }
}

/// What the failure itself says about the next attempt.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Advice {
    /// Nothing.
    #[default]
    None,
    /// The server asks to be left alone for so long; up to a fifth is added.
    AtLeast(Duration),
    /// The next attempt will meet the same, unless somebody acts: the longest
    /// wait at once.
    Longest,
}

/// A [`Backoff`] at work: counts attempts and draws the waits.
#[derive(Clone, Debug)]
pub struct Retry {
    policy: Backoff,
    rng: Rng,
    attempt: u32,
    connected_at: Option<Instant>,
    began_at: Option<Instant>,
}

impl Retry {
    /// Begins with no failure counted.
    #[must_use]
    pub const fn new(policy: Backoff, rng: Rng) -> Self {
        Self { policy, rng, attempt: 0, connected_at: None, began_at: None }
    }

    /// Notes that an attempt begins.
    pub const fn began(&mut self, now: Instant) {
        self.began_at = Some(now);
    }

    /// Counts a failure or loss at `now`; returns the wait before the next
    /// attempt, as long as `advice` asks.
    pub fn failed(&mut self, now: Instant, advice: Advice) -> Duration {
        let mut drawn = self.draw(now);
        if let Some(began) = self.began_at.filter(|_| self.policy.is_from_attempt) {
            drawn = drawn.saturating_sub(now.saturating_duration_since(began));
        }
        match advice {
            Advice::None => drawn,
            // Clients that were told the same do not return in the same instant.
            Advice::AtLeast(floor) if floor >= drawn => {
                floor + floor.mul_f64(0.2 * self.rng.fraction())
            }
            Advice::AtLeast(_) => drawn,
            Advice::Longest => self.policy.max,
        }
    }

    fn draw(&mut self, now: Instant) -> Duration {
        let stable = self.connected_at.take().map(|at| now.saturating_duration_since(at));
        if stable.is_some_and(|lasted| lasted >= self.policy.reset_after) {
            self.attempt = 0;
        }
        self.attempt = self.attempt.saturating_add(1);
        let part = if self.policy.is_exact { 1.0 } else { self.rng.fraction() };
        if self.attempt == 1 {
            return self.policy.first.min(self.policy.max).mul_f64(part);
        }
        // 64 doublings are past every maximum; the exponent stays small.
        let growth = self.policy.factor.powi(self.attempt.min(64) as i32 - 1);
        let max = self.policy.max.as_secs_f64();
        let base = (self.policy.first.as_secs_f64() * growth).min(max);
        Duration::from_secs_f64(base * (0.5 + 0.5 * part))
    }

    /// Notes that a connection is usable since `now`.
    pub const fn connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
    }

    /// Forgets all failures, as when a person asks to start again.
    pub const fn reset(&mut self) {
        self.attempt = 0;
        self.connected_at = None;
    }

    /// Returns whether nothing was ever connected and nothing has failed.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.attempt == 0 && self.connected_at.is_none()
    }

    /// Returns how many attempts were counted since the last good connection.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_within_their_bounds_and_stay_at_the_maximum() {
        let now = Instant::now();
        for seed in 0..200 {
            let mut retry = Retry::new(Backoff::default(), Rng::seeded(seed));
            assert!(retry.failed(now, Advice::None) < Duration::from_secs(1));
            for n in 2..100 {
                let base = 1.6_f64.powi(n - 1).min(10.0);
                let wait = retry.failed(now, Advice::None).as_secs_f64();
                assert!((base / 2.0..=base).contains(&wait), "{n}: {wait}");
            }
        }
    }

    #[test]
    fn only_a_stable_connection_resets_the_count() {
        let start = Instant::now();
        let mut retry = Retry::new(Backoff::default(), Rng::seeded(1));
        for flap in 1..=5 {
            retry.connected(start);
            let _wait = retry.failed(start + Duration::from_secs(29), Advice::None);
            assert_eq!(retry.attempt(), flap);
        }
        retry.connected(start);
        let _wait = retry.failed(start + Duration::from_secs(30), Advice::None);
        assert_eq!(retry.attempt(), 1);
    }

    #[test]
    fn an_exact_schedule_doubles_from_the_beginning_of_each_attempt() {
        let second = Duration::from_secs(1);
        let policy = Backoff::default().max(300 * second).factor(2.0).reset_after(Duration::ZERO);
        let mut retry = Retry::new(policy.without_jitter().from_attempt(), Rng::seeded(1));
        let start = Instant::now();
        let waits = (0..11).map(|_| {
            retry.began(start);
            retry.failed(start, Advice::None).as_secs()
        });
        assert_eq!(waits.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        // The connection before this loss lasted longer than the wait.
        retry.began(start);
        retry.connected(start);
        assert_eq!(retry.failed(start + 2 * second, Advice::None), Duration::ZERO);
        retry.began(start);
        assert_eq!(retry.failed(start + second, Advice::None), second);
    }

    #[test]
    fn a_seed_names_a_schedule() {
        let now = Instant::now();
        let draw = |seed| {
            let mut retry = Retry::new(Backoff::default(), Rng::seeded(seed));
            (0..20).map(|_| retry.failed(now, Advice::None)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn what_a_failure_advises_is_a_floor_or_the_longest_wait() {
        let now = Instant::now();
        let mut retry = Retry::new(Backoff::default(), Rng::seeded(1));
        for _ in 0..100 {
            let wait = retry.failed(now, Advice::AtLeast(Duration::from_secs(60))).as_secs_f64();
            assert!((60.0..=72.0).contains(&wait), "{wait}");
            assert!(retry.failed(now, Advice::AtLeast(Duration::ZERO)) <= Duration::from_secs(10));
            assert_eq!(retry.failed(now, Advice::Longest), Duration::from_secs(10));
        }
    }

    #[test]
    fn odd_settings_do_no_harm() {
        let now = Instant::now();
        for factor in [f64::NAN, f64::INFINITY, -3.0, 0.0] {
            let policy = Backoff::default().factor(factor).first(Duration::MAX);
            let mut retry = Retry::new(policy, Rng::seeded(1));
            for _ in 0..1000 {
                assert!(retry.failed(now, Advice::None) <= Duration::from_secs(10));
            }
        }
    }
}
